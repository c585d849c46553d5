"""One Anaplan feed as a destination: which way a batch goes, and what became of its rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.deletion import Deletion
from mlc_dagster.anaplan.feed import Feed, joined
from mlc_dagster.anaplan.imports import ImportsWay
from mlc_dagster.anaplan.preflight import (
    Offline,
    PreflightFailed,
    check_model,
    code_problem,
    equal_codes,
    renamed_codes,
)
from mlc_dagster.anaplan.process import ProcessWay
from mlc_dagster.anaplan.runner import NeedsSomebody, Runner, offline, translated
from mlc_dagster.anaplan.small import SmallWay, settle
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.anaplan.ways import CALLS_OF_A_TASK, Landed, Lookup, Way
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.settings.anaplan import AnaplanDestination
from mlc_dagster.transport import errors as transport

UNMARKED = "an import removes no item, and the contract has no `deleted` values to mark it with: add them"
OTHER_KEY = (
    "it was delivered when the contract had another key, and its code would be {code!r} now: remove it by "
    "hand in the model"
)
# The steps of a checkpoint that may have left something of a row in the model.
TASKS = ("list", "data", "process", "delete")
STEPS = ("small", *TASKS)
CALLS_OF_A_LOOK = 1  # the model's state


class AnaplanFeed:
    """Rows of one contract, delivered by what the model builder prepared (vendors/anaplan.md section 12).

    The long way is a pair of imports, or a process that holds them: one file and few tasks whatever the size,
    so batches are large. A few changes may take the small way, by the transactional API; whatever it cannot
    settle takes the long way after all. Deletes are rows with the tombstone's values, because no import
    removes an item; a delete action may remove what they marked.

    Sending a batch twice leaves Anaplan as sending it once: everything matches by code and overwrites. That
    is why whatever ended without a clear result goes again whole.
    """

    max_rows = 250_000
    max_bytes = 200_000_000

    def __init__(
        self,
        name: str,
        client: AnaplanClient,
        settings: AnaplanDestination,
        *,
        columns: Sequence[str],
        key: Sequence[str] = ("code",),
        tombstone: Mapping[str, Any] | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`columns` and `key` are the contract's, in order; `tombstone` its `deleted` values."""
        self.name, self.tombstone = name, tombstone
        self.exclusive: tuple[str, ...] = (f"anaplan-model:{client.model_id}",)
        self._client = client
        removal = tombstone if settings.delete_action else None
        self._feed = Feed(name, tuple(columns), tuple(key), item_name=settings.item_name, removal=removal)
        self.target = _target(client.model_id, settings, "|".join(key))
        self._runner = runner = Runner(name, client, pace or Pace())
        self._long = _long_way(self._feed, runner, settings)
        self._small = _small_way(self._feed, runner, settings)
        self._deletion = Deletion(runner, settings.delete_action) if settings.delete_action else None
        self._found: set[Lookup] = set()

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Check the model and what the way of these changes needs; name the rows Anaplan could never take.

        Without changes everything that the settings name is checked.

        Raises:
            Stop: the model builder, an administrator or the settings must change something first.
            Closed: the rate budget is used up, or the model is in maintenance.
        """
        self._found.clear()
        self._check_model()
        small = self._small if self._is_small(changes) else None
        if small is not None:
            self._ready(small)
        if small is None or not changes:
            self._ready(self._long)
            self._check_key()
            if self._deletion is not None and (_deletes(changes) or not changes):
                self._ready(self._deletion)
        return self._unfit(changes)

    def send(self, batch: Batch) -> Outcome:
        """Carry a batch: the small way where it may, else the long one; then the delete action.

        Raises:
            Stop: somebody must change something in the model first; no row of the batch counts as delivered.
            NotLanded: a task failed whole, was cancelled, or could not start: the rows go again.
            InDoubtError: something was started and its end is not known; `resolve` carries on.
            Closed: no call can be made now, and nothing of ours is under way.
        """
        try:
            return self._carry(batch)
        except NeedsSomebody as failure:
            raise delivery.Stop(str(failure), partial=failure.partial) from failure

    def resolve(self, batch: Batch) -> Outcome:
        """Carry a batch of a dead run to its end, from wherever its checkpoint says it is.

        Raises:
            NotLanded: as `send`, or nothing was started.
            InDoubtError: something of it still runs or cannot be seen. Nothing else may be sent then: its
                file would change under it.
        """
        if not any(batch.checkpoint.get(step) for step in STEPS):
            raise delivery.NotLanded(f"{self.name}: nothing was started")
        try:
            self._check_model()
            if any(batch.checkpoint.get(step) for step in TASKS):
                self._ready(self._long)
            if self._deletion is not None and batch.checkpoint.get("delete"):
                self._ready(self._deletion)
        except delivery.NotLanded as failure:
            # Nothing was asked about the batch yet, so nothing is known of it.
            raise delivery.InDoubtError(str(failure)) from failure
        settle(batch, self._runner, "the process that wrote it ended")
        return self._carry(batch)

    def calls(self, changes: Sequence[Change]) -> int:
        """About how many calls these changes take, where the small way is refused nothing."""
        if not changes:
            return 0
        small = self._small if self._is_small(changes) else None
        way: SmallWay | Way = small or self._long
        total = CALLS_OF_A_LOOK + way.preflight_calls
        for start in range(0, len(changes), self.max_rows):
            total += way.calls(len(changes[start : start + self.max_rows]))
        if self._deletion is not None and small is None and _deletes(changes):
            total += self._deletion.preflight_calls + CALLS_OF_A_TASK
        return total

    def _carry(self, batch: Batch) -> Outcome:
        try:
            return self._carried(batch)
        except delivery.DeliveryError as error:
            error.partial = self._left(batch, (change.row.key for change in batch.changes))
            raise

    def _carried(self, batch: Batch) -> Outcome:
        if self._small is not None and self._small.takes(batch):
            if not batch.checkpoint:
                self._ready(self._small)
            if (written := self._small.carry(batch)) is not None:
                return Outcome(detail=written)
        self._ready(self._long)
        landed = self._long.carry(batch)
        if self._deletion is not None and _deletes(batch.changes):
            self._ready(self._deletion)
            self._deletion.carry(batch)
        return Outcome(
            refused=landed.refused,
            partial=self._left(batch, landed.refused),
            detail=_summary(batch, landed),
        )

    def _is_small(self, changes: Sequence[Change]) -> bool:
        return self._small is not None and len(changes) <= self._small.up_to

    def _check_model(self) -> None:
        try:
            check_model(self._client.catalog.model())
        except PreflightFailed as problem:
            raise delivery.Stop(f"{self.name}: {problem}") from problem
        except Offline as state:
            raise offline(f"{self.name}: {state}", self._client.clock) from state
        except transport.CallFailed as failure:
            raise translated(failure, self.name, self._client.clock) from failure

    def _check_key(self) -> None:
        if self._long.makes_items and len(self._feed.key) > 1:
            raise delivery.Stop(
                f"{self.name}: rows by {', '.join(self._feed.key)} are cells by several dimensions and "
                f"no items of a list. Leave the list import out, or give the contract one column as its key."
            )

    def _ready(self, part: Lookup) -> None:
        """Look up what a part needs, once a delivery."""
        if part in self._found:
            return
        try:
            part.look_up()
        except PreflightFailed as problem:
            raise delivery.Stop(f"{self.name}: {problem}") from problem
        except transport.CallFailed as failure:
            raise translated(failure, self.name, self._client.clock) from failure
        self._found.add(part)

    def _unfit(self, changes: Sequence[Change]) -> dict[str, str]:
        """Code -> why Anaplan could never take it."""
        listed = self._long.makes_items
        words = ((change.row.key, self._problem(change, listed=listed)) for change in changes)
        problems = {code: reason for code, reason in words if reason}
        if not self._long.sums_equal_codes:
            # The list import takes the first of equal codes. Deletes stand first: the live row goes again.
            return problems
        deleted = [change.row.key for change in changes if change.op is Op.DELETE]
        live = [change.row.key for change in changes if change.op is not Op.DELETE]
        return {**equal_codes(live), **renamed_codes(live, deleted), **problems}

    def _problem(self, change: Change, *, listed: bool) -> str | None:
        if reason := code_problem(change.row.key, listed=listed):
            return reason
        if change.op is not Op.DELETE:
            return None
        if not self.tombstone:
            return UNMARKED
        # It would mark whatever stands there under its code of now.
        code = joined(self._feed.key, change.row.payload)
        return OTHER_KEY.format(code=code) if code != change.row.key else None

    def _left(self, batch: Batch, codes: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """What Anaplan may hold of rows that are not delivered, enough to delete it.

        Of a row with an item only the code is kept: its other cells may be what Anaplan refused, and would be
        refused again with a delete. Without a list the key is in the other columns.
        """
        role = "list" if self._long.makes_items else "data"
        notes = [batch.checkpoint[step] for step in STEPS if batch.checkpoint.get(step)]
        verdicts = [note["verdicts"][role] for note in notes if role in note.get("verdicts", {})]
        # What the import refused it did not take; the small way may have written it before.
        nothing = set(verdicts[0]["refused"]) if verdicts and "small" not in batch.checkpoint else set()
        left = set(codes) - nothing if notes else set()
        if self._long.makes_items:
            return {code: {self._feed.code_column: code} for code in left}
        return {change.row.key: change.row.payload for change in batch.changes if change.row.key in left}


def _deletes(changes: Sequence[Change]) -> bool:
    return any(change.op is Op.DELETE for change in changes)


def _target(model_id: str, settings: AnaplanDestination, key: str) -> str:
    """What the rows go into: another text lets every row go again."""
    objects = (
        (settings.process,)
        if settings.process
        else (settings.list_import or "-", settings.data_import or "-")
    )
    versions = (f"{name}={item}" for name, item in sorted(settings.parameters.items()))
    return "|".join((model_id, *objects, settings.item_name or key, *versions))


def _long_way(feed: Feed, runner: Runner, settings: AnaplanDestination) -> Way:
    if settings.process is not None:
        return ProcessWay(feed, runner, process=settings.process, parameters=settings.parameters)
    return ImportsWay(
        feed,
        runner,
        list_import=settings.list_import,
        data_import=settings.data_import or "",
        parameters=settings.parameters,
    )


def _small_way(feed: Feed, runner: Runner, settings: AnaplanDestination) -> SmallWay | None:
    if settings.small_changes is None:
        return None
    deletes = settings.delete_action is not None
    return SmallWay(feed, runner, settings.small_changes, parameters=settings.parameters, deletes=deletes)


def _summary(batch: Batch, landed: Landed) -> dict[str, Any]:
    """What a person wants to know of the tasks, for the audit trail; nothing that is zero."""
    facts: dict[str, Any] = {"small changes": (batch.checkpoint.get("small") or {}).get("reason")}
    for step in TASKS:
        note = batch.checkpoint.get(step) or {}
        facts[f"{step} task"] = note.get("task")
        facts |= {f"{role} rows": rows for role, rows in note.get("rows", {}).items()}
    for role, verdict in (("list", landed.listed), ("data", landed.loaded)):
        facts |= {
            f"{role} created": verdict.counts.get("createdCount"),
            f"{role} updated": verdict.counts.get("updatedCount"),
            f"{role} rejected": len(verdict.refused),
            f"{role} warnings": len(verdict.warnings),
        }
    return {name: fact for name, fact in facts.items() if fact}
