"""What tasks do when they run: imports, exports, delete actions and processes on the model."""

from __future__ import annotations

import re
from typing import Any

from mlc_sandbox.anaplan import views
from mlc_sandbox.anaplan.files import FileStore
from mlc_sandbox.anaplan.list_import import ListImport, drop_item
from mlc_sandbox.anaplan.model import DeleteAction, ExportAction, ImportAction, Journal, Model
from mlc_sandbox.anaplan.module_import import ModuleImport
from mlc_sandbox.anaplan.outcome import Outcome, detail
from mlc_sandbox.anaplan.sheet import ImportFailed, Sheet, read_sheet
from mlc_sandbox.anaplan.switches import Switches
from mlc_sandbox.anaplan.tasks import Task
from mlc_sandbox.core import Faults

VENDOR = "anaplan"

# Every fault that can be armed; docs/sandbox-anaplan.md says what each one takes.
FAULTS = (
    "bare_task_id",
    "complete_500",
    "drop_connection",
    "dump_missing",
    "extra_fields",
    "file_gone",
    "file_overwritten",
    "http_status",
    "ignore_rows",
    "import_fails_whole",
    "rate_limit",
    "reject_rows",
    "server_error",
    "slow_model",
    "task_cancelled",
    "token_expired",
)


class Effects:
    """Runs a task's steps in order; every change goes through the task's journal."""

    def __init__(self, model: Model, files: FileStore, switches: Switches, faults: Faults) -> None:
        self.model, self.files, self.switches, self.faults = model, files, switches, faults
        self.mixed: set[str] = set()  # task ids whose file was overwritten while they read it

    def __call__(self, task: Task) -> list[Outcome]:
        """One outcome for an import, export or action; one per step for a process."""
        if task.kind != "processes":
            return [self._step(task, task.object_id)]
        outcomes: list[Outcome] = []
        for step in self.model.processes[task.object_id].steps:
            outcomes.append(self._step(task, step))
            if not outcomes[-1].successful and self.switches["process_stops_at_failure"]:
                break
        return outcomes

    def reads(self, task: Task, file_id: str) -> bool:
        """Whether one of the task's imports reads this file."""
        steps = self.model.processes[task.object_id].steps if task.kind == "processes" else (task.object_id,)
        return any(
            self.model.imports[step].source_id == file_id for step in steps if step in self.model.imports
        )

    def _step(self, task: Task, object_id: str) -> Outcome:
        if object_id in self.model.imports:
            return self._import(task, self.model.imports[object_id])
        if object_id in self.model.exports:
            return self._export(task, self.model.exports[object_id])
        return _delete(self.model, self.model.actions[object_id], task.journal)

    def _import(self, task: Task, action: ImportAction) -> Outcome:
        outcome = Outcome(action.id, action.name)
        journal = Journal()
        try:
            self._fail_whole(task, action)
            sheet = self._sheet(task, action)
            outcome.headers = sheet.headers
            self._interfere(task, action, sheet, outcome)
            self._run(task, action, journal, sheet, outcome)
        except ImportFailed as error:
            journal.roll_back()
            outcome.problems.clear()
            outcome.fail(error.kind, str(error))
        task.journal.extend(journal)
        return outcome

    def _run(
        self, task: Task, action: ImportAction, journal: Journal, sheet: Sheet, outcome: Outcome
    ) -> None:
        if action.kind == "HIERARCHY_DATA":
            ListImport(self.model, action, self.switches, journal).run(sheet, outcome)
            return
        # Inside a process a parameter names its import (vendors/anaplan.md section 7).
        prompts = task.prompts.get("" if task.kind == "imports" else action.id, {})
        ModuleImport(self.model, action, self.switches, journal, prompts).run(sheet, outcome)

    def _fault(self, name: str, task: Task, action: ImportAction) -> dict[str, Any] | None:
        return self.faults.take(VENDOR, name, f"{task.line} {action.name}")

    def _fail_whole(self, task: Task, action: ImportAction) -> None:
        fault = self._fault("import_fails_whole", task, action)
        if fault is not None:
            standard = "hierarchyImportFailed" if action.kind == "HIERARCHY_DATA" else "moduleImportFailed"
            raise ImportFailed(fault.get("type", standard), fault.get("text", "The import failed."))

    def _sheet(self, task: Task, action: ImportAction) -> Sheet:
        source = self.model.files[action.source_id]
        if self._fault("file_gone", task, action) is not None:
            self.files.delete(task.user, source.id)
        content = self.files.readable(task.user, source.id)
        if content is None:
            raise ImportFailed("uploadedFileNoLongerAvailable", "The uploaded file is no longer available.")
        if not content.whole:
            raise ImportFailed("importFailedGeneralError", "The upload of the file is not marked complete.")
        body = content.joined()
        fault = self._fault("file_overwritten", task, action)
        if fault is not None or task.id in self.mixed:
            other = (fault or {}).get("content")
            before = other.encode() if other else self.files.previous.get((task.user, source.id), b"")
            body = _mixed(before, body)
            if fault is not None:
                self.files.overwrite(task.user, source.id, before)
        return read_sheet(body, source, self.switches)

    def _interfere(self, task: Task, action: ImportAction, sheet: Sheet, outcome: Outcome) -> None:
        """Faults on single rows: `reject_rows` dumps them, `ignore_rows` loses them without a dump."""
        reject, ignore = self._fault("reject_rows", task, action), self._fault("ignore_rows", task, action)
        kept = []
        for row in sheet.rows:
            text = ",".join(row.cells)
            if reject is not None and re.search(reject.get("matching", ""), text):
                kind = reject.get("type", "moduleImportNoWriteAccess")
                outcome.reject(row, [(kind, reject.get("text", "No write access to the cell"))])
                outcome.rows += 1
            elif ignore is not None and re.search(ignore.get("matching", ""), text):
                row.cells = [""] * len(row.cells)
                kept.append(row)
            else:
                kept.append(row)
        sheet.rows = kept

    def _export(self, task: Task, action: ExportAction) -> Outcome:
        view = views.find_view(self.model, action.view_id)
        if view is None:
            raise LookupError(f"{action.name} exports a view that the model does not have")
        table = views.tabular(self.model, view)
        self.files.write_export(
            task.user, action.id, views.csv_text(table).encode(), self.switches["export_chunk_bytes"]
        )
        values = {"rowCount": len(table) - 1}
        return Outcome(
            action.id,
            action.name,
            details=[detail("exportSucceeded", f"{action.name}: {len(table) - 1} rows exported", values)],
            rows=len(table) - 1,
        )


def _mixed(before: bytes, after: bytes) -> bytes:
    """The first half of what was there and the second half of what came, by lines."""
    first, second = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return b"".join(first[: (len(first) + 1) // 2] + second[(len(second) + 1) // 2 :])


def _delete(model: Model, action: DeleteAction, journal: Journal) -> Outcome:
    target, module = model.lists[action.list_id], model.modules[action.module_id]
    chosen = [key[0] for key, cells in module.cells.items() if cells.get(action.line_item) is True]
    for item_id in chosen:
        drop_item(model, target, target.items[item_id], journal)
    values = {"hierarchyName": target.name, "deletedCount": len(chosen)}
    text = f"{target.name}: {len(chosen)} items deleted"
    return Outcome(action.id, action.name, details=[detail("deleteFromSelectionSucceeded", text, values)])
