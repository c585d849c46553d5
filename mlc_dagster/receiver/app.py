"""An ASGI app that answers vendors' webhooks within a second: POST /hooks/<source>/<place>.

A call is judged and its signal is stored before it is answered, in a few threads, for a bounded number of
callers at a time. Who comes when all are busy, or waits too long, is told 503 and tries again; who comes too
often is told 429.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mlc_dagster.receiver.rates import Rates, network_of
from mlc_dagster.receiver.signals import Signals
from mlc_dagster.receiver.source import Source, Verdict

BODY_BYTES = 1_000_000
# Vendors give up after seconds (Asana after 10); a slow answer counts as a failure there.
ANSWER_SECONDS = 1.0
CALLS_AT_ONCE = 64
THREADS = 4
# Calls of one source from one address: a vendor's dispatcher has few addresses and tells a mass update
# record by record.
BURST, PER_SECOND = 300, 20.0
# No place is a path, and none is longer than the ids that vendors and we make up.
PLACE = re.compile(r"[A-Za-z0-9_-]{1,128}")

log = logging.getLogger(__name__)


def receiver(
    sources: Mapping[str, Source],
    signals: Signals,
    *,
    others: Sequence[BaseRoute] = (),
    calls_at_once: int = CALLS_AT_ONCE,
    seconds: float = ANSWER_SECONDS,
    rates: Rates | None = None,
) -> Starlette:
    """The app. `sources`: by their name in the path. `others`: what the same service serves beside."""
    door = _Door(sources, signals, calls_at_once, seconds, rates or Rates(BURST, PER_SECOND))
    return Starlette(routes=[Route("/hooks/{source}/{place}", door.answer, methods=["POST"]), *others])


class _Door:
    def __init__(
        self,
        sources: Mapping[str, Source],
        signals: Signals,
        calls_at_once: int,
        seconds: float,
        rates: Rates,
    ) -> None:
        self._sources, self._signals, self._rates = sources, signals, rates
        self._room, self._seconds = calls_at_once, seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="receiver")

    async def answer(self, request: Request) -> Response:
        name, place = request.path_params["source"], request.path_params["place"]
        source = self._sources.get(name)
        if source is None or not PLACE.fullmatch(place):
            return Response(status_code=404)
        host = request.client.host if request.client else ""
        if wait := self._rates.wait((name, network_of(host))):
            return Response(status_code=429, headers={"Retry-After": str(ceil(wait))})
        if self._room <= 0:
            return _busy()
        # Only the event loop counts, so no lock is needed.
        self._room -= 1
        work: Future[Verdict] | None = None
        try:
            async with asyncio.timeout(self._seconds):
                body = await _body(request)
                if body is None:
                    return Response(status_code=413)
                work = self._threads.submit(self._take, source, request, body)
                verdict = await asyncio.wrap_future(work)
        except (TimeoutError, ClientDisconnect):
            return _busy()
        finally:
            self._leave(work)
        return Response(status_code=verdict.status, headers=dict(verdict.headers))

    def _leave(self, work: "Future[Verdict] | None") -> None:
        """Give the caller's room back; work that outlives its answer keeps it to its end."""
        if work is None or work.done():
            self._room += 1
            return
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave, None))

    def _take(self, source: Source, request: Request, body: bytes) -> Verdict:
        name, place = request.path_params["source"], request.path_params["place"]
        try:
            verdict = source.judge(place, request.headers, body)
            if verdict.news:
                delivery = body if verdict.delivery is None else verdict.delivery
                self._signals.keep(name, verdict.about or place, b"\0".join((place.encode(), delivery)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the vendor tries again
            # Without the traceback: it may show the call and a secret.
            log.error("A call of %s was not taken: %s", name, type(error).__name__)  # noqa: TRY400
            return Verdict(503)
        return verdict


async def _body(request: Request) -> bytes | None:
    """The body; None when it is longer than any webhook's."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > BODY_BYTES:
            return None
    return bytes(found)


def _busy() -> Response:
    return Response(status_code=503, headers={"Retry-After": "5"})
