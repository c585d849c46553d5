"""What was asked for outside Dagster becomes runs, once, and what came of them is noted."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test

from mlc_dagster.database.schema import replays
from mlc_dagster.delivery import State as LedgerState
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key
from mlc_dagster.graph.replay import REPLAY_TAG, replay_sensor, spans_of
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG
from mlc_dagster.operations.replay import By, Replays, Span, State, What
from tests.support.house import House

NAME = "anaplan/suppliers"
Tick = Callable[[], list[dg.RunRequest]]


@pytest.fixture
def tick(house: House) -> Tick:
    """One tick of the sensor; the runs it asks for."""
    sensor = replay_sensor(house.settings)
    suite = SuiteResource(settings_file=str(house.settings.file))
    repository = house.definitions.get_repository_def()

    def once() -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=house.instance, resources={"suite": suite}, repository_def=repository
        )
        with context:
            found = sensor(context)
        return list(found.run_requests or []) if isinstance(found, dg.SensorResult) else []  # type: ignore[union-attr]

    return once


@pytest.fixture
def asked(house: House) -> Replays:
    return Replays(house.suite().engine, house.clock)


def started(house: House, request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
    """Store the run that a daemon would make of a request."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return create_run_for_test(house.instance, status=status, tags=tags).run_id


def a_supplier(house: House) -> str:
    return str(house.sandbox.visma.truth("NO01", "supplier")[0]["number"])


def test_a_request_becomes_one_run_and_its_end_is_noted(house: House, tick: Tick, asked: Replays) -> None:
    assert house.run().success
    number = a_supplier(house)
    asked.ask(What(By.NUMBER, number), by="controller")
    [request] = tick()
    assert request.tags[REPLAY_TAG] == asked.open()[0].name
    assert {key.path[0] for key in request.asset_selection or ()} == {"visma", "anaplan"}
    assert house.suite().ledger.counts(NAME, "NO01")[LedgerState.PENDING] == 1
    [again] = tick()
    assert again.run_key == request.run_key, "Dagster starts one run for a key"
    run_id = started(house, request, dg.DagsterRunStatus.STARTED)
    assert tick() == []
    [replay] = asked.open()
    assert (replay.state, replay.runs) == (State.RUNNING, (run_id,))
    assert tick() == []
    assert asked.open() == [replay]
    house.instance.delete_run(run_id)
    started(house, request, dg.DagsterRunStatus.SUCCESS)
    assert tick() == []
    [replay] = asked.recent()
    assert replay.state is State.DONE
    assert "Rows that go again although unchanged: 1." in str(replay.said)


def test_a_record_that_was_refused_earlier_today_is_read_again(
    house: House, tick: Tick, asked: Replays
) -> None:
    """It parses now, and its stamp is as old as it was; the day's own reading has gone on since."""
    visma, number = house.sandbox.visma, a_supplier(house)
    good = visma.truth("NO01", "supplier")[0]["name"]
    record = visma.change("NO01", "supplier", number, {"name": {"no": "text"}})
    assert house.run().success
    house.clock.sleep(7200)
    visma.restamp("NO01", "supplier", [str(visma.truth("NO01", "supplier")[1]["number"])])
    assert house.run().success
    visma.table("NO01", "supplier").change(record, {"name": good}, record.stamp)
    [entry] = house.suite().quarantine.open()
    asked.ask(What(By.ENTRY, str(entry.id)), by="controller")
    [request] = tick()
    chain = [asset.to_user_string() for asset in request.asset_selection or ()]
    house.materialize(*chain, tags=dict(request.tags))
    assert house.suite().quarantine.open() == []


def test_the_rows_are_marked_once_whatever_becomes_of_the_daemon(
    house: House, tick: Tick, asked: Replays
) -> None:
    assert house.run().success
    asked.ask(What(By.NUMBER, a_supplier(house)), by="controller")
    [request] = tick()
    assert house.run(first=house.today).success
    started(house, request, dg.DagsterRunStatus.SUCCESS)
    tick()
    assert LedgerState.PENDING not in house.suite().ledger.counts(NAME, "NO01")


def test_a_run_that_dagster_has_forgotten_is_done_again_as_often_as_it_is_looked_at(
    house: House, tick: Tick, asked: Replays
) -> None:
    run_id = house.run().run_id
    house.instance.delete_run(run_id)
    asked.ask(What(By.RUN, run_id), by="controller")
    [request] = tick()
    [again] = tick()
    assert again.run_key == request.run_key
    assert [replay.state for replay in asked.open()] == [State.READY]


