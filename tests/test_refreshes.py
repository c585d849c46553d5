"""What depends on a target's data is started once after a run that changed it, and is never forgotten."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from mlc_dagster.delivery.errors import LeaseHeld
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.refreshes import NAME, Refreshes
from mlc_dagster.transport.errors import Again
from tests.support.manual_clock import ManualClock
from tests.support.postgres import engine

__all__ = ["engine"]


class Killed(BaseException):
    """The process dies here."""


class Reports:
    """Two reports at a vendor. `first`: what happens when the first is started, as a rule nothing more."""

    def __init__(self, engine: sa.Engine) -> None:
        self.memory = Memory(engine, ManualClock(), "reports")
        self.started: list[str] = []
        self.first: Callable[[], None] = lambda: None

    def refreshes(self, *names: str) -> Refreshes:
        """As a new process makes them."""
        return Refreshes(self.memory, {name: lambda name=name: self._start(name) for name in names})

    def after_a_run(self, *, changed: bool) -> list[str]:
        """The reports that are started by the end of a run."""
        before = len(self.started)
        self.refreshes("aging", "cash").delivered(changed=changed, last=True)
        return self.started[before:]

    def _start(self, name: str) -> str:
        if name == "aging":
            self.first()
        self.started.append(name)
        return "started"


@pytest.fixture
def reports(engine: sa.Engine) -> Reports:
    return Reports(engine)


def test_a_run_starts_them_once_after_its_last_destination(reports: Reports) -> None:
    refreshes = reports.refreshes("aging", "cash")
    for last in (False, False, True):
        refreshes.delivered(changed=not last, last=last)
    assert reports.started == ["aging", "cash"]
    assert reports.after_a_run(changed=False) == []


@pytest.mark.parametrize("failure", [Again("Reports", "POST", "/aging"), LeaseHeld("run 2 signs in")])
def test_one_that_could_not_be_started_is_started_by_the_next_run_and_the_others_are_not(
    reports: Reports, failure: Exception
) -> None:
    def down() -> None:
        raise failure

    reports.first = down
    assert reports.after_a_run(changed=True) == ["cash"]
    reports.first = lambda: None
    assert reports.after_a_run(changed=False) == ["aging"]


def test_a_process_that_dies_on_the_way_leaves_them_due(reports: Reports) -> None:
    def die() -> None:
        raise Killed

    reports.first = die
    with pytest.raises(Killed):
        reports.after_a_run(changed=True)
    reports.first = lambda: None
    assert reports.after_a_run(changed=False) == ["aging", "cash"]


def test_what_another_run_changes_while_they_are_started_is_still_due(reports: Reports) -> None:
    reports.first = lambda: reports.refreshes("aging", "cash").delivered(changed=True, last=False)
    assert reports.after_a_run(changed=True) == ["aging", "cash"]
    reports.first = lambda: None
    assert reports.after_a_run(changed=False) == ["aging", "cash"]


def test_one_that_is_taken_out_of_the_settings_is_not_started_any_more(reports: Reports) -> None:
    reports.refreshes("aging", "cash").delivered(changed=True, last=False)
    reports.refreshes("cash").delivered(changed=False, last=True)
    assert reports.started == ["cash"]


def test_what_an_earlier_version_noted_as_due_is_started(reports: Reports) -> None:
    reports.memory.change(NAME, lambda _: {"due": True})
    assert reports.after_a_run(changed=False) == ["aging", "cash"]
    assert reports.after_a_run(changed=False) == []


def test_people_start_them_whenever_they_want(reports: Reports) -> None:
    assert reports.refreshes("aging", "cash").start() == {}
    assert reports.started == ["aging", "cash"]
