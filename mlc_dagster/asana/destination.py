"""Tasks as a destination. One writer a workspace at a time: no two make the same task (section 15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlc_dagster.asana.carry import Carry, external_id, quiet_since
from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.asana.edits import blind_edits
from mlc_dagster.asana.places import Places
from mlc_dagster.asana.projects import newest_of
from mlc_dagster.asana.shape import Shape
from mlc_dagster.asana.unassigned import unassigned
from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.rows import Change
from mlc_dagster.settings.asana import AsanaDestination
from mlc_dagster.target import in_delivery_words
from mlc_dagster.transport import errors as transport

MAX_ROWS, MAX_BYTES = 100, 4_000_000


@dataclass(frozen=True)
class Options:
    """Of the settings: who owns what, and how fast calls may go."""

    part: AsanaDestination
    external: bool
    calls_per_minute: int


class TaskFeed:
    """The tasks of one model, or the subtasks of its lines."""

    max_rows, max_bytes = MAX_ROWS, MAX_BYTES

    def __init__(
        self,
        name: str,
        client: AsanaClient,
        shape: Shape,
        places: Places,
        *,
        ledger: Ledger,
        memory: Memory,
        options: Options,
        tombstone: Mapping[str, Any] | None,
    ) -> None:
        self.name, self.tombstone, self.shape, self.options = name, tombstone, shape, options
        self._client, self._places, self._ledger, self._memory = client, places, ledger, memory
        self._newest, self._unclaimed = newest_of(shape), f"unclaimed:{shape.model}"
        part = options.part
        place = part.project or f"by {part.project_by} in {part.team}"
        # With another place for the lines the notes of every task look different.
        self.target = f"{client.workspace}|{place}|{part.lines}"
        self.exclusive = (f"asana:{client.workspace}",)
        self._found: dict[str, str] = {}

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Look at projects and fields, make what rows need, and name the rows Asana can never hold.

        Raises:
            Stop: not set up, or somebody changed a field's type; the text says what to do.
            Closed: the rate budget is used up.
        """
        try:
            unfit = {
                change.row.key: why
                for change in changes
                if (why := self.shape.unfit(change.row.payload) or self._places.unfit(change.row.payload))
            }
            fit = [change for change in changes if change.row.key not in unfit]
            self._places.prepare([change.row.payload for change in fit])
            self._find([change for change in fit if change.target_id is None])
        except transport.CallFailed as failure:
            raise in_delivery_words(failure) from failure
        return unfit

    def send(self, batch: Batch) -> Outcome:
        """Make, change, move and comment the batch's tasks."""
        try:
            carry = self._carry(batch)
        except transport.CallFailed as failure:
            raise in_delivery_words(failure) from failure
        return self._run(carry, self._found)

    def resolve(self, batch: Batch) -> Outcome | None:
        """Look for what may have been made, and finish the batch."""
        try:
            found = self._settled(batch)
            self._places.prepare([change.row.payload for change in batch.changes])
            carry = self._carry(batch)
        except transport.Closed as closed:
            raise delivery.InDoubtError(str(closed), opens_at=closed.opens_at) from closed
        except (transport.Again, transport.InDoubt) as later:
            raise delivery.InDoubtError(str(later)) from later
        return self._run(carry, found)

    def calls(self, changes: Sequence[Change]) -> int:
        """One for a new task and one for its comment, one to three for a change (section 10)."""
        befores = self._befores(changes)
        return sum(self._calls(change, befores.get(change.row.key)) for change in changes)

    def seconds(self, changes: Sequence[Change]) -> float:
        """How long they take under the minute's quota."""
        return self.calls(changes) * 60 / self.options.calls_per_minute

    def advice(self, changes: Sequence[Change]) -> str:
        """What the lines cost in each of the ways they can be shown."""
        column = self.shape.section.line_count
        if column is None or not changes:
            return ""
        lines = sum(int(change.row.payload.get(column) or 0) for change in changes)
        return f"{lines} lines: 0 more calls in the notes, {lines} as subtasks"

    def to_review(self, company: str) -> Sequence[Mapping[str, str | int]]:
        """The suppliers nobody is named for, those with the most open tasks first."""
        return [
            {"company": who.company, "supplier": who.number, "name": who.name, "open tasks": tasks}
            for who, tasks in unassigned(self._ledger, self.shape, company).most_common()
        ]

    @cached_property
    def members(self) -> Mapping[str, str]:
        """The gid of each member of the workspace by e-mail address, in lower case."""
        users = self._client.pages("/users", ["email"], workspace=self._client.workspace)
        return {str(user["email"]).lower(): str(user["gid"]) for user in users if user.get("email")}

    def _carry(self, batch: Batch) -> Carry:
        keys = [change.row.key for change in batch.changes]
        befores = self._ledger.payloads(self.name, batch.company, keys)
        assigned = any(self.shape.wanted("", change.row.payload).assignee for change in batch.changes)
        assigned |= any(self.shape.wanted("", payload).assignee for payload in befores.values())
        return Carry(
            self._client,
            self.shape,
            self._places,
            self.options.part.people_may_change,
            batch,
            befores,
            self._ledger.unsure(self.name, batch.company, keys, self.target),
            self.members if assigned else {},
            self.options.external,
            self._strays,
            newest=self._since or "",
        )

    def _find(self, new: Sequence[Change]) -> None:
        """Tasks of rows we know no task of: made after a copy that our database was put back from."""
        if new:
            self._found = self._strays([change.row.payload for change in new])

    def _strays(self, payloads: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Tasks that carry a key and are not the ones the ledger knows, gid by key.

        They are remembered: the next task we make moves the time from which the projects are listed.
        """
        before = self._memory.read(self._unclaimed)
        found = {**before.value, **self._places.keyed(payloads, self._since)}
        known = self._ledger.target_ids(self.name, list(found))
        strays = {key: gid for key, gid in found.items() if known.get(key) != gid}
        if strays != before.value:
            self._memory.write(self._unclaimed, before, strays)
        return strays

    @property
    def _since(self) -> str | None:
        """By Asana's clock, when the newest task that we know of was made."""
        return self._memory.read(self._newest).value.get("at")

    def _run(self, carry: Carry, found: Mapping[str, str]) -> Outcome:
        try:
            return carry.run(found)
        finally:
            remembered = self._memory.read(self._newest)
            if carry.newest > remembered.value.get("at", ""):
                self._memory.write(self._newest, remembered, {"at": carry.newest})

    def _settled(self, batch: Batch) -> dict[str, str]:
        """The tasks of a batch that are there although nobody said so: made by a call without an answer, or
        after the copy that our database was put back from.

        Raises InDoubtError while one that is not there may still appear.
        """
        unknown = {str(key) for key in batch.checkpoint.get("sent", ())}
        found = self._by_external(unknown)
        there = {*found, *batch.checkpoint.get("gids", ())}
        asked = [change.row for change in batch.changes if change.row.key in unknown or not change.target_id]
        new = [row for row in asked if row.key not in there]
        if new:
            strays, keys = self._strays([row.payload for row in new]), {row.key for row in new}
            found |= {key: gid for key, gid in strays.items() if key in keys}
        missing = unknown - found.keys()
        until = quiet_since(batch, self._client.clock.now())
        if until and (missing or batch.checkpoint.get("told")):
            raise delivery.InDoubtError(
                f"{self.name}: a call nobody answered may still be on its way.", opens_at=until
            )
        return found

    def _by_external(self, keys: set[str]) -> dict[str, str]:
        if not self.options.external:
            return {}
        tasks = {
            key: self._client.find(f"/tasks/external:{external_id(self.name, key)}", ["gid"]) for key in keys
        }
        return {key: str(task["gid"]) for key, task in tasks.items() if task}

    def _befores(self, changes: Sequence[Change]) -> Mapping[str, Mapping[str, Any]]:
        """What Asana surely holds of them, by key."""
        keys = [change.row.key for change in changes if change.target_id]
        found: dict[str, Mapping[str, Any]] = {}
        for company in self._ledger.companies(self.name):
            unsure = self._ledger.unsure(self.name, company, keys, self.target)
            found |= self._ledger.payloads(self.name, company, [key for key in keys if key not in unsure])
        return found

    def _calls(self, change: Change, before: Mapping[str, Any] | None) -> int:
        key, payload = change.row.key, change.row.payload
        wanted = self.shape.wanted(key, payload)
        if change.target_id is None:
            return 2 if wanted.comment else 1
        blind = before and blind_edits(
            self.shape.wanted(key, before), wanted, self.options.part.people_may_change
        )
        return 1 if blind and not blind.section else 3
