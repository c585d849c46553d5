"""Starts the sandbox: one app with every vendor under its prefix, served by uvicorn, alone or in a thread."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from mlc_sandbox.anaplan import AnaplanVendor
from mlc_sandbox.asana import AsanaVendor
from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.control import ControlRoutes
from mlc_sandbox.core import UNANSWERED, Call, CallLog, Faults, SandboxClock, Vendor
from mlc_sandbox.echo import Echo
from mlc_sandbox.powerbi import PowerBIVendor
from mlc_sandbox.stall import Stalling
from mlc_sandbox.tableau import TableauVendor
from mlc_sandbox.visma import VismaVendor


class Logged:
    """ASGI app that writes every request, control calls excepted, into the call log before it is answered."""

    def __init__(self, app: ASGIApp, log: CallLog, clock: SandboxClock) -> None:
        self.app, self.log, self.clock = app, log, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note its status."""
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self.app(scope, receive, send)
            return
        vendor = scope["path"].strip("/").partition("/")[0]
        query = scope["query_string"].decode("latin-1")
        path = scope["path"] + (f"?{query}" if query else "")
        at = self.clock.now()

        async def noting(message: Message) -> None:
            if message["type"] in ("http.response.start", UNANSWERED):
                self.log.add(Call(vendor, scope["method"], path, message.get("status", 0), at))
            if message["type"] != UNANSWERED:
                await send(message)

        await self.app(scope, receive, noting)


class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's HTTP protocol that hands the transport to the app, so that faults can drop connections."""

    def connection_made(self, transport: Any) -> None:
        """Wrap the app of this connection once its transport is known."""
        super().connection_made(transport)
        app: ASGIApp = self.app  # type: ignore[has-type]

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["transport"] = transport
            await app(scope, receive, send)

        self.app = with_transport


def create_app(
    vendors: Sequence[Vendor],
    clock: SandboxClock,
    faults: Faults,
    log: CallLog,
    control: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The sandbox as an ASGI app: `/<vendor>/...` for each vendor, `/control/...` besides."""
    routes: list[BaseRoute] = [Mount(f"/{vendor.name}", routes=vendor.routes()) for vendor in vendors]
    routes.append(Mount("/control", routes=list(control)))
    return Logged(Stalling(Echo(Starlette(routes=routes), faults), faults), log, clock)


def uvicorn_server(app: ASGIApp, **options: Any) -> uvicorn.Server:
    """A quiet uvicorn server for the app; it writes no access log and needs no lifespan."""
    config = uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_level="warning", access_log=False, **options
    )
    return uvicorn.Server(config)


class Sandbox:
    """Clock, faults, call log and vendors together; `vendors[name]` or `.visma`, `.anaplan`, `.powerbi`."""

    def __init__(
        self, vendors: Sequence[Vendor], clock: SandboxClock, faults: Faults, log: CallLog, seed: int
    ) -> None:
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.clock, self.faults, self.log, self.seed = clock, faults, log, seed
        self.rng = random.Random(seed)
        self.url = ""
        self.state_folder: Path | None = None
        self.app = create_app(vendors, clock, faults, log, ControlRoutes(self).routes())

    def __getattr__(self, name: str) -> Any:
        vendors = self.__dict__.get("vendors", {})
        if name in vendors:
            return vendors[name]
        raise AttributeError(f"The sandbox has no vendor or attribute {name!r}.")

    @classmethod
    @contextmanager
    def running(cls, *, seed: int = 1, **options: Any) -> Iterator[Sandbox]:
        """Serve what `build` makes of the options in a thread, on a free port, until the block ends."""
        sandbox = build(seed=seed, **options)
        with serving(sandbox):
            yield sandbox

    @contextmanager
    def services(self) -> Iterator[None]:
        """Whatever vendors serve besides HTTP, until the block ends."""
        with ExitStack() as stack:
            for vendor in self.vendors.values():
                if (serving := getattr(vendor, "serving", None)) is not None:
                    stack.enter_context(serving())
            yield

    def pass_day(self) -> dict[str, Any]:
        """One day passes: the clock moves, then every vendor lives through it. Returns counts by vendor."""
        self.clock.pass_day()
        return {name: dict(vendor.pass_day(self.rng)) for name, vendor in self.vendors.items()}


def build(
    *,
    seed: int = 1,
    scale: float = 1,
    companies: Sequence[str] = ("NO01", "SE01", "DK01"),
    days_behind: float = 1,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    real_now: Callable[[], datetime] | None = None,
) -> Sandbox:
    """All vendors with their worlds; nothing is served yet. `switches` is vendor -> switch -> value.

    `real_now` is what the sandbox's clock takes for the real time; by default the machine's.
    """
    clock, faults, log = SandboxClock(days_behind, real_now=real_now), Faults(), CallLog()
    visma = VismaVendor(clock, faults, seed=seed, scale=scale, companies=companies)
    vendors = [visma, AnaplanVendor(clock, faults), PowerBIVendor(clock, faults, seed)]
    vendors.append(CleoVendor(clock, faults, seed, visma=visma, log=log))
    vendors.append(TableauVendor(clock, faults, seed))
    vendors.append(AsanaVendor(clock, faults, seed))
    sandbox = Sandbox(vendors, clock, faults, log, seed)
    for vendor, values in (switches or {}).items():
        for name, value in values.items():
            sandbox.vendors[vendor].switches[name] = value
    return sandbox


def listen(port: int = 0) -> socket.socket:
    """A bound loopback socket. Binding first means nobody can take the port before it is served."""
    return socket.create_server(("127.0.0.1", port), backlog=128)


@contextmanager
def serving(sandbox: Sandbox) -> Iterator[None]:
    """Run the sandbox's app in a thread on a free port."""
    listener = listen()
    sandbox.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn_server(sandbox.app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        with sandbox.services():
            yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
