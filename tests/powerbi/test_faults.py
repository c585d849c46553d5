"""Every call that writes goes wrong in every way there is: afterwards tables and measures are exact again."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery.errors import Closed, Stop
from mlc_dagster.delivery.report import Report
from mlc_dagster.powerbi import destination
from mlc_sandbox.powerbi import World
from mlc_sandbox.server import Sandbox
from tests.powerbi.tenant import DIMENSION, FACT, Installation, invoice, supplier

POSTS, CLEARS, WRITES = "POST .*/rows", "DELETE .*/rows", "(POST|DELETE) .*/rows"
FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "answer lost before the commit": ("drop_connection", WRITES, {"when": "before"}),
    "answer lost after the commit": ("drop_connection", WRITES, {"when": "after"}),
    "server error": ("server_error", WRITES, {"status": 503}),
    "late POST, behind the next DELETE": ("late_post", POSTS, {"answer": 504}),
    "late POST, by the clock": ("late_post", POSTS, {"answer": 504, "seconds": 100}),
    "late DELETE, behind the next POST": ("late_delete", CLEARS, {"answer": 504}),
    "late DELETE, by the clock": ("late_delete", CLEARS, {"answer": 504, "seconds": 100}),
    "part of the rows": ("partial_apply", POSTS, {"rows": 1, "answer": 504}),
    "locked out": ("rate_limit", WRITES, {"retry_after": 3392}),
    "token expired": ("token_expired", WRITES, {}),
}
SAME, OLD, GONE = "1", "2", "3"
BEFORE = [invoice(SAME, "1"), invoice(OLD, "10"), invoice(GONE, "100")]
AFTER = [invoice(SAME, "1"), invoice(OLD, "20.0001"), invoice("4", "1000"), invoice("5", "3")]
TOTAL, COUNT = Decimal("1024.0001"), 4
SUPPLIERS_BEFORE = [supplier(SAME), supplier(OLD), supplier(GONE)]
SUPPLIERS_AFTER = [supplier(SAME), supplier(OLD, "New name"), supplier("4"), supplier("5")]


@pytest.fixture(autouse=True)
def small_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "POST_ROWS", 2)


class Rehearsal:
    """Yesterday's delivery, as often as it is wanted: database and tenant are set back to it."""

    def __init__(self, ours: Installation, sandbox: Sandbox, folder: Path, name: str) -> None:
        self.ours, self.sandbox, self.name, self._folder = ours, sandbox, name, folder
        self.before, self.after, self.gone = BEFORE, AFTER, [BEFORE[-1]]
        if name == DIMENSION:
            self.before, self.after, self.gone = SUPPLIERS_BEFORE, SUPPLIERS_AFTER, [SUPPLIERS_BEFORE[-1]]
        ours.deliver(self.before, name=name)
        ours.engine.dispose()
        self._state = sandbox.powerbi.dump()
        self._count = 0

    @property
    def world(self) -> World:
        return self.sandbox.powerbi.world

    def again(self) -> None:
        self.sandbox.faults.clear()
        self.sandbox.powerbi.load(self._state)
        self.sandbox.log.reset()
        self.restore(self._folder / "mlc.db")

    def backup(self) -> Path:
        """A copy of the database as it is now."""
        self.ours.engine.dispose()
        return Path(shutil.copy(self._folder / f"{self._count}.db", self._folder / "backup.db"))

    def restore(self, backup: Path) -> None:
        """Go on with a copy of this database; the tenant stays as it is."""
        self._count += 1
        file = shutil.copy(backup, self._folder / f"{self._count}.db")
        self.ours.engine.dispose()
        self.ours = replace(self.ours, engine=connect(f"sqlite:///{file}"))

    def lose(self) -> None:
        """Go on with an empty database and the dataset that is there."""
        dataset = self.ours.powerbi.dataset.id
        empty = connect(f"sqlite:///{self._folder}/empty.db")
        migrate(empty)
        empty.dispose()
        self.restore(self._folder / "empty.db")
        setup = self.ours.powerbi.setup
        setup.apply(setup.plan(adopt=dataset))

    def deliver(self) -> Report:
        return self.ours.deliver(self.after, name=self.name, gone=self.gone)

    def writes(self, match: str) -> int:
        """How many calls of this kind an undisturbed delivery makes."""
        self.again()
        self.deliver()
        method = {POSTS: ["POST"], CLEARS: ["DELETE"], WRITES: ["POST", "DELETE"]}[match]
        found = sum(self.sandbox.log.count("powerbi", method=each, match=".*/rows$") for each in method)
        # A log is not cleared.
        assert found or match == CLEARS
        return found

    def heal(self) -> None:
        """Runs until nothing is left to do, however the first ends."""
        for _ in range(6):
            report = self.ours.heal(self.deliver)
            if report.complete and not report.failed:
                return
        raise AssertionError(f"still not delivered: {report}")

    def check(self, where: str) -> None:
        self.sandbox.faults.clear()
        if self.name == DIMENSION:
            rows = self.world.rows("Visma ERP", "Suppliers")
            names = sorted((row["Supplier number"], row["Supplier"]) for row in rows)
            wanted = [(row.payload["supplier_number"], row.payload["name"]) for row in self.after]
            assert names == sorted(wanted), where
            return
        query = 'EVALUATE ROW ( "sum", [Supplier amount], "count", [Supplier documents] )'
        (row,) = self.world.query("Visma ERP", query)
        assert (row["[sum]"], row["[count]"]) == (TOTAL, COUNT), where


