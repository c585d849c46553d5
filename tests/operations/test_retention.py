"""What is old goes where mlc.yaml says so; what is on hold, and what is state, stays."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.test_utils import create_run_for_test
from pydantic import ValidationError

from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import (
    batches,
    events,
    interchange_documents,
    interchanges,
    quarantine,
    records,
)
from mlc_dagster.delivery import Audit, Kind
from mlc_dagster.delivery.seals import Seals
from mlc_dagster.graph.retention import old_runs, remove_runs
from mlc_dagster.graph.steps import COMPANY_TAG
from mlc_dagster.operations.retention import Holds, NoSuchHold, Removed, old, remove
from mlc_dagster.settings.retention import RetentionSettings
from mlc_dagster.suite import Suite
from tests.support.manual_clock import ManualClock
from tests.support.postgres import fresh_postgres

REALLY, MARKED = "anaplan/gl_actuals", "asana/supplier_invoices"
ALL_DAYS: dict[str, int] = dict.fromkeys(RetentionSettings.model_fields, 90)
MakeSuite = Callable[..., Suite]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'mlc.db'}" if request.param == "sqlite" else fresh_postgres()
    engine = connect(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def make(engine: sa.Engine, clock: ManualClock) -> MakeSuite:
    """The parts retention needs, with rules of one's own."""
    models = {REALLY: SimpleNamespace(tombstone=None), MARKED: SimpleNamespace(tombstone={"deleted": True})}

    partners = {"p": SimpleNamespace(sends_997=True), "silent": SimpleNamespace(sends_997=False)}
    cleo = SimpleNamespace(partners=partners)

    def suite(**days: int) -> Any:
        return SimpleNamespace(
            engine=engine,
            clock=clock,
            seals=Seals(engine, clock),
            settings=SimpleNamespace(retention=RetentionSettings(**days), pairs=SimpleNamespace(cleo=cleo)),
            mappings=SimpleNamespace(models=models),
            destinations=lambda: list(models),
        )

    return suite


@pytest.fixture
def world(engine: sa.Engine, clock: ManualClock) -> None:
    """Of each kind: something old, something new, and what is old and has to stay."""
    long_ago, lately = clock.now() - timedelta(days=100), clock.now() - timedelta(days=10)
    place = {"destination": REALLY, "company": "NO01"}
    with engine.begin() as connection:
        for at, name in ((long_ago, "old"), (lately, "new")):
            _batch(connection, name, at, at)
            _event(connection, at, name)
            _entry(connection, at, name)
            _interchange(connection, name, at, answered=at)
            _record(connection, name, at, **place)
        _batch(connection, "open", long_ago, None)
        _event(connection, long_ago, "noted", kind="noted")
        _entry(connection, long_ago, "dismissed", by="controller")
        _entry(connection, None, "waiting")
        _interchange(connection, "unanswered", long_ago, answered=None)
        _record(connection, "kept id", long_ago, **place, target_id="17")
        _record(connection, "marked", long_ago, **{**place, "destination": MARKED})
        _record(connection, "delivered", long_ago, **place, state="delivered")


def _batch(connection: sa.Connection, name: str, at: datetime, ended: datetime | None) -> None:
    row = {"id": f"batch-{name}", "destination": REALLY, "company": "NO01", "run_id": "run", "token": "t"}
    state = "landed" if ended else "in doubt"
    row |= {"state": state, "size": 1, "checkpoint": "{}", "created_at": at, "finished_at": ended}
    connection.execute(batches.insert(), row)


def _event(connection: sa.Connection, at: datetime, name: str, kind: str = "created") -> None:
    row = {"at": at, "run_id": "run", "destination": REALLY, "company": "NO01", "key": name, "number": name}
    connection.execute(
        events.insert(), {**row, "batch_id": f"batch-{name}", "kind": kind, "detail": '{"mark": "m"}'}
    )


def _entry(connection: sa.Connection, resolved: datetime | None, name: str, by: str | None = None) -> None:
    at = resolved or datetime(2026, 1, 1, tzinfo=UTC)
    row = {"stage": "contract", "place": REALLY, "company": "NO01", "key": name, "number": name}
    row |= {"reason": "r", "raw": "{}", "run_id": "run", "first_at": at, "last_at": at}
    connection.execute(quarantine.insert(), {**row, "resolved_at": resolved, "dismissed_by": by})


