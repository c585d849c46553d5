"""Log-in, connections, authenticators, users, actions, certificates (vendors/cleo.md sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.filters import compile_filter
from mlc_sandbox.cleo.harmony import Object, parse
from mlc_sandbox.cleo.http import AUTHENTICATION, ApiCall, Way
from mlc_sandbox.cleo.world import World
from mlc_sandbox.core import JsonResponse

COLLECTIONS = ("connections", "authenticators", "actions", "certs")


def listing(world: World, call: ApiCall, rows: Sequence[dict[str, Any]]) -> Response:
    """A page of a list, DOC: 0-based startIndex, count, filter; `totalResults` and `resources`."""
    if "filter" in call.query and world.switches["filter"] == "applied":
        scim = world.switches["filter_operators"] == "scim"
        test = compile_filter(call.query["filter"], scim=scim)
        rows = [row for row in rows if test(row)]
    start = call.number("startIndex", 0)
    count = min(call.number("count", world.switches["page_size"]), world.switches["page_size_most"])
    total = {"totalResults": len(rows)} if world.switches["total_results"] else {}
    return JsonResponse({**total, "resources": rows[start : start + count]})


class ResourceRoutes:
    """DOC, but for what the switches say."""

    def __init__(self, world: World) -> None:
        self.world, self.harmony = world, world.harmony

    def ways(self) -> Iterable[Way]:
        """All of them."""
        yield Way("POST", AUTHENTICATION, self._log_in, login="none")
        users = "/api/authenticators/{authenticator}/users"
        for collection in (*(f"/api/{kind}" for kind in COLLECTIONS), users):
            yield Way("GET", collection, self._list)
            yield Way("POST", collection, self._create)
            yield Way("GET", f"{collection}/{{id}}", self._read)
            yield Way("PUT", f"{collection}/{{id}}", self._replace)
            yield Way("DELETE", f"{collection}/{{id}}", self._delete)
        yield Way("POST", "/api/actions/{id}/run", self._run)

    def _log_in(self, call: ApiCall) -> Response:
        if (error := self.world.fault("token_error", call.line)) is not None:
            raise ApiError(int(error.get("status", 503)), "The log-in service is not available.")
        return self.world.login.issue(call.headers.get("content-type", ""), call.body)

    def _kind(self, call: ApiCall) -> str:
        """The collection of this call. Raises ApiError 403 where a mailbox account may not look."""
        if self.world.switches["configuration_api"] == "forbidden":
            raise ApiError(403, "This account may not use the configuration API.")
        if "authenticator" in call.ids:
            self.harmony.get("authenticators", call.ids["authenticator"])
            return "users"
        return call.path.split("/")[2]

    def _object(self, call: ApiCall) -> Object:
        found = self.harmony.get(self._kind(call), call.ids["id"])
        if found.parent != call.ids.get("authenticator", found.parent):
            raise ApiError(404, f"There is no user {found.id} here.")
        return found

    def _answer(self, found: Object, status: int = 200, *, defaults: bool = False) -> Response:
        headers = {"ETag": found.etag} if self.world.switches["etag"] else None
        return JsonResponse(self.harmony.shown(found, defaults=defaults), status, headers)

    def _list(self, call: ApiCall) -> Response:
        found = self.harmony.listed(self._kind(call), call.ids.get("authenticator", ""))
        defaults = call.query.get("includeDefaults") == "true"
        return listing(self.world, call, [self.harmony.shown(one, defaults=defaults) for one in found])

    def _create(self, call: ApiCall) -> Response:
        kind, body = self._kind(call), parse(call.body)
        return self._answer(self.harmony.create(kind, body, call.ids.get("authenticator", "")), 201)

    def _read(self, call: ApiCall) -> Response:
        return self._answer(self._object(call), defaults=call.query.get("includeDefaults") == "true")

    def _replace(self, call: ApiCall) -> Response:
        found = self._object(call)
        if found.kind == "certs":
            raise ApiError(405, "A certificate cannot be changed.")
        self.harmony.replace(found, parse(call.body), call.headers.get("if-match"))
        return self._answer(found)

    def _delete(self, call: ApiCall) -> Response:
        found = self._object(call)
        self.harmony.check_match(found, call.headers.get("if-match"))
        self.harmony.delete(found)
        return Response(status_code=204)

    def _run(self, call: ApiCall) -> Response:
        kind = self._kind(call)
        call.number("timeout", 0)
        report = self.harmony.run(self.harmony.get(kind, call.ids["id"]), call.number("messagesCount", 100))
        return JsonResponse(report)
