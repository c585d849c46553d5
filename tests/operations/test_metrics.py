"""Prometheus' scrape: made from the database, in its own format, without a credential."""

import re
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlc_dagster.alerts.round import look
from mlc_dagster.delivery.quarantine import Refused
from mlc_dagster.operations.metrics import render
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import ALL
from tests.support.manual_clock import START, ManualClock

LABELS = ("budget", "pair", "place", "company", "state", "kind", "severity")
Samples = dict[tuple[str, ...], float]


def scrape(suite: Suite, name: str) -> Samples:
    """The samples of one metric, by the values of their labels."""
    return {
        tuple(sample.labels[label] for label in LABELS if label in sample.labels): sample.value
        for family in text_string_to_metric_families(render(suite).decode())
        for sample in family.samples
        if sample.name == name
    }


def happened(suite: Suite, name: str) -> Samples:
    """The samples of a counter that count something."""
    return {labels: count for labels, count in scrape(suite, name).items() if count}


def deliver(suite: Suite, calls: int, **counts: int) -> None:
    """One step of a run, in a process of its own as far as the database can see."""
    made = {"calls": 0, "retries": 0, "bytes_in": 0, "bytes_out": 0}
    with suite.tallies.step("anaplan/suppliers", "NO01", lambda: dict(made)) as step:
        made["calls"] += calls
        step.succeeded(counts)


def test_an_empty_installation_is_scraped_without_guessing(suite: Suite) -> None:
    assert scrape(suite, "mlc_lag_seconds") == {}
    assert scrape(suite, "mlc_stale_after_seconds")["anaplan", "NO01"] == 36 * 3600
    assert scrape(suite, "mlc_records")["anaplan", "anaplan/suppliers", "SE01", "held"] == 0
    assert scrape(suite, "mlc_budget_left_calls").keys() == {("anaplan",), ("powerbi",)}


def test_every_metric_says_what_it_is_and_has_a_type(suite: Suite) -> None:
    families = list(text_string_to_metric_families(render(suite).decode()))
    assert families
    for family in families:
        assert family.name.startswith("mlc_")
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")


def test_a_counter_is_there_before_anything_happened_so_that_the_first_event_shows_as_an_increase(
    suite: Suite,
) -> None:
    place = ("anaplan", "anaplan/suppliers", "NO01")
    assert scrape(suite, "mlc_steps_total")[*place, "failed"] == 0
    assert scrape(suite, "mlc_rows_total")[*place, "created"] == 0
    assert scrape(suite, "mlc_call_retries_total")[place] == 0


def test_what_runs_did_adds_up_over_processes(suite: Suite) -> None:
    deliver(suite, calls=3, created=10)
    deliver(suite, calls=4, created=1, updated=2, pending=5)
    place = ("anaplan", "anaplan/suppliers", "NO01")
    assert happened(suite, "mlc_calls_total") == {place: 7}
    assert happened(suite, "mlc_rows_total") == {(*place, "created"): 11, (*place, "updated"): 2}
    assert happened(suite, "mlc_steps_total") == {(*place, "succeeded"): 2}


def test_a_step_that_fails_counts_its_calls_too(suite: Suite) -> None:
    made = {"calls": 0}

    def call_and_fail() -> None:
        with suite.tallies.step("anaplan/suppliers", "NO01", lambda: dict(made)):
            made["calls"] = 9
            raise RuntimeError

    with pytest.raises(RuntimeError):
        call_and_fail()
    place = ("anaplan", "anaplan/suppliers", "NO01")
    assert happened(suite, "mlc_calls_total") == {place: 9}
    assert happened(suite, "mlc_steps_total") == {(*place, "failed"): 1}


def test_what_a_job_without_assets_did_is_counted_but_holds_no_rows(suite: Suite) -> None:
    made = {"calls": 0}
    with suite.tallies.step("cleo/inbox", ALL, lambda: dict(made)) as step:
        made["calls"] = 5
        step.succeeded({})
    place = ("cleo", "cleo/inbox", "*")
    assert happened(suite, "mlc_calls_total") == {place: 5}
    assert happened(suite, "mlc_steps_total") == {(*place, "succeeded"): 1}
    assert not any("cleo/inbox" in labels for labels in scrape(suite, "mlc_records"))


def test_a_new_destination_that_was_never_delivered_to_hides_no_lag(suite: Suite, clock: ManualClock) -> None:
    assert scrape(suite, "mlc_never_delivered")["anaplan", "NO01"] == 2
    with suite.tallies.step("anaplan/suppliers", "NO01", dict) as step:
        step.succeeded({})
    clock.pass_time(90)
    assert scrape(suite, "mlc_never_delivered")["anaplan", "NO01"] == 1
    assert scrape(suite, "mlc_lag_seconds") == {("anaplan", "NO01"): 90}


def test_the_lag_grows_with_time(suite: Suite, clock: ManualClock) -> None:
    for model in ("suppliers", "gl_accounts"):
        with suite.tallies.step(f"anaplan/{model}", "NO01", dict) as step:
            step.succeeded({})
    clock.pass_time(90)
    assert scrape(suite, "mlc_lag_seconds") == {("anaplan", "NO01"): 90}
    assert scrape(suite, "mlc_last_success_timestamp_seconds") == {("anaplan", "NO01"): START.timestamp()}


def test_quarantine_waiting_work_and_open_alerts_are_shown(suite: Suite, clock: ManualClock) -> None:
    refused = [Refused("contract", "k", None, None, "no", "{}")]
    suite.quarantine.settle(
        stage="contract", place="anaplan/suppliers", company="NO01", refused=refused, passed=[], run_id="r"
    )
    opens_at = START + timedelta(hours=1)
    suite.deferrals.store(
        pair="anaplan",
        company="NO01",
        first_day=START.date(),
        last_day=START.date(),
        opens_at=opens_at,
        reason="closed",
    )
    look(suite)
    assert scrape(suite, "mlc_quarantined")["anaplan", "anaplan/suppliers", "NO01"] == 1
    assert scrape(suite, "mlc_deferred_until_timestamp_seconds") == {
        ("anaplan", "NO01"): opens_at.timestamp()
    }
    assert scrape(suite, "mlc_alerts") == {("In quarantine", "warning"): 1}


@pytest.mark.parametrize(
    "file", ["docs/metrics.md", "docker/grafana/mlc.json", "docker/prometheus/rules.yml"]
)
def test_every_metric_that_is_written_about_is_there(suite: Suite, file: str) -> None:
    deliver(suite, calls=1)
    named = set(re.findall(r"\bmlc_(?!dagster)[a-z_]+", (REPOSITORY / file).read_text("utf-8")))
    families = text_string_to_metric_families(render(suite).decode())
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert named <= there


def test_every_metric_is_written_about(suite: Suite) -> None:
    guide = (REPOSITORY / "docs" / "metrics.md").read_text("utf-8")
    for family in text_string_to_metric_families(render(suite).decode()):
        assert f"`{family.name}{'_total' if family.type == 'counter' else ''}`" in guide
