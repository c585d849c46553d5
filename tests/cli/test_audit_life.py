"""`mlc audit NUMBER` in a terminal of 100 signs."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

from mlc_dagster.cli import audit
from mlc_dagster.delivery import Event, Kind

AT = datetime(2026, 11, 20, 6, 0, 1, tzinfo=UTC)
BATCH, PLACE = "20261120T060001-1a2b3c4d", "anaplan/supplier_invoice_lines"


def event(company: str, kind: Kind, key: str | None, batch: str | None, **detail: object) -> Event:
    return Event(
        at=AT,
        run_id="r",
        destination=PLACE,
        company=company,
        key=key,
        number="10023",
        kind=kind,
        batch_id=batch,
        detail=detail,
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> str:
    history = [
        event("NO01", Kind.CREATED, "NO01|Invoice|10023|1", BATCH),
        event("NO01", Kind.LANDED, None, BATCH, rows=400, files=["810_1.json", "810_2.json"]),
        event("SE01", Kind.QUARANTINED, "SE01|Invoice|10023|1", None, reason="no due date"),
    ]
    house = SimpleNamespace(
        settings=SimpleNamespace(companies=[]),
        audit=SimpleNamespace(history=lambda _: history, standing=lambda _: []),
        quarantine=SimpleNamespace(open=lambda **_: []),
    )
    paper = io.StringIO()
    monkeypatch.setattr(audit, "load_settings", lambda: None)
    monkeypatch.setattr(audit, "Suite", lambda _: house)
    monkeypatch.setattr(audit, "console", Console(file=paper, width=100, markup=False, highlight=False))
    assert audit.show_audit("10023") == 0
    return paper.getvalue()


def test_destination_and_batch_stay_whole_to_be_copied(told: str) -> None:
    assert max(map(len, told.splitlines())) <= 100
    assert told.count(PLACE) == 3
    assert told.count(BATCH) == 2


def test_each_company_has_a_life_of_its_own_in_words(told: str) -> None:
    norway, sweden = told.split("The life of 10023, SE01")
    assert "The life of 10023, NO01" in norway
    assert f"batch {BATCH} landed: rows: 400; files: 810_1.json, 810_2.json" in " ".join(norway.split())
    assert "SE01|Invoice|10023|1 quarantined: no due date" in " ".join(sweden.split())
