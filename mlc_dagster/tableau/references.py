"""What rows name: users and groups of the site, and rows of our other data sources."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlc_dagster.delivery import Ledger, Refused
from mlc_dagster.delivery.rows import raw_text
from mlc_dagster.mappings.model import Model
from mlc_dagster.tableau.client import TableauClient
from mlc_dagster.tableau.shape import Shape

Payload = Mapping[str, Any]

# Its own place in the quarantine: a delivery does not judge the rows that it leaves as they are.
STAGE = "names"


class Names:
    """The users and groups of the site, asked for once and only where a contract names such columns."""

    def __init__(self, client: TableauClient, shape: Shape) -> None:
        self._known: dict[str, tuple[str, set[str]]] = {}
        section = shape.section
        if section.users:
            self._known[section.users] = "user", {found.name.casefold() for found in client.users()}
        if section.groups:
            self._known[section.groups] = "group", {found.name.casefold() for found in client.groups()}

    def missing(self, payload: Payload) -> str:
        """Which user or group of a row the site has not; empty when it has them."""
        unknown = [
            f"the site has no {kind} {name!r}"
            for column, (kind, names) in self._known.items()
            if (name := payload.get(column)) and str(name).casefold() not in names
        ]
        return " and ".join(unknown)


class Relations:
    """The rows of other data sources that a model's contract says its rows point to.

    A model that delivers nothing, or has delivered nothing yet, says nothing.
    """

    def __init__(self, ledger: Ledger, model: Model, delivered: Sequence[str]) -> None:
        """`delivered`: the models that are switched on."""
        self._held: dict[str, tuple[str, set[str]]] = {}
        for column, other in _related(model):
            if other in delivered and (keys := set(ledger.held_keys(f"{model.target}/{other}"))):
                self._held[column] = other, keys

    def missing(self, payload: Payload) -> str:
        """Which rows a row points to are not there any more; empty when all are."""
        gone = [
            f"{column} {code!r} is not among {other} any more"
            for column, (other, keys) in self._held.items()
            if (code := payload.get(column)) and code not in keys
        ]
        return " and ".join(gone)


def dangling(
    ledger: Ledger, destination: str, company: str, judges: Sequence[Names | Relations]
) -> list[Refused]:
    """The delivered rows that name something that is gone, each with what."""
    refused = []
    for held in ledger.held(destination, company):
        row = held.row
        if reason := " and ".join(filter(None, (judge.missing(row.payload) for judge in judges))):
            raw = raw_text(row.payload)
            refused.append(Refused(STAGE, row.key, row.source_key, row.number, reason, raw))
    return refused


def _related(model: Model) -> Iterator[tuple[str, str]]:
    """The columns that hold the keys of another model, with that model."""
    for name, column in model.contract.columns.items():
        for test in column.tests:
            if test.relationships is not None and test.relationships.model is not None:
                yield name, test.relationships.model
