"""What machines ask the service: whether it is well, and numbers."""

from ipaddress import ip_address

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mlc_dagster.database import reading
from mlc_dagster.operations.metrics import CONTENT_TYPE, render
from mlc_dagster.pages.session import Sessions
from mlc_dagster.suite import Suite

# What a proxy adds: a call that carries one was made elsewhere, though it comes from this machine.
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
FRESH = {"Cache-Control": "no-store"}
GONE = "the database does not answer\n"


class Probes:
    """Health for everybody, metrics for this machine and for who has the token."""

    def __init__(self, suite: Suite, sessions: Sessions | None) -> None:
        self._suite, self._sessions = suite, sessions

    def health(self, request: Request) -> Response:  # noqa: ARG002
        """200 while the database answers."""
        try:
            with reading(self._suite.engine) as connection:
                connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            return PlainTextResponse(GONE, 503, headers=FRESH)
        return PlainTextResponse("ok\n", headers=FRESH)

    def metrics(self, request: Request) -> Response:
        """Prometheus' text format; 503 while the database does not answer."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        known = self._sessions is not None and kind.lower() == "bearer" and self._sessions.knows(given)
        if not (known or _from_here(request)):
            asked = {**FRESH, "WWW-Authenticate": "Bearer"}
            return PlainTextResponse("The token of the pages is needed.\n", 401, headers=asked)
        try:
            numbers = render(self._suite)
        except sa.exc.SQLAlchemyError:
            return PlainTextResponse(GONE, 503, headers=FRESH)
        return Response(numbers, headers={**FRESH, "Content-Type": CONTENT_TYPE})


def _from_here(request: Request) -> bool:
    """Whether a program on this machine asks by this machine's name: no proxy, and no page in a browser
    whose address was made to lead here.
    """
    if any(name in request.headers for name in FORWARDED):
        return False
    host = (request.url.hostname or "").strip("[]")
    caller = request.client.host if request.client else ""
    return _loopback(caller) and (host == "localhost" or _loopback(host))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
