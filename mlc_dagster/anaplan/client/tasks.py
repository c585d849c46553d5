"""Tasks: one run of an import, a process, an action or an export (vendors/anaplan.md sections 7 and 8)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mlc_dagster.anaplan.answers import Task
from mlc_dagster.anaplan.client.api import PAGE, Api

Kind = Literal["imports", "processes", "actions", "exports"]


class Tasks:
    """Starts and watches tasks. A task is known only under the object that it is a run of."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def start(self, kind: Kind, object_id: str, parameters: Sequence[Mapping[str, str]] = ()) -> Task:
        """Start one. Never sent again by itself: where the answer is lost InDoubt is raised.

        `parameters` answers runtime prompts: entityType, entityName, and importId inside a process.
        """
        body: dict[str, Any] = {"localeName": "en_US"}
        if parameters:
            body["mappingParameters"] = [dict(parameter) for parameter in parameters]
        response = self._api.call("POST", self._path(kind, object_id), json=body, repeatable=False)
        data = self._api.json(response)
        return self._api.read_value(response, data.get("task", data), Task.read)

    def one(self, kind: Kind, object_id: str, task_id: str) -> Task | None:
        """One task; None when Anaplan does not know it (any more)."""
        response = self._api.found("GET", f"{self._path(kind, object_id)}/{task_id}")
        return None if response is None else self._api.read(response, "task", Task.read)

    def all(self, kind: Kind, object_id: str) -> list[Task]:
        """All tasks of an object, newest first. Sorted here: Anaplan ignores sort fields it does not know.

        An unknown object, or a NO ACCESS role, gives an empty list and no error (section 4).
        """
        tasks = self._api.items(self._path(kind, object_id), "tasks", Task.read)
        return sorted(tasks, key=lambda task: task.created_at, reverse=True)

    def import_dump(self, import_id: str, task_id: str) -> str | None:
        """The failure dump of a task; None when it is gone: the last failing task keeps one, for 48 h."""
        return self._dump(f"{self._path('imports', import_id)}/{task_id}/dump/chunks")

    def process_dump(self, process_id: str, task_id: str, object_id: str) -> str | None:
        """The failure dump of one step of a process's task. `object_id` is in the task's nested results."""
        return self._dump(f"{self._path('processes', process_id)}/{task_id}/dumps/{object_id}/chunks")

    def _dump(self, path: str) -> str | None:
        listing = self._api.found("GET", path, params={"limit": PAGE})
        if listing is None:
            return None
        parts = []
        for number in self._api.read_value(listing, self._api.json(listing), _chunk_numbers):
            part = self._api.found("GET", f"{path}/{number}", headers={"Accept": "text/plain"})
            if part is None:
                return None
            parts.append(part.content)
        # A chunk may end within a character: bytes are joined before they are read as text.
        return b"".join(parts).decode("utf-8", errors="replace")

    def _path(self, kind: Kind, object_id: str) -> str:
        return f"{self._api.model_path}/{kind}/{object_id}/tasks"


def _chunk_numbers(data: Mapping[str, Any]) -> list[int]:
    """In order: a row may go on in the next chunk, and nobody promises the order of the answer."""
    return sorted(int(chunk["id"]) for chunk in data.get("chunks", ()))