def test_a_number_that_comes_again_after_a_restore_is_another_replay(
    house: House, tick: Tick, asked: Replays
) -> None:
    days = What.window("NO01", house.today, house.today)
    asked.ask(days, by="controller")
    [request] = tick()
    started(house, request, dg.DagsterRunStatus.SUCCESS)
    with house.suite().engine.begin() as connection:
        connection.execute(replays.delete())
    house.clock.sleep(60)
    assert asked.ask(days, by="controller") == 1, "the number it had before"
    [request] = tick()
    started(house, request, dg.DagsterRunStatus.STARTED)
    tick()
    tick()
    [replay] = asked.recent()
    assert replay.state is State.RUNNING


def test_a_company_that_the_loaded_definitions_lack_waits_for_their_reload(
    house: House, tick: Tick, asked: Replays
) -> None:
    companies = yaml.safe_load(house.settings.file.read_text())["companies"]
    house.set("companies", value={**companies, "DK01": companies["SE01"]})
    asked.ask(What.window("DK01", house.today, house.today), by="controller")
    asked.ask(What.window("NO01", house.today, house.today), by="controller")
    [request] = tick()
    assert request.tags[COMPANY_TAG] == "NO01"
    assert asked.open()[0].state is State.ASKED


def test_a_run_that_fails_is_told(house: House, tick: Tick, asked: Replays) -> None:
    days = What.window("NO01", house.today - timedelta(days=1), house.today)
    asked.ask(days, by="controller")
    [request] = tick()
    run_id = started(house, request, dg.DagsterRunStatus.FAILURE)
    tick()
    tick()
    [replay] = asked.recent()
    assert replay.state is State.FAILED
    assert run_id[:8] in str(replay.said)


def test_what_cannot_be_done_again_is_told_and_holds_nobody_up(
    house: House, tick: Tick, asked: Replays
) -> None:
    asked.ask(What(By.NUMBER, "nowhere"), by="controller")
    asked.ask(What.window("NO01", house.today, house.today), by="controller")
    assert len(tick()) == 1
    [_, first] = asked.recent()
    assert (first.state, "Nothing is known of nowhere" in str(first.said)) == (State.FAILED, True)


def test_one_that_cannot_be_looked_at_holds_no_other_up(
    house: House, tick: Tick, asked: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.run().success
    asked.ask(What(By.NUMBER, a_supplier(house)), by="controller")
    asked.ask(What.window("NO01", house.today, house.today), by="auditor")
    for name in house.settings.credentials():
        monkeypatch.delenv(name, raising=False)
    [request] = tick()
    [first, second] = asked.open()
    assert request.tags[REPLAY_TAG] == second.name
    assert first.state is State.ASKED


def test_a_delivery_under_way_is_waited_for(house: House, tick: Tick, asked: Replays) -> None:
    assert house.run().success
    asked.ask(What(By.NUMBER, a_supplier(house)), by="controller")
    suite = house.suite()
    with Leases(suite.engine, suite.clock).hold([f"delivery:{NAME}:NO01"], "another run"):
        assert tick() == []
    assert len(tick()) == 1


def test_a_run_over_companies_is_done_again_for_each_in_the_order_of_mlc_yaml(house: House) -> None:
    first, last = house.today - timedelta(days=1), house.today
    codes = [*house.settings.companies][::-1]
    settings = house.settings.model_copy(
        update={"companies": {code: house.settings.companies[code] for code in codes}}
    )
    tags = {RANGE_START: key(codes[0], first), RANGE_END: key(codes[-1], last), PAIR_TAG: "anaplan"}
    run_id = create_run_for_test(house.instance, tags=tags).run_id
    found = spans_of(house.instance, settings, run_id)
    assert found == [Span("anaplan", code, first, last) for code in codes]


def test_a_run_is_done_again_over_its_own_companies_and_days(house: House) -> None:
    run = house.run()
    assert spans_of(house.instance, house.settings, run.run_id) == [
        Span("anaplan", "NO01", house.days[0], house.today)
    ]
    tags = {"dagster/partition": f"SE01|{house.today}"}
    only_read = house.materialize("visma/suppliers", tags=tags)
    assert spans_of(house.instance, house.settings, only_read.run_id) == []
    assert spans_of(house.instance, house.settings, "unknown") == []
