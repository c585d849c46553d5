"""A start whose answer is lost, polling, and dying at any step: no import is ever started twice."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.answers import Task
from mlc_dagster.anaplan.client import AnaplanClient, Kind
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import UPLOADS, Pace
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.destination import Outcome
from mlc_dagster.delivery.rows import Change
from mlc_dagster.transport.errors import Closed, InDoubt
from mlc_sandbox.anaplan.world import USER, World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import invoice_feed
from tests.anaplan.rows import LIST, MODULE, Books, arrived, batch, change
from tests.transport.clocks import ManualClock

Connect = Callable[..., AnaplanClient]
Judged = Outcome | errors.NotLanded
ROWS = (change("1001"), change("1002"))
BOTH_ONCE = ["Supplier Invoices list", "Supplier Invoices data"]


def starts(sandbox: Sandbox) -> int:
    return sandbox.log.count("anaplan", method="POST", match="/tasks")


def ran(world: World) -> list[str]:
    return [run.import_name for run in world.history]


def assert_arrived(world: World) -> None:
    wanted = {item.row.key: arrived(item.row.payload) for item in ROWS}
    assert world.module_rows(MODULE) == wanted
    assert set(world.list_items(LIST)) == set(wanted)


def test_a_start_whose_answer_is_lost_is_found_among_the_tasks(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", times=2)
    assert invoices.send(batch(*ROWS)).refused == {}
    assert ran(world) == BOTH_ONCE
    assert_arrived(world)


def test_a_start_that_never_arrived_is_looked_for_twice_and_goes_again(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, clock: ManualClock
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", when="before")
    with pytest.raises(errors.NotLanded, match="import 'Supplier Invoices list': the start never reached"):
        invoices.send(batch(*ROWS))
    assert starts(sandbox) == 1
    assert sum(clock.slept) >= Pace().grace
    assert invoices.send(batch(*ROWS)).refused == {}
    assert ran(world) == BOTH_ONCE


@pytest.fixture
def late_chunk(world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of another batch lands in every open file, once somebody has waited as long as that takes."""
    sleep = clock.sleep

    def waited(seconds: float) -> None:
        sleep(seconds)
        if seconds >= Pace().grace:
            for upload in world.files.contents.values():
                upload.chunks[0] = b"code,name\nNO01|Invoice|1,stale\n"

    monkeypatch.setattr(clock, "sleep", waited)


@pytest.mark.usefixtures("late_chunk")
@pytest.mark.parametrize("fault", ["drop_connection", "server_error"])
def test_a_lost_chunk_that_lands_late_is_overwritten_by_the_upload_after_it(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, clock: ManualClock, fault: str
) -> None:
    sandbox.faults.arm("anaplan", fault, match="PUT .*/chunks/0")
    assert invoices.send(batch(*ROWS)).refused == {}
    assert_arrived(world)
    assert max(clock.slept) >= Pace().grace


@pytest.mark.usefixtures("late_chunk")
def test_an_upload_that_is_given_up_leaves_no_chunk_for_the_next_one(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, clock: ManualClock
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="PUT .*/chunks/0", when="before", times=UPLOADS)
    with pytest.raises(errors.NotLanded):
        invoices.send(batch(change("1", amount=Decimal(1))))
    assert clock.slept[-1] >= Pace().grace
    assert invoices.send(batch(*ROWS)).refused == {}
    assert_arrived(world)


