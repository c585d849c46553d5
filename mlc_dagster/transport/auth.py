"""A thread-safe token cache: one valid token for many threads, renewed before it expires."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from mlc_dagster.clock import Clock, SystemClock


class Auth(Protocol):
    """What a session needs to sign its calls."""

    def headers(self) -> dict[str, str]:
        """Return headers with a valid token; thread-safe."""
        ...

    def renew(self) -> None:
        """Force a new token after a 401."""
        ...


@dataclass(frozen=True)
class Token:
    """One access token and the moment (UTC) it expires."""

    value: str = field(repr=False)
    expires_at: datetime


class CachedAuth:
    """Keep the token ``fetch`` returns until shortly before it expires."""

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        clock: Clock | None = None,
        margin: float = 60,
        scheme: str = "Bearer",
    ) -> None:
        self._fetch, self._clock, self._scheme = fetch, clock or SystemClock(), scheme
        self._margin = timedelta(seconds=margin)
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._used = threading.local()

    def headers(self) -> dict[str, str]:
        """Return the Authorization header. Raises what ``fetch`` raises."""
        with self._lock:
            token = self._token
            if token is None or self._clock.now() >= token.expires_at - self._margin:
                token = self._token = self._fetch()
        self._used.token = token
        return {"Authorization": f"{self._scheme} {token.value}"}

    def renew(self) -> None:
        """Drop the token this thread used last, unless another thread has already replaced it."""
        with self._lock:
            if self._token is getattr(self._used, "token", None):
                self._token = None


class FixedAuth:
    """A token that is valid until somebody revokes it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def headers(self) -> dict[str, str]:
        """Return the Authorization header."""
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> None:
        """There is no other: the call fails a second time."""