@pytest.fixture
def rehearse(
    install: Callable[..., Installation], sandbox: Sandbox, tmp_path: Path
) -> Iterator[Callable[..., Rehearsal]]:
    made: list[Rehearsal] = []

    def rehearsed(name: str, mode: str, **options: Any) -> Rehearsal:
        ours = install(modes={"supplier_invoices": mode}, **options)
        ours.set_up()
        made.append(Rehearsal(ours, sandbox, tmp_path, name))
        return made[-1]

    yield rehearsed
    for rehearsal in made:
        rehearsal.ours.engine.dispose()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "mode"), [(FACT, "slots"), (FACT, "log"), (DIMENSION, "auto")])
def test_a_call_that_goes_wrong_leaves_no_trace(rehearse, name, mode, fault):
    rehearsal = rehearse(name, mode)
    fault_name, match, params = FAULTS[fault]
    calls = rehearsal.writes(match)
    for number in range(calls):
        rehearsal.again()
        rehearsal.sandbox.faults.arm("powerbi", fault_name, match=match, after=number, **params)
        rehearsal.heal()
        assert not rehearsal.sandbox.faults.armed() or fault_name == "rate_limit", (
            f"{fault} {number} never fired"
        )
        rehearsal.check(f"{fault}, call {number + 1} of {calls}")


@pytest.mark.parametrize(
    "fault", ["answer lost after the commit", "late POST, by the clock", "part of the rows"]
)
@pytest.mark.parametrize(("name", "mode"), [(FACT, "slots"), (FACT, "log"), (DIMENSION, "auto")])
def test_without_queries_what_was_not_answered_is_loaded_again(rehearse, name, mode, fault):
    rehearsal = rehearse(name, mode, verify="off")
    fault_name, match, params = FAULTS[fault]
    for number in range(rehearsal.writes(match)):
        rehearsal.again()
        rehearsal.sandbox.faults.arm("powerbi", fault_name, match=match, after=number, **params)
        rehearsal.heal()
        rehearsal.check(f"{fault}, call {number + 1}")


@pytest.mark.parametrize("further_loads", [1, 2])
def test_a_late_post_of_a_dead_process_never_counts(rehearse, further_loads):
    """It comes after everything, with a row that was deleted since: the floor keeps it out of either slot."""
    rehearsal = rehearse(FACT, "slots")
    rehearsal.again()
    rehearsal.sandbox.faults.arm("powerbi", "late_post", match=POSTS, after=1, answer=504, seconds=10**6)
    rehearsal.heal()
    late = rehearsal.after[2:]  # the second POST
    rehearsal.ours.deliver([], gone=late)
    for load in range(further_loads):
        rehearsal.ours.deliver([invoice(SAME, str(load + 2))])
    assert rehearsal.world.release() == 1
    (row,) = rehearsal.world.query("Visma ERP", 'EVALUATE ROW ( "sum", [Supplier amount] )')
    assert row["[sum]"] == Decimal("20.0001") + further_loads + 1


