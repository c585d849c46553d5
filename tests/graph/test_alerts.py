"""What Dagster's finished runs say is told: failed runs and checks, until they go well."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.test_utils import create_run_for_test

from mlc_dagster.alerts.book import Alert, Book
from mlc_dagster.alerts.finding import Severity
from mlc_dagster.alerts.round import look
from mlc_dagster.clock import SystemClock
from mlc_dagster.graph.alerts import ReadTo, alert_sensor, read_answers, read_runs
from mlc_dagster.graph.partitions import RANGE_START, key, range_tags
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG
from mlc_dagster.graph.tableau import SITE
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from tests.support.desk import open_desk
from tests.support.postbox import Postbox, webhook
from tests.support.postgres import sqlite_url

__all__ = ["sqlite_url"]

TABLEAU = """pairs:
  tableau:
    server_url: https://10ax.online.tableau.com
    auth: {method: pat, token_name: "${TABLEAU_PAT_NAME}", token_secret: "${TABLEAU_PAT_SECRET}"}
    destinations: [suppliers]
"""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CHANNELS = 'alerts: {channels: {chat: {to: "${ALERTS_CHAT}"}}}\n'


class Work:
    """What the asset and its checks do in the next run."""

    failure: str | None = None
    rows_fail = False


@dg.asset(key=["anaplan", "suppliers"])
def suppliers() -> None:
    if Work.failure:
        raise dg.Failure(Work.failure, allow_retries=False)


@dg.asset_check(asset=["anaplan", "suppliers"], blocking=True)
def unique_key() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not Work.rows_fail, description="NO01: 3 rows have one key.")


@dg.asset_check(asset=["anaplan", "suppliers"])
def nothing_left_behind() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


@pytest.fixture
def work() -> Iterator[type[Work]]:
    yield Work
    Work.failure, Work.rows_fail = None, False


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    with webhook() as box:
        monkeypatch.setenv("ALERTS_CHAT", f"json://127.0.0.1:{box.port}/")
        yield box


@pytest.fixture
def suite(tmp_path: Path, sqlite_url: str, chat: Postbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    monkeypatch.setenv("MLC_DATABASE_URL", sqlite_url)
    suite = open_desk(tmp_path, sqlite_url, SystemClock(), CHANNELS)
    yield suite
    suite.engine.dispose()


def run(
    instance: dg.DagsterInstance,
    company: str | None = "NO01",
    asset: dg.AssetsDefinition = suppliers,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """A run of the pair as its schedule starts one; without a company as somebody does in the UI."""
    tags = tags or ({PAIR_TAG: "anaplan", COMPANY_TAG: company} if company else {})
    definitions = dg.Definitions([asset], asset_checks=[unique_key, nothing_left_behind])
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        tags=tags,
        raise_on_error=False,
        asset_selection=[suppliers.key],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def open_now(instance: dg.DagsterInstance, suite: Suite, since: datetime = LONG_AGO) -> list[Alert]:
    book = Book(suite.engine)
    read_runs(instance, book, suite.settings, ReadTo(since))
    return book.open()


def test_a_failed_run_is_open_with_its_cause_and_its_link_until_one_goes_well(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    work.failure = "NO01: Anaplan POST /imports: status 503. Try later."
    failed = run(instance)
    [alert] = open_now(instance, suite)
    assert (alert.finding.kind, alert.finding.subject) == ("A run fails", "anaplan NO01")
    assert alert.finding.what == "Anaplan POST /imports: status 503. Try later."
    assert alert.finding.link == f"/runs/{failed.run_id}"
    work.failure = None
    run(instance)
    assert open_now(instance, suite) == []


def test_a_run_of_another_company_that_goes_well_says_nothing_of_this_one(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    work.failure = "It broke."
    run(instance)
    work.failure = None
    run(instance, "SE01")
    assert [alert.finding.subject for alert in open_now(instance, suite)] == ["anaplan NO01"]


def test_runs_that_are_read_twice_count_once(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    work.failure = "It broke."
    run(instance)
    run(instance)
    for _ in range(3):
        [alert] = open_now(instance, suite)
        assert alert.finding.count == 2
    work.failure = None
    run(instance)
    for _ in range(2):
        assert open_now(instance, suite) == [], "an old failure does not come back"


def test_reading_goes_on_where_it_ended(work: type[Work], instance: dg.DagsterInstance, suite: Suite) -> None:
    work.failure = "It broke."
    first = run(instance)
    book = Book(suite.engine)
    read_to = read_runs(instance, book, suite.settings, ReadTo(LONG_AGO))
    assert read_to.runs == {first.run_id}
    assert datetime.now(UTC) - read_to.at < timedelta(minutes=5)
    assert ReadTo.of(str(read_to)) == read_to
    assert read_runs(instance, book, suite.settings, read_to) == read_to
    second = run(instance, "SE01")
    further = read_runs(instance, book, suite.settings, read_to)
    assert further.at > read_to.at
    assert further.runs == {first.run_id, second.run_id}


@pytest.mark.parametrize("seconds_before", [0, 5])
def test_a_run_that_shows_late_with_the_stamp_of_another_or_an_older_one_is_told_too(
    instance: dg.DagsterInstance, suite: Suite, seconds_before: int
) -> None:
    book = Book(suite.engine)
    [first] = failed_runs(instance, "NO01")
    read_to = read_runs(instance, book, suite.settings, ReadTo(LONG_AGO))
    [late] = failed_runs(instance, "SE01")
    stamp(instance, late, read_to.at - timedelta(seconds=seconds_before))
    assert read_runs(instance, book, suite.settings, read_to).runs == {first, late}
    assert [alert.finding.subject for alert in book.open()] == ["anaplan NO01", "anaplan SE01"]


def test_more_runs_with_one_stamp_than_one_round_reads_are_all_told(
    instance: dg.DagsterInstance, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.graph.alerts.RUNS_A_TICK", 2)
    book, at, companies = Book(suite.engine), datetime.now(UTC), [f"NO{number}" for number in range(5)]
    for each in failed_runs(instance, *companies):
        stamp(instance, each, at)
    read_to = ReadTo(LONG_AGO)
    for _ in range(3):
        read_to = read_runs(instance, book, suite.settings, read_to)
    assert {alert.finding.subject for alert in book.open()} == {f"anaplan {each}" for each in companies}


def failed_runs(instance: dg.DagsterInstance, *companies: str) -> list[str]:
    """Runs whose processes were killed; their ids."""
    runs = [
        create_run_for_test(
            instance, status=dg.DagsterRunStatus.STARTED, tags={PAIR_TAG: "anaplan", COMPANY_TAG: company}
        )
        for company in companies
    ]
    for each in runs:
        instance.report_run_failed(each)
    return [each.run_id for each in runs]


def stamp(instance: dg.DagsterInstance, run_id: str, at: datetime) -> None:
    """Let Dagster have noted a run's end at that time."""
    here = RunsTable.c.run_id == run_id
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(RunsTable.update().where(here).values(update_timestamp=at.replace(tzinfo=None)))


