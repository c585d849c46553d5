"""One Anaplan feed as a destination: its list import makes the items, its data import fills their cells."""

from collections.abc import Iterable, Mapping, Sequence
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
UNMARKED = "an import removes no item, and the contract has no `deleted` values to mark it with: add them"


class AnaplanImport:
    """Rows of one contract, delivered by two pre-built imports that match by code (vendors/anaplan.md
    section 12).

    Each batch is one file and one task an import, whatever its size, so batches are large. Every row goes
    through both: an item that somebody removed in the model comes back, and codes that are equal to Anaplan
    are refused by the list before the module could add their numbers up. Deletes are rows with the
    tombstone's values: an import never removes a list item.

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
        self.target = "|".join((client.model_id, list_import, data_import, list_name or code_column))
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
        return {**self._undeletable(changes), **self._by_key(changes, problems)}

    def send(self, batch: Batch) -> Outcome:
        """Run both imports for the rows of a batch.

        Raises:
            Stop: somebody must change something in the model first; no row of the batch counts as delivered.
            NotLanded: an import failed whole, was cancelled, or could not start: the rows go again.
            InDoubtError: an import was started and its end is not known; `resolve` carries on.
            Closed: the rate budget is used up and no import is running.
        """
        try:
            return self._carry(batch)
        except _NeedsSomebody as failure:
            raise delivery.Stop(str(failure), partial=failure.partial) from failure

    def resolve(self, batch: Batch) -> Outcome:
        """Carry a batch of a dead run to its end, from wherever its checkpoint says it is.

        Raises:
            NotLanded: as `send`, or no import was started.
            InDoubtError: an import of it still runs or cannot be seen. Nothing else may be sent then: its
                file would change under it.
        """
        if not any(batch.checkpoint.get(step) for step in ("list", "data")):
            raise delivery.NotLanded(f"{self.name}: no import was started")
        try:
            self._ready()
        except delivery.NotLanded as failure:
            # Nothing was asked about the batch yet, so nothing is known of it.
            raise delivery.InDoubtError(str(failure)) from failure
        return self._carry(batch)

    def calls(self, changes: Sequence[Change]) -> int:
        """About how many calls these changes cost."""
        total = CALLS_OF_PREFLIGHT if changes else 0
        for start in range(0, len(changes), self.max_rows):
            rows = len(changes[start : start + self.max_rows])
            chunks = -(-rows * BYTES_PER_ROW // self._client.files.chunk_bytes)
            total += 2 * (CALLS_PER_IMPORT + chunks)
        return total

    def _carry(self, batch: Batch) -> Outcome:
        list_action, data_action = self._ready()
        rows = {self._code(change): change.row.payload for change in batch.changes}
        try:
            items = {code: self._item(code, payload) for code, payload in rows.items()}
            listed = self._run(batch, "list", list_action, items, self._list_columns)
            # A row without its item would be refused again, in words that hide the first reason.
            cells = {code: payload for code, payload in rows.items() if code not in listed.refused}
            loaded = self._run(batch, "data", data_action, cells, self._columns)
        except delivery.DeliveryError as error:
            error.partial = self._items_of(batch, rows)
            raise
        refused = {**listed.warnings, **listed.refused, **loaded.warnings, **loaded.refused}
        return Outcome(
            refused=self._by_key(batch.changes, refused),
            partial=self._items_of(batch, refused),
            detail={**_summary(batch, "list", listed), **_summary(batch, "data", loaded)},
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
            task = (batch.checkpoint.get(step) or {}).get("task")
            run = f"{self._import(batch, action)}{f', task {task}' if task else ''}"
            kind = _NeedsSomebody if verdict.stop else delivery.NotLanded
            raise kind(f"{run}: {verdict.reason}. {verdict.remedy}")
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
            raise delivery.NotLanded(f"{self._import(batch, action)}: {busy}") from busy
        except StillRunning as running:
            raise delivery.InDoubtError(f"{self._import(batch, action)}: {running}") from running
        except transport.CallFailed as failure:
            if not run.begun:
                raise self._translated(failure) from failure
            opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
            words = f"{self._import(batch, action)}: {failure}"
            raise delivery.InDoubtError(words, opens_at=opens_at) from failure

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
        check_model(self._client.catalog.model())
        imports = self._client.catalog.imports()
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
            return delivery.NotLanded(f"{self.name}: {failure}")
        return delivery.Stop(f"{self.name}: {failure}")

    def _import(self, batch: Batch, action: Action) -> str:
        return f"{self.name} {batch.company}: import {action.name!r}"

    def _item(self, code: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The item's line. The code stands in for a name: an empty cell would leave an old one in place."""
        return dict(zip(self._list_columns, (code, payload.get(self._list_name) or code), strict=True))

    def _items_of(self, batch: Batch, codes: Iterable[str]) -> dict[str, dict[str, str]]:
        """What Anaplan may hold of rows that are not delivered: the items their list import may have made.

        Only the code is kept: the other cells may be what Anaplan refused, and would be refused again with a
        delete.
        """
        listed = batch.checkpoint.get("list")
        if not listed:
            return {}
        left = set(codes) - set(listed.get("verdict", {}).get("refused", ()))
        return {
            change.row.key: {self._code_column: code}
            for change in batch.changes
            if (code := self._code(change)) in left
        }

    def _undeletable(self, changes: Sequence[Change]) -> dict[str, str]:
        deletes = () if self.tombstone else (change for change in changes if change.op is Op.DELETE)
        return {change.row.key: UNMARKED for change in deletes}

    def _code(self, change: Change) -> str:
        return str(change.row.payload.get(self._code_column) or "")

    def _by_key(self, changes: Sequence[Change], words: Mapping[str, str]) -> dict[str, str]:
        """Reasons by key instead of by code."""
        return {change.row.key: words[code] for change in changes if (code := self._code(change)) in words}


class _NeedsSomebody(delivery.NotLanded):
    """An import failed in a way that only a change in the model can mend."""


def _summary(batch: Batch, step: str, verdict: Verdict) -> dict[str, Any]:
    """What a person wants to know of an import, for the audit trail; nothing that is zero."""
    note = batch.checkpoint.get(step) or {}
    facts = {
        "task": note.get("task"),
        "rows": note.get("rows"),
        "created": verdict.counts.get("createdCount"),
        "updated": verdict.counts.get("updatedCount"),
        "rejected": len(verdict.refused),
        "warnings": len(verdict.warnings),
    }
    return {f"{step} {name}": fact for name, fact in facts.items() if fact}