def test_a_task_that_shows_up_late_is_still_adopted(
    sandbox: Sandbox, client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks")
    listed = client.tasks.all
    answers = iter([[], [], []])
    monkeypatch.setattr(client.tasks, "all", lambda kind, found: next(answers, None) or listed(kind, found))
    assert invoice_feed(client).send(batch(*ROWS)).refused == {}
    assert ran(world) == BOTH_ONCE


def test_of_several_new_tasks_the_first_is_ours(
    sandbox: Sandbox, client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, start = invoice_feed(client), client.tasks.start

    def start_and_let_others_start_it_too(kind: Kind, import_id: str, _: Sequence[Any]) -> Task:
        monkeypatch.setattr(client.tasks, "start", start)
        ours = start(kind, import_id)
        with world.lock:
            world.tasks.drain()
            world.tasks.tasks[ours.id].created_ms -= 5
        start(kind, import_id)
        raise InDoubt("Anaplan", "POST", ours.id)

    monkeypatch.setattr(client.tasks, "start", start_and_let_others_start_it_too)
    detail = feed.send(batch(*ROWS)).detail
    assert detail["list task"] == next(iter(world.tasks.tasks))


def test_a_start_held_back_by_a_busy_model_stays_in_doubt_while_it_is_busy(
    sandbox: Sandbox, client: AnaplanClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = invoice_feed(client, pace=Pace(grace=5, deadline=100))
    feed.preflight(ROWS)
    busy = client.catalog.model()
    monkeypatch.setattr(
        client.catalog, "model", lambda: type(busy)(busy.id, busy.name, busy.state, busy=True)
    )
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", when="before")
    with pytest.raises(errors.InDoubtError, match="has not ended"):
        feed.send(batch(*ROWS))


def test_tasks_of_earlier_runs_are_not_adopted(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    invoices.send(batch(*ROWS))
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", when="before")
    with pytest.raises(errors.NotLanded):
        invoices.send(batch(*ROWS))


def test_lost_access_is_not_taken_for_an_import_that_never_started(
    sandbox: Sandbox, client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, books, user = invoice_feed(client), Books(), world.directory.users[USER]
    start, tasks = client.tasks.start, client.tasks.all

    def start_and_lose_access(kind: Kind, import_id: str, _: Sequence[Any]) -> Task:
        task = start(kind, import_id)
        user.role = "NO ACCESS"
        raise InDoubt("Anaplan", "POST", task.id)

    monkeypatch.setattr(client.tasks, "start", start_and_lose_access)
    # Anaplan shows such a user an empty list of tasks (vendors/anaplan.md section 4).
    monkeypatch.setattr(
        client.tasks, "all", lambda kind, found: [] if user.role == "NO ACCESS" else tasks(kind, found)
    )
    with pytest.raises(errors.InDoubtError, match="NO ACCESS"):
        feed.send(books.batch(ROWS))
    user.role = "FULL ACCESS"
    monkeypatch.setattr(client.tasks, "start", start)
    assert feed.resolve(books.batch(ROWS, books.seen[-1])).refused == {}
    assert ran(world) == BOTH_ONCE


def test_the_task_id_is_saved_before_the_first_poll(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    polls_at_save: list[tuple[str, int]] = []
    current = batch(*ROWS)

    def keep(checkpoint: Mapping[str, Any]) -> None:
        polls_at_save.append(
            (checkpoint["list"]["state"], sandbox.log.count("anaplan", method="GET", match="/tasks/"))
        )

    current.keep = keep
    invoices.send(current)
    assert polls_at_save[:2] == [("starting", 0), ("started", 0)]


def test_polls_grow_rarer_and_end_with_the_deadline(
    sandbox: Sandbox, client: AnaplanClient, world: World, clock: ManualClock
) -> None:
    world.switches["task_polls"] = 10_000
    feed, books = invoice_feed(client, pace=Pace(deadline=1800)), Books()
    with pytest.raises(errors.InDoubtError, match="has not ended after 1800 s"):
        feed.send(books.batch(ROWS))
    assert clock.slept[0] < 2
    assert 40 < max(clock.slept) <= 72
    assert len(clock.slept) < 50
    with pytest.raises(errors.InDoubtError, match="has not ended"):
        feed.resolve(books.batch(ROWS, books.seen[-1]))
    with world.lock:
        world.tasks.drain()
    world.switches["task_polls"] = 1
    assert feed.resolve(books.batch(ROWS, books.seen[-1])).refused == {}
    assert ran(world) == BOTH_ONCE


def test_a_lockout_while_an_import_runs_leaves_it_in_doubt_not_undone(
    invoices: AnaplanFeed,
    client: AnaplanClient,
    world: World,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    books, poll = Books(), client.tasks.one

    def locked_out(*_: str) -> None:
        raise Closed("Anaplan", clock.now())

    monkeypatch.setattr(client.tasks, "one", locked_out)
    with pytest.raises(errors.InDoubtError) as caught:
        invoices.send(books.batch(ROWS))
    assert caught.value.opens_at == clock.now()
    monkeypatch.setattr(client.tasks, "one", poll)
    assert invoices.resolve(books.batch(ROWS, books.seen[-1])).refused == {}
    assert ran(world) == BOTH_ONCE


def test_a_lockout_before_the_start_passes_through_with_its_end(
    invoices: AnaplanFeed, client: AnaplanClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked_out(*_: Any) -> None:
        raise Closed("Anaplan", clock.now())

    monkeypatch.setattr(client.files, "upload", locked_out)
    with pytest.raises(errors.Closed) as caught:
        invoices.send(batch(*ROWS))
    assert caught.value.opens_at == clock.now()


def test_a_task_anaplan_has_forgotten_goes_again(invoices: AnaplanFeed, world: World) -> None:
    books = Books()
    invoices.send(books.batch(ROWS))
    started = next(saved for saved in books.seen if saved.get("data", {}).get("state") == "started")
    world.tasks.tasks.clear()
    with pytest.raises(errors.NotLanded, match="no longer knows the task"):
        invoices.resolve(books.batch(ROWS, started))


def test_the_dump_is_kept_with_the_batch(invoices: AnaplanFeed) -> None:
    books = Books()
    invoices.send(books.batch([change("1001", supplier="NO01|nobody")]))
    assert "NO01|nobody" in books.seen[-1]["data"]["dumps"]["data"]


class Died(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Mortal:
    """Counts the steps of a run - every HTTP call and every save, before and after - and dies at one."""

    def __init__(self, dies_at: int) -> None:
        self.dies_at, self.steps = dies_at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.dies_at:
            raise Died

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = function(*args, **kwargs)
            self.step()
            return result

        return wrapped


def deliver(
    connect: Connect, changes: tuple[Change, ...], dies_at: int, checkpoint: Mapping[str, Any] | None = None
) -> tuple[Mapping[str, Any], Judged | None]:
    """One process: it sends, or resolves what an earlier one left. Returns the checkpoint and the end."""
    client, books, life = connect(), Books(), Mortal(dies_at)
    client.http.call = life.wrap(client.http.call)  # type: ignore[method-assign]
    current = books.batch(changes, checkpoint)
    current.keep = life.wrap(books.seen.append)
    feed = invoice_feed(client)
    judged: Judged | None = None
    with suppress(Died):
        try:
            judged = feed.send(current) if checkpoint is None else feed.resolve(current)
        except errors.NotLanded as failure:
            judged = failure
    on_disk = books.seen[-1] if books.seen else checkpoint or {}
    return on_disk, judged


def settled(connect: Connect, world: World, judged: Judged | None, when: str) -> None:
    """The batch was judged, ran each import at most once, and its rows are there after the next run."""
    assert judged is not None, when
    assert all(ran(world).count(name) <= 1 for name in BOTH_ONCE), when
    if isinstance(judged, errors.NotLanded):
        deliver(connect, ROWS, 0)
    assert_arrived(world)


def test_dying_at_any_step_starts_no_import_twice_and_loses_nothing(
    connect: Connect, sandbox: Sandbox, world: World
) -> None:
    empty, at = sandbox.anaplan.dump(), 0
    while True:
        at += 1
        sandbox.anaplan.load(empty)
        checkpoint, outcome = deliver(connect, ROWS, at)
        if outcome is not None:
            break
        _, outcome = deliver(connect, ROWS, 0, checkpoint)
        settled(connect, world, outcome, f"died at step {at}")
    assert at > 40


def test_dying_again_while_resolving_changes_nothing(
    connect: Connect, sandbox: Sandbox, world: World
) -> None:
    empty, at = sandbox.anaplan.dump(), 0
    while not world.tasks.tasks:
        at += 1
        sandbox.anaplan.load(empty)
        checkpoint, _ = deliver(connect, ROWS, at)
    before, at = sandbox.anaplan.dump(), 0
    assert checkpoint["list"]["state"] == "starting"
    while True:
        at += 1
        sandbox.anaplan.load(before)
        later, outcome = deliver(connect, ROWS, at, checkpoint)
        if outcome is not None:
            break
        _, outcome = deliver(connect, ROWS, 0, later)
        settled(connect, world, outcome, f"died again at step {at}")
    assert at > 20