def test_a_run_somebody_started_in_the_ui_is_told_by_what_it_made(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    work.failure = "It broke."
    run(instance, company=None)
    assert [alert.finding.subject for alert in open_now(instance, suite)] == ["anaplan"]


def test_a_blocking_check_is_told_with_what_it_means_and_the_ledgers_own_check_is_not(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    work.rows_fail = True
    run(instance)
    [check] = [alert for alert in open_now(instance, suite) if alert.finding.kind == "A check fails"]
    assert check.finding.subject == "anaplan/suppliers NO01 unique_key"
    assert check.finding.what == "3 rows have one key. Nothing of it is delivered until it passes."
    assert check.finding.severity is Severity.ERROR
    work.rows_fail = False
    run(instance)
    assert open_now(instance, suite) == []


def test_a_check_without_a_run_is_told_as_it_was_last_evaluated(
    instance: dg.DagsterInstance, suite: Suite
) -> None:
    book = Book(suite.engine)

    def evaluated(*, passed: bool) -> None:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(["cleo", "purchase_orders"]),
                check_name="acknowledged",
                passed=passed,
                severity=dg.AssetCheckSeverity.WARN,
                description="Documents: 2 overdue.",
                metadata={},
            )
        )

    read_answers(instance, book, ["purchase_orders"])
    assert book.open() == []
    evaluated(passed=False)
    read_answers(instance, book, ["purchase_orders"])
    [alert] = book.open()
    assert (alert.finding.what, alert.finding.severity) == ("Documents: 2 overdue.", Severity.WARNING)
    evaluated(passed=True)
    read_answers(instance, book, ["purchase_orders"])
    assert book.open() == []


def test_a_check_that_a_run_has_planned_says_nothing_until_it_is_evaluated(
    instance: dg.DagsterInstance, suite: Suite
) -> None:
    """As it stands while a run delivers, and for ever where the run was killed."""
    orders = dg.AssetKey(["cleo", "purchase_orders"])

    @dg.asset_check(asset=orders)
    def acknowledged() -> dg.AssetCheckResult:
        raise AssertionError("the run is never begun")

    @dg.asset(key=orders)
    def purchase_orders() -> None: ...

    job = dg.Definitions(
        [purchase_orders], asset_checks=[acknowledged]
    ).resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(job)
    planned = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(orders, "acknowledged"))
    assert planned is not None
    book = Book(suite.engine)
    read_answers(instance, book, ["purchase_orders"])
    assert book.open() == []


