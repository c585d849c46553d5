"""A long life at random: documents change, people work, calls are lost, the database is put back.

In the end there is one task for each document, the ERP's parts are equal, people's edits stand, and nothing
was told twice. By hand: MLC_CAMPAIGN_ROUNDS=500 MLC_CAMPAIGN_SEED=7.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Row, distrust
from mlc_dagster.delivery.errors import DeliveryError
from mlc_dagster.transport.errors import CallFailed
from mlc_sandbox.asana.store import Section, Task
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import (
    DAY,
    INVOICES,
    LINES,
    ORDERS,
    Card,
    Installation,
    card_of,
    cards,
    invoice,
    line,
    order,
)
from tests.asana.test_doubt import LOST

ROUNDS = int(os.environ.get("MLC_CAMPAIGN_ROUNDS", "40"))
SEED = int(os.environ.get("MLC_CAMPAIGN_SEED", "1"))
MEMBERS = [None, "ap-clerk@nordfjell.example", "buyer-nordics@nordfjell.example"]
SOMEBODY_ELSE, OWN_SECTION = "controller@nordfjell.example", "Waiting for goods"
FIELDS = {INVOICES: "SupplierInvoiceId", ORDERS: "PurchaseOrderId"}
ENDS: dict[str, dict[str, Any]] = {
    "open": {"status": "Open", "board_section": "Open", "ended": False, "ending": None},
    "held": {"status": "Hold", "board_section": "On hold", "ended": False, "ending": None},
    "paid": {"status": "Closed", "board_section": "Done", "ended": True, "ending": None},
    "voided": {
        "status": "Voided",
        "board_section": "Cancelled",
        "ended": True,
        "ending": "The ERP has voided this document.",
    },
}
TOMBSTONE = "The ERP has deleted this document."
FAULTS = [*LOST, ("rate_limit", {"retry_after": 5}), ("unauthorized", {})]


@dataclass
class Life:
    """`rows`: what the ERP holds, and `gone` what it held once, by model and key. `hands`: parts of tasks
    that people have taken into their hands, by key of the task.
    """

    ours: Installation
    sandbox: Sandbox
    folder: Path
    random: random.Random
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {INVOICES: {}, ORDERS: {}, LINES: {}})
    gone: dict[str, dict[str, Row]] = field(default_factory=lambda: {INVOICES: {}, ORDERS: {}, LINES: {}})
    hands: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    databases: list[Path] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.sandbox.asana.world

    def live(self) -> None:
        """One round."""
        for _ in range(self.random.randint(1, 4)):
            self._change()
        for _ in range(self.random.randint(0, 3)):
            self._work()
        if self.random.random() < 0.6:
            name, options = self.random.choice(FAULTS)
            times = self.random.randint(1, 2)
            after = self.random.randint(0, 6)
            match = self.random.choice([".*", ".*/batch", "POST .*"])
            self.sandbox.faults.arm("asana", name, match=match, times=times, after=after, **options)
            self.done[name] += 1
        for _ in range(self.random.randint(1, 2)):
            self._deliver()
        self.sandbox.clock.advance(timedelta(seconds=self.random.choice([0, 20, 200, 4000])))
        if self.random.random() < 0.15:
            self.databases.append(self._copy())
        if self.random.random() < 0.1 and self.databases:
            self.heal()
            self._put_back(self.random.choice(self.databases))

    def heal(self) -> None:
        """Nothing fails any more, and everything arrives."""
        self.sandbox.faults.clear()
        self.sandbox.clock.advance(timedelta(minutes=5))
        for model, company in self._feeds():
            self.ours.heal(lambda model=model, company=company: self._send(model, company))  # type: ignore[misc]

    def send_all_again(self) -> None:
        for model, company in self._feeds():
            distrust(self.ours.destination(model), company, ledger=self.ours.ledger, run_id="r", reason="all")
        self.heal()

    # The ERP

    def _change(self) -> None:
        model = self.random.choice([INVOICES, INVOICES, ORDERS])
        make: Callable[..., Row] = invoice if model == INVOICES else order
        company = "NO01" if model == ORDERS else self.random.choice(["NO01", "SE01"])
        row = make(str(self.random.randint(1, 8)), company=company)
        day = "due_date" if model == INVOICES else "promised_on"
        there = self.rows[model].get(row.key, row)
        what = self.random.choice(["delete", "new", "new", "new", "new"])
        if what == "delete" and row.key in self.rows[model]:
            self.gone[model][row.key] = self.rows[model].pop(row.key)
            for key in [key for key in self.rows[LINES] if key.startswith(f"{row.key}|")]:
                self.gone[LINES][key] = self.rows[LINES].pop(key)
            return
        changes = {
            "amount": Decimal(self.random.randint(1, 10**7)).scaleb(-2).quantize(Decimal("0.0001")),
            "cost_centre": f"C{self.random.randint(1, 9)}",
            "title": f"{make.__name__} {row.number} of {self.random.choice(['A', 'B', 'C'])}",
            day: DAY + timedelta(days=self.random.randint(0, 60)),
            "assignee": self.random.choice(MEMBERS),
        }
        some = {name: changes[name] for name in self.random.sample(sorted(changes), 3)}
        some |= self.random.choice([{}, ENDS["open"], ENDS["held"], ENDS["paid"], ENDS["voided"]])
        if back := self.gone[model].pop(row.key, None):
            hands = self.hands.get(row.key, {})
            if "prefix" in hands:
                # What was written last is not known any more, so a name that people changed stays whole.
                some["title"] = back.payload["title"]
            # The sandbox tells no stories of moves.
            hands.pop("section", None)
        self.rows[model][row.key] = replace(there, payload={**there.payload, **some})
        if model == ORDERS:
            self._change_lines(row.number)

    def _change_lines(self, number: str) -> None:
        for position in range(1, 4):
            row = line(number, position, title=f"{position} | {self.random.randint(1, 3)} stk")
            if self.random.random() < 0.7:
                self.gone[LINES].pop(row.key, None)
                self.rows[LINES][row.key] = row
            elif row.key in self.rows[LINES]:
                self.gone[LINES][row.key] = self.rows[LINES].pop(row.key)

    # People

    def _work(self) -> None:
        model = self.random.choice([INVOICES, ORDERS])
        found = [task for task in self._tasks(model) if self._key(task, model)]
        if not found:
            return
        task = self.random.choice(found)
        hands = self.hands.setdefault(self._key(task, model), {})
        what = self.random.choice(["prefix", "section", "assignee", "comment", "field", "trash"])
        people = self.sandbox.asana.people
        self.done[what] += 1
        if what == "prefix" and "prefix" not in hands:
            hands["prefix"] = "URGENT: "
            people.edit(task.gid, name=f"URGENT: {task.name}")
        elif what == "section":
            hands["section"] = OWN_SECTION
            people.edit(task.gid, project=self._project(model), section=OWN_SECTION)
        elif what == "assignee":
            hands["assignee"] = SOMEBODY_ELSE
            people.edit(task.gid, assignee=SOMEBODY_ELSE)
        elif what == "comment":
            people.edit(task.gid, comment="Seen")
        elif what == "field":
            people.edit(task.gid, custom_fields={"Amount": Decimal("1.00")})
        elif what == "trash" and self.random.random() < 0.3:
            hands.clear()
            people.trash(task.gid)

    # Our side

    def _deliver(self) -> None:
        for model, company in self._feeds():
            try:
                self._send(model, company)
            except (DeliveryError, CallFailed):
                self.done["stopped"] += 1

    def _feeds(self) -> list[tuple[str, str]]:
        return [(INVOICES, "NO01"), (INVOICES, "SE01"), (ORDERS, "NO01"), (LINES, "NO01")]

    def _send(self, model: str, company: str) -> Any:
        mine = [row for row in self.rows[model].values() if row.key.startswith(company)]
        gone = [row for row in self.gone[model].values() if row.key.startswith(company)]
        return self.ours.deliver(mine, name=model, company=company, gone=gone)

    def _copy(self) -> Path:
        copy = self.folder / f"{len(self.databases) + 1}.db"
        self.ours.engine.dispose()
        shutil.copy(str(self.ours.engine.url.database), copy)
        return copy

    def _put_back(self, copy: Path) -> None:
        """As docs/replay.md says: after a restore everything is sent again."""
        self.done["restored"] += 1
        self.ours.engine.dispose()
        own = self.folder / f"{copy.stem}-{self.done['restored']}.db"
        shutil.copy(copy, own)
        self.ours = replace(self.ours, engine=connect(f"sqlite:///{own}"))
        for model, company in self._feeds():
            known = self.ours.ledger.payloads(model, company, list(self.rows[model]))
            for key in self.rows[model].keys() - known.keys():
                if key.startswith(company):
                    self.hands.get(key, {}).pop("section", None)
        self.heal()
        self.send_all_again()

    # What there is

    def _project(self, model: str) -> str:
        return self.world.members[model.split("/")[1]]

    def _tasks(self, model: str) -> list[Task]:
        project = self._project(model)
        return [task for task in self.world.all(Task) if project in task.places and task.trashed is None]

    def _key(self, task: Task, model: str) -> str:
        return str(card_of(self.world, task, self._project(model)).fields.get(FIELDS[model], ""))

    def check(self) -> None:
        for model, key_field in FIELDS.items():
            # Two tasks with one key are told by `cards`.
            found = cards(self.world, self._project(model), key_field)
            assert set(self.rows[model]) <= set(found)
            assert set(found) <= {*self.rows[model], *self.gone[model]}
            for key, row in self.rows[model].items():
                self._check(found[key], row, self.hands.get(key, {}))
            for key in self.gone[model].keys() & found.keys():
                assert (found[key].fields["ERP status"], found[key].completed) == ("Deleted", True), key
                assert self._told(found[key], TOMBSTONE) == 1, key
        self._check_lines()

    def _check(self, card: Card, row: Row, hands: dict[str, Any]) -> None:
        wanted = row.payload
        day = wanted.get("due_date") or wanted.get("promised_on")
        facts = ("Amount", "Cost centre", "ERP status")
        assert [card.fields[name] for name in facts] == [
            wanted["amount"],
            wanted["cost_centre"],
            wanted["status"],
        ], row.key
        assert card.due_on == day, row.key
        assert card.completed == wanted["ended"], row.key
        assert card.name == hands.get("prefix", "") + wanted["title"], row.key
        assert card.section == hands.get("section", wanted["board_section"]), row.key
        assert card.assignee == hands.get("assignee", wanted["assignee"]), row.key
        texts = Counter(text for text in card.comments if "[erp-sync:" in text)
        assert set(texts.values()) <= {1}, row.key
        assert not wanted["ending"] or self._told(card, wanted["ending"]) == 1, row.key

    def _told(self, card: Card, text: str) -> int:
        return sum(comment.startswith(text) for comment in card.comments)

    def _check_lines(self) -> None:
        found: dict[str, Task] = {}
        for parent in self._tasks(ORDERS):
            for task in (self.world.get(Task, gid) for gid in parent.subtasks):
                key = task.notes.rpartition("ERP line: ")[2]
                assert key not in found, f"two subtasks carry {key}"
                assert key.startswith(f"{self._key(parent, ORDERS)}|")
                found[key] = task
        assert set(self.rows[LINES]) <= set(found)
        for key, task in found.items():
            row = self.rows[LINES].get(key)
            assert (task.completed, task.name) == (row is None, row.payload["title"] if row else task.name)


@pytest.fixture
def life(
    sandbox: Sandbox, install: Callable[..., Installation], tmp_path: Path
) -> Iterator[Callable[[int], Life]]:
    made: list[Life] = []

    def begin(seed: int) -> Life:
        ours = install(destinations={"purchase_orders": {"lines": "subtasks"}}, calls_per_minute=100_000)
        sandbox.asana.switches["limits"] = False
        engine = connect(f"sqlite:///{tmp_path}/life.db")
        migrate(engine)
        ours = replace(ours, engine=engine)
        ours.set_up()
        world = sandbox.asana.world
        for name in ("supplier_invoices", "purchase_orders"):
            project = world.members[name]
            own = world.add(Section(world.new_gid(), OWN_SECTION, project, world.clock.now()))
            sandbox.asana.people.project(project).sections.append(own.gid)
        made.append(Life(ours, sandbox, tmp_path, random.Random(seed)))
        return made[-1]

    yield begin
    for each in made:
        each.ours.engine.dispose()


@pytest.mark.parametrize("trash", ["not_found", "record"])
def test_whatever_happens_each_document_is_one_task_as_the_erp_has_it(
    life: Callable[[int], Life], sandbox: Sandbox, trash: str
) -> None:
    sandbox.asana.switches["trashed_task"] = trash
    lived = life(SEED if trash == "not_found" else SEED + 1000)
    for _ in range(ROUNDS // 2):
        lived.live()
    lived.heal()
    lived.send_all_again()
    lived.check()
    assert lived.done["stopped"], "no fault was met"
    sandbox.log.reset()
    lived.heal()
    assert sandbox.log.count("asana") == 0, "a run without changes makes no call"
