"""A delivery to Asana killed anywhere is healed by the next run: one task a document, as the ERP has it.

Only the database and the organisation outlive the process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlc_dagster.asana import carry
from mlc_dagster.database import connect
from mlc_dagster.delivery.memory import Memory
from tests.asana import process
from tests.asana.tenant import Installation, invoice
from tests.support.kill import http_points, kill_anywhere, ledger_points, method_points
from tests.support.worlds import Copy, on_postgres, on_sqlite
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, http_points, method_points(Memory, "write")]
LATER = timedelta(hours=1)

OLD = [invoice(str(number)) for number in range(1, 5)]
VOIDED = invoice("2", status="Voided", board_section="Cancelled", ended=True, ending="The ERP has voided it.")
PAID = invoice("3", "300.00", status="Closed", board_section="Done", ended=True)
NEW = [invoice("1"), VOIDED, PAID, *(invoice(str(number), cost_centre="200") for number in range(5, 9))]
# Key -> section, completed, status, cost centre, comments.
WANTED = {
    "NO01|Invoice|1": ("Open", False, "Open", "100", 0),
    "NO01|Invoice|2": ("Cancelled", True, "Voided", "100", 1),
    "NO01|Invoice|3": ("Done", True, "Closed", "100", 0),
    "NO01|Invoice|4": ("Cancelled", True, "Deleted", "100", 1),
    **{f"NO01|Invoice|{number}": ("Open", False, "Open", "200", 0) for number in range(5, 9)},
}


@dataclass(frozen=True)
class World:
    """A database with yesterday's delivery in it, and the organisation that has it too."""

    database: str
    organisation: process.Organisation

    def deliver(self, rows=NEW, *, later: timedelta = timedelta(0)) -> None:
        engine = connect(self.database)
        clock = ManualClock(datetime.now(UTC) + later)
        ours = Installation(self.organisation.url, engine, clock, self.organisation.places)
        try:
            if not ours.asana.memory.all():
                ours.set_up()
            ours.heal(lambda: ours.deliver(rows, gone=OLD))
        finally:
            engine.dispose()

    def shown(self) -> dict[str, tuple[str | None, bool, str, str, int]]:
        return {
            key: (
                card.section,
                card.completed,
                card.fields["ERP status"],
                card.fields["Cost centre"],
                len(card.comments),
            )
            for key, card in self.organisation.cards().items()
        }

    def check(self, where: str) -> None:
        """Equal, and another run changes nothing."""
        assert self.shown() == WANTED, where
        self.deliver(later=3 * LATER)
        assert self.shown() == WANTED, where


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "BATCH", 2)


@pytest.fixture(scope="module")
def running() -> Iterator[process.Organisation]:
    with process.running() as started:
        yield started


@pytest.fixture
def organisation(
    running: process.Organisation, monkeypatch: pytest.MonkeyPatch
) -> Iterator[process.Organisation]:
    monkeypatch.setenv("ASANA_TOKEN", running.token)
    empty = running.dump()
    yield running
    running.load(empty)


def kill(worlds: Copy, organisation: process.Organisation, seed: int, keep: float = 1) -> None:
    def heal(world: World, where: str) -> None:
        world.deliver(later=LATER)
        world.check(where)

    kill_anywhere(
        lambda: World(worlds(), organisation),
        World.deliver,
        heal,
        INSTRUMENTS,
        at_least={"Session.send": 21, "ledger": 11},
        seed=seed,
        keep=keep,
    )


def test_killed_at_any_point_on_sqlite(tmp_path: Path, organisation: process.Organisation) -> None:
    with on_sqlite(tmp_path, organisation, lambda url: World(url, organisation).deliver(OLD)) as copies:
        kill(copies, organisation, seed=1)


@pytest.mark.postgres
def test_killed_at_seeded_points_on_postgres(organisation: process.Organisation) -> None:
    with on_postgres(organisation, lambda url: World(url, organisation).deliver(OLD)) as copies:
        kill(copies, organisation, seed=11, keep=0.2)
