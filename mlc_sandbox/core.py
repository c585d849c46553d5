"""What every simulated vendor shares: clock, faults on demand, call log, exact JSON, the Vendor protocol."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from http.client import responses
from typing import Any, Protocol

from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

# Marks exact numbers inside JSON strings until their quotes are taken away; a private-use character.
_NUMBER = "\ue000"
# An ASGI message of our own, from the app to the call log: no answer will come.
UNANSWERED = "sandbox.unanswered"


def json_text(value: Any, moments: Callable[[date], str] = lambda moment: moment.isoformat()) -> str:
    """JSON with Decimals as exact number text (no float); `moments` writes dates and times."""
    text = json.dumps(value, default=partial(_plain, moments), ensure_ascii=False, separators=(",", ":"))
    return text.replace(f'"{_NUMBER}', "").replace(f'{_NUMBER}"', "")


def _plain(moments: Callable[[date], str], value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{_NUMBER}{value:f}{_NUMBER}"
    if isinstance(value, date):
        return moments(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form in the sandbox")


class JsonResponse(Response):
    """A JSON answer whose Decimals keep every digit."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode as UTF-8 JSON."""
        return json_text(content).encode()


def gateway_page(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """What a gateway answers in front of any service: a page, whatever the service itself speaks."""
    told = f"{status} {responses.get(status, 'Error')}"
    page = f"<html><head><title>{told}</title></head><body><h1>{told}</h1><hr>gateway</body></html>"
    return HTMLResponse(page, status, headers)


class Dropped(Response):
    """No answer: the connection is closed without a byte of one, at once or after a silence.

    The call log hears of it first, so a client that sees the end finds its call there. Needs the server of
    mlc_sandbox.server, which puts the socket's transport into the ASGI scope.
    """

    def __init__(self, after_seconds: float = 0) -> None:
        super().__init__(status_code=0)
        self.after_seconds = after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say nothing until the client gives up or the time is over; end when the server has noticed."""
        await send({"type": UNANSWERED})
        await fall_silent(scope, receive, self.after_seconds)


async def fall_silent(scope: Scope, receive: Receive, seconds: float) -> None:
    """Say nothing until the client gives up, or the time is over and the connection is closed."""
    if not await client_goes(receive, within=seconds):
        scope["transport"].close()
        await _client_gone(receive)


async def client_goes(receive: Receive, *, within: float) -> bool:
    """Whether the client gives up in these seconds; waits for it."""
    try:
        async with asyncio.timeout(within):
            await _client_gone(receive)
    except TimeoutError:
        return False
    return True


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


class SandboxClock:
    """The one time of all simulated vendors: aware UTC, runs like the real one, may be moved forward.

    It starts `days_behind` days before the real now, so that a day can pass and still not lie in the future.
    """

    def __init__(self, days_behind: float = 1, *, real_now: Callable[[], datetime] | None = None) -> None:
        self._real_now = real_now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self.offset = -timedelta(days=days_behind)
        self.passed = timedelta(0)  # how far the last pass_day moved
        self.advanced = timedelta(0)  # how far advance has moved in all

    def now(self) -> datetime:
        """Sandbox time, aware UTC."""
        return self._real_now() + self.offset

    def wire(self) -> datetime:
        """The time that tokens and rate windows may live by: moved by advance, not by the days that pass."""
        return self._real_now() + self.advanced

    def advance(self, delta: timedelta) -> datetime:
        """Move forward by delta, also past the real now (lockouts and expiries in tests); never backward."""
        if delta < timedelta(0):
            raise ValueError(
                "The sandbox clock only moves forward; records would get stamps from before earlier ones."
            )
        with self._lock:
            self.offset += delta
            self.advanced += delta
        return self.now()

    def pass_day(self) -> datetime:
        """Move one day forward, but never past the real now."""
        with self._lock:
            before = self.offset
            self.offset = max(before, min(before + timedelta(days=1), timedelta(0)))
            self.passed = self.offset - before
        return self.now()


@dataclass
class Fault:
    """One armed fault. `times` None means until cleared; `after` calls that match go by unharmed first."""

    vendor: str
    name: str
    times: int | None
    after: int
    match: str | None
    probability: float | None
    seed: int | None
    params: dict[str, Any]
    fired: int = 0
    seen: int = 0
    _rng: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(0 if self.seed is None else self.seed)

    def fires(self, request_line: str) -> bool:
        """Count one call; True when this one is hit."""
        if self.times is not None and self.fired >= self.times:
            return False
        if self.match is not None and not re.search(self.match, request_line, re.IGNORECASE):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        if self.probability is not None and self._rng.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def describe(self) -> dict[str, Any]:
        """Plain values for the control API."""
        values = {name: value for name, value in asdict(self).items() if name != "_rng"}
        return values | {"left": None if self.times is None else self.times - self.fired}


class Faults:
    """Faults armed by tests or the control API, taken by the vendors; deterministic by seed, thread-safe."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(
        self,
        vendor: str,
        name: str,
        *,
        times: int | None = 1,
        after: int = 0,
        match: str | None = None,
        probability: float | None = None,
        seed: int | None = None,
        **params: Any,
    ) -> Fault:
        """Arm `name` at `vendor` for the next calls whose "METHOD path?query" matches the regex `match`."""
        if match is not None:
            re.compile(match)
        fault = Fault(vendor, name, times, after, match, probability, seed, params)
        with self._lock:
            self._armed.append(fault)
        return fault

    def take(self, vendor: str, name: str, request_line: str = "") -> dict[str, Any] | None:
        """The parameters (and seed) of the first armed fault that hits this call, counted down; else None."""
        with self._lock:
            for fault in self._armed:
                if (fault.vendor, fault.name) == (vendor, name) and fault.fires(request_line):
                    return fault.params | ({} if fault.seed is None else {"seed": fault.seed})
        return None

    def clear(self, vendor: str | None = None, name: str | None = None) -> None:
        """Disarm all faults, or those of one vendor, or one name."""
        with self._lock:
            self._armed = [
                fault
                for fault in self._armed
                if (vendor is not None and fault.vendor != vendor)
                or (name is not None and fault.name != name)
            ]

    def armed(self) -> list[Fault]:
        """The faults that can still fire."""
        with self._lock:
            return [fault for fault in self._armed if fault.times is None or fault.fired < fault.times]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as answered; status 0 means that no answer came. `path` includes the query."""

    vendor: str
    method: str
    path: str
    status: int
    at: datetime


class CallLog:
    """Every request the sandbox answered, for assertions such as "unchanged rows cost no call"."""

    def __init__(self, keep: int = 200_000) -> None:
        self._calls: list[Call] = []
        self._keep = keep
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Append; the oldest half is forgotten when more than `keep` calls are held."""
        with self._lock:
            self._calls.append(call)
            if len(self._calls) > self._keep:
                del self._calls[: self._keep // 2]

    def calls(
        self,
        vendor: str | None = None,
        *,
        method: str | None = None,
        match: str | None = None,
        status: int | None = None,
    ) -> list[Call]:
        """Calls in order, filtered; `match` is a regex on the path with query, case ignored."""
        with self._lock:
            calls = list(self._calls)
        return [
            call
            for call in calls
            if (vendor is None or call.vendor == vendor)
            and (method is None or call.method == method)
            and (status is None or call.status == status)
            and (match is None or re.search(match, call.path, re.IGNORECASE))
        ]

    def count(self, vendor: str | None = None, **filters: Any) -> int:
        """How many calls `calls` would return."""
        return len(self.calls(vendor, **filters))

    def counts(self) -> dict[str, dict[str, int]]:
        """vendor -> "METHOD path without query" -> calls."""
        counted: dict[str, Counter[str]] = {}
        for call in self.calls():
            counted.setdefault(call.vendor, Counter())[f"{call.method} {call.path.partition('?')[0]}"] += 1
        return {vendor: dict(counter) for vendor, counter in counted.items()}

    def reset(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()


class Vendor(Protocol):
    """One simulated vendor, mounted under `/<name>`. Its state survives in what `dump` returns."""

    name: str

    @property
    def switches(self) -> MutableMapping[str, Any]:
        """Every switch with its default or set value; documented in docs/sandbox*.md."""

    def routes(self) -> Sequence[BaseRoute]:
        """Starlette routes below the vendor's prefix."""

    def dump(self) -> Any:
        """The whole state, picklable."""

    def load(self, state: Any) -> None:
        """Take over what an earlier `dump` returned."""

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:
        """What happens here while a day passes; called after the clock has moved. Returns counts."""

    def describe(self) -> Mapping[str, Any]:
        """Counts for GET /control/state."""

    def config_section(self, url: str) -> dict[str, Any]:
        """This vendor's part of a ready mlc.yaml, merged into it; `url` is the sandbox's root URL."""

    def secrets(self) -> dict[str, str]:
        """Environment variable -> value, for the credentials.env beside that mlc.yaml."""
