"""The envelope of Anaplan's API: paths, pages, statuses, and answers that are not what they should be."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests

from mlc_dagster.anaplan.auth import LOCKOUT
from mlc_dagster.clock import Clock
from mlc_dagster.transport.answers import broken, json_object
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import Again, CallFailed, Misconfigured
from mlc_dagster.transport.session import CallCounter, Http

PAGE = 1000
# While a model is busy, calls wait for it: minutes of silence are normal (vendors/anaplan.md section 10).
TIMEOUT = (10, 300)

# Section 4: what a status means at Anaplan, and who must act.
OVERRIDES: Mapping[int, type[CallFailed]] = {
    404: Misconfigured,
    409: Again,
    410: Again,
    422: Misconfigured,
    423: Misconfigured,
    424: Misconfigured,
    425: Misconfigured,
}
REMEDIES: Mapping[int, str] = {
    401: "Anaplan refuses even a new token: check the user, and that api_url and the "
    "address of the login are of one region.",
    403: "A workspace administrator must give our user the right to do this.",
    404: "Check workspace, model and object ids. Anaplan also says Not Found when our user's role in the "
    "model is NO ACCESS: a workspace administrator can change the role.",
    409: "The model is busy. Nothing was changed; the next run tries again.",
    410: "Anaplan has moved the model. Nothing was changed; the next run tries again. If it stays, check "
    "api_url and the ids.",
    422: "The model is archived: a workspace administrator must unarchive it.",
    423: "The model is locked: a workspace administrator must unlock it.",
    424: "The model is offline or in maintenance: a workspace administrator must bring it online.",
    425: "The model is in deployed mode and its structure is read-only: the model builder must make the list "
    "production data, or set the model to standard mode.",
}

T = TypeVar("T")


def open_http(
    api_url: str,
    *,
    auth: Auth,
    budget: Budget | None = None,
    counter: CallCounter | None = None,
    clock: Clock | None = None,
) -> Http:
    """An Http for the Integration API, with Anaplan's timeouts and remedies. `api_url` ends with `/2/0`."""
    return Http(
        "Anaplan",
        api_url,
        auth=auth,
        budget=budget,
        counter=counter,
        clock=clock,
        timeout=TIMEOUT,
        lockout=LOCKOUT,
        remedies=REMEDIES,
        words=_words,
    )


class Api:
    """Calls and answers of one model. `model_path` is the form that files and tasks want (section 1)."""

    def __init__(self, http: Http, workspace_id: str, model_id: str) -> None:
        self.http, self.model_id = http, model_id
        self.model_path = f"/workspaces/{workspace_id}/models/{model_id}"

    def items(
        self,
        path: str,
        key: str,
        read: Callable[[Mapping[str, Any]], T],
        params: Mapping[str, str] | None = None,
    ) -> Iterator[T]:
        """All items of a collection. An empty one drops its key; `next` may lie (sections 1 and 3)."""
        offset = 0
        while True:
            response = self.call("GET", path, params={**(params or {}), "limit": PAGE, "offset": offset})
            data = self.json(response)
            items = data.get(key, [])
            yield from (self.read_value(response, item, read) for item in items)
            offset += len(items)
            if not items or offset >= data.get("meta", {}).get("paging", {}).get("totalSize", 0):
                return

    def call(self, method: str, path: str, **request: Any) -> requests.Response:
        """Make one call. Raises transport's CallFailed with the remedies above."""
        return self.http.call(method, path, overrides=OVERRIDES, **request)

    def found(self, method: str, path: str, **request: Any) -> requests.Response | None:
        """Make one call; None where Anaplan says 404."""
        try:
            return self.call(method, path, **request)
        except Misconfigured as error:
            if error.status == 404:
                return None
            raise

    def read(self, response: requests.Response, key: str, read: Callable[[Mapping[str, Any]], T]) -> T:
        """What `read` makes of one key of an answer. Raises CallFailed when it does not fit."""
        return self.read_value(response, self.json(response).get(key), read)

    def read_value(
        self, response: requests.Response, value: Any, read: Callable[[Mapping[str, Any]], T]
    ) -> T:
        """What `read` makes of a part of an answer. Raises CallFailed when it does not fit."""
        try:
            return read(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.broken(response, f"{type(error).__name__} {error}") from None

    def json(self, response: requests.Response) -> dict[str, Any]:
        """An answer as a JSON object. Raises CallFailed when it is none."""
        return json_object("Anaplan", response, check="api_url")

    @staticmethod
    def broken(response: requests.Response, why: str) -> CallFailed:
        """The error for an answer that breaks the documented contract."""
        return broken("Anaplan", response, why, check="api_url")


def _words(response: requests.Response) -> str:
    """Anaplan's message out of its failure envelope, which holds it in `status`."""
    try:
        status = response.json().get("status")
    except (ValueError, AttributeError):
        return response.text
    return str(status.get("message") or response.text) if isinstance(status, dict) else response.text