def tick(instance: dg.DagsterInstance, suite: Suite, cursor: str | None) -> dg.SensorResult:
    resource = SuiteResource(settings_file=str(suite.settings.file))
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"suite": resource}) as context:
        return alert_sensor(context)  # type: ignore[return-value]


def said(result: dg.SensorResult) -> str | None:
    """What a tick shows in Dagster's UI."""
    return result.skip_reason.skip_message if result.skip_reason else None


def test_a_tick_of_the_sensor_tells_and_keeps_its_place(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite, chat: Postbox
) -> None:
    work.failure = "It broke."
    run(instance)
    first = tick(instance, suite, None)
    assert said(first) == "Told 1 alerts."
    assert "A run fails: anaplan NO01" in chat.last
    again = tick(instance, suite, first.cursor)
    assert said(again) == "Nothing new."
    assert again.cursor == first.cursor


def test_without_a_channel_a_failed_run_is_written_down_all_the_same(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite, chat: Postbox
) -> None:
    file = suite.settings.file
    file.write_text(file.read_text("utf-8").replace(CHANNELS, ""), "utf-8")
    work.failure = "It broke."
    run(instance)
    assert said(tick(instance, suite, None)) == "Nobody is told: there is no channel."
    assert [alert.finding.subject for alert in look(suite).open()] == ["anaplan NO01"]
    assert chat.titles == []


def test_a_run_that_was_stopped_is_told_as_that(instance: dg.DagsterInstance, suite: Suite) -> None:
    @dg.asset(key=["anaplan", "suppliers"])
    def stopped() -> None:
        raise KeyboardInterrupt

    run(instance, asset=stopped)
    [alert] = open_now(instance, suite)
    assert alert.finding.what.startswith("It was interrupted")


def test_a_run_over_companies_is_told_of_each(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    day = datetime(2026, 11, 16, tzinfo=UTC).date()
    tags = {**range_tags("SE01", day, day), RANGE_START: key("NO01", day)}
    create_run_for_test(
        instance, job_name="__ASSET_JOB", tags=tags, asset_selection=frozenset([suppliers.key])
    )
    [started] = instance.get_runs()
    instance.report_run_failed(started)
    assert [alert.finding.subject for alert in open_now(instance, suite)] == ["anaplan NO01", "anaplan SE01"]
    run(instance, "SE01")
    assert [alert.finding.subject for alert in open_now(instance, suite)] == ["anaplan NO01"]


def test_a_check_of_a_run_over_companies_is_told_of_each(
    work: type[Work], instance: dg.DagsterInstance, suite: Suite
) -> None:
    day = datetime(2026, 11, 16, tzinfo=UTC).date()
    both = {**range_tags("SE01", day, day), RANGE_START: key("NO01", day)}
    work.rows_fail = True
    run(instance, tags=both)
    work.rows_fail = False
    run(instance, "NO01")
    checks = [alert for alert in open_now(instance, suite) if alert.finding.kind == "A check fails"]
    assert [alert.finding.subject for alert in checks] == ["anaplan/suppliers SE01 unique_key"]
    run(instance, "SE01")
    assert open_now(instance, suite) == []


def test_a_check_of_a_whole_site_stays_open_until_it_passes(
    suite: Suite, instance: dg.DagsterInstance
) -> None:
    file = suite.settings.file
    file.write_text(file.read_text("utf-8").replace("pairs:\n", TABLEAU), "utf-8")
    suite = Suite(load_settings(file))

    @dg.asset_check(asset=SITE)
    def access_token() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description="It ends on 2026-12-01.")

    dg.Definitions(asset_checks=[access_token]).resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance
    )
    read_runs(instance, Book(suite.engine), suite.settings, ReadTo(LONG_AGO))
    assert [alert.finding.subject for alert in look(suite).open()] == ["tableau/site access_token"]
    suite.engine.dispose()


def test_a_run_whose_machine_went_away_is_told_too(instance: dg.DagsterInstance, suite: Suite) -> None:
    create_run_for_test(instance, job_name="cleo_mailbox")
    [started] = instance.get_runs()
    instance.report_run_failed(started, "The process is gone.")
    [alert] = open_now(instance, suite)
    assert (alert.finding.subject, alert.finding.what) == ("cleo_mailbox", "The process is gone.")
