"""The server under the receiver: connections are short, few for each address, and never idle.

uvicorn has no limit for how long a caller may take over its request's head, nor for how many connections one
address opens: a few dozen idle ones would keep every vendor out.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mlc_dagster.receiver.rates import network_of

# Of one connection, from its first byte to its last: one call and its answer.
CONNECTION_SECONDS = 15.0
# Connections of all, and of one address; those beyond are told to come back, or closed.
CONNECTIONS, CONNECTIONS_OF_ONE = 256, 48


def server(
    app: ASGIApp,
    *,
    proxies: Sequence[str] = (),
    seconds: float = CONNECTION_SECONDS,
    connections_of_one: int = CONNECTIONS_OF_ONE,
) -> uvicorn.Server:
    """A server for an app that strangers reach.

    `proxies`: addresses or networks in front of it. Their X-Forwarded-For is believed, and they may open any
    number of connections.
    """
    trusted = [ip_network(proxy) for proxy in proxies]
    config = uvicorn.Config(
        app,
        http=_brief(seconds, connections_of_one, trusted),
        access_log=False,
        # What strangers send wrongly is their business: a line for each would fill the disk.
        log_level="error",
        lifespan="off",
        limit_concurrency=CONNECTIONS,
        # One call a connection: an idle one is never of use.
        headers=[("Connection", "close")],
        proxy_headers=bool(trusted),
        forwarded_allow_ips=list(map(str, trusted)),
        server_header=False,
        ws="none",
    )
    return uvicorn.Server(config)


def _brief(seconds: float, most: int, trusted: Sequence[IPv4Network | IPv6Network]) -> type[asyncio.Protocol]:
    open_of: Counter[str] = Counter()

    class Brief(H11Protocol):
        """A connection that ends after its time, whatever its caller does."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            host = self.client[0] if self.client else ""
            self._caller = None if _among(host, trusted) else network_of(host)
            self._end = self.loop.call_later(seconds, transport.abort)
            if self._caller is not None:
                open_of[self._caller] += 1
                if open_of[self._caller] > most:
                    transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end.cancel()
            if self._caller is not None:
                open_of[self._caller] -= 1
                if not open_of[self._caller]:
                    del open_of[self._caller]
            super().connection_lost(exc)

    return Brief


def _among(host: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
