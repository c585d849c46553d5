"""A key sweep killed anywhere is healed by the next: the lake is the ERP's, and each find is told once."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from mlc_dagster import flow
from mlc_dagster.database.schema import events
from mlc_dagster.delivery import Kind
from mlc_dagster.lake.storage import Storage
from mlc_dagster.operations import sweeps
from mlc_dagster.operations.sweeps import client_of, entities_of, last_swept, owed, sweep
from mlc_dagster.outlook import span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.keysweep import pages_kept
from tests.support.erp_process import ErpProcess, erp_process
from tests.support.kill import count, die, http_points, method_points
from tests.support.late import COMPANY, DESCRIPTION, NEW_SUPPLIER, Happened
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres

pytestmark = pytest.mark.kill

SEVERAL_PAGES, ONE_PAGE = 12, 1000
Rows = Mapping[str, Mapping[str, Any]]
SWEPT = {"suppliers": "supplier", "supplier_invoices": "supplierInvoice"}
INSTRUMENTS = [
    http_points,
    method_points(DefaultDialect, "do_commit"),
    method_points(Storage, "put", "remove", "remove_folder"),
]


@dataclass(frozen=True)
class World:
    """A lake and a database that were loaded before it all happened in the ERP. All work is a child's: tests
    that fork have no threads.
    """

    erp: ErpProcess
    lake: Path
    database: str

    def suite(self) -> Suite:
        os.environ.update(self.erp.environment, MLC_LAKE_URL=str(self.lake), MLC_DATABASE_URL=self.database)
        return Suite(load_settings(self.erp.file), self.erp.clock)

    def load(self) -> None:
        suite = self.suite()
        for name in SWEPT:
            days = span(suite.settings.start_day, today(suite))
            flow.read(suite, ENTITIES[name], COMPANY, days, run_id="load")

    def sweep(self) -> None:
        suite = self.suite()
        for entity in entities_of(suite, COMPANY):
            sweep(suite, entity, COMPANY, run_id="sweep")

    def healed(self, truth: Mapping[str, Rows], happened: Happened) -> None:
        """Sweep, and look at all of it."""
        self.sweep()
        suite = self.suite()
        for name, rows in truth.items():
            latest = suite.lake.latest(name, COMPANY)
            assert latest is not None
            held = {row["_key"]: row for row in latest.to_pylist() if not row["_deleted"]}
            assert held.keys() == rows.keys(), name
            assert last_swept(suite, ENTITIES[name], COMPANY) is not None
            assert (
                pages_kept(client_of(suite, COMPANY), suite.lake, ENTITIES[name], COMPANY, suite.clock.now())
                == 0
            )
        for key, row in truth["supplier_invoices"].items():
            assert held[key]["supplier"]["number"] == row["supplier"]["number"], key
        assert held[happened.backdated]["description"] == DESCRIPTION
        assert owed(suite, COMPANY) == {}
        assert self._told(suite) == {
            (Kind.RENUMBERED.value, happened.renumbered): 1,
            (Kind.RENUMBERED.value, NEW_SUPPLIER): 1,
            (Kind.VANISHED.value, happened.merged): 1,
            (Kind.VANISHED.value, happened.vanished): 1,
            (Kind.VANISHED.value, happened.retyped): 1,
        }

    def _told(self, suite: Suite) -> Counter[tuple[str, str]]:
        """How often the audit trail tells of what became of each key."""
        wanted = events.c.kind.in_((Kind.VANISHED.value, Kind.RENUMBERED.value))
        with suite.engine.connect() as connection:
            rows = connection.execute(sa.select(events.c.kind, events.c.key).where(wanted)).all()
        return Counter((row.kind, row.key) for row in rows)


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpProcess]:
    with erp_process(tmp_path_factory.mktemp("erp")) as erp:
        erp.page_cap(SEVERAL_PAGES)
        yield erp


@dataclass(frozen=True)
class Story:
    """Worlds before the sweep, one for each database, and what the ERP holds."""

    sqlite: World
    postgres: World
    happened: Happened
    truth: Mapping[str, Rows]


@pytest.fixture(scope="module")
def story(erp: ErpProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("loaded")
    worlds = [
        World(erp, folder / "sqlite" / "lake", f"sqlite:///{folder}/sqlite/mlc.db"),
        World(erp, folder / "postgres" / "lake", fresh_postgres()),
    ]
    for world in worlds:
        world.lake.mkdir(parents=True)
        count(world.load, [])
    happened = erp.happen()
    truth = {name: erp.records(own) for name, own in SWEPT.items()}
    yield Story(*worlds, happened, truth)
    drop_postgres(worlds[1].database)


def copy_of(world: World, folder: Path) -> World:
    shutil.copytree(world.lake.parent, folder)
    if world.database.startswith("sqlite"):
        return replace(world, lake=folder / "lake", database=f"sqlite:///{folder}/mlc.db")
    return replace(world, lake=folder / "lake", database=copy_postgres(world.database))


def commit_points(names: Sequence[str]) -> list[int]:
    """The numbers of the points after something of the sweep became durable. What is committed right before
    a call is the call in its budget.
    """
    return [
        number
        for number, (name, following) in enumerate(pairwise([*names, ""]), start=1)
        if name.startswith(("after Storage", "after DefaultDialect")) and following != "before Session.send"
    ]


def live_and_die(world: World, story: Story, folder: Path, *, every: int) -> None:
    """Kill a sweep at every so manieth of its commit points, and heal each."""
    rehearsal = copy_of(world, folder / "rehearsal")
    points = commit_points(count(rehearsal.sweep, INSTRUMENTS))
    assert len(points) > 20
    for number in points[::every]:
        ours = copy_of(world, folder / str(number))
        where = die(ours.sweep, INSTRUMENTS, at=number)
        assert where is not None, number
        count(lambda ours=ours: ours.healed(story.truth, story.happened), [])


def test_a_sweep_killed_where_something_became_durable_is_healed(story: Story, tmp_path: Path) -> None:
    live_and_die(story.sqlite, story, tmp_path, every=9)


def test_what_was_told_before_a_kill_is_not_told_again_where_a_list_fits_on_one_page(
    story: Story, tmp_path: Path
) -> None:
    story.sqlite.erp.page_cap(ONE_PAGE)
    ours = copy_of(story.sqlite, tmp_path / "ours")
    assert die(ours.sweep, [method_points(sweeps, "_tell_of_records")], at=2) == "after _tell_of_records"
    count(lambda: ours.healed(story.truth, story.happened), [])
    story.sqlite.erp.page_cap(SEVERAL_PAGES)


@pytest.mark.postgres
def test_a_sweep_killed_on_postgres_is_healed(story: Story, tmp_path: Path) -> None:
    live_and_die(story.postgres, story, tmp_path, every=17)