def _interchange(
    connection: sa.Connection, name: str, at: datetime, answered: datetime | None, **columns: Any
) -> None:
    row = {"id": name, "direction": "out", "partner": "p", "company": "NO01", "kind": "IN", "control": 1}
    row |= {"group_control": 1, "file": "f", "content": b"ISA*", "digest": "d", "state": "sent"}
    row |= {"detail": "{}", "created_at": at, "answered_at": answered}
    connection.execute(interchanges.insert(), {**row, **columns})
    held = {"interchange_id": name, "control": "0001", "destination": "cleo/x", "key": name, "number": name}
    held |= {"purpose": "00", "payload": "{}", "state": "sent", "detail": "{}"}
    connection.execute(interchange_documents.insert(), held)


def _record(connection: sa.Connection, name: str, at: datetime, **columns: Any) -> None:
    row = {"key": name, "source_key": name, "number": name, "state": "deleted", "updated_at": at}
    connection.execute(records.insert(), {**row, **columns})


def left(engine: sa.Engine, column: sa.Column[Any], *where: Any) -> set[Any]:
    with engine.connect() as connection:
        return set(connection.execute(sa.select(column).where(*where)).scalars())


def counts(found: list[Removed]) -> dict[str, int]:
    return {each.name.removesuffix("_days"): each.count for each in found}


@pytest.mark.usefixtures("world")
def test_everything_is_kept_unless_mlc_yaml_says_otherwise(make: MakeSuite, engine: sa.Engine) -> None:
    assert old(make()) == []
    assert remove(make(), by="controller") == []
    assert left(engine, events.c.number) == {"old", "new", "noted"}


@pytest.mark.usefixtures("world")
def test_what_is_old_goes_and_what_is_state_stays(make: MakeSuite, engine: sa.Engine) -> None:
    suite = make(**ALL_DAYS)
    suite.seals.seal()
    expected = {"batches": 1, "quarantine": 1, "edi": 1, "deleted_records": 1, "events": 1}
    assert counts(old(suite)) == expected
    assert counts(remove(suite, by="controller")) == expected
    assert left(engine, batches.c.id) == {"batch-new", "batch-open"}
    assert left(engine, quarantine.c.key) == {"new", "dismissed", "waiting"}
    assert left(engine, interchanges.c.id, sa.func.length(interchanges.c.content) > 0) == {
        "new",
        "unanswered",
    }
    assert left(engine, records.c.key) == {"new", "kept id", "marked", "delivered"}
    assert left(engine, events.c.key, events.c.key.is_not(None)) == {"new", "noted"}
    assert counts(remove(suite, by="controller")) == dict.fromkeys(expected, 0)


def test_what_went_to_a_partner_that_answers_nothing_goes_too(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock
) -> None:
    long_ago = clock.now() - timedelta(days=100)
    with engine.begin() as connection:
        _interchange(connection, "sent", long_ago, answered=None, partner="silent", sent_at=long_ago)
        _interchange(connection, "unsent", long_ago, answered=None, partner="silent")
    assert counts(remove(make(edi_days=90), by="controller")) == {"edi": 1}
    assert left(engine, interchanges.c.id, sa.func.length(interchanges.c.content) > 0) == {"unsent"}


@pytest.mark.usefixtures("world")
def test_the_trail_says_what_went_and_stays_whole(make: MakeSuite, engine: sa.Engine) -> None:
    suite = make(**ALL_DAYS)
    remove(suite, by="controller")
    told = left(engine, events.c.run_id, events.c.kind == Kind.REMOVED.value)
    assert told == {"controller"}
    verdict = suite.seals.verify()
    assert (verdict.broken, verdict.removed, verdict.unsealed) == (0, 1, 0)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("what", [{"company": "NO01", "number": None}, {"company": None, "number": "old"}])
def test_what_is_on_hold_stays_until_it_is_released(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock, what: dict[str, Any]
) -> None:
    suite, holds = make(**ALL_DAYS), Holds(engine, clock)
    hold = holds.hold(**what, reason="lawsuit", by="controller")
    assert set(counts(old(suite)).values()) == {0}
    assert set(counts(remove(suite, by="controller")).values()) == {0}
    assert "old" in left(engine, events.c.key)
    holds.release(hold, by="auditor")
    assert set(counts(remove(suite, by="controller")).values()) == {1}


