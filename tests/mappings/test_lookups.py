"""The shipped lookups agree with each other, whatever target reads them."""

import csv

from mlc_dagster.settings import REPOSITORY

LOOKUPS = REPOSITORY / "dbt_like_mappings" / "lookups"


def lines(name: str) -> list[dict[str, str]]:
    with (LOOKUPS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_suppliers_credit_note_is_what_lowers_the_debt_and_has_one_name_at_every_target() -> None:
    kinds = {line["document_type"]: line for line in lines("document_kinds") if line["ledger"] == "AP"}
    names = {line["document_type"]: line["name"] for line in lines("document_types")}
    adjustments = [kind for kind in names if kind.endswith("Adj")]
    assert {kind: names[kind] for kind in adjustments} == {kind: kinds[kind]["name"] for kind in adjustments}
    lowering = {kind for kind in adjustments if kinds[kind]["sign"] == "-1"}
    assert lowering == {kind for kind in adjustments if "credit note" in names[kind].lower()}
