"""Remarks that went back into the ERP are remembered by the audit trail, on either database."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Audit, Kind
from mlc_dagster.delivery.notes import Document, Notes, Told
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.transport.clocks import ManualClock

__all__ = ["database_url", "postgres_url", "sqlite_url"]

INVOICE = Document("visma/supplier_invoices", "NO01", "Invoice|7", "7")
# Same number: other documents all the same.
OTHERS = [
    Document("visma/supplier_invoices", "NO01", "CreditAdj|7", "7"),
    Document("visma/supplier_invoices", "SE01", "Invoice|7", "7"),
    Document("visma/purchase_orders", "NO01", "Invoice|7", "7"),
]
LINE = "2026-11-20 AP Clerk: Ærlig talt"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def test_a_remark_is_told_for_its_document_only_and_its_newest_fate_counts(engine: sa.Engine) -> None:
    notes = Notes(engine, ManualClock(), "run 1")
    notes.add(INVOICE, {"1": Told(Kind.REFUSED, LINE, "locked"), "2": Told(Kind.NOTED, LINE, None)})
    notes.add(INVOICE, {"1": Told(Kind.NOTED, LINE, None)})
    assert notes.told(INVOICE) == {"1": Told(Kind.NOTED, LINE, None), "2": Told(Kind.NOTED, LINE, None)}
    assert [notes.told(other) for other in OTHERS] == [{}, {}, {}]


def test_the_trail_shows_who_wrote_what_and_why_not(engine: sa.Engine) -> None:
    Notes(engine, ManualClock(), "run 9").add(INVOICE, {"1": Told(Kind.REFUSED, LINE, "locked")})
    (event,) = Audit(engine).history("7")
    assert (event.run_id, event.company, event.destination, event.key) == (
        "run 9",
        "NO01",
        "visma/supplier_invoices",
        "Invoice|7",
    )
    assert (event.kind, event.detail["line"], event.detail["reason"]) == (Kind.REFUSED, LINE, "locked")
