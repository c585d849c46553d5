"""Sign-in, sign-out, another site, and what the server is (sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import Room
from mlc_sandbox.tableau.store import Session, Site
from mlc_sandbox.tableau.wire import node
from mlc_sandbox.tableau.world import VENDOR


class AuthRoutes(Room):
    """Works under every version of the API: clients sign in before they know which one the server has."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room."""
        return [
            self.gate.open("/serverInfo", GET=self._server_info),
            self.gate.open("/auth/signin", POST=self._sign_in),
            self.gate.open("/auth/signout", POST=self._sign_out),
            self.gate.open("/auth/switchSite", POST=self._switch),
        ]

    def _server_info(self, call: ApiCall) -> Reply:  # noqa: ARG002
        version = node("productVersion", {"build": "20262.26.0616.0001"}, text="2026.2.0")
        rest = node("restApiVersion", text=self.world.switches["rest_version"])
        return reply(node("serverInfo", {}, version, rest))

    def _sign_in(self, call: ApiCall) -> Reply:
        fault = self.world.faults.take(VENDOR, "sign_in_refused", call.line)
        if fault is not None:
            raise ApiError(int(fault.get("code", 401001)), "Error signing in to Tableau Server")
        credentials = call.item("credentials")
        site = credentials.find("site")
        if site is None:
            raise ApiError(400000, "The credentials have no site.")
        if credentials.find("user") is not None:
            raise ApiError(403004, "Only server administrators may sign in as somebody else.")
        found = self._site(site.get("contentUrl", ""))
        return self._opened(self.world.login.sign_in(found, credentials.attrib))

    def _sign_out(self, call: ApiCall) -> Reply:
        session = self.world.login.check(call.headers.get("x-tableau-auth"))
        del self.world.login.sessions[session.token]
        return NO_CONTENT

    def _switch(self, call: ApiCall) -> Reply:
        session = self.world.login.check(call.headers.get("x-tableau-auth"))
        wanted = call.item("site").get("contentUrl", "")
        site = self._site(wanted)
        if site is None:
            raise ApiError(404000, f"Site '{wanted}' does not exist.")
        return self._opened(self.world.login.switch(session, site))

    def _site(self, content_url: str) -> Site | None:
        return next((site for site in self.world.sites.values() if site.content_url == content_url), None)

    def _opened(self, session: Session) -> Reply:
        site = self.world.sites[session.site]
        left = _hours(self.world.login.ends(session) - self.world.clock.wire())
        made = node(
            "credentials",
            {"token": session.token, "estimatedTimeToExpiration": left},
            node("site", {"id": site.id, "contentUrl": site.content_url}),
            node("user", {"id": session.user}),
        )
        return reply(made)


def _hours(left: timedelta) -> str:
    seconds = int(left.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
