"""Supplier master data as Harmony's connections, one a supplier (vendors/cleo.md section 7, form 2).

Documented for Harmony (sections 4 and 5), assumed for CIC: an object is found by its alias, read, merged and
put back whole. What is not ours in it stays. Nothing is removed: a connection carries more than a supplier.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from mlc_dagster.settings.cleo import SupplierConnections
from mlc_dagster.transport.answers import broken, json_object
from mlc_dagster.transport.errors import Conflict, Misconfigured, Refused
from mlc_dagster.transport.session import Http

PAGE = 100
# How often an object that others change meanwhile is read and merged again.
ATTEMPTS = 5
NOBODY = "mlc-nobody"
UNFILTERED = "These lists take no filter, so no supplier can be found: use the file, without `connections`."
NOT_OURS_TO_WRITE = frozenset(
    {
        *("id", "active", "editable", "runnable", "running", "ready", "notReadyReason", "nextRun"),
        *("lastStatus", "meta", "_links"),
    }
)
_object = partial(json_object, "Cleo", check="base_url and `suppliers.connections.path`")
_broken = partial(broken, "Cleo", check="`suppliers.connections`")
Object = dict[str, Any]


class Connections:
    """The connections that stand for suppliers. Every method may be repeated."""

    def __init__(self, settings: SupplierConnections, http: Http, companies: Collection[str]) -> None:
        self._settings, self._http, self._companies = settings, http, companies

    def look(self) -> None:
        """Ask for one that nobody has: it tells whether we may, and whether we would find our own.

        Raises transport's CallFailed.
        """
        self._find(NOBODY)

    def rows(self, fields: Sequence[str]) -> Iterator[dict[str, str]]:
        """What stands in each connection that is a supplier's: company, number and these fields, as texts."""
        for alias, each in self._all():
            whose = self._whose(alias)
            values = {name: _value(each, self._settings.fields[name]) for name in fields}
            if whose and any(text is not None for text in values.values()):
                texts = {name: str(text or "").strip() for name, text in values.items()}
                yield {"company": whose[0], "number": whose[1], **texts}

    def _all(self) -> Iterator[tuple[str, Object]]:
        """Every connection once, with its alias. Where no total is told, a page without new ones ends it."""
        start, seen = 0, set[str]()
        while True:
            total, found = self._page({"startIndex": start, "count": PAGE})
            fresh = {str(each.get("alias")): each for each in found}
            fresh = {alias: each for alias, each in fresh.items() if alias not in seen}
            yield from fresh.items()
            seen |= fresh.keys()
            start += len(found)
            if not fresh if total is None else (not found or start >= total):
                return

    def set(self, company: str, number: str, values: Mapping[str, str], changed: Collection[str]) -> None:
        """Make these fields of a supplier what they are here; a connection that is missing is made with all.

        An object that somebody changes meanwhile is read and merged again (412, with If-Match where Cleo
        tells an ETag). Raises transport's CallFailed.
        """
        alias = self._settings.alias.format(company=company, number=number)
        for _ in range(ATTEMPTS):
            href = self._find(alias)
            done = self._create(alias, values) if href is None else self._merge(href, values, changed)
            if done:
                return
        raise Conflict(
            "Cleo",
            "PUT",
            self._settings.path,
            excerpt_text=f"connection {alias} changed {ATTEMPTS} times while it was written",
            remedy="Nothing to do: it is written again with the next run.",
        )

    def _create(self, alias: str, values: Mapping[str, str]) -> bool:
        body: Object = {"alias": alias, "type": self._settings.type}
        for name, text in values.items():
            _put(body, self._settings.fields[name], text)
        try:
            self._http.call("POST", self._settings.path, json=body, repeatable=True)
        except Refused:
            # An earlier call whose answer was lost, or somebody else, was quicker: then it is there.
            if self._find(alias) is None:
                raise
            return False
        return True

    def _merge(self, href: str, values: Mapping[str, str], changed: Collection[str]) -> bool:
        response = self._http.call("GET", href)
        now = {name: value for name, value in _object(response).items() if name not in NOT_OURS_TO_WRITE}
        body = deepcopy(now)
        for name in changed:
            _put(body, self._settings.fields[name], values[name])
        if body == now:
            return True
        etag = response.headers.get("ETag")
        headers = {"If-Match": etag} if etag else {}
        answer = self._http.call("PUT", href, json=body, headers=headers, answers=(412,))
        return answer.status_code != 412

    def _find(self, alias: str) -> str | None:
        """The address of a connection: what `_links` says, as paths are not to be built (section 4)."""
        _, found = self._page({"filter": f'alias eq "{alias}"', "startIndex": 0, "count": 2})
        ours = next((each for each in found if each.get("alias") == alias), None)
        if found and ours is None:
            said = f"asked for alias {alias}, it answers with {found[0].get('alias')}"
            raise Misconfigured("Cleo", "GET", self._settings.path, excerpt_text=said, remedy=UNFILTERED)
        try:
            return str(ours["_links"]["self"]["href"]) if ours else None
        except (KeyError, TypeError):
            said = f"connection {alias} has no link to itself"
            raise Misconfigured("Cleo", "GET", self._settings.path, excerpt_text=said) from None

    def _page(self, parameters: Mapping[str, Any]) -> tuple[int | None, list[Object]]:
        """How many connections there are, if that is told, and those of a page."""
        response = self._http.call(
            "GET", self._settings.path, params=parameters, overrides={404: Misconfigured}
        )
        body = _object(response)
        found = body.get("resources")
        if not isinstance(found, list):
            raise _broken(response, "it has no `resources`")
        total = body.get("totalResults")
        return (total if isinstance(total, int) else None), found

    def _whose(self, alias: str) -> tuple[str, str] | None:
        """Company and number of an alias; None where it is not a supplier's."""
        for company in self._companies:
            head, _, tail = self._settings.alias.replace("{company}", company).partition("{number}")
            if found := re.fullmatch(f"{re.escape(head)}(.+){re.escape(tail)}", alias):
                return company, found[1]
        return None


def _value(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _put(body: Object, path: str, text: str) -> None:
    *above, last = path.split(".")
    for name in above:
        inner = body.get(name)
        body[name] = inner if isinstance(inner, dict) else {}
        body = body[name]
    body[last] = text
