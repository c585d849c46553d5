"""limit and offset: pages that go on behind the last object, with tokens that expire (section 6)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from mlc_sandbox.asana.errors import ApiError, bad
from mlc_sandbox.asana.store import Entity
from mlc_sandbox.asana.switches import Switches

MOST, UNPAGED = 100, 1000
TOO_LARGE = "The result is too large. You should use pagination (may require specifying a workspace)!"


class Pages:
    """Cuts one listing. `path` is below the API's root, `query` as asked; `now` is the wire time."""

    def __init__(self, path: str, query: Mapping[str, str], now: datetime, switches: Switches) -> None:
        self.path, self.query, self.now, self.switches = path, dict(query), now, switches

    def cut(self, items: Sequence[Entity], root: str) -> tuple[Sequence[Entity], dict[str, Any]]:
        """The page, and `next_page` to stand beside `data`: only when `limit` was given.

        Raises:
            ApiError: 400 for a bad limit, an invalid or expired offset, or a result too large without limit.
        """
        if "limit" not in self.query:
            if len(items) > UNPAGED and self.switches["without_limit"] == "refused":
                raise bad(TOO_LARGE)
            return items[:UNPAGED], {}
        limit = self._limit()
        start = self._start(items) if "offset" in self.query else 0
        end = start + limit
        most = self.switches["listing_end"]
        if most and end > most:
            raise bad(TOO_LARGE)
        if end >= len(items):
            return items[start:], {"next_page": None}
        return items[start:end], {"next_page": self._next(items[end - 1].gid, end, root)}

    def _limit(self) -> int:
        text = self.query["limit"]
        if not text.isdigit() or not 1 <= int(text) <= MOST:
            raise bad(f"limit: Must be between 1 and {MOST}: {text}")
        return int(text)

    def _next(self, last: str, position: int, root: str) -> dict[str, str]:
        ends = self.now.timestamp() + self.switches["offset_seconds"]
        claims = {"last": last, "position": position, "exp": ends, "of": self._listing()}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        offset = f"{payload}.{_signature(payload)}"
        path = f"{self.path}?{urlencode(self.query | {'offset': offset})}"
        return {"offset": offset, "path": path, "uri": root + path}

    def _start(self, items: Sequence[Entity]) -> int:
        """Behind the object the last page ended with; where that one stood if it is gone."""
        payload, _, signature = self.query["offset"].partition(".")
        if signature != _signature(payload):
            raise _invalid()
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["exp"] <= self.now.timestamp() or claims["of"] != self._listing():
            raise _invalid()
        for position, item in enumerate(items):
            if item.gid == claims["last"]:
                return position + 1
        return int(claims["position"]) - 1

    def _listing(self) -> str:
        """What a token is for: the same path and filters."""
        filters = {name: value for name, value in self.query.items() if name not in _NOT_FILTERS}
        return hashlib.sha256(json.dumps([self.path, filters], sort_keys=True).encode()).hexdigest()[:12]


_NOT_FILTERS = ("limit", "offset", "opt_fields", "opt_pretty")


def _invalid() -> ApiError:
    return bad("offset: Your pagination token is invalid.")


def _signature(payload: str) -> str:
    return hashlib.sha256(f"asana sandbox offset {payload}".encode()).hexdigest()[:24]
