"""Metadata routes: users, workspaces, models, modules, line items, views, lists, versions, items."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.auth import CUSTOMER_ID, User
from mlc_sandbox.anaplan.http import ApiCall, ApiError, Gate, paged, require_open, sorted_rows, success
from mlc_sandbox.anaplan.lookup import dimension_name, label, members
from mlc_sandbox.anaplan.model import TIME_ID, USERS_ID, VERSIONS_ID, LineItem, Module
from mlc_sandbox.anaplan.views import LINE_ITEMS_ID, View, cell_count, find_view
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import JsonResponse

Row = dict[str, Any]


class MetadataRoutes:
    """Reads of definitions; model content needs a model that is open."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[Route]:
        """All routes; model paths in both forms."""
        one, both = self.gate.route, self.gate.both
        return [
            one("/users", GET=self._users),
            one("/users/me", GET=self._me),
            one("/users/{user}", GET=self._user),
            one("/workspaces", GET=self._workspaces),
            one("/workspaces/{workspace}", GET=self._workspace),
            one("/workspaces/{workspace}/models", GET=self._models),
            one("/workspaces/{workspace}/models/{model}"),
            one("/models", GET=self._models),
            one("/models/{model}", GET=self._model),
            *both("/status", GET=self._status, POST=self._status),
            *both("/open", POST=self._open),
            *both("/close", POST=self._close),
            *both("/modules", GET=self._modules),
            *both("/modules/{module}/lineItems", GET=self._module_line_items),
            *both("/modules/{module}/views", GET=self._module_views),
            *both("/lineItems", GET=self._line_items),
            *both("/lineItems/{line_item}/dimensions", GET=self._line_item_dimensions),
            *both("/views", GET=self._views),
            *both("/views/{view}", GET=self._view),
            *both("/lists", GET=self._lists),
            *both("/versions", GET=self._versions),
            *both("/dimensions/{dimension}/items", GET=self._dimension_items, POST=self._find_items),
        ]

    # Tenant

    def _user_row(self, user: User) -> Row:
        return {
            "id": user.id,
            "email": user.email,
            "firstName": "Sandbox",
            "lastName": "User",
            "active": True,
            "emailOptIn": False,
            "customerId": CUSTOMER_ID,
        }

    def _users(self, call: ApiCall) -> Response:
        rows = [self._user_row(user) for user in self.world.directory.users.values()]
        return paged(call, self.world, "user", "users", sorted_rows(call, rows, strict=True))

    def _me(self, call: ApiCall) -> Response:
        return success(call, self.world, "user", user=self._user_row(call.user))

    def _user(self, call: ApiCall) -> Response:
        for user in self.world.directory.users.values():
            if user.id == call.ids["user"]:
                return success(call, self.world, "user", user=self._user_row(user))
        raise ApiError(404)

    def _workspace_row(self, call: ApiCall) -> Row:
        row: Row = {"id": hub.WORKSPACE_ID, "name": hub.WORKSPACE_NAME, "active": True}
        return row | ({"sizeAllowance": 10**11, "currentSize": 10**9} if call.flag("tenantDetails") else {})

    def _workspaces(self, call: ApiCall) -> Response:
        rows = sorted_rows(call, [self._workspace_row(call)], strict=True)
        return paged(call, self.world, "workspace", "workspaces", rows)

    def _workspace(self, call: ApiCall) -> Response:
        if not call.user.admin:
            raise ApiError(404)
        return success(call, self.world, "workspace", workspace=self._workspace_row(call))

    def _model_row(self, call: ApiCall) -> Row:
        model = self.world.model
        row: Row = {
            "id": model.id,
            "name": model.name,
            "activeState": model.active_state,
            "currentWorkspaceId": model.workspace_id,
            "currentWorkspaceName": hub.WORKSPACE_NAME,
        }
        return row | ({"memoryUsage": 10**7, "categoryValues": []} if call.flag("modelDetails") else {})

    def _models(self, call: ApiCall) -> Response:
        rows = [] if call.user.role == "NO ACCESS" else [self._model_row(call)]
        return paged(call, self.world, "model", "models", sorted_rows(call, rows, strict=True))

    def _model(self, call: ApiCall) -> Response:
        row = self._model_row(call) | {"modelTransactionRunning": self.world.tasks.running is not None}
        return success(call, self.world, "model", model=row)

    def _status(self, call: ApiCall) -> Response:
        """A bare object without the envelope (vendors/anaplan.md section 10)."""
        running = self.world.tasks.running
        status: Row = {
            "currentStep": f"Processing {running.object_name}" if running else "Open",
            "progress": 0.5 if running else -1.0,
            "taskId": running.id if running else None,
            "tooltip": None,
            "exportTaskType": None,
            "creationTime": self.world.wire_ms(self.world.clock.now()),
            "peakMemoryUsageEstimate": None,
            "peakMemoryUsageTime": None,
        }
        if call.method == "POST":
            return success(call, self.world, "requestStatus", requestStatus=status)
        return JsonResponse({"requestStatus": status})

    def _open(self, call: ApiCall) -> Response:
        self._admin(call)
        return Response(status_code=200)

    def _close(self, call: ApiCall) -> Response:
        self._admin(call)
        return Response(status_code=204)

    def _admin(self, call: ApiCall) -> None:
        if not call.user.admin:
            raise ApiError(403)
        if self.world.model.active_state in ("ARCHIVED", "MAINTENANCE", "PRODUCTION_MAINTENANCE"):
            require_open(self.world, call)

    # Model

    def _modules(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [{"id": module.id, "name": module.name} for module in self.world.model.modules.values()]
        return paged(call, self.world, "module", "modules", sorted_rows(call, rows, strict=False))

    def _module(self, call: ApiCall) -> Module:
        require_open(self.world, call)
        try:
            return self.world.model.modules[call.ids["module"]]
        except KeyError as error:
            raise ApiError(404) from error

    def _module_line_items(self, call: ApiCall) -> Response:
        module = self._module(call)
        rows = [self._line_item_row(call, module, item) for item in module.line_items.values()]
        return paged(call, self.world, "lineItem", "items", rows)

    def _line_items(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [self._line_item_row(call, module, item) for module, item in self.world.model.line_items()]
        return paged(call, self.world, "lineItem", "items", rows)

    def _line_item_row(self, call: ApiCall, module: Module, item: LineItem) -> Row:
        row: Row = {"id": item.id, "name": item.name, "moduleId": module.id, "moduleName": module.name}
        if not call.flag("includeAll"):
            return row
        kind = "ENTITY" if item.format.kind == "LIST" else item.format.kind
        format_data: Row = {"dataType": kind}
        if item.format.list_id:
            format_data["hierarchyEntityLongId"] = int(item.format.list_id)
        return row | {
            "format": kind,
            "formatMetadata": format_data,
            "formula": item.formula or "",
            "isSummary": False,
            "cellCount": cell_count(self.world.model, View(module, "")) // len(module.line_items),
            "appliesTo": [
                {"id": key, "name": dimension_name(self.world.model, key)} for key in module.dimensions
            ],
        }

    def _line_item_dimensions(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        for module, item in self.world.model.line_items():
            if item.id == call.ids["line_item"]:
                return success(call, self.world, "dimension", dimensions=self._dimensions(module))
        raise ApiError(404)

    def _dimensions(self, module: Module) -> list[Row]:
        return [{"id": key, "name": dimension_name(self.world.model, key)} for key in module.dimensions]

    def _view_rows(self, module: Module) -> list[Row]:
        rows: list[Row] = [{"code": "", "id": module.id, "name": module.name, "moduleId": module.id}]
        return rows + [
            {"code": "", "id": view_id, "name": f"{module.name}.{view.name}", "moduleId": module.id}
            for view_id, view in module.saved_views.items()
        ]

    def _module_views(self, call: ApiCall) -> Response:
        rows = self._view_rows(self._module(call))
        return paged(call, self.world, "view", "views", sorted_rows(call, rows, strict=False))

    def _views(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [row for module in self.world.model.modules.values() for row in self._view_rows(module)]
        return paged(call, self.world, "view", "views", sorted_rows(call, rows, strict=False))

    def _view(self, call: ApiCall) -> Response:
        """Rows: first dimension; columns: line items; pages: further dimensions; no empty axis."""
        require_open(self.world, call)
        found = find_view(self.world.model, call.ids["view"])
        if found is None:
            raise ApiError(404)
        dimensions = self._dimensions(found.module)
        return success(
            call,
            self.world,
            "view",
            viewId=call.ids["view"],
            viewName=found.name,
            rows=dimensions[:1],
            columns=[{"id": LINE_ITEMS_ID, "name": "Line items"}],
            pages=dimensions[1:],
        )

    def _lists(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [{"id": items.id, "name": items.name} for items in self.world.model.lists.values()]
        return paged(call, self.world, "list", "lists", sorted_rows(call, rows, strict=False))

    def _versions(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        rows = [
            {"id": key, "name": name, "isCurrent": name == "Forecast", "isActual": name == "Actual"}
            for key, name in self.world.model.versions.items()
        ]
        return paged(call, self.world, "version", "versionMetadata", rows)

    def _items(self, call: ApiCall) -> list[Row]:
        require_open(self.world, call)
        dimension, model = call.ids["dimension"], self.world.model
        if dimension in (TIME_ID, VERSIONS_ID):
            return [{"id": key, "name": label(model, dimension, key)} for key in members(model, dimension)]
        if dimension == USERS_ID:
            return [{"id": user.id, "name": user.email} for user in self.world.directory.users.values()]
        if dimension not in model.lists:
            raise ApiError(404)
        items = model.lists[dimension].items.values()
        return [
            {"id": item.id, "name": item.name} | ({"code": item.code} if item.code else {}) for item in items
        ]

    def _dimension_items(self, call: ApiCall) -> Response:
        rows = self._items(call)
        if len(rows) > 1_000_000:
            raise ApiError(400, "The dimension has more than 1,000,000 items.")
        return success(call, self.world, "dimension", items=rows)

    def _find_items(self, call: ApiCall) -> Response:
        wanted = call.json()
        if not isinstance(wanted, dict):
            raise ApiError(400, 'The body is {"names": [], "codes": []}.')
        names, codes = set(wanted.get("names", [])), set(wanted.get("codes", []))
        rows = [row for row in self._items(call) if row["name"] in names or row.get("code") in codes]
        return success(call, self.world, "dimension", items=rows)
