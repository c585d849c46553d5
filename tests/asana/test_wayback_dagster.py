"""The way back in Dagster: the job, and the sensors that start it and keep webhooks alive."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from unittest.mock import patch

import dagster as dg
import pytest
import yaml

from mlc_dagster.cli.webhooks import app_of
from mlc_dagster.definitions import defs
from mlc_dagster.graph.wayback import JOB
from mlc_dagster.receiver import Signals
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import ALL
from mlc_sandbox.asana.store import Webhook
from tests.asana.office import COMPANY, Office, open_office
from tests.support.house import QUIET, running_sandbox
from tests.support.sandbox_time import SandboxTime
from tests.support.serving import served


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(seed=3, scale=0.05, companies=(COMPANY,)))
        clock = SandboxTime(sandbox.clock)
        suite = patch("mlc_dagster.graph.resource.Suite", lambda settings: Suite(settings, clock))
        stack.enter_context(suite)
        folder = tmp_path_factory.mktemp("office")
        yield stack.enter_context(open_office(sandbox, folder, {"comments": True}))


@pytest.fixture
def office(opened: Office) -> Office:
    opened.sandbox.faults.clear()
    opened.back()
    opened.sandbox.log.reset()
    return opened


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs().get_job_def(JOB)
    return job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)


def tick(instance: dg.DagsterInstance, name: str = f"{JOB}_news") -> dg.RunRequest | str:
    """The run a sensor asks for, or why it asks for none."""
    definitions = defs()
    sensor = next(each for each in definitions.sensors or () if each.name == name)
    resources = {"suite": definitions.resources["suite"]}  # type: ignore[index]
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        told = sensor(context)  # type: ignore[operator]
    return told if isinstance(told, dg.RunRequest) else str(told.skip_message)  # type: ignore[union-attr]


def signals(office: Office) -> Signals:
    suite = office.suite()
    return Signals(suite.engine, suite.clock)


def test_a_run_writes_the_notes_and_shows_what_it_did(office: Office, instance: dg.DagsterInstance) -> None:
    task = office.task()
    story = office.say(task, "By Dagster")
    result = run(instance)
    assert result.success
    assert office.line(story) in office.note(task)
    (output,) = [event for event in result.all_events if event.is_successful_output]
    shown = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert shown["written"] == shown["tasks"] == 1
    tallies = office.suite().tallies.all()["asana/way_back", ALL]
    assert tallies["calls"].count > 0
    assert tallies["steps_succeeded"].count > 0
    (event,) = [
        each for each in office.suite().audit.history(office.number(task)) if each.run_id == result.run_id
    ]
    assert event.detail["line"] == office.line(story)


def test_between_two_polls_nothing_is_asked(office: Office, instance: dg.DagsterInstance) -> None:
    assert "not due" in str(tick(instance))
    assert office.sandbox.log.count("asana") == 0


def test_a_due_poll_without_news_starts_no_run(office: Office, instance: dg.DagsterInstance) -> None:
    office.sandbox.clock.advance(timedelta(hours=1))
    assert tick(instance) == "People have said nothing new."
    assert "not due" in str(tick(instance))


def test_a_due_poll_with_news_starts_a_run(office: Office, instance: dg.DagsterInstance) -> None:
    office.say(office.task(), "News")
    office.sandbox.clock.advance(timedelta(hours=1))
    assert isinstance(tick(instance), dg.RunRequest)


def test_a_signal_starts_a_run_before_the_poll_is_due(office: Office, instance: dg.DagsterInstance) -> None:
    office.say(office.task(), "News")
    signals(office).keep("asana", "a hook", b"1")
    assert isinstance(tick(instance), dg.RunRequest)
    assert run(instance).success
    assert "not due" in str(tick(instance))


def test_a_failed_run_is_tried_again_after_a_pause(
    office: Office, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = office.task()
    story = office.say(task, "News")
    signals(office).keep("asana", "a hook", b"3")
    with monkeypatch.context() as wrong:
        wrong.setenv("VISMA_CLIENT_SECRET", "another")
        assert not run(instance).success
    # Dagster's clock is the real one, and ours began at noon and was moved by other tests.
    monkeypatch.setattr("mlc_dagster.graph.ticks.RETRY_AFTER_SECONDS", 10**6)
    assert "failed; it is tried again after a pause" in str(tick(instance))
    monkeypatch.setattr("mlc_dagster.graph.ticks.RETRY_AFTER_SECONDS", -(10**6))
    office.sandbox.clock.advance(timedelta(minutes=1))
    assert isinstance(tick(instance), dg.RunRequest)
    assert run(instance).success
    assert office.line(story) in office.note(task)


def test_the_whole_way_from_a_comment_over_the_webhook_to_the_note(
    office: Office, instance: dg.DagsterInstance
) -> None:
    with served(app_of(office.suite())) as door:
        settings = yaml.safe_load(office.file.read_text())
        office.file.write_text(yaml.safe_dump({**settings, "receiver": {"url": door}}))
        assert tick(instance, "asana_webhooks").startswith("Made for projects")  # type: ignore[union-attr]
        assert tick(instance, "asana_webhooks") == "Every project has one."
        task = office.task()
        story = office.say(task, "Over the webhook")
        office.sandbox.asana.dispatcher.settle()
        assert isinstance(tick(instance), dg.RunRequest)
        assert run(instance).success
        assert office.line(story) in office.note(task)
        assert len(office.sandbox.asana.world.all(Webhook)) == 2


def test_without_a_way_back_there_is_no_job(office: Office) -> None:
    settings = yaml.safe_load(office.file.read_text())
    text = office.file.read_text()
    for part in settings["pairs"]["asana"]["destinations"].values():
        del part["way_back"]
    office.file.write_text(yaml.safe_dump(settings))
    try:
        assert JOB not in {job.name for job in defs().jobs or ()}
    finally:
        office.file.write_text(text)
