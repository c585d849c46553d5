"""`mlc audit verify` and `mlc audit export`, as an operator and an auditor see them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.database.schema import events
from mlc_dagster.delivery import Audit, Kind
from mlc_dagster.delivery.notes import Document, Notes, Told
from mlc_dagster.delivery.seals import NotAHead, Seals
from mlc_dagster.settings import REPOSITORY
from tests.support.manual_clock import ManualClock

Mlc = Callable[..., Result]


@pytest.fixture
def mlc(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Mlc:
    """The command on a trail of one sealed event."""
    clock = ManualClock()
    document = Document("visma/supplier_invoices", "NO01", "1", "10023")
    Notes(engine, clock, "run").add(document, {"mark": Told(Kind.NOTED, "a line", None)})
    seals = Seals(engine, clock)
    seals.seal()
    parts = SimpleNamespace(engine=engine, clock=clock, seals=seals, audit=Audit(engine))
    monkeypatch.setattr("mlc_dagster.cli.audit_chain.load_settings", lambda: None)
    monkeypatch.setattr("mlc_dagster.cli.audit_chain.Suite", lambda _: parts)
    return lambda *arguments: CliRunner().invoke(app, ["audit", *arguments])


def test_a_whole_trail_is_told_with_its_newest_seal(mlc: Mlc) -> None:
    told = mlc("verify")
    assert told.exit_code == 0
    assert "As it was sealed: 1 event, 1 seal." in told.output
    head = mlc("verify", "--head").output.strip()
    assert head in told.output
    compared = mlc("verify", "--kept", head)
    assert compared.exit_code == 0
    assert "The kept seal 1 is among them" in compared.output


def test_a_changed_event_is_told_with_what_it_says_now(mlc: Mlc, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(events.update().values(detail='{"line": "another", "mark": "mark"}'))
    told = mlc("verify")
    assert told.exit_code == 1
    assert "event 1 of seal 1 was changed. It says now:" in told.output
    assert "'line': 'another'" in told.output
    assert mlc("verify", "--head").exit_code == 1, "a broken trail gives no seal to keep"


def test_a_seal_that_was_kept_elsewhere_and_is_not_here_is_told(mlc: Mlc) -> None:
    told = mlc("verify", "--kept", f"2:{'0' * 64}")
    assert told.exit_code == 1
    assert "the trail ends with seal 1" in told.output
    assert isinstance(mlc("verify", "--kept", "nonsense").exception, NotAHead)


def test_an_export_says_what_it_wrote(mlc: Mlc, tmp_path: Path) -> None:
    told = mlc(
        "export", "--from", "2026-01-01", "--to", "2026-12-31", "--format", "csv", str(tmp_path / "out")
    )
    assert told.exit_code == 0, told.output
    assert ": 1 event, 1 seal. README.txt there" in told.output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "README.txt",
        "digests.csv",
        "events.csv",
        "seals.csv",
    ]


def test_every_kind_of_event_is_explained_to_the_auditor() -> None:
    guide = (REPOSITORY / "docs" / "audit.md").read_text("utf-8")
    table = guide.split("## What the events say")[1].split("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    explained = {kind.strip() for row in rows for kind in row.split(",")}
    assert {kind.value for kind in Kind} <= explained
