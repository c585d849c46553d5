"""Rows of a data source that should not be there: what a repair makes of them."""

import sqlalchemy as sa

from mlc_dagster.database.schema import records
from mlc_dagster.delivery import Comparison, condemn, reconcile
from tests.tableau.site import INVOICES, Installation, invoice


def compared(ours: Installation) -> Comparison:
    read_back = ours.tableau.read_back("supplier_invoices")
    return reconcile(ours.ledger, read_back, INVOICES, "NO01", tombstone=None)


def test_a_row_that_a_restored_database_knows_nothing_of_is_deleted_and_no_other(ours: Installation) -> None:
    ours.deliver([invoice("1"), invoice("2")])
    forgotten = invoice("2").key
    with ours.engine.begin() as connection:
        connection.execute(sa.delete(records).where(records.c.key == forgotten))
    found = compared(ours).surplus
    assert list(found) == [forgotten]
    condemn(ours.destination(), "NO01", found.values(), ledger=ours.ledger, run_id="2", reason="a reason")
    assert ours.deliver([]).deleted == 1
    assert ours.shown() == ours.wanted([invoice("1")])
    assert compared(ours).equal
