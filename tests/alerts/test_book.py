"""The table of alerts, on both databases: one row from beginning to end, in the order things happened."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.alerts.book import SETTLED, Book
from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.database import connect, migrate
from tests.support.manual_clock import START

MINUTE = timedelta(minutes=1)
RUN = Finding(Kind.RUN, "anaplan NO01", Severity.ERROR, "It broke.", "Look.", "anaplan", 1, "/runs/1")
STALE = Finding(Kind.STALE, "anaplan NO01", Severity.ERROR, "It is old.", "Look.")


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    engine: sa.Engine = connect(database_url)
    migrate(engine)
    yield Book(engine)
    engine.dispose()


def test_what_happens_again_while_it_is_open_is_counted_in_the_same_alert(book: Book) -> None:
    for minutes in (0, 1, 2):
        book.happened(RUN, START + minutes * MINUTE)
    [alert] = book.open()
    assert (alert.finding.count, alert.opened_at, alert.seen_at) == (3, START, START + 2 * MINUTE)
    assert alert.finding.link == "/runs/1"


def test_what_is_read_late_changes_nothing_that_came_after_it(book: Book) -> None:
    book.happened(RUN, START)
    book.over(Kind.RUN, RUN.subject, START + 5 * MINUTE)
    book.happened(RUN, START)
    book.happened(RUN, START + 4 * MINUTE)
    assert book.open() == []
    book.happened(RUN, START + 6 * MINUTE)
    book.over(Kind.RUN, RUN.subject, START + 5 * MINUTE)
    assert [alert.seen_at for alert in book.open()] == [START + 6 * MINUTE]


def test_what_comes_back_at_once_is_the_same_alert_and_later_another(book: Book) -> None:
    book.happened(RUN, START)
    book.over(Kind.RUN, RUN.subject, START + MINUTE)
    book.happened(RUN, START + 2 * MINUTE)
    [first] = book.open()
    assert first.opened_at == START
    book.over(Kind.RUN, RUN.subject, START + 3 * MINUTE)
    book.happened(RUN, START + 3 * MINUTE + SETTLED)
    [second] = book.open()
    assert second.id != first.id


def test_a_look_settles_only_what_it_looked_for(book: Book) -> None:
    book.happened(RUN, START)
    book.settle([Kind.STALE], [STALE], START)
    assert {alert.finding.kind for alert in book.open()} == {Kind.RUN, Kind.STALE}
    book.settle([Kind.STALE], [], START + MINUTE)
    assert [alert.finding.kind for alert in book.open()] == [Kind.RUN]


def test_what_a_channel_was_told_is_kept_for_that_channel(book: Book) -> None:
    book.happened(RUN, START)
    [alert] = book.open()
    book.tell("mail", [alert], START)
    book.tell("mail", [alert], START + MINUTE)
    assert book.told("chat") == {}
    assert book.told("mail")[alert.id].told_at == START + MINUTE
    assert not book.told("mail")[alert.id].over
