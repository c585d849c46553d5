"""Imports, exports, actions and processes: their metadata, their tasks, and the failure dumps."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlc_sandbox.anaplan import views
from mlc_sandbox.anaplan.effects import VENDOR
from mlc_sandbox.anaplan.http import ApiCall, ApiError, Gate, paged, require_open, sorted_rows, success
from mlc_sandbox.anaplan.lookup import dimension_name
from mlc_sandbox.anaplan.model import ExportAction, ImportAction
from mlc_sandbox.anaplan.tasks import Task, task_json
from mlc_sandbox.anaplan.world import World

KINDS = ("imports", "exports", "actions", "processes")
SCHEMA = {"imports": "import", "exports": "export", "actions": "action", "processes": "process"}
Row = dict[str, Any]


class TaskRoutes:
    """Runs what the builder prepared; nothing here can create an action."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[Route]:
        """All routes in both forms."""
        routes: list[Route] = []
        both = self.gate.both
        for kind in KINDS:
            one, tasks = f"/{kind}/{{object}}", f"/{kind}/{{object}}/tasks"
            listing = partial(self._objects, kind)
            routes += both(f"/{kind}", GET=listing) + both(f"/{kind}/", GET=listing)
            routes += both(one, GET=partial(self._object, kind))
            routes += both(tasks, GET=partial(self._tasks, kind), POST=partial(self._start, kind))
            routes += both(
                f"{tasks}/{{task}}", GET=partial(self._watch, kind), DELETE=partial(self._cancel, kind)
            )
        dump = "/imports/{object}/tasks/{task}/dump"
        routes += both(dump, GET=self._dump) + both(f"{dump}/chunks", GET=self._dump_chunks)
        routes += both(f"{dump}/chunks/{{chunk}}", GET=self._dump_chunk)
        dumps = "/processes/{object}/tasks/{task}/dumps/{step}"
        routes += both(dumps, GET=self._dump) + both(f"{dumps}/chunks", GET=self._dump_chunks)
        return routes + both(f"{dumps}/chunks/{{chunk}}", GET=self._dump_chunk)

    # Definitions

    def _objects(self, kind: str, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [self._row(thing) for thing in getattr(self.world.model, kind).values()]
        return paged(call, self.world, SCHEMA[kind], kind, sorted_rows(call, rows, strict=False))

    def _row(self, thing: Any) -> Row:
        row: Row = {"id": thing.id, "name": thing.name}
        if isinstance(thing, ImportAction):
            return row | {"importDataSourceId": thing.source_id, "importType": thing.kind}
        if isinstance(thing, ExportAction):
            layout = "TABULAR_MULTI_COLUMN"
            return row | {
                "exportType": layout,
                "exportFormat": "text/csv",
                "encoding": "UTF-8",
                "layout": layout,
            }
        return row | ({"actionType": "DELETE_BY_SELECTION"} if thing.id in self.world.model.actions else {})

    def _object(self, kind: str, call: ApiCall) -> Response:
        require_open(self.world, call)
        thing = getattr(self.world.model, kind).get(call.ids["object"])
        if thing is None:
            # An unknown import answers 500 here, not 404 (vendors/anaplan.md section 4).
            raise ApiError(500 if kind == "imports" else 404)
        if kind == "imports":
            return success(call, self.world, "importMetadata", importMetadata=self._import_metadata(thing))
        if kind == "exports":
            return success(call, self.world, "exportMetadata", exportMetadata=self._export_metadata(thing))
        if kind == "processes":
            return success(call, self.world, "process", processMetadata=self._process_metadata(call, thing))
        return success(call, self.world, "action", action=self._row(thing))

    def _import_metadata(self, action: ImportAction) -> Row:
        source = self.world.model.files[action.source_id]
        return {
            "name": action.name,
            "type": "FILE",
            "source": {
                "textEncoding": source.encoding,
                "columnSeparator": source.separator,
                "textDelimiter": source.delimiter,
                "headerRow": source.header_row,
                "firstDataRow": source.first_data_row,
                "decimalSeparator": source.decimal_separator,
                "headerNames": list(source.headers),
                "columnCount": len(source.headers),
            },
        }

    def _export_metadata(self, action: ExportAction) -> Row:
        model = self.world.model
        view = views.find_view(model, action.view_id)
        if view is None:
            raise ApiError(404)
        module = view.module
        names = [dimension_name(model, key) for key in module.dimensions]
        kinds = [
            "ENTITY" if item.format.kind == "LIST" else item.format.kind
            for item in module.line_items.values()
        ]
        return {
            "columnCount": len(names) + len(kinds),
            "dataTypes": ["ENTITY"] * len(names) + kinds,
            "delimiter": '"',
            "encoding": "UTF-8",
            "exportFormat": "text/csv",
            "headerNames": views.headers(model, module),
            "listNames": [*names, *[""] * len(kinds)],
            "rowCount": views.cell_count(model, view) // len(module.line_items),
            "separator": ",",
        }

    def _process_metadata(self, call: ApiCall, process: Any) -> Row:
        model, actions = self.world.model, []
        for step in process.steps:
            thing = model.imports.get(step) or model.exports.get(step) or model.actions[step]
            kind = (
                "IMPORT"
                if step in model.imports
                else "EXPORT"
                if step in model.exports
                else "DELETE_BY_SELECTION"
            )
            row = self._row(thing) | {"actionType": kind}
            if call.flag("showImportDataSource") and isinstance(thing, ImportAction):
                row["importDataSource"] = {"importDataSourceId": thing.source_id, "type": "FILE"}
            actions.append(row)
        return {"name": process.name, "actions": actions}

    # Tasks

    def _start(self, kind: str, call: ApiCall) -> Response:
        require_open(self.world, call)
        thing = getattr(self.world.model, kind).get(call.ids["object"])
        if thing is None:
            raise ApiError(404)
        body = call.json()
        if not isinstance(body, dict) or body.get("localeName") != "en_US":
            raise ApiError(400, 'localeName is required and must be "en_US"')
        task = self.world.start(kind, thing, call.user, prompts=_prompts(body), line=call.line)
        bare = self.world.faults.take(VENDOR, "bare_task_id", call.line) is not None
        if bare or self.world.switches["bare_task_id"]:
            return JSONResponse({"taskId": task.id})
        row = {"taskId": task.id, "taskState": "NOT_STARTED", "creationTime": task.created_ms}
        return success(call, self.world, "task", task=row)

    def _tasks(self, kind: str, call: ApiCall) -> Response:
        """Tasks under an unknown parent are an empty list with 200; unknown sort fields are ignored."""
        self.world.tasks.advance()
        rows = [
            {"taskId": task.id, "taskState": task.state, "creationTime": task.created_ms}
            for task in self.world.tasks.tasks.values()
            if task.kind == kind and task.object_id == call.ids["object"] and self._visible(task, call)
        ]
        if self.world.switches["task_list_order"] == "newest":
            rows.reverse()
        return paged(call, self.world, "task", "tasks", sorted_rows(call, rows, strict=False))

    def _visible(self, task: Task, call: ApiCall) -> bool:
        return task.user == call.user.email or not self.world.switches["task_privacy"]

    def _task(self, kind: str, call: ApiCall) -> Task:
        """A task id resolves only under the object that started it."""
        task = self.world.tasks.tasks.get(call.ids["task"])
        if (
            task is None
            or (task.kind, task.object_id) != (kind, call.ids["object"])
            or not self._visible(task, call)
        ):
            raise ApiError(404)
        return task

    def _watch(self, kind: str, call: ApiCall) -> Response:
        task = self._task(kind, call)
        if not task.over:
            self.world.tasks.tick()
        row = task_json(task, details=call.flag("includeProcessDetails"))
        return success(call, self.world, "task", task=row)

    def _cancel(self, kind: str, call: ApiCall) -> Response:
        task = self._task(kind, call)
        self.world.tasks.cancel(task)
        return success(call, self.world, "task", task=task_json(task))

    # Dumps

    def _dump_text(self, call: ApiCall) -> str:
        kind = "processes" if "step" in call.ids else "imports"
        task = self._task(kind, call)
        if self.world.faults.take(VENDOR, "dump_missing", call.line) is not None:
            raise ApiError(404)
        text = self.world.tasks.dump(task, call.ids.get("step", call.ids["object"]))
        if text is None:
            raise ApiError(404)
        return text

    def _dump_parts(self, call: ApiCall) -> list[bytes]:
        body, size = self._dump_text(call).encode(), self.world.switches["dump_chunk_bytes"]
        return [body[start : start + size] for start in range(0, len(body), size)]

    def _dump(self, call: ApiCall) -> Response:
        return Response(self._dump_text(call), media_type="text/plain")

    def _dump_chunks(self, call: ApiCall) -> Response:
        rows = [{"id": str(index)} for index in range(len(self._dump_parts(call)))]
        return paged(call, self.world, "chunk", "chunks", rows)

    def _dump_chunk(self, call: ApiCall) -> Response:
        parts, index = self._dump_parts(call), call.ids["chunk"]
        if not index.isdigit() or int(index) >= len(parts):
            raise ApiError(404)
        return Response(parts[int(index)], media_type="text/plain")


def _prompts(body: Row) -> dict[str, dict[str, str]]:
    """mappingParameters as import id ("" for the started one) -> dimension -> item."""
    prompts: dict[str, dict[str, str]] = {}
    for entry in body.get("mappingParameters", []):
        if not isinstance(entry, dict) or not {"entityType", "entityName"} <= set(entry):
            raise ApiError(400, "a mappingParameter has entityType and entityName")
        prompts.setdefault(str(entry.get("importId", "")), {})[entry["entityType"]] = entry["entityName"]
    return prompts
