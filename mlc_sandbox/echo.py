"""Answers that repeat what was sent, as debug pages and careless proxies do: fault `echo` of any vendor."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mlc_sandbox.core import Faults

NAME = "echo"


class Echo:
    """ASGI app that answers a call hit by the fault with the call itself: body, headers and line.

    Its parameters: `status` (500), and `form`: `text` as it came, or `json` with an error's usual field.
    """

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless the fault hits it."""
        params = self._armed(scope) if scope["type"] == "http" else None
        if params is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        said = await _said(request)
        media = "text/plain"
        if params.get("form") == "json":
            media, said = "application/json", json.dumps({"error": {"message": said}, "message": said})
        answer = Response(said, status_code=int(params.get("status", 500)), media_type=media)
        await answer(scope, receive, send)

    def _armed(self, scope: Scope) -> dict[str, object] | None:
        vendor = scope["path"].strip("/").partition("/")[0]
        return self.faults.take(vendor, NAME, f"{scope['method']} {scope['path']}")


async def _said(request: Request) -> str:
    """What is most telling comes first: clients shorten what they show."""
    body = (await request.body()).decode("utf-8", "replace")
    headers = [f"{name}: {value}" for name, value in reversed(request.headers.items())]
    return "\n".join([body, *headers, f"{request.method} {request.url}"])
