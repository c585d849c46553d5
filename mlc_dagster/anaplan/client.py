"""Anaplan's Integration API v2 for one model, and nothing else (vendors/anaplan.md)."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests

from mlc_dagster.anaplan.answers import FileFormat, ImportAction, Model, NamedObject, Task
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.clock import Clock
from mlc_dagster.transport.errors import Again, CallFailed, Misconfigured
from mlc_dagster.transport.session import CallCounter, Http

PAGE = 1000
CHUNK_BYTES, LARGEST_CHUNK, MOST_CHUNKS = 10_000_000, 50_000_000, 1000
# While a model is busy, calls wait for it: minutes of silence are normal (vendors/anaplan.md section 10).
TIMEOUT = (10, 300)

# Section 4: what a status means at Anaplan, and who must act.
OVERRIDES: Mapping[int, type[CallFailed]] = {
    404: Misconfigured,
    409: Again,
    422: Misconfigured,
    423: Misconfigured,
    424: Misconfigured,
    425: Misconfigured,
}
REMEDIES: Mapping[int, str] = {
    401: "Anaplan refuses even a new token: check the user and its certificate or password.",
    403: "A workspace administrator must give our user the right to do this.",
    404: "Check workspace, model and object ids. Anaplan also says Not Found when our user's role in the "
    "model is NO ACCESS: a workspace administrator can change the role.",
    409: "The model is busy. Nothing was changed; the next run tries again.",
    422: "The model is archived: a workspace administrator must unarchive it.",
    423: "The model is locked: a workspace administrator must unlock it.",
    424: "The model is offline or in maintenance: a workspace administrator must bring it online.",
    425: "The model is in deployed mode and its structure is read-only: the model builder must make the list "
    "production data, or set the model to standard mode.",
}

T = TypeVar("T")


def open_http(
    api_url: str,
    *,
    auth: Auth,
    budget: Budget | None = None,
    counter: CallCounter | None = None,
    clock: Clock | None = None,
) -> Http:
    """An Http for the Integration API, with Anaplan's timeouts and remedies. `api_url` ends with `/2/0`."""
    return Http(
        "Anaplan",
        api_url,
        auth=auth,
        budget=budget,
        counter=counter,
        clock=clock,
        timeout=TIMEOUT,
        remedies=REMEDIES,
        words=_words,
    )


