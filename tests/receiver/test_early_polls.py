"""Signals hurry the look that comes anyway: what is lost loses nothing, what is forged starts nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from mlc_dagster.definitions import defs
from mlc_dagster.graph.automation import polling_sensor
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.signals import NAME, SOURCE
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG
from mlc_dagster.receiver import Signals
from mlc_dagster.receiver.app import receiver
from mlc_dagster.visma.webhooks import VismaHooks
from mlc_sandbox.server import Sandbox
from tests.receiver.conftest import in_public
from tests.support.house import House, open_house, running_sandbox

SECRET = "subscription secret"
LOOK_SECONDS = 120


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def house(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Both companies are up to date, and Visma is allowed to call. Tests leave nothing waiting."""
    folder: Path = tmp_path_factory.mktemp("house")
    hooks = {"visma": {"secret": "${VISMA_WEBHOOK_SECRET}", "look_seconds": LOOK_SECONDS}}
    with open_house(sandbox, folder, destinations=["suppliers"], receiver=hooks) as house:
        assert all(house.run(company).success for company in ("NO01", "SE01"))
        yield house


@pytest.fixture
def signals(house: House) -> Signals:
    suite = house.suite()
    return Signals(suite.engine, suite.clock)


@dataclass(frozen=True)
class Tick:
    """What the daemon takes from a tick."""

    run_requests: list[dg.RunRequest]
    skip_message: str | None


class Sensor:
    """The sensor with its memory between ticks. A tick comes two minutes after the one before."""

    def __init__(self, house: House, definitions: dg.Definitions) -> None:
        self._house, self._definitions, self.cursor = house, definitions, None

    def tick(self, after: float = LOOK_SECONDS) -> Tick:
        self._house.clock.sleep(after)
        sensor = self._definitions.resolve_sensor_def(NAME)
        suite = SuiteResource(settings_file=str(self._house.settings.file))
        with dg.build_sensor_context(
            instance=self._house.instance,
            cursor=self.cursor,
            resources={"suite": suite},
            repository_def=self._definitions.get_repository_def(),
        ) as context:
            # As the daemon asks: a run that the sensor may not start is an error here.
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return Tick(list(data.run_requests or []), data.skip_message)


@pytest.fixture
def sensor(house: House, signals: Signals) -> Sensor:
    signals.handled(SOURCE, signals.newest(SOURCE))
    return Sensor(house, house.definitions)


def started(result: Tick | dg.SensorResult) -> list[tuple[str, str]]:
    """Pair and company of the runs a tick starts."""
    return [(each.tags[PAIR_TAG], each.tags[COMPANY_TAG]) for each in result.run_requests or []]


def asked(sandbox: Sandbox) -> int:
    return len(sandbox.log.calls("visma", method="GET"))


def rename(sandbox: Sandbox, company: str) -> None:
    [supplier, *_] = sandbox.visma.truth(company, "supplier")
    name = f"Renamed at {sandbox.clock.now()}"
    sandbox.visma.change(company, "supplier", supplier["number"], {"name": name})


def test_nobody_has_called_so_nobody_is_asked(house: House, sensor: Sensor) -> None:
    house.sandbox.log.reset()
    result = sensor.tick()
    assert started(result) == []
    assert result.skip_message == "Nobody has called."
    assert asked(house.sandbox) == 0


def test_what_the_erp_tells_starts_exactly_its_company_and_the_record_arrives(
    house: House, sandbox: Sandbox, signals: Signals, sensor: Sensor
) -> None:
    suite = house.suite()
    tenants = {company.tenant_id: code for code, company in house.settings.companies.items()}
    hooks = VismaHooks(
        SECRET, tenants, suite.clock, signature_header="x-vwd-signature-v1", refused_status=200
    )
    with in_public(receiver({"visma": hooks}, signals, seconds=30)) as url:
        sandbox.visma.webhooks.subscribe(f"{url}/hooks/visma/events", SECRET)
        rename(sandbox, "SE01")
        assert sandbox.visma.webhooks.sent()[-1]["status"] == 200
    sandbox.log.reset()
    [request] = sensor.tick().run_requests
    assert (request.tags[PAIR_TAG], request.tags[COMPANY_TAG]) == ("anaplan", "SE01")
    assert asked(sandbox) == 1, "one kind of record of one company"
    assert {key.to_user_string() for key in request.asset_selection or []} >= {"anaplan/suppliers"}
    assert house.run("SE01", first=house.days[-2]).success
    assert signals.newest(SOURCE) is None
    assert started(sensor.tick()) == []


