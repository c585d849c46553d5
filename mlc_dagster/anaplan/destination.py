"""One Anaplan feed as a destination: its list import makes the items, its data import fills their cells."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import CsvFile, render
from mlc_dagster.anaplan.imports import Action, ImportBusy, ImportRun, Pace, StillRunning
from mlc_dagster.anaplan.preflight import (
    LIST,
    MODULE,
    PreflightFailed,
    check_codes,
    check_layout,
    check_model,
    resolve,
)
from mlc_dagster.anaplan.verdict import Verdict
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.transport import errors as transport

# An import: tasks, chunk count, complete, start, three polls. Pre-flight: model, imports, two layouts.
CALLS_PER_IMPORT, CALLS_OF_PREFLIGHT = 7, 4
BYTES_PER_ROW = 200


class AnaplanImport:
    """Rows of one contract, delivered by two pre-built imports that match by code (vendors/anaplan.md
    section 12).

    Each batch is one file and one task an import, whatever its size, so batches are large. The list import
    carries only rows whose item may be missing or named differently: every created row, and updated ones
    unless the item's name is its code. Deletes are data rows with the tombstone's values: an import never
    removes a list item.

    Sending a batch twice leaves Anaplan as sending it once: both imports match by code and overwrite. That is
    why whatever ended without a clear result goes again whole.
    """

    max_rows = 250_000
    max_bytes = 200_000_000

    def __init__(
        self,
        name: str,
        client: AnaplanClient,
        *,
        list_import: str,
        data_import: str,
        columns: Sequence[str],
        code_column: str = "code",
        list_columns: tuple[str, str] = ("code", "name"),
        list_name: str | None = None,
        tombstone: Mapping[str, Any] | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`columns` are the contract's, in order; `list_name` is the one that names items, else the code."""
        self.name = name
        self.exclusive: tuple[str, ...] = (f"anaplan-model:{client.model_id}",)
        self.tombstone = tombstone
        self._client, self._pace = client, pace or Pace()
        self._import_names = (list_import, data_import)
        self._columns, self._code_column = tuple(columns), code_column
        self._list_columns, self._list_name = list_columns, list_name or code_column
        self._actions: tuple[Action, Action] | None = None

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Check model, imports and headers; name the rows Anaplan could never take.

        Raises:
            Stop: the model builder, an administrator or the settings must change something first.
            Closed: the rate budget is used up.
        """
        self._actions = None
        self._ready()
        try:
            problems = check_codes([self._code(change) for change in changes])
        except PreflightFailed as problem:
            raise delivery.Stop(f"{self.name}: {problem}") from problem
        return self._by_key(changes, problems)

    def send(self, batch: Batch) -> Outcome:
        """Run both imports for the rows of a batch.

        Raises:
            Stop: somebody must change something in the model first; nothing of the batch counts as delivered.
            NothingHappened: an import failed whole, was cancelled, or could not start: the rows go again.
            InDoubtError: an import was started and its end is not known; `resolve` carries on.
            Closed: the rate budget is used up and no import is running.
        """
        try:
            return self._carry(batch)
        except _NotLanded as failure:
            if failure.verdict.stop:
                raise delivery.Stop(f"{self.name}: {failure}") from failure
            raise delivery.NothingHappened(f"{self.name}: {failure}") from failure

    def resolve(self, batch: Batch) -> Outcome | None:
        """Carry a batch of a dead run to its end. None while an import of it runs or cannot be seen."""
        if not any(batch.checkpoint.get(step) for step in ("list", "data")):
            return Outcome(landed=False, detail={"reason": "no import was started"})
        try:
            return self._carry(batch)
        except (_NotLanded, delivery.NothingHappened) as failure:
            return Outcome(landed=False, detail={"reason": str(failure)})
        except delivery.InDoubtError:
            return None

    def calls(self, changes: Sequence[Change]) -> int:
        """About how many calls these changes cost."""
        total = CALLS_OF_PREFLIGHT if changes else 0
        for start in range(0, len(changes), self.max_rows):
            batch = changes[start : start + self.max_rows]
            for rows in (sum(map(self._needs_item, batch)), len(batch)):
                chunks = -(-rows * BYTES_PER_ROW // self._client.chunk_bytes)
                total += CALLS_PER_IMPORT + chunks if rows else 0
        return total

    def _carry(self, batch: Batch) -> Outcome:
        """Both imports, each from wherever the batch's checkpoint says it is."""
        list_action, data_action = self._ready()
        items = {
            self._code(change): self._item(change) for change in batch.changes if self._needs_item(change)
        }
        listed = self._run(batch, "list", list_action, items, self._list_columns)
        # A row without its item would be refused again, in words that hide the first reason.
        codes = ((self._code(change), change.row.payload) for change in batch.changes)
        cells = {code: payload for code, payload in codes if code not in listed.refused}
        loaded = self._run(batch, "data", data_action, cells, self._columns)
        return Outcome(
            landed=True,
            refused=self._by_key(batch.changes, {**listed.refused, **loaded.refused}),
            detail={"list": _summary(listed), "data": _summary(loaded)},
        )

    def _run(
        self,
        batch: Batch,
        step: str,
        action: Action,
        rows: Mapping[str, Mapping[str, Any]],
        columns: Sequence[str],
    ) -> Verdict:
        """One import of rows by code. What its file cannot hold is refused, like what Anaplan refuses."""
        file = render(rows.items(), columns, action.layout)
        verdict = self._finish(batch, step, action, file) if file.keys else Verdict(landed=True)
        if not verdict.landed:
            raise _NotLanded(action.name, verdict)
        return replace(verdict, refused={**file.refused, **verdict.refused})

    def _finish(self, batch: Batch, step: str, action: Action, file: CsvFile) -> Verdict:
        run = ImportRun(
            client=self._client,
            action=action,
            file=file,
            code_column=self._code_column if step == "data" else self._list_columns[0],
            note=batch.checkpoint.get(step) or {},
            save=lambda note: batch.save(**{step: dict(note)}),
            pace=self._pace,
        )
        try:
            return run.finish()
        except ImportBusy as busy:
            raise delivery.NothingHappened(f"{self.name}: {busy}") from busy
        except StillRunning as running:
            raise delivery.InDoubtError(f"{self.name}: {running}") from running
        except transport.CallFailed as failure:
            if run.begun:
                raise delivery.InDoubtError(f"{self.name}: import {action.name!r}: {failure}") from failure
            raise self._translated(failure) from failure

    def _ready(self) -> tuple[Action, Action]:
        """Both imports, checked and resolved to ids once a delivery."""
        if self._actions is None:
            try:
                self._actions = self._look_up()
            except PreflightFailed as problem:
                raise delivery.Stop(f"{self.name}: {problem}") from problem
            except transport.CallFailed as failure:
                raise self._translated(failure) from failure
        return self._actions

    def _look_up(self) -> tuple[Action, Action]:
        check_model(self._client.model())
        imports = self._client.imports()
        list_action = resolve(self._client, imports, self._import_names[0], LIST)
        data_action = resolve(self._client, imports, self._import_names[1], MODULE)
        check_layout(list_action.name, list_action.layout, self._list_columns)
        check_layout(data_action.name, data_action.layout, self._columns)
        return list_action, data_action

    def _translated(self, failure: transport.CallFailed) -> delivery.DeliveryError:
        """A failed call, while no import is running, in delivery's words."""
        if isinstance(failure, transport.Closed):
            return delivery.Closed(str(failure), opens_at=failure.opens_at)
        if isinstance(failure, transport.Again | transport.InDoubt):
            return delivery.NothingHappened(f"{self.name}: {failure}")
        return delivery.Stop(f"{self.name}: {failure}")

    def _needs_item(self, change: Change) -> bool:
        return change.op is Op.CREATE or (change.op is Op.UPDATE and self._list_name != self._code_column)

    def _item(self, change: Change) -> dict[str, Any]:
        """The item's line. The code stands in for a name: an empty cell would leave an old one in place."""
        code = self._code(change)
        name = change.row.payload.get(self._list_name) or code
        return dict(zip(self._list_columns, (code, name), strict=True))

    def _code(self, change: Change) -> str:
        return str(change.row.payload.get(self._code_column) or "")

    def _by_key(self, changes: Sequence[Change], words: Mapping[str, str]) -> dict[str, str]:
        """Reasons by key instead of by code."""
        return {change.row.key: words[code] for change in changes if (code := self._code(change)) in words}


class _NotLanded(Exception):
    """An import ended and its rows do not count as delivered."""

    def __init__(self, action: str, verdict: Verdict) -> None:
        super().__init__(f"import {action!r}: {verdict.reason}. {verdict.remedy}")
        self.verdict = verdict


def _summary(verdict: Verdict) -> dict[str, Any]:
    """Counts and Anaplan's warnings, for the audit trail."""
    return {**verdict.counts, **({"warnings": dict(verdict.warnings)} if verdict.warnings else {})}
