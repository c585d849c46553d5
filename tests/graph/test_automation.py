"""Runs start by the clock, and when the ERP has something new: not more often, and never for ever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from mlc_dagster.graph import automation, ticks
from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG
from mlc_dagster.mappings import Mappings
from mlc_dagster.outlook import open_days
from mlc_dagster.transport import Misconfigured
from mlc_sandbox.server import Sandbox
from tests.support.house import House

Tick = Callable[[], dg.SensorResult | dg.SkipReason]


@pytest.fixture
def tick(house: House) -> Tick:
    """One tick of the polling sensor."""
    sensor = automation.polling_sensor("anaplan", house.settings.pairs.on()["anaplan"])
    suite = SuiteResource(settings_file=str(house.settings.file))

    def once() -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(instance=house.instance, resources={"suite": suite}) as context:
            return sensor(context)  # type: ignore[no-any-return,return-value]

    return once


@pytest.fixture
def loaded(house: House) -> House:
    """Both companies are up to date."""
    assert all(house.run(company).success for company in ("NO01", "SE01"))
    return house


def companies(tick: dg.SensorResult | dg.SkipReason) -> list[str]:
    """The companies for which a tick starts runs."""
    if isinstance(tick, dg.SkipReason):
        return []
    return [request.tags[COMPANY_TAG] for request in tick.run_requests or []]


def reason(tick: dg.SensorResult | dg.SkipReason) -> str:
    assert isinstance(tick, dg.SkipReason), tick
    return str(tick.skip_message)


def change(sandbox: Sandbox, company: str = "NO01") -> None:
    [supplier, *_] = sandbox.visma.truth(company, "supplier")
    name = f"Renamed at {sandbox.clock.now()}"
    sandbox.visma.change(company, "supplier", supplier["number"], {"name": name})


def started(house: House, status: dg.DagsterRunStatus) -> None:
    """A run of the pair for NO01 that stands so."""
    tags = {PAIR_TAG: "anaplan", COMPANY_TAG: "NO01"}
    run = create_run_for_test(house.instance, job_name="chain", tags=tags)
    if status is dg.DagsterRunStatus.FAILURE:
        house.instance.report_run_failed(run)


def test_nothing_new_starts_nothing_and_costs_one_call_an_entity(loaded: House, tick: Tick) -> None:
    loaded.sandbox.log.reset()
    assert reason(tick()) == "NO01: nothing new; SE01: nothing new"
    lists = loaded.sandbox.log.calls("visma", method="GET")
    assert len(lists) == 2, "one entity, two companies"
    assert loaded.sandbox.log.count("anaplan") == 0


def test_before_the_first_load_every_company_has_news(house: House, tick: Tick) -> None:
    result = tick()
    assert companies(result) == ["NO01", "SE01"]
    assert isinstance(result, dg.SensorResult)
    [first, _] = result.run_requests or []
    assert first.tags == {
        **range_tags("NO01", house.settings.start_day, house.today),
        PAIR_TAG: "anaplan",
        COMPANY_TAG: "NO01",
    }


def test_a_change_starts_a_run_of_its_company_over_the_days_that_may_still_change(
    loaded: House, tick: Tick
) -> None:
    change(loaded.sandbox, "SE01")
    result = tick()
    assert companies(result) == ["SE01"]
    assert isinstance(result, dg.SensorResult)
    [request] = result.run_requests or []
    assert request.tags.items() >= range_tags("SE01", loaded.days[-2], loaded.today).items()
    assert request.run_key is None, "the next change starts the next run"
    assert loaded.run("SE01", first=loaded.days[-2]).success
    assert companies(tick()) == []


def test_what_was_read_for_another_pair_or_by_a_run_that_ended_early_starts_a_run(
    loaded: House, tick: Tick
) -> None:
    change(loaded.sandbox)
    assert loaded.read("suppliers").success
    assert companies(tick()) == ["NO01"]
    assert loaded.run().success
    assert companies(tick()) == []


def test_a_lookup_that_was_edited_starts_runs(loaded: House, tick: Tick) -> None:
    with patch.object(Mappings, "fingerprint", return_value="of other mappings"):
        assert companies(tick()) == ["NO01", "SE01"]


def test_no_second_run_starts_while_one_is_under_way(loaded: House, tick: Tick) -> None:
    change(loaded.sandbox)
    started(loaded, dg.DagsterRunStatus.STARTED)
    loaded.sandbox.log.reset()
    assert "is under way; SE01: nothing new" in reason(tick())
    assert len(loaded.sandbox.log.calls("visma", method="GET")) == 1, "NO01 is not even asked"


def test_after_a_failed_run_there_is_a_pause_and_then_another_try(loaded: House, tick: Tick) -> None:
    change(loaded.sandbox)
    started(loaded, dg.DagsterRunStatus.FAILURE)
    assert "failed; it is tried again after a pause" in reason(tick())
    with patch.object(ticks, "RETRY_AFTER_SECONDS", -timedelta(days=2).total_seconds()):
        assert companies(tick()) == ["NO01"]


def test_a_record_in_quarantine_does_not_start_runs_for_ever(loaded: House, tick: Tick) -> None:
    [supplier, *_] = loaded.sandbox.visma.truth("NO01", "supplier")
    terms = {"paymentLeadTime": supplier.get("paymentLeadTime")}
    loaded.sandbox.visma.change("NO01", "supplier", supplier["number"], {"paymentLeadTime": "soon"})
    assert companies(tick()) == ["NO01"]
    assert loaded.run(first=loaded.days[-2]).success
    assert len(loaded.suite().quarantine.open("visma/suppliers")) == 1
    assert companies(tick()) == []
    loaded.sandbox.visma.change("NO01", "supplier", supplier["number"], terms)
    assert companies(tick()) == ["NO01"], "it parses again: that is news"


def test_a_bulk_restamp_starts_one_run_that_sends_nothing_and_then_there_is_silence(
    loaded: House, tick: Tick
) -> None:
    loaded.sandbox.visma.restamp("NO01", "supplier")
    assert companies(tick()) == ["NO01"]
    imports = loaded.imports()
    assert loaded.run(first=loaded.days[-2]).success
    assert loaded.imports() == imports
    assert companies(tick()) == []


def test_a_company_that_cannot_be_asked_keeps_no_other_from_its_run(loaded: House, tick: Tick) -> None:
    change(loaded.sandbox, "SE01")
    wrong = loaded.sandbox.visma.companies["NO01"].customer_tenant_id
    loaded.set("companies", "NO01", "tenant_id", value=wrong)
    assert companies(tick()) == ["SE01"]
    assert loaded.run("SE01", first=loaded.days[-2]).success
    with pytest.raises(Misconfigured, match="must be the company tenant"):
        tick()


def test_a_closed_window_is_no_failure_of_the_sensor(loaded: House, tick: Tick) -> None:
    loaded.sandbox.faults.arm("visma", "rate_limit_lockout", match="/supplier", retry_after=3600)
    assert "No call is made before" in reason(tick())


def schedule(house: House) -> list[dg.RunRequest]:
    """What the schedule asks for this morning."""
    settings = house.settings.pairs.on()["anaplan"]
    suite = SuiteResource(settings_file=str(house.settings.file))
    at = datetime(2026, 11, 20, 5, tzinfo=UTC)
    with dg.build_schedule_context(
        instance=house.instance,
        scheduled_execution_time=at,
        resources={"suite": suite},
        repository_def=house.definitions.get_repository_def(),
    ) as context:
        return automation.schedule("anaplan", settings)(context)  # type: ignore[no-any-return,operator]


def test_the_schedule_loads_everything_the_first_time_one_run_a_company(house: House) -> None:
    requests = schedule(house)
    assert [request.tags[COMPANY_TAG] for request in requests] == ["NO01", "SE01"]
    assert requests[1].tags == {
        **range_tags("SE01", house.settings.start_day, house.today),
        PAIR_TAG: "anaplan",
        COMPANY_TAG: "SE01",
    }
    assert len({request.run_key for request in requests}) == 2
    assert house.sandbox.log.count() == 0


def test_later_the_schedule_goes_on_with_the_first_day_that_may_still_change(loaded: House) -> None:
    # Noon: yesterday has ended less than a day ago by our clock, and the ERP's may lag behind it.
    assert open_days(loaded.suite(), "anaplan", "NO01") == (loaded.days[-2], loaded.today)
    assert schedule(loaded)[0].tags.items() >= range_tags("NO01", loaded.days[-2], loaded.today).items()
