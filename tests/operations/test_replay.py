"""What somebody names becomes what has to run: no more than is needed, and nothing twice."""

from datetime import date

import pytest
import sqlalchemy as sa

from mlc_dagster.operations.replay import By, NotAReplay, Replays, State, What
from tests.support.manual_clock import ManualClock


@pytest.fixture
def replays(engine: sa.Engine) -> Replays:
    return Replays(engine, ManualClock())


def test_what_is_asked_for_is_kept_with_who_asked(replays: Replays) -> None:
    number = replays.ask(What(By.NUMBER, "10023", "anaplan"), by="controller")
    (found,) = replays.open()
    assert (found.id, found.asked_by, found.what) == (
        number,
        "controller",
        What(By.NUMBER, "10023", "anaplan"),
    )
    assert (found.state, found.runs, found.ended_at) == (State.ASKED, (), None)


def test_the_same_asked_for_twice_is_one_replay_until_it_is_done(replays: Replays) -> None:
    first = replays.ask(What(By.NUMBER, "10023"), by="controller")
    assert replays.ask(What(By.NUMBER, "10023"), by="auditor") == first
    assert replays.ask(What(By.NUMBER, "10023", "anaplan"), by="auditor") != first
    replays.ended(replays.open()[0], State.DONE, "2 rows went again.")
    assert replays.ask(What(By.NUMBER, "10023"), by="auditor") != first
    assert [found.what.pair for found in replays.open()] == ["anaplan", None]
    assert [found.state for found in replays.recent()] == [State.ASKED, State.ASKED, State.DONE]


def test_a_window_says_its_company_and_days(replays: Replays) -> None:
    replays.ask(What.window("NO01", date(2026, 11, 1), date(2026, 11, 20)), by="controller")
    assert replays.open()[0].what.days == ("NO01", date(2026, 11, 1), date(2026, 11, 20))
    with pytest.raises(NotAReplay, match="before the first"):
        What.window("NO01", date(2026, 11, 2), date(2026, 11, 1))
    with pytest.raises(NotAReplay, match="no window"):
        _ = What(By.WINDOW, "NO01").days