class AnaplanClient:
    """One model of one workspace. Methods raise transport's CallFailed: an archived, locked, offline or
    deployed model and a missing object are Misconfigured, a busy model is Again.

    `exact_chunk_count` announces the number of chunks and leaves out `/complete`, which one tenant answered
    with 500 (vendors/anaplan.md section 6).
    """

    def __init__(
        self,
        http: Http,
        workspace_id: str,
        model_id: str,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        exact_chunk_count: bool = False,
    ) -> None:
        if not 0 < chunk_bytes <= LARGEST_CHUNK:
            raise ValueError(f"chunk_bytes is {chunk_bytes}; Anaplan takes 1 to {LARGEST_CHUNK}")
        self.workspace_id, self.model_id = workspace_id, model_id
        self.chunk_bytes, self._exact = chunk_bytes, exact_chunk_count
        self.http = http
        self._model = f"/workspaces/{workspace_id}/models/{model_id}"

    @property
    def clock(self) -> Clock:
        """The clock its waits use."""
        return self.http.clock

    def models(self) -> list[Model]:
        """The models of the workspace that our user can see."""
        return list(self._items(f"/workspaces/{self.workspace_id}/models", "models", Model.read))

    def model(self) -> Model:
        """The model itself: its state, and whether a transaction is running in it now."""
        path = f"/models/{self.model_id}"
        return self._read(self._call("GET", path, params={"modelDetails": "true"}), "model", Model.read)

    def imports(self) -> list[ImportAction]:
        """All imports of the model."""
        return list(self._items(f"/models/{self.model_id}/imports", "imports", ImportAction.read))

    def import_format(self, import_id: str) -> FileFormat:
        """How the import's data source wants its file. For known ids only: unknown ones answer 500."""
        response = self._call("GET", f"{self._model}/imports/{import_id}")
        return self._read(response, "importMetadata", lambda data: FileFormat.read(data.get("source", {})))

    def files(self) -> list[NamedObject]:
        """The files of the model's data sources."""
        return list(self._items(f"/models/{self.model_id}/files", "files", NamedObject.read))

    def lists(self) -> list[NamedObject]:
        """The lists of the model."""
        return list(self._items(f"/models/{self.model_id}/lists", "lists", NamedObject.read))

    def modules(self) -> list[NamedObject]:
        """The modules of the model."""
        return list(self._items(f"/models/{self.model_id}/modules", "modules", NamedObject.read))

    def upload(self, file_id: str, content: bytes) -> None:
        """Replace the private content of a file, in chunks. The import must be started by the same user.

        Raises:
            ValueError: the content is empty or needs more than 1000 chunks.
            Misconfigured: the file does not exist. Anaplan creates a stray one then; its answer tells.
        """
        chunks = [content[at : at + self.chunk_bytes] for at in range(0, len(content), self.chunk_bytes)]
        if not 0 < len(chunks) <= MOST_CHUNKS:
            raise ValueError(
                f"{len(content)} bytes make {len(chunks)} chunks; Anaplan takes 1 to {MOST_CHUNKS}. Raise "
                f"chunk_bytes"
            )
        path = f"{self._model}/files/{file_id}"
        count = {"chunkCount": len(chunks) if self._exact else -1}
        # Setting the count and completing may be repeated: they change nothing the second time.
        self._same_file(file_id, self._call("POST", path, json=count, repeatable=True))
        for number, chunk in enumerate(chunks):
            headers = {"Content-Type": "application/octet-stream"}
            response = self._call("PUT", f"{path}/chunks/{number}", data=chunk, headers=headers)
            if response.status_code != 204:
                raise self._broken(response, "a chunk is answered with 204")
        if not self._exact:
            self._same_file(
                file_id, self._call("POST", f"{path}/complete", json={"id": file_id}, repeatable=True)
            )

    def start_import(self, import_id: str) -> Task:
        """Start an import. Never sent again by itself: where the answer is lost InDoubt is raised."""
        body = {"localeName": "en_US"}
        response = self._call("POST", f"{self._tasks(import_id)}", json=body, repeatable=False)
        data = self._json(response)
        return self._read_value(response, data.get("task", data), Task.read)

    def import_task(self, import_id: str, task_id: str) -> Task | None:
        """One task of an import; None when Anaplan does not know it (any more)."""
        response = self._found("GET", f"{self._tasks(import_id)}/{task_id}")
        return None if response is None else self._read(response, "task", Task.read)

    def import_tasks(self, import_id: str) -> list[Task]:
        """All tasks of an import, newest first. Sorted here: Anaplan ignores sort fields it does not know.

        An unknown import, or a NO ACCESS role, gives an empty list and no error (section 4).
        """
        tasks = self._items(self._tasks(import_id), "tasks", Task.read)
        return sorted(tasks, key=lambda task: task.created_at, reverse=True)

    def cancel_import(self, import_id: str, task_id: str) -> None:
        """Ask Anaplan to cancel a task. It does so only where it can roll the import back."""
        self._call("DELETE", f"{self._tasks(import_id)}/{task_id}")

    def import_dump(self, import_id: str, task_id: str) -> str | None:
        """The failure dump of a task; None when it is gone: the last failing task keeps one, for 48 h."""
        return self._dump(f"{self._tasks(import_id)}/{task_id}/dump/chunks")

    def process_dump(self, process_id: str, task_id: str, object_id: str) -> str | None:
        """The failure dump of one step of a process's task. `object_id` is in the task's nested results."""
        return self._dump(f"{self._model}/processes/{process_id}/tasks/{task_id}/dumps/{object_id}/chunks")

    def _dump(self, path: str) -> str | None:
        listing = self._found("GET", path, params={"limit": PAGE})
        if listing is None:
            return None
        parts = []
        for number in self._read_value(listing, self._json(listing), _chunk_numbers):
            part = self._found("GET", f"{path}/{number}", headers={"Accept": "text/plain"})
            if part is None:
                return None
            parts.append(part.content)
        # A chunk may end within a character: bytes are joined before they are read as text.
        return b"".join(parts).decode("utf-8", errors="replace")

    def _tasks(self, import_id: str) -> str:
        return f"{self._model}/imports/{import_id}/tasks"

    def _same_file(self, file_id: str, response: requests.Response) -> None:
        answered = self._json(response).get("file", {}).get("id")
        if answered != file_id:
            raise Misconfigured(
                "Anaplan",
                "POST",
                response.request.path_url,
                status=response.status_code,
                excerpt_text=f"the upload went to file {answered}, not {file_id}",
                remedy=f"The import's file does not exist. The model builder uploads it once in the model, "
                f"and deletes the stray file {answered}.",
            )

    def _items(self, path: str, key: str, read: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
        """All items of a collection. An empty one drops its key; `next` may lie (sections 1 and 3)."""
        offset = 0
        while True:
            response = self._call("GET", path, params={"limit": PAGE, "offset": offset})
            data = self._json(response)
            items = data.get(key, [])
            yield from (self._read_value(response, item, read) for item in items)
            offset += len(items)
            if not items or offset >= data.get("meta", {}).get("paging", {}).get("totalSize", 0):
                return

    def _call(self, method: str, path: str, **request: Any) -> requests.Response:
        return self.http.call(method, path, overrides=OVERRIDES, **request)

    def _found(self, method: str, path: str, **request: Any) -> requests.Response | None:
        try:
            return self._call(method, path, **request)
        except Misconfigured as error:
            if error.status == 404:
                return None
            raise

    def _read(self, response: requests.Response, key: str, read: Callable[[Mapping[str, Any]], T]) -> T:
        return self._read_value(response, self._json(response).get(key), read)

    def _read_value(
        self, response: requests.Response, value: Any, read: Callable[[Mapping[str, Any]], T]
    ) -> T:
        try:
            return read(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._broken(response, f"{type(error).__name__} {error}") from None

    def _json(self, response: requests.Response) -> dict[str, Any]:
        try:
            data = json.loads(response.text)
        except ValueError:
            raise self._broken(response, "it is no JSON") from None
        if not isinstance(data, dict):
            raise self._broken(response, "it is no JSON object")
        return data

    @staticmethod
    def _broken(response: requests.Response, why: str) -> CallFailed:
        return CallFailed(
            "Anaplan",
            response.request.method or "",
            response.request.path_url,
            status=response.status_code,
            excerpt_text=f"{why}: {response.text}",
            remedy="The answer is not what Anaplan documents. Check the API address; report it if it stays.",
        )


def _chunk_numbers(data: Mapping[str, Any]) -> list[int]:
    """In order: a row may go on in the next chunk, and nobody promises the order of the answer."""
    return sorted(int(chunk["id"]) for chunk in data.get("chunks", ()))


def _words(response: requests.Response) -> str:
    """Anaplan's message out of its failure envelope, which holds it in `status`."""
    try:
        status = response.json().get("status")
    except (ValueError, AttributeError):
        return response.text
    return str(status.get("message") or response.text) if isinstance(status, dict) else response.text
