"""Datasets and their tables: list, create, drop, change a table."""

from __future__ import annotations

import copy
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mlc_sandbox.core import JsonResponse
from mlc_sandbox.powerbi.errors import bad_request, detailed
from mlc_sandbox.powerbi.http import ApiCall, Gate
from mlc_sandbox.powerbi.schema import check_table
from mlc_sandbox.powerbi.store import Dataset, Event, TableStore
from mlc_sandbox.powerbi.values import Unfit, Value, convert
from mlc_sandbox.powerbi.world import World

DATASET = "/groups/{group}/datasets/{dataset}"
TABLE = f"{DATASET}/tables/{{table}}"


class DatasetRoutes:
    """/groups/{id}/datasets and their tables."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            self.gate.route("/groups/{group}/datasets", GET=self._list, POST=self._create),
            self.gate.route(DATASET, GET=self._one, DELETE=self._drop),
            self.gate.route(f"{DATASET}/tables", GET=self._tables),
            self.gate.route(TABLE, PUT=self._change),
        ]

    def write_role(self, call: ApiCall) -> None:
        """Raises ApiError without the role that writes."""
        self.world.require(call.ids["group"], self.world.switches["least_write_role"])

    def _list(self, call: ApiCall) -> Response:
        found = [data for data in self.world.datasets.values() if data.workspace == call.ids["group"]]
        shown = [data for data in found if data.hidden_polls <= 0]
        for data in found:
            data.hidden_polls = max(0, data.hidden_polls - 1)
        return JsonResponse({"value": [_described(data) for data in shown]})

    def _one(self, call: ApiCall) -> Response:
        return JsonResponse(_described(self.world.find(call.ids["group"], call.ids["dataset"])))

    def _create(self, call: ApiCall) -> Response:
        self.write_role(call)
        if self.world.switches["create_push"] == "deprecated":
            raise detailed(
                403,
                "FeatureDeprecatedError",
                ("FeatureDeprecatedMessage", "This feature has been deprecated."),
            )
        retention = call.query.get("defaultRetentionPolicy", "None")
        if retention not in ("None", "basicFIFO"):
            raise bad_request(f"defaultRetentionPolicy '{retention}' is not valid.")
        dataset = self.world.create(call.ids["group"], call.json(), retention)
        body = {"id": dataset.id, "name": dataset.name, "defaultRetentionPolicy": retention}
        return JsonResponse(body, self.world.switches["create_status"])

    def _drop(self, call: ApiCall) -> Response:
        self.write_role(call)
        del self.world.datasets[self.world.find(call.ids["group"], call.ids["dataset"]).id]
        return Response()

    def _tables(self, call: ApiCall) -> Response:
        """Names alone: whether the service shows columns is open (section 4)."""
        dataset = self.world.find_push(call.ids["group"], call.ids["dataset"])
        return JsonResponse({"value": [{"name": name} for name in dataset.tables]})

    def _change(self, call: ApiCall) -> Response:
        self.write_role(call)
        dataset = self.world.find_push(call.ids["group"], call.ids["dataset"])
        table = self.world.find_table(dataset, call.ids["table"])
        body = call.json()
        others = [other.definition for other in dataset.tables.values() if other is not table]
        check_table(body, table.name, others)
        self._change_columns(dataset, table, copy.deepcopy(body))
        return JsonResponse({"name": table.name})

    def _change_columns(self, dataset: Dataset, table: TableStore, wanted: dict[str, Any]) -> None:
        after = TableStore(wanted)
        gone = [name for name in table.columns if name not in after.columns]
        retyped = [name for name, kind in after.columns.items() if table.columns.get(name, kind) != kind]
        if (gone or retyped) and self.world.switches["put_breaking_change"] == "refused":
            raise bad_request(
                *[f"Column '{name}' cannot be removed." for name in gone],
                *[f"The dataType of column '{name}' cannot be changed." for name in retyped],
                target="table",
            )
        used = [
            f"Column '{name}' is used by relationship '{body['name']}'."
            for body in dataset.relationships
            for end in ("from", "to")
            if body[f"{end}Table"] == table.name and (name := body[f"{end}Column"]) in gone
        ]
        if used:
            raise bad_request(*used, target="table")
        before = list(table.columns)
        places = [before.index(name) if name in before else None for name in after.columns]
        kinds = list(after.columns.items())
        table.rows = [
            tuple(
                self._moved(None if place is None else row[place], kind, retyped=name in retyped)
                for place, (name, kind) in zip(places, kinds, strict=True)
            )
            for row in table.rows
        ]
        if "measures" not in wanted and self.world.switches["put_without_measures"] == "kept":
            wanted["measures"] = table.definition.get("measures", [])
        table.definition = wanted
        table.version += 1
        table.history.append(Event(self.world.clock.wire(), "PUT", len(table.rows)))

    def _moved(self, value: Value, kind: str, *, retyped: bool) -> Value:
        """A stored value in a column that changed its type: null where it does not fit."""
        if not retyped:
            return value
        try:
            return convert(kind, value, self.world.switches)
        except Unfit:
            return None


def _described(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "addRowsAPIEnabled": dataset.push,
        "configuredBy": dataset.owner,
        "isRefreshable": not dataset.push,
        "isEffectiveIdentityRequired": False,
        "isEffectiveIdentityRolesRequired": False,
        "isOnPremGatewayRequired": False,
    }