def test_forged_doubled_and_late_signals_cause_a_look_and_nothing_else(
    house: House, sandbox: Sandbox, signals: Signals, sensor: Sensor
) -> None:
    for number in range(50):
        signals.keep(SOURCE, "NO01/suppliers", b"%d" % number)
    for place in ("SE01/*", "*/*", "XX99/suppliers", "NO01/journal_lines", "NO01/../../etc"):
        signals.keep(SOURCE, place, place.encode())
    sandbox.log.reset()
    assert started(sensor.tick()) == []
    assert asked(sandbox) == 2, "each company once, for the one kind of record the pair reads"
    assert signals.newest(SOURCE) is None
    assert sandbox.log.count("anaplan") == 0


def test_a_burst_costs_one_look_in_a_while(
    house: House, sandbox: Sandbox, signals: Signals, sensor: Sensor
) -> None:
    sandbox.log.reset()
    for number in range(4):
        signals.keep(SOURCE, "NO01/suppliers", b"burst %d" % number)
        sensor.tick(after=LOOK_SECONDS / 4)
    assert asked(sandbox) == 1
    assert signals.newest(SOURCE) is not None, "what came since waits for the next look"
    sensor.tick()
    assert asked(sandbox) == 2
    assert signals.newest(SOURCE) is None


def test_without_any_signal_the_poll_finds_the_same_change(
    house: House, sandbox: Sandbox, sensor: Sensor
) -> None:
    sandbox.visma.webhooks.subscribe("http://127.0.0.1:9/nobody/listens", SECRET)
    rename(sandbox, "NO01")
    assert started(sensor.tick()) == []
    poll = polling_sensor("anaplan", house.settings.pairs.on()["anaplan"])
    suite = SuiteResource(settings_file=str(house.settings.file))
    with dg.build_sensor_context(instance=house.instance, resources={"suite": suite}) as context:
        result: Any = poll(context)
    assert started(result) == [("anaplan", "NO01")]
    assert house.run("NO01", first=house.days[-2]).success
    names = {row["name"] for row in sandbox.visma.truth("NO01", "supplier")}
    assert names <= {row["name"] for row in house.modules()["DAT01 Suppliers"].values()}


def test_news_that_comes_during_a_run_starts_the_next_one_when_it_has_ended(
    house: House, sandbox: Sandbox, signals: Signals, sensor: Sensor
) -> None:
    rename(sandbox, "NO01")
    signals.keep(SOURCE, "NO01/suppliers", b"during a run")
    tags = {PAIR_TAG: "anaplan", COMPANY_TAG: "NO01"}
    run = create_run_for_test(house.instance, job_name="chain", tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert started(sensor.tick()) == []
    house.instance.report_run_canceled(run)
    assert started(sensor.tick()) == [("anaplan", "NO01")]
    assert house.read("suppliers", first=house.days[-2]).success


def test_an_erp_that_cannot_be_asked_is_asked_again_and_the_signal_waits(
    house: House, sandbox: Sandbox, signals: Signals, sensor: Sensor
) -> None:
    rename(sandbox, "NO01")
    signals.keep(SOURCE, "NO01/suppliers", b"while it is down")
    sandbox.faults.arm("visma", "rate_limit_lockout", match="/supplier", retry_after=60)
    assert started(sensor.tick(after=300)) == []
    assert signals.newest(SOURCE) is not None
    assert started(sensor.tick(after=300)) == [("anaplan", "NO01")]
    assert house.read("suppliers", first=house.days[-2]).success


def test_a_look_is_made_for_all_pairs_and_starts_those_that_read_such_records(
    house: House, sandbox: Sandbox, signals: Signals
) -> None:
    [section] = sandbox.asana.config_section(sandbox.url).values()
    house.set("pairs", "asana", value=section)
    both = Sensor(house, defs())
    rename(sandbox, "SE01")
    signals.keep(SOURCE, "SE01/suppliers", b"for both")
    sandbox.log.reset()
    assert started(both.tick()) == [("anaplan", "SE01"), ("asana", "SE01")]
    assert asked(sandbox) == 1, "one question, whoever is concerned"
