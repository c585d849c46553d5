"""Answers that stand still or come by drops: faults `stall` and `trickle` of any vendor."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlc_sandbox.core import UNANSWERED, Dropped, Faults, client_goes, fall_silent

STALL, TRICKLE = "stall", "trickle"
PIECES = 10


class Stalling:
    """ASGI app that lets clients of calls hit by a fault wait.

    stall: silence for `seconds` (60), then the connection closes. `when` after: the work is done; `half`: the
    headers and half of the body come first. trickle: the body comes in ten pieces over `seconds` (10).
    """

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what is hit is answered slowly, or never."""
        stall, trickle = self._armed(STALL, scope), self._armed(TRICKLE, scope)
        if stall is None and trickle is None:
            await self.app(scope, receive, send)
            return
        if stall is not None and stall.get("when", "after") == "before":
            await Dropped(stall.get("seconds", 60))(scope, receive, send)
            return
        answer = await self._answer(scope, receive, send)
        if answer and stall is not None:
            await _stall(answer, stall, scope, receive, send)
        elif answer and trickle is not None:
            await _trickle(answer, trickle.get("seconds", 10), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> list[Message]:
        """Do the work; what was to be sent, nothing where the connection has been dropped already."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            if message["type"] == UNANSWERED:
                await send(message)
            else:
                answer.append(message)

        await self.app(scope, receive, keep)
        return answer

    def _armed(self, name: str, scope: Scope) -> dict[str, Any] | None:
        vendor, _, place = scope.get("path", "").strip("/").partition("/")
        # The control routes are the sandbox's own.
        if scope["type"] != "http" or place.startswith("control"):
            return None
        return self.faults.take(vendor, name, f"{scope['method']} {scope['path']}")


async def _stall(
    answer: list[Message], params: dict[str, Any], scope: Scope, receive: Receive, send: Send
) -> None:
    start, body = answer[0], _body(answer)
    seconds = params.get("seconds", 60)
    # Headers that promise no body would be the whole answer.
    if not params.get("half", False) or not body:
        await Dropped(seconds)(scope, receive, send)
        return
    await send(start)
    await send(_piece(body[: len(body) // 2]))
    await fall_silent(scope, receive, seconds)


async def _trickle(answer: list[Message], seconds: float, receive: Receive, send: Send) -> None:
    start, body = answer[0], _body(answer)
    size = -(-len(body) // PIECES) or 1
    await send(start)
    for begin in range(0, len(body), size):
        await send(_piece(body[begin : begin + size]))
        if await client_goes(receive, within=seconds / PIECES):
            return
    await send({"type": "http.response.body"})


def _body(answer: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in answer[1:])


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
