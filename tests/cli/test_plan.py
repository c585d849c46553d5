"""`mlc plan` while nothing was read, or little."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mlc_dagster.cli.plan import show_plan
from mlc_dagster.lake import DayNote, with_system
from mlc_dagster.settings import UnknownCompany, load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES


@pytest.fixture(autouse=True)
def nothing_read(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in load_settings().credentials():
        monkeypatch.setenv(name, "none")


def test_what_was_never_read_is_no_zero_because_nobody_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(None, "NO01", None, None)
    told = capsys.readouterr().out
    [line] = [line for line in told.splitlines() if line.startswith("asana/purchase_orders")]
    assert line.split() == ["asana/purchase_orders", "NO01", *"-" * 7]
    assert "Where all numbers are `-`, nothing was read from the ERP yet" in told
    assert "Read from the ERP until" not in told
    assert "Budget asana" not in told


def test_a_plan_says_until_when_the_erp_was_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read_no_orders()
    show_plan(None, "NO01", None, None)
    told = capsys.readouterr().out
    assert "Read from the ERP until (UTC): NO01 2026-11-20 11:58. What changed since is not planned." in told
    assert "Where all numbers are `-`, nothing was read from the ERP yet" in told


def test_budgets_of_pairs_and_companies_that_are_not_asked_for_are_not_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read_no_orders()
    show_plan("asana/purchase_orders", "NO01", None, None)
    told = capsys.readouterr().out
    assert "Budget asana: the plan needs about 2 calls" in told
    assert "Budget visma NO01" in told
    assert "Budget anaplan" not in told
    assert "Budget visma SE01" not in told
    assert "Where all numbers are" not in told


def test_the_plan_of_a_pair_shows_its_destinations_only(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan("asana", "NO01", None, None)
    planned = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " NO01 " in line]
    assert planned == ["asana/purchase_orders", "asana/supplier_invoices"]


def test_a_company_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownCompany, match=r"no company DK01\. Known: NO01"):
        show_plan("asana/purchase_orders", "DK01", None, None)


def read_no_orders() -> None:
    """A day was read on which there was no order."""
    note = DayNote(None, datetime(2026, 11, 20, 11, 58, tzinfo=UTC), complete=True, total=0)
    nothing = with_system(ENTITIES["purchase_orders"].schema).empty_table()
    Suite(load_settings()).lake.write_day("purchase_orders", "NO01", date(2026, 11, 20), nothing, note)
