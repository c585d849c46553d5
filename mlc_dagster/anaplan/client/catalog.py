"""What a model has: its state, and its imports, processes, actions, exports, lists, modules and files.

A builder makes and removes objects rarely and a run asks for them often, so their lists are kept for some
minutes. The model's state and the layout of a file are asked every time: a stale answer there loads data
wrongly.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mlc_dagster.anaplan.answers import FileFormat, ImportAction, LineItem, Model, NamedObject, View
from mlc_dagster.anaplan.client.api import Api

KEPT_SECONDS = 300

T = TypeVar("T")


class Catalog:
    """Reads about the model. Threads may share it; two that ask at once may both call."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: dict[str, tuple[float, Any]] = {}

    def model(self) -> Model:
        """The model itself: its state, and whether a transaction is running in it now."""
        path, asked = f"/models/{self._api.model_id}", {"modelDetails": "true"}
        return self._api.read(self._api.call("GET", path, params=asked), "model", Model.read)

    def imports(self) -> list[ImportAction]:
        """All imports of the model."""
        return self._objects("imports", ImportAction.read)

    def import_format(self, import_id: str) -> FileFormat:
        """How the import's data source wants its file. For known ids only: unknown ones answer 500."""
        response = self._api.call("GET", f"{self._api.model_path}/imports/{import_id}")
        return self._api.read(
            response, "importMetadata", lambda data: FileFormat.read(data.get("source", {}))
        )

    def processes(self) -> list[NamedObject]:
        """All processes of the model."""
        return self._objects("processes", NamedObject.read)

    def process_steps(self, process_id: str) -> list[ImportAction]:
        """The actions of a process in the order they run; those that are no imports have an empty type."""
        path, asked = f"{self._api.model_path}/processes/{process_id}", {"showImportDataSource": "true"}
        return self._api.read(
            self._api.call("GET", path, params=asked),
            "processMetadata",
            lambda data: [ImportAction.read(action) for action in data.get("actions", ())],
        )

    def actions(self) -> list[NamedObject]:
        """The actions that are no import, export or process, such as deletes from a list."""
        return self._objects("actions", NamedObject.read)

    def exports(self) -> list[NamedObject]:
        """All exports of the model. The file an export writes has the export's own id."""
        return self._objects("exports", NamedObject.read)

    def files(self) -> list[NamedObject]:
        """The files of the model's data sources."""
        return self._objects("files", NamedObject.read)

    def lists(self) -> list[NamedObject]:
        """The lists of the model."""
        return self._objects("lists", NamedObject.read)

    def modules(self) -> list[NamedObject]:
        """The modules of the model."""
        return self._objects("modules", NamedObject.read)

    def views(self) -> list[View]:
        """The modules' default views and the saved ones."""
        return self._objects("views", View.read)

    def module_of(self, view_id: str) -> str:
        """The id of the module a view is of; the view is one of `views`."""
        return next(view.module_id for view in self.views() if view.id == view_id)

    def line_items(self, module_id: str) -> list[LineItem]:
        """The line items of a module, with format and dimensions."""
        path = f"/models/{self._api.model_id}/modules/{module_id}/lineItems"
        asked = {"includeAll": "true"}
        return self._keep(path, lambda: list(self._api.items(path, "items", LineItem.read, asked)))

    def is_numbered(self, list_id: str) -> bool:
        """Whether a list is numbered: its items then have codes, and no names of their own."""
        path = f"{self._api.model_path}/lists/{list_id}"
        return self._keep(
            path,
            lambda: self._api.read(
                self._api.call("GET", path), "metadata", lambda data: bool(data["numberedList"])
            ),
        )

    def _objects(self, kind: str, read: Callable[[Mapping[str, Any]], T]) -> list[T]:
        path = f"/models/{self._api.model_id}/{kind}"
        return self._keep(path, lambda: list(self._api.items(path, kind, read)))

    def _keep(self, path: str, ask: Callable[[], T]) -> T:
        now = self._api.http.clock.monotonic()
        asked_at, known = self._kept.get(path, (None, None))
        if asked_at is None or now - asked_at > KEPT_SECONDS:
            known = ask()
            self._kept[path] = (now, known)
        return known  # type: ignore[return-value]
