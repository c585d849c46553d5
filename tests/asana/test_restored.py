"""A database put back from a copy knows less than Asana holds: what is there is found, whatever happens."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery.errors import Closed
from mlc_sandbox.asana.store import Project, Task
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import Installation, cards, invoice

Install = Callable[..., Installation]
BATCH = "POST .*/batch"


class Copied:
    """An installation, and its database as it was when it was copied."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        self._folder = folder
        self.engines = [connect(f"sqlite:///{folder}/old.db")]
        migrate(self.engines[0])
        self.old = replace(installation, engine=self.engines[0])
        self.old.set_up()

    def copy(self) -> None:
        self.engines[0].dispose()
        shutil.copy(self._folder / "old.db", self._folder / "copy.db")

    def restored(self) -> Installation:
        self.engines.append(connect(f"sqlite:///{self._folder}/copy.db"))
        return replace(self.old, engine=self.engines[-1])


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Callable[[Installation], Copied]]:
    made: list[Copied] = []

    def of(installation: Installation) -> Copied:
        made.append(Copied(tmp_path, installation))
        return made[-1]

    yield of
    for each in made:
        for engine in each.engines:
            engine.dispose()


def all_tasks(world: World) -> int:
    return len([task for task in world.all(Task) if task.places and task.trashed is None])


@pytest.mark.parametrize("after", [0, 1])
def test_tasks_made_after_the_copy_are_found_by_a_batch_that_breaks_off_as_well(
    install: Install, copied, sandbox: Sandbox, world: World, after: int
) -> None:
    """It stops while it looks at them: nothing of what it had found is noted in the batch."""
    both = copied(install())
    both.old.deliver([invoice("1")])
    both.copy()
    rows = [invoice(str(number)) for number in range(1, 25)]
    both.old.deliver(rows)
    ours = both.restored()
    changed = [invoice(str(number), "7.00") for number in range(1, 27)]
    sandbox.faults.arm("asana", "rate_limit", match=BATCH, times=1, after=after, retry_after=3600)
    with pytest.raises(Closed):
        ours.deliver(changed)
    ours.heal(lambda: ours.deliver(changed))
    assert len(cards(world, world.members["supplier_invoices"])) == all_tasks(world) == len(changed)


def test_a_copy_of_a_database_with_a_batch_under_way_makes_no_task_again(
    install: Install, copied, sandbox: Sandbox, world: World
) -> None:
    both = copied(install())
    rows = [invoice(str(number)) for number in range(25)]
    sandbox.faults.arm("asana", "lost_answer", match=BATCH, times=1, after=3, seconds=0.1)
    with pytest.raises(Closed):
        both.old.deliver(rows)
    both.copy()
    both.old.heal(lambda: both.old.deliver(rows))
    ours = both.restored()
    ours.heal(lambda: ours.deliver(rows))
    assert len(cards(world, world.members["supplier_invoices"])) == all_tasks(world) == len(rows)


def test_a_task_in_a_project_made_after_the_copy_is_found_whoever_comes_first(
    install: Install, copied, world: World
) -> None:
    by = {"project_by": "supplier", "team": world.members["team"]}
    both = copied(install(destinations={"supplier_invoices": by}))
    both.old.deliver([invoice("1")])
    both.copy()
    later = invoice("2", company="SE01", supplier_name="Nordlys AB")
    both.old.deliver([later], company="SE01")
    ours = both.restored()
    ours.deliver([invoice("1"), invoice("3")])
    ours.deliver([later], company="SE01")
    (nordlys,) = [each for each in world.all(Project) if each.name == "Supplier invoices: Nordlys AB"]
    assert list(cards(world, nordlys.gid)) == [later.key]
    assert all_tasks(world) == 3
