"""Power BI's REST API for the push dataset of one workspace, and nothing else (vendors/powerbi.md)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import requests

from mlc_dagster.clock import Clock
from mlc_dagster.transport.answers import broken, json_object
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget, Unlimited
from mlc_dagster.transport.errors import CallFailed, Misconfigured, Refused
from mlc_dagster.transport.session import CallCounter, Http

# A DELETE or POST nobody answered may still run for as long as this (section 7): quiet times are longer.
TIMEOUT = (10, 120)
# What section 1 says of missing rights: three answers, one meaning.
NO_ROLE = (
    "Power BI does not show this to the service principal. Check, in this order: the workspace id; the "
    "service principal is Member or Admin of the workspace, added by its object id under Enterprise "
    "applications; an administrator has switched on 'Service principals can call Fabric public APIs' for a "
    "group that holds it. New rights take minutes. The dataset is not gone: never create another."
)
REMEDIES: Mapping[int, str] = {
    401: NO_ROLE,
    403: NO_ROLE,
    404: f"{NO_ROLE} If the workspace is right: the table or dataset is gone; see docs/powerbi.md, Errors.",
    413: "The call was too large; nothing was stored.",
}
EXPIRED = (
    "Power BI called the token expired, and then the one made in its place too. No right and no switch is "
    "missing: run again, and if it stays so, look at Microsoft's service status."
)
DEPRECATED = (
    "Microsoft makes no new push dataset for this tenant; those that exist go on. Use one with "
    "`mlc powerbi setup --adopt ID`, or see docs/powerbi.md, section 7."
)
_object = partial(json_object, "Power BI", check="api_url")
_broken = partial(broken, "Power BI", check="api_url")


class QueryRefused(Exception):
    """executeQueries is not there for us: the tenant setting is off, or push datasets are not served."""


@dataclass(frozen=True)
class Connections:
    """How calls go out: each kind takes from its own budget."""

    api_url: str
    auth: Auth
    posts: Budget
    queries: Budget
    other: Budget
    counter: CallCounter
    clock: Clock

    def open(self, budget: Budget) -> Http:
        """A session for one kind of call."""
        return Http(
            "Power BI",
            self.api_url,
            auth=self.auth,
            budget=budget,
            counter=self.counter,
            clock=self.clock,
            timeout=TIMEOUT,
            remedies=REMEDIES,
            words=_words,
            expired=_expired,
        )


class PowerBiClient:
    """One workspace. All methods raise transport's CallFailed.

    A missing workspace, role or table is Misconfigured, whichever of 401, 403 and 404 tells of it.
    """

    def __init__(self, connections: Connections, workspace_id: str) -> None:
        self.workspace_id, self.clock = workspace_id, connections.clock
        self.http = connections.open(connections.other)
        self._posts = connections.open(connections.posts)
        self._queries = connections.open(connections.queries)
        # A quota of refreshes closes nothing else.
        self._refreshes = connections.open(Unlimited("Power BI refreshes", clock=connections.clock))
        self._root = f"/groups/{workspace_id}/datasets"

    def datasets(self) -> list[dict[str, Any]]:
        """The datasets of the workspace: id, name, addRowsAPIEnabled (section 2)."""
        return _values(self._call(self.http, "GET", self._root))

    def create(self, body: Mapping[str, Any]) -> str:
        """Create a push dataset that keeps all rows, and return its id.

        Not repeatable: InDoubt leaves the question whether there is one now (section 3).
        """
        policy = {"defaultRetentionPolicy": "None"}
        try:
            response = self._call(self.http, "POST", self._root, json=body, params=policy, repeatable=False)
        except Misconfigured as failure:
            # A 403 like that of a missing role (section 9), which no role mends.
            if "FeatureDeprecatedError" not in failure.excerpt:
                raise
            raise _instead(failure, DEPRECATED) from None
        return str(_object(response).get("id") or "")

    def tables(self, dataset: str) -> list[dict[str, Any]]:
        """The tables of a dataset; only `name` is certain (section 4)."""
        return _values(self._call(self.http, "GET", f"{self._root}/{dataset}/tables"))

    def put_table(self, dataset: str, table: Mapping[str, Any]) -> None:
        """Replace the declaration of one table: additive changes only (section 4)."""
        self._call(self.http, "PUT", self._table(dataset, str(table["name"])), json=table)

    def clear(self, dataset: str, table: str, *, leaving: Callable[[], None] | None = None) -> None:
        """Delete all rows of a table. Repeatable, but a call nobody answered may run later (section 7).

        `leaving`: as of transport's `Http.call`.
        """
        path = f"{self._table(dataset, table)}/rows"
        self._call(self.http, "DELETE", path, repeatable=False, leaving=leaving)

    def may_post(self) -> None:
        """Make sure that no lockout keeps rows from being posted, at the price of one call of the budget.

        Raises Closed: a table that is cleared while posts are locked out would stay empty until they are not.
        """
        self._posts.budget.acquire()

    def post_rows(
        self, dataset: str, table: str, body: bytes, *, leaving: Callable[[], None] | None = None
    ) -> None:
        """Append rows, `{"rows": [...]}`. Raises InDoubt when they may be stored or not (section 5).

        `leaving`: as of transport's `Http.call`.
        """
        self._call(
            self._posts,
            "POST",
            f"{self._table(dataset, table)}/rows",
            data=body,
            headers={"Content-Type": "application/json"},
            repeatable=False,
            leaving=leaving,
        )

    def query(self, dataset: str, dax: str) -> list[dict[str, Any]]:
        """The rows of a DAX query, numbers exact; keys such as `[n]` (section 11).

        Raises:
            QueryRefused: executeQueries is switched off or not served for push datasets.
            Refused: the query is wrong, or its answer was cut short.
        """
        body = {"queries": [{"query": dax}], "serializerSettings": {"includeNulls": True}}
        try:
            response = self._call(
                self._queries, "POST", f"{self._root}/{dataset}/executeQueries", json=body, repeatable=True
            )
        except (Misconfigured, Refused) as failure:
            # Of an expired token nobody can say whether the query is served.
            if failure.remedy != EXPIRED and (failure.status in (401, 403, 404) or _not_served(failure)):
                raise QueryRefused(str(failure)) from failure
            raise
        answer = _object(response)
        result: dict[str, Any] = next(iter(answer.get("results") or [{}]), {})
        table: dict[str, Any] = next(iter(result.get("tables") or [{}]), {})
        for part in (answer, result, table):
            if part.get("error"):
                raise Refused(
                    "Power BI", "POST", "executeQueries", status=200, excerpt_text=json.dumps(part["error"])
                )
        return [dict(row) for row in table.get("rows", [])]

    def start_refresh(self, dataset: str, body: Mapping[str, Any]) -> str:
        """Ask for a refresh of another dataset; the id to follow it by, empty for a plain one (section 12).

        A quota answer is Refused: to wait for it is nobody's work here.
        """
        path = f"{self._root}/{dataset}/refreshes"
        overrides = {404: Misconfigured, 429: Refused}
        response = self._refreshes.call("POST", path, json=body, repeatable=False, overrides=overrides)
        return response.headers.get("x-ms-request-id", "") if "Location" in response.headers else ""

    def refresh_state(self, dataset: str, refresh_id: str) -> str:
        """How an enhanced refresh stands: Unknown while it runs, then Completed, Failed or Disabled."""
        response = self._call(self._refreshes, "GET", f"{self._root}/{dataset}/refreshes/{refresh_id}")
        return str(_object(response).get("status", "Unknown"))

    def _table(self, dataset: str, table: str) -> str:
        return f"{self._root}/{dataset}/tables/{quote(table, safe='')}"

    @staticmethod
    def _call(http: Http, method: str, path: str, **request: Any) -> requests.Response:
        try:
            return http.call(method, path, overrides={404: Misconfigured}, **request)
        except Misconfigured as failure:
            if "TokenExpired" not in failure.excerpt:
                raise
            raise _instead(failure, EXPIRED) from None


def _expired(response: requests.Response) -> bool:
    """An expired token is 403 TokenExpired as often as 401 (section 1)."""
    if response.status_code == 401:
        return "PowerBINotAuthorized" not in response.text
    return response.status_code == 403 and "TokenExpired" in response.text


def _instead(failure: CallFailed, remedy: str) -> Misconfigured:
    """The same failure, with another remedy than its status stands for."""
    return Misconfigured(
        failure.vendor,
        failure.method,
        failure.path,
        status=failure.status,
        request_id=failure.request_id,
        excerpt_text=failure.excerpt,
        remedy=remedy,
    )


def _not_served(failure: CallFailed) -> bool:
    return failure.status == 400 and "not supported" in failure.excerpt.lower()


def _words(response: requests.Response) -> str:
    """The code and the message out of the several shapes of section 9."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return str(body.get("message") or response.text) if isinstance(body, dict) else response.text
    inner = error.get("pbi.error")
    details = [*_list(error.get("details")), *_list((inner or {}).get("details"))]
    texts = [error.get("code"), error.get("message"), *map(_detail, details)]
    return ": ".join(dict.fromkeys(str(text) for text in texts if text)) or response.text


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _detail(detail: Any) -> str | None:
    if not isinstance(detail, dict):
        return None
    inner = detail.get("detail")
    return detail.get("message") or (inner.get("value") if isinstance(inner, dict) else None)


def _values(response: requests.Response) -> list[dict[str, Any]]:
    value = _object(response).get("value")
    if not isinstance(value, list):
        raise _broken(response, "it has no `value`")
    return value
