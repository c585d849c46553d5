"""A read of everything hides nothing from the key sweep: who names a number that went is read anew."""

from pathlib import Path

import pytest

from mlc_dagster import flow
from mlc_dagster.delivery import Kind
from mlc_dagster.operations.sweeps import sweep
from mlc_dagster.visma.entities import ENTITIES
from tests.support.house import House, open_house, running_sandbox

NEW = "99001"


def cited(house: House) -> set[str]:
    """The suppliers that invoices name in the lake."""
    held = house.suite().lake.latest("supplier_invoices", "NO01")
    assert held is not None
    return {row["supplier"]["number"] for row in held.select(["supplier"]).to_pylist()}


def renumber(house: House) -> str:
    """Give a supplier another number, in its invoices too, which get no new stamp; the old number."""
    vendor = house.sandbox.visma
    table = vendor.table("NO01", "supplierInvoice")
    old = min(cited(house))
    vendor.renumber("NO01", "supplier", old, NEW)
    for record in list(table):
        row = table.row(record)
        if row["supplier"]["number"] == old:
            table.change(record, {"supplier": {**row["supplier"], "number": NEW}}, record.stamp)
    return old


@pytest.mark.parametrize("whole", [True, False])
def test_documents_get_the_new_number_though_a_whole_read_saw_the_old_one_missing_first(
    tmp_path: Path, *, whole: bool
) -> None:
    with (
        running_sandbox(companies=("NO01",)) as sandbox,
        open_house(sandbox, tmp_path, destinations=["suppliers", "supplier_invoices"]) as house,
    ):
        suite, suppliers = house.suite(), ENTITIES["suppliers"]
        for entity in (suppliers, ENTITIES["supplier_invoices"]):
            flow.read(suite, entity, "NO01", house.days, run_id="load")
        old = renumber(house)
        house.clock.sleep(60)
        flow.read(suite, suppliers, "NO01", house.days, run_id="whole", whole=whole)
        sweep(suite, suppliers, "NO01", run_id="sweep")
        assert cited(house) >= {NEW}
        assert old not in cited(house)
        for number in (old, NEW):
            assert Kind.RENUMBERED in {event.kind for event in suite.audit.history(number)}
