"""Suppliers whose tasks nobody is assigned to."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from mlc_dagster.asana.shape import Shape
from mlc_dagster.delivery import Ledger


class Supplier(NamedTuple):
    """A supplier of one company; named: the member the lookup names, who is none of the workspace."""

    company: str
    number: str
    name: str
    named: str


def unassigned(
    ledger: Ledger, shape: Shape, company: str, members: Collection[str] | None = None
) -> Counter[Supplier]:
    """Tasks that are not done, by supplier without a member. members: e-mail addresses of the workspace in
    lower case; without them every named member counts as one.
    """
    found: Counter[Supplier] = Counter()
    section = shape.section
    if section.assignee is None:
        return found
    for held in ledger.held(f"asana/{shape.model}", company):
        row = held.row.payload
        named = str(row.get(section.assignee) or "")
        assigned = bool(named) if members is None else named.lower() in members
        if not assigned and not row.get(section.completed):
            found[Supplier(company, _text(row, "supplier_number"), _text(row, "supplier_name"), named)] += 1
    return found


def _text(row: Mapping[str, Any], column: str) -> str:
    return str(row.get(column) or "")
