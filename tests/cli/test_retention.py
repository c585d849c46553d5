"""`mlc retention`: what it shows, that it asks, and that it removes only then."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Quarantine, Refused
from mlc_dagster.delivery.seals import Seals
from mlc_dagster.operations.retention import NoSuchHold
from mlc_dagster.settings import CompanySettings, Settings, UnknownCompany
from mlc_dagster.settings.retention import RetentionSettings
from tests.support.manual_clock import ManualClock

Mlc = Callable[..., Result]


@pytest.fixture
def keep() -> RetentionSettings:
    return RetentionSettings(quarantine_days=90, runs_days=90)


@pytest.fixture
def mlc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: RetentionSettings) -> Mlc:
    """The command on a house with one entry that left the quarantine long ago."""
    clock, engine = ManualClock(), connect(f"sqlite:///{tmp_path / 'mlc.db'}")
    migrate(engine)
    kept = Quarantine(engine, clock)
    place = {"stage": "visma", "place": "visma/suppliers", "company": "NO01", "run_id": "run"}
    kept.settle(**place, refused=[Refused("visma", "7", "7", "10023", "no name", "{}")], passed=[])
    kept.settle(**place, refused=[], passed=["7"])
    clock.sleep(timedelta(days=100).total_seconds())
    company = CompanySettings(name="Nordfjell", tenant_id="1", company_id="1")
    settings = Settings.model_construct(retention=keep, companies={"NO01": company})
    suite = SimpleNamespace(engine=engine, clock=clock, seals=Seals(engine, clock), settings=settings)
    monkeypatch.setattr("mlc_dagster.cli.retention.load_settings", lambda: None)
    monkeypatch.setattr("mlc_dagster.cli.retention.Suite", lambda _: suite)
    monkeypatch.setattr(
        dg.DagsterInstance, "get", lambda: nullcontext(SimpleNamespace(get_runs=lambda *_, **__: []))
    )

    def run(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, ["retention", *arguments], input=answer)

    return run


def counted(told: Result) -> list[str]:
    """The last column of the table's rows."""
    return [line.split()[-1] for line in told.output.splitlines() if " 90 " in line]


def test_what_would_go_is_shown_and_nothing_goes_without_a_yes(mlc: Mlc) -> None:
    assert counted(mlc("apply", "--dry-run")) == ["1", "0"]
    refused = mlc("apply", answer="n\n")
    assert refused.exit_code == 1
    assert "Nothing was removed." in refused.output
    assert counted(mlc("apply", "--yes")) == ["1", "0", "1", "0"], "what would go, then what went"
    told = mlc("apply")
    assert counted(told) == ["0", "0"]
    assert (told.exit_code, told.output.splitlines()[-1]) == (0, "Nothing is old enough to go.")


def test_a_hold_keeps_it_and_is_listed_until_it_is_released(mlc: Mlc) -> None:
    assert "Nothing is on hold." in mlc("list").output
    assert mlc("hold", "--number", "10023", "--reason", "lawsuit", "--by", "controller").exit_code == 0
    assert counted(mlc("apply", "--dry-run")) == ["0", "0"]
    listed = mlc("list").output
    assert "quarantine: 90 days" in listed
    assert "events: kept for ever" in listed
    assert "number 10023" in listed
    assert "lawsuit" in listed
    assert mlc("release", "1").exit_code == 0
    assert counted(mlc("apply", "--dry-run")) == ["1", "0"]


def test_wrong_names_are_told(mlc: Mlc) -> None:
    assert isinstance(mlc("release", "9").exception, NoSuchHold)
    assert isinstance(mlc("hold", "--reason", "x").exception, NoSuchHold)
    assert isinstance(mlc("hold", "--company", "XX", "--reason", "x").exception, UnknownCompany)


@pytest.mark.parametrize("keep", [RetentionSettings()])
def test_without_a_section_everything_is_kept(mlc: Mlc) -> None:
    assert "Everything is kept for ever" in mlc("apply").output
