"""executeQueries: DAX over the visible rows (vendors/powerbi.md section 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mlc_sandbox.core import JsonResponse, json_text
from mlc_sandbox.powerbi import dax
from mlc_sandbox.powerbi.errors import bad_request, detailed, simple
from mlc_sandbox.powerbi.http import ApiCall, Gate
from mlc_sandbox.powerbi.routes_datasets import DATASET
from mlc_sandbox.powerbi.world import World, plain

_CODE = "DatasetExecuteQueriesError"


class QueryRoutes:
    """POST .../executeQueries."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[BaseRoute]:
        """The one."""
        return [self.gate.route(f"{DATASET}/executeQueries", POST=self._execute)]

    def _execute(self, call: ApiCall) -> Callable[[], Response]:
        """Takes the model under the lock; the query runs without it."""
        self.world.require(call.ids["group"], "Contributor")  # Read and Build
        setting = self.world.switches["execute_queries"]
        if setting == "tenant_off":
            raise simple(
                403, "Forbidden", "The Dataset Execute Queries REST API is disabled for this tenant."
            )
        dataset = self.world.find(call.ids["group"], call.ids["dataset"])
        if setting == "not_for_push" and dataset.push:
            raise detailed(
                400, _CODE, ("DetailsMessage", "Queries are not supported on this kind of dataset.")
            )
        self.world.limits.query(call.client)
        text, with_nulls = _request(call.json())
        self.world.reveal(dataset)
        model, now = self.world.model(dataset), self.world.clock.now()

        def answer() -> Response:
            try:
                return self._answer(dax.run(model, text, now), with_nulls=with_nulls)
            except dax.DaxError as error:
                return detailed(400, _CODE, ("DetailsMessage", str(error))).response()

        return answer

    def _answer(self, result: dax.Result, *, with_nulls: bool) -> Response:
        rows, problem = self._fitting(result, with_nulls=with_nulls)
        body: dict[str, Any] = {"results": [{"tables": [{"rows": rows}]}]}
        if problem is not None:
            error = {"code": _CODE, "message": problem}
            places = {
                "response": body,
                "result": body["results"][0],
                "table": body["results"][0]["tables"][0],
            }
            places[self.world.switches["over_limit_error_at"]]["error"] = error
        return JsonResponse(body)

    def _fitting(self, result: dax.Result, *, with_nulls: bool) -> tuple[list[dict[str, Any]], str | None]:
        """The rows that fit into the limits, and what is said when that is not all."""
        limit = self.world.switches.limit
        width = max(1, len(result.titles))
        problem = "More than one result table in a query" if result.tables > 1 else None
        most = min(len(result.rows), limit("query_rows"))
        if most < len(result.rows):
            problem = f"More than {most} rows in a query result"
        if most * width > limit("query_values"):
            most = int(limit("query_values")) // width
            problem = f"More than {limit('query_values')} values in a query result"
        shown: list[dict[str, Any]] = []
        size = 0
        for row in result.rows[: int(most)]:
            cells = zip(result.titles, row, strict=True)
            content = {title: plain(value) for title, value in cells if with_nulls or value is not None}
            size += len(json_text(content).encode())
            if size > limit("query_bytes"):
                return shown, f"More than {limit('query_bytes')} bytes in a query result"
            shown.append(content)
        return shown, problem


def _request(body: Any) -> tuple[str, bool]:
    """The query and whether nulls are wanted. Raises ApiError 400."""
    queries = body.get("queries") if isinstance(body, dict) else None
    if not isinstance(queries, list) or len(queries) != 1:
        raise bad_request("Exactly one query is allowed in a request.", target="queries")
    query = queries[0].get("query") if isinstance(queries[0], dict) else None
    if not isinstance(query, str):
        raise bad_request("The property 'query' is required.", target="queries")
    settings = body.get("serializerSettings") or {}
    return query, bool(settings.get("includeNulls", False))