def test_rows_that_vanished_behind_our_back_are_noticed_with_the_next_change(rehearse):
    rehearsal = rehearse(FACT, "log")
    rehearsal.ours.powerbi.client.clear(rehearsal.ours.powerbi.dataset.id, "Supplier invoices A")
    rehearsal.heal()
    rehearsal.check("after a DELETE nobody knows of")


def test_a_database_restored_from_a_backup_never_loads_over_what_is_read(rehearse, tmp_path):
    rehearsal = rehearse(FACT, "slots")
    rehearsal.again()
    rehearsal.heal()
    rehearsal.restore(tmp_path / "mlc.db")  # yesterday's database, and today's tenant
    rehearsal.ours.clock.sleep(10)  # until queries show it all
    rehearsal.heal()
    rehearsal.check("after the restore")
    slots = [row["slot"] for row in rehearsal.world.rows("Visma ERP", "Measures")]
    assert slots == ["A", "B", "A"]


@pytest.mark.parametrize("loads", [1, 2])
def test_a_database_that_was_lost_never_loads_over_what_is_read(rehearse, loads):
    rehearsal = rehearse(FACT, "slots")
    rehearsal.again()
    for amount in range(loads):
        rehearsal.ours.deliver([invoice(SAME, str(amount + 7))])
    rehearsal.lose()
    rehearsal.ours.clock.sleep(10)
    rehearsal.ours.deliver(rehearsal.after)
    rehearsal.check(f"after {loads + 1} loads")
    slots = [row["slot"] for row in rehearsal.world.rows("Visma ERP", "Measures")]
    assert slots == ["A", "B", "A", "B"][: loads + 2]


AMID: dict[str, tuple[str, dict[str, Any]]] = {
    "the clearing": ("drop_connection", {"match": CLEARS}),
    "the posts": ("drop_connection", {"match": POSTS, "after": 1}),
    "the posts, all answered": ("rate_limit", {"match": POSTS, "after": 1, "retry_after": 3392}),
    "the switch": ("drop_connection", {"match": POSTS, "after": 2}),
}


@pytest.mark.parametrize("loads", [1, 2, 3])
@pytest.mark.parametrize("amid", AMID)
def test_a_database_restored_from_a_backup_made_amid_a_load_never_goes_on_with_it(rehearse, amid, loads):
    rehearsal = rehearse(FACT, "slots")
    rehearsal.again()
    fault, params = AMID[amid]
    rehearsal.sandbox.faults.arm("powerbi", fault, **params)
    with pytest.raises(Closed):
        rehearsal.deliver()
    backup = rehearsal.backup()
    rehearsal.heal()
    for amount in range(loads):
        rehearsal.ours.deliver([invoice(SAME, str(amount + 7))])
    rehearsal.restore(backup)
    rehearsal.ours.clock.sleep(10)
    rehearsal.heal()
    rehearsal.check(f"{loads} loads after the backup")
    switches = {(row["seq"], row["slot"]) for row in rehearsal.world.rows("Visma ERP", "Measures")}
    assert len(switches) == len({seq for seq, _ in switches})


def test_a_database_restored_from_a_backup_made_amid_a_switch_clears_nothing_that_is_read(rehearse):
    """The switch has come to its end since, under the number that the backup was about to give out."""
    rehearsal = rehearse(FACT, "slots")
    rehearsal.again()
    fault, params = AMID["the switch"]
    rehearsal.sandbox.faults.arm("powerbi", fault, **params)
    with pytest.raises(Closed):
        rehearsal.deliver()
    backup = rehearsal.backup()
    rehearsal.heal()
    rehearsal.sandbox.faults.arm("powerbi", "rate_limit", match=POSTS, after=1, retry_after=3392)
    with pytest.raises(Closed):
        rehearsal.ours.deliver([invoice(SAME, "7")])
    rehearsal.restore(backup)
    rehearsal.ours.clock.sleep(4_000)
    read = max(rehearsal.world.rows("Visma ERP", "Measures"), key=lambda row: row["seq"])["slot"]
    rehearsal.sandbox.log.reset()
    rehearsal.sandbox.faults.arm("powerbi", "drop_connection", match=POSTS)
    with pytest.raises(Closed):
        rehearsal.deliver()
    assert rehearsal.sandbox.log.count("powerbi", method="DELETE", match=f"invoices {read}/rows") == 0
    rehearsal.heal()
    rehearsal.check("in the end")