@pytest.mark.usefixtures("world")
def test_a_refused_record_that_did_not_tell_its_number_is_held_by_its_key(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock
) -> None:
    unnumbered = quarantine.update().where(quarantine.c.key == "old")
    with engine.begin() as connection:
        connection.execute(unnumbered.values(number=None, source_key="old"))
    hold = Holds(engine, clock).hold(company=None, number="old", reason="lawsuit", by="controller")
    assert counts(remove(make(quarantine_days=90), by="controller")) == {"quarantine": 0}
    Holds(engine, clock).release(hold, by="auditor")
    assert counts(remove(make(quarantine_days=90), by="controller")) == {"quarantine": 1}


@pytest.mark.usefixtures("world")
def test_a_hold_of_another_company_keeps_nothing_here(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock
) -> None:
    Holds(engine, clock).hold(company="SE01", number=None, reason="lawsuit", by="controller")
    assert set(counts(remove(make(**ALL_DAYS), by="controller")).values()) == {1}


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("what", [{"company": "NO01", "number": None}, {"company": None, "number": "old"}])
def test_a_hold_that_comes_while_old_things_are_removed_keeps_what_is_still_there(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock, what: dict[str, Any]
) -> None:
    class HoldsFirst(Seals):
        """Somebody places the hold when the events' turn has come: they are sealed before they go."""

        def seal(self) -> int:
            if not Holds(engine, clock).standing():
                Holds(engine, clock).hold(**what, reason="lawsuit", by="controller")
            return super().seal()

    suite = make(**ALL_DAYS)
    suite.seals = HoldsFirst(engine, clock)
    gone = counts(remove(suite, by="controller"))
    assert (gone["batches"], gone["events"]) == (1, 0)
    assert "old" in left(engine, events.c.key)


def test_holds_are_on_record_with_who_and_why(engine: sa.Engine, clock: ManualClock) -> None:
    holds = Holds(engine, clock)
    hold = holds.hold(company=None, number="10023", reason="lawsuit", by="controller")
    (standing,) = holds.standing()
    assert (standing.number, standing.reason, standing.held_by) == ("10023", "lawsuit", "controller")
    holds.release(hold, by="auditor")
    assert holds.standing() == []
    told = [(event.kind, event.detail["by"]) for event in Audit(engine).history("10023")]
    assert told == [(Kind.HELD, "controller"), (Kind.UNHELD, "auditor")]
    with pytest.raises(NoSuchHold, match="There is no hold"):
        holds.release(hold, by="auditor")
    with pytest.raises(NoSuchHold, match="Name what to hold"):
        holds.hold(company="NO01", number="10023", reason="lawsuit", by="controller")


def test_a_rule_of_a_few_days_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 30"):
        RetentionSettings(events_days=7)


def test_old_runs_of_dagster_go_but_not_those_of_a_company_on_hold(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ended, going = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED
        old_ones = {
            name: create_run_for_test(instance, status=status, tags=tags).run_id
            for name, status, tags in (
                ("NO01", ended, {COMPANY_TAG: "NO01"}),
                ("SE01", ended, {COMPANY_TAG: "SE01"}),
                ("any", ended, {}),
                ("going", going, {COMPANY_TAG: "NO01"}),
            )
        }
        assert old_runs(instance, make(runs_days=90)) == []
        clock.sleep(timedelta(days=3650).total_seconds())
        assert old_runs(instance, make()) == []
        hold = Holds(engine, clock).hold(company="SE01", number=None, reason="lawsuit", by="controller")
        assert [run.run_id for run in old_runs(instance, make(runs_days=90))] == [old_ones["NO01"]]
        assert remove_runs(instance, make(runs_days=90)) == 1
        Holds(engine, clock).release(hold, by="auditor")
        assert remove_runs(instance, make(runs_days=90)) == 2
        assert [run.run_id for run in instance.get_runs()] == [old_ones["going"]]


def test_a_company_that_comes_on_hold_while_old_runs_go_keeps_those_that_are_left(
    make: MakeSuite, engine: sa.Engine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            create_run_for_test(instance, status=dg.DagsterRunStatus.SUCCESS, tags={COMPANY_TAG: "NO01"})
        clock.sleep(timedelta(days=3650).total_seconds())
        delete = instance.delete_run

        def hold_and_delete(run_id: str) -> None:
            Holds(engine, clock).hold(company="NO01", number=None, reason="lawsuit", by="controller")
            delete(run_id)

        monkeypatch.setattr(instance, "delete_run", hold_and_delete)
        assert remove_runs(instance, make(runs_days=90)) == 1
        assert len(instance.get_runs()) == 1
