"""Workspaces, their users, and what a service principal may not call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mlc_sandbox.core import JsonResponse
from mlc_sandbox.powerbi.errors import ApiError, bad_request
from mlc_sandbox.powerbi.http import ApiCall, Gate
from mlc_sandbox.powerbi.world import ROLES, Workspace, World

_TERM = re.compile(
    r"(?:name eq '(?P<equal>(?:[^']|'')*)'|contains\(name,\s*'(?P<part>(?:[^']|'')*)'\))", re.I
)


class GroupRoutes:
    """/groups, /groups/{id}/users, /RefreshUserPermissions."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[BaseRoute]:
        """All of them; everything of "My workspace" is closed to a service principal."""
        mine = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), self._my_workspace)
        return [
            self.gate.route("/groups", GET=self._list),
            self.gate.route(
                "/groups/{group}/users", GET=self._users, POST=self._add_user, PUT=self._add_user
            ),
            self.gate.route("/RefreshUserPermissions", POST=self._refresh),
            self.gate.route("/datasets", **mine),
            self.gate.route("/datasets/{rest:path}", **mine),
        ]

    def _list(self, call: ApiCall) -> Response:
        shown = [found for found in self.world.workspaces.values() if self.world.role(found.id) is not None]
        if "$filter" in call.query:
            matches = _filter(call.query["$filter"])
            shown = [found for found in shown if matches(found.name)]
        skip = call.number("$skip", 0)
        shown = shown[skip : skip + call.number("$top", 5000)]
        return JsonResponse({"value": [self._group(found) for found in shown]})

    def _group(self, workspace: Workspace) -> dict[str, Any]:
        dedicated = self.world.switches["dedicated_capacity"]
        return {
            "id": workspace.id,
            "isReadOnly": False,
            "isOnDedicatedCapacity": dedicated,
            "name": workspace.name,
        }

    def _users(self, call: ApiCall) -> Response:
        grants = self.world.workspaces[call.ids["group"]].grants
        users = [
            {"identifier": who, "groupUserAccessRight": grant.role, "principalType": grant.kind}
            for who, grant in grants.items()
        ]
        return JsonResponse({"value": users})

    def _add_user(self, call: ApiCall) -> Response:
        self.world.require(call.ids["group"], "Member")
        body = call.json()
        role, who = body.get("groupUserAccessRight"), body.get("identifier")
        if role not in ROLES or not who:
            raise bad_request("identifier and groupUserAccessRight are required.", target="userDetails")
        self.world.grant(call.ids["group"], role, to=who, kind=body.get("principalType", "User"))
        return Response()

    def _refresh(self, call: ApiCall) -> Response:
        self.world.limits.once_an_hour("permissions", call.client)
        self.world.refresh_permissions()
        return Response()

    def _my_workspace(self, call: ApiCall) -> Response:  # noqa: ARG002
        """A service principal has no "My workspace" (section 1)."""
        raise ApiError(403)


def _filter(text: str) -> Callable[[str], bool]:
    """`name eq 'X'` and `contains(name,'x')`, joined by `or`. Raises ApiError 400."""
    tests: list[Callable[[str], bool]] = []
    for part in re.split(r"\s+or\s+", text.strip(), flags=re.IGNORECASE):
        found = _TERM.fullmatch(part.strip())
        if found is None:
            raise bad_request(f"Invalid filter clause: {part}", target="$filter")
        tests.append(_test(found))
    return lambda name: any(test(name) for test in tests)


def _test(found: re.Match[str]) -> Callable[[str], bool]:
    if found["equal"] is not None:
        wanted = found["equal"].replace("''", "'")
        return lambda name: name == wanted
    part = found["part"].replace("''", "'").lower()
    return lambda name: part in name.lower()