UNDONE: dict[str, tuple[str, dict[str, Any]]] = {
    "locked out": ("rate_limit", {"retry_after": 3392}),
    "busy for all retries": ("server_error", {"status": 429, "times": 5}),
    "its role was taken away": ("no_rights", {"face": 403}),
}


@pytest.mark.parametrize("post", [0, 1])
@pytest.mark.parametrize("undone", UNDONE)
def test_a_dimension_that_was_cleared_is_loaded_with_the_next_delivery_of_any_company(rehearse, undone, post):
    """Though the rows it was cleared for do not come again."""
    rehearsal = rehearse(DIMENSION, "auto")
    ours, elsewhere = rehearsal.ours, [supplier("7", company="SE01")]
    ours.deliver(elsewhere, name=DIMENSION, company="SE01")
    fault, params = UNDONE[undone]
    rehearsal.sandbox.faults.arm("powerbi", fault, match=POSTS, after=post, **params)
    with pytest.raises(Closed):
        rehearsal.deliver()
    rehearsal.ours.heal(lambda: ours.deliver(elsewhere, name=DIMENSION, company="SE01"))
    rehearsal.after = [*SUPPLIERS_AFTER, *elsewhere]
    rehearsal.check(undone)


def test_the_rows_of_a_dimension_s_load_that_goes_on_later_count_in_the_hour_they_go(rehearse):
    rehearsal = rehearse(DIMENSION, "auto")
    rehearsal.sandbox.faults.arm("powerbi", "rate_limit", match=POSTS, retry_after=3392)
    with pytest.raises(Closed):
        rehearsal.deliver()
    rehearsal.heal()
    rehearsal.ours.clock.sleep(600)
    rows = rehearsal.ours.destination(DIMENSION)._limits.rows
    assert rows.left() == rows.limit - len(SUPPLIERS_AFTER)


def test_a_role_that_stays_away_amid_a_load_of_a_dimension_is_told_and_holds_its_batch(rehearse):
    rehearsal = rehearse(DIMENSION, "auto")
    rehearsal.sandbox.faults.arm("powerbi", "no_rights", match=POSTS, face=403, times=2)
    with pytest.raises(Stop, match="Member or Admin of the workspace"):
        rehearsal.heal()
    rehearsal.ours.deliver([], name=DIMENSION, company="SE01")
    rehearsal.check("with its role again")


@pytest.mark.parametrize("post", [0, 1])
def test_a_dimension_whose_new_rows_are_refused_keeps_those_it_had(rehearse, post):
    rehearsal = rehearse(DIMENSION, "auto")
    rehearsal.sandbox.faults.arm("powerbi", "server_error", match=POSTS, after=post, status=400)
    report = rehearsal.deliver()
    assert (report.created, report.pending, report.complete) == (0, 3, False)
    rehearsal.after = SUPPLIERS_BEFORE
    rehearsal.check("put back")
    rehearsal.after = SUPPLIERS_AFTER
    rehearsal.heal()
    rehearsal.check("sent again")


def test_a_refusal_amid_which_the_window_closes_is_no_second_try_of_those_rows(rehearse):
    rehearsal = rehearse(DIMENSION, "auto")
    rehearsal.sandbox.faults.arm("powerbi", "server_error", match=POSTS, status=400)
    rehearsal.sandbox.faults.arm("powerbi", "rate_limit", match=POSTS, after=1, retry_after=3392)
    with pytest.raises(Closed) as closed:
        rehearsal.deliver()
    rehearsal.ours.wait(closed.value)
    rehearsal.ours.deliver([], name=DIMENSION, company="SE01")
    rehearsal.after = SUPPLIERS_BEFORE
    rehearsal.check("put back")
