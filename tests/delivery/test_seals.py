"""A change, an insertion or a removal in the audit trail shows, and retention does not look like one."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import events, seals
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.notes import Document, Notes, Told
from mlc_dagster.delivery.seals import Head, NotAHead, Seals
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Shelf

Tamper = Callable[[sa.sql.dml.UpdateBase], None]
ANY = sa.false()


@pytest.fixture
def trail(engine: sa.Engine, clock: ManualClock, run: Deliver, shelf: Shelf) -> Seals:
    """A trail of two deliveries, each with a seal."""
    chain = Seals(engine, clock)
    run(shelf, *(row(f"k{number}") for number in range(20)))
    chain.seal()
    clock.sleep(3600)
    run(shelf, row("k1", "7.00"))
    chain.seal()
    return chain


@pytest.fixture
def tamper(engine: sa.Engine) -> Tamper:
    def execute(statement: sa.sql.dml.UpdateBase) -> None:
        with engine.begin() as connection:
            connection.execute(statement)

    return execute


def test_an_untouched_trail_is_whole(trail: Seals, engine: sa.Engine) -> None:
    verdict = trail.verify()
    with engine.connect() as connection:
        written = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
    assert (verdict.events, verdict.seals, verdict.unsealed, verdict.broken) == (written, 2, 0, 0)
    assert verdict.head == Head(2, [*trail.all()][-1].digest)


def test_what_is_written_after_the_last_seal_is_told_and_sealed_next(
    trail: Seals, run: Deliver, shelf: Shelf
) -> None:
    run(shelf, row("new"))
    assert trail.verify().unsealed == 3  # intended, created, landed
    assert trail.seal() == 3
    assert trail.seal() == 0
    assert trail.verify().unsealed == 0


@pytest.fixture
def ids(trail: Seals, engine: sa.Engine) -> list[int]:
    """The numbers of all events."""
    with engine.connect() as connection:
        return list(connection.execute(sa.select(events.c.id).order_by(events.c.id)).scalars())


def test_a_changed_event_is_named_whatever_was_changed(
    trail: Seals, tamper: Tamper, engine: sa.Engine, ids: list[int]
) -> None:
    for column in set(events.columns.keys()) - {"id"}:
        with engine.connect() as connection:
            true = connection.execute(sa.select(events.c[column]).where(events.c.id == ids[4])).scalar_one()
        false = true + timedelta(microseconds=1) if column == "at" else f"{true} "
        tamper(events.update().where(events.c.id == ids[4]).values({column: false}))
        first = trail.verify().first
        assert first is not None, column
        assert (first.seal, first.event, first.words) == (1, ids[4], "was changed")
        tamper(events.update().where(events.c.id == ids[4]).values({column: true}))
    assert trail.verify().broken == 0


def test_nothing_and_an_empty_text_are_not_the_same(trail: Seals, tamper: Tamper, ids: list[int]) -> None:
    tamper(events.update().where(events.c.id == ids[0]).values(number=""))
    assert trail.verify().broken == 1


def test_a_removed_event_is_named(trail: Seals, tamper: Tamper, ids: list[int]) -> None:
    tamper(events.delete().where(events.c.id.in_([ids[6], ids[8]])))
    verdict = trail.verify()
    assert verdict.first is not None
    assert (verdict.broken, verdict.first.event, verdict.first.words) == (2, ids[6], "was removed")


def test_events_that_change_places_are_named(trail: Seals, tamper: Tamper, ids: list[int]) -> None:
    for old, new in ((ids[6], -1), (ids[7], ids[6]), (-1, ids[7])):
        tamper(events.update().where(events.c.id == old).values(id=new))
    assert trail.verify().broken == 2


def test_an_event_slipped_into_a_gap_of_numbers_is_named(
    trail: Seals, tamper: Tamper, engine: sa.Engine, run: Deliver, shelf: Shelf
) -> None:
    with engine.begin() as connection:
        newest = connection.execute(sa.select(sa.func.max(events.c.id))).scalar_one()
        last = dict(connection.execute(sa.select(events).where(events.c.id == newest)).one()._mapping)
        # A transaction that was rolled back leaves such a gap on PostgreSQL.
        connection.execute(events.insert().values({**last, "id": newest + 5}))
    trail.seal()
    tamper(events.insert().values({**last, "id": newest + 3}))
    first = trail.verify().first
    assert first is not None
    assert (first.event, first.words) == (newest + 3, "was inserted later")


def test_an_event_slipped_in_before_the_first_is_named(
    trail: Seals, tamper: Tamper, engine: sa.Engine, ids: list[int]
) -> None:
    with engine.connect() as connection:
        first = dict(connection.execute(sa.select(events).where(events.c.id == ids[0])).one()._mapping)
    tamper(events.insert().values({**first, "id": -7}))
    broken = trail.verify().first
    assert broken is not None
    assert (broken.seal, broken.event, broken.words) == (1, -7, "was inserted later")


@pytest.mark.parametrize("values", [{"digest": "0" * 64}, {"entries": b""}, {"entries": b"x"}])
def test_a_changed_seal_is_named(trail: Seals, tamper: Tamper, values: dict[str, object]) -> None:
    tamper(seals.update().where(seals.c.number == 1).values(values))
    first = trail.verify().first
    assert first is not None
    assert (first.seal, first.event) == (1, None)


def test_a_seal_that_is_made_again_over_changed_events_breaks_the_next(
    trail: Seals, tamper: Tamper, engine: sa.Engine, clock: ManualClock, ids: list[int]
) -> None:
    tamper(events.update().where(events.c.id == ids[4]).values(detail="{}"))
    with engine.begin() as connection:
        second = connection.execute(sa.select(seals).where(seals.c.number == 2)).one()
        connection.execute(seals.delete().where(seals.c.number == 2))
    tamper(seals.delete().where(seals.c.number == 1))
    assert Seals(engine, clock).seal() > 0  # one seal over everything, as a forger would make it
    tamper(seals.delete().where(seals.c.number == 2))
    with engine.begin() as connection:
        connection.execute(seals.insert(), dict(second._mapping))
    first = trail.verify().first
    assert first is not None
    assert first.seal == 2


def test_a_missing_seal_is_named(trail: Seals, tamper: Tamper) -> None:
    tamper(seals.delete().where(seals.c.number == 1))
    first = trail.verify().first
    assert first is not None
    assert (first.seal, first.words) == (1, "is missing")


def test_a_trail_cut_short_shows_against_a_head_that_was_kept_elsewhere(
    trail: Seals, tamper: Tamper, engine: sa.Engine
) -> None:
    kept = trail.verify().head
    assert kept is not None
    assert trail.verify(kept).broken == 0
    with engine.begin() as connection:
        first = connection.execute(sa.select(seals.c.last_id).where(seals.c.number == 1)).scalar_one()
    tamper(seals.delete().where(seals.c.number == 2))
    tamper(events.delete().where(events.c.id > first))
    assert trail.verify().broken == 0  # by itself it cannot know
    broken = trail.verify(kept).first
    assert broken is not None
    assert "the trail ends with seal 1" in broken.words


def test_a_trail_made_anew_shows_against_a_head_that_was_kept_elsewhere(
    trail: Seals, tamper: Tamper, ids: list[int]
) -> None:
    kept = trail.verify().head
    tamper(seals.delete())
    tamper(events.update().where(events.c.id == ids[4]).values(detail="{}"))
    for _ in range(2):
        trail.seal()
    assert trail.verify().broken == 0
    assert trail.verify(kept).broken == 1


def test_a_head_is_read_as_it_is_printed(trail: Seals) -> None:
    head = trail.verify().head
    assert head is not None
    assert Head.parse(f" {head}\n") == head
    with pytest.raises(NotAHead, match="is no seal"):
        Head.parse("2")


def test_many_writers_and_sealers_make_one_chain(
    engine: sa.Engine, clock: ManualClock, tamper: Tamper
) -> None:
    """Numbers are given before they are committed: no event may be passed over, and no seal made twice."""
    document = Document("visma/supplier_invoices", "NO01", "1", "INV-1")

    def write(writer: int) -> None:
        for number in range(15):
            told = {f"{writer}-{number}": Told(Kind.NOTED, "a line", None)}
            Notes(engine, clock, "run").add(document, told)

    def seal() -> None:
        while not written.is_set():
            Seals(engine, clock).seal()

    written = threading.Event()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    sealers = [threading.Thread(target=seal) for _ in range(2)]
    for thread in [*writers, *sealers]:
        thread.start()
    for thread in writers:
        thread.join()
    written.set()
    for thread in sealers:
        thread.join()
    chain = Seals(engine, clock)
    chain.seal()
    verdict = chain.verify()
    assert (verdict.events, verdict.broken, verdict.unsealed) == (60, 0, 0)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_events_are_sealed_only_when_no_earlier_one_can_appear(
    engine: sa.Engine, clock: ManualClock, trail: Seals
) -> None:
    """A transaction that began first and commits last has the smaller number. SQLite has one at a time."""
    values = {
        "at": clock.now(),
        "run_id": "r",
        "destination": "d",
        "company": "c",
        "kind": "noted",
        "detail": "{}",
    }
    with engine.connect() as slow:
        slow.execute(events.insert(), values)
        with engine.begin() as quick:
            quick.execute(events.insert(), values)
        assert trail.seal() == 0
        slow.commit()
    assert trail.seal() == 2
    assert trail.verify().broken == 0


def test_what_retention_removes_is_no_break(trail: Seals, engine: sa.Engine, clock: ManualClock) -> None:
    before = clock.now() - timedelta(minutes=1)
    assert trail.removable(before, ANY) == 22
    assert trail.remove(before, ANY, by="mlc retention apply") == 22
    verdict = trail.verify()
    assert (verdict.removed, verdict.broken, verdict.unsealed) == (22, 0, 1)
    assert trail.seal() == 1
    assert trail.verify().broken == 0


def test_an_event_removed_by_hand_shows_beside_those_that_retention_took(
    trail: Seals, tamper: Tamper, clock: ManualClock
) -> None:
    trail.remove(clock.now() - timedelta(minutes=1), events.c.number == "INV-k3", by="mlc")
    assert trail.verify().broken == 0
    tamper(events.delete().where(events.c.number == "INV-k3"))
    assert trail.verify().broken == 1


def test_events_that_are_held_stay_and_go_when_they_are_released(trail: Seals, clock: ManualClock) -> None:
    before = clock.now() - timedelta(minutes=1)
    assert trail.remove(before, events.c.number == "INV-k3", by="mlc") == 21
    assert trail.remove(before, events.c.number == "INV-k3", by="mlc") == 0
    assert trail.remove(before, ANY, by="mlc") == 1
    trail.seal()
    verdict = trail.verify()
    assert (verdict.removed, verdict.broken) == (22, 0)


def test_removals_between_earlier_removals_are_no_break(trail: Seals, clock: ManualClock) -> None:
    before = clock.now() - timedelta(minutes=1)
    held = events.c.number.in_(["INV-k2", "INV-k4", "INV-k5", "INV-k6", "INV-k8"])
    assert trail.remove(before, held, by="mlc") == 17
    assert trail.remove(before, events.c.number == "INV-k5", by="mlc") == 4
    trail.seal()
    assert (trail.verify().removed, trail.verify().broken) == (21, 0)
    assert trail.remove(before, ANY, by="mlc") == 1
    assert (trail.verify().removed, trail.verify().broken) == (22, 0)


def test_what_the_way_back_relies_on_is_never_removed(
    engine: sa.Engine, clock: ManualClock, trail: Seals
) -> None:
    document = Document("visma/supplier_invoices", "NO01", "1", "INV-1")
    notes = Notes(engine, clock, "run")
    notes.add(document, {"mark": Told(Kind.NOTED, "a line", None)})
    trail.seal()
    trail.remove(clock.now() + timedelta(days=1), ANY, by="mlc")
    assert notes.told(document) == {"mark": Told(Kind.NOTED, "a line", None)}


def test_numbers_are_not_given_again_after_everything_was_removed(
    trail: Seals, run: Deliver, shelf: Shelf, clock: ManualClock
) -> None:
    trail.remove(clock.now() + timedelta(days=1), ANY, by="mlc")
    run(shelf, row("new"))
    trail.seal()
    verdict = trail.verify()
    assert (verdict.broken, verdict.unsealed) == (0, 0)


def test_what_is_not_sealed_yet_is_not_removed(
    engine: sa.Engine, clock: ManualClock, run: Deliver, shelf: Shelf
) -> None:
    run(shelf, row("a"))
    assert Seals(engine, clock).remove(clock.now() + timedelta(days=1), ANY, by="mlc") == 0
