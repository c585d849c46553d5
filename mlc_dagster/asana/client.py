"""Asana's REST API for one workspace, and nothing else (vendors/asana.md)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import requests

from mlc_dagster.clock import Clock
from mlc_dagster.transport.answers import broken, json_object
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import Again, Conflict, InDoubt, Misconfigured, Refused
from mlc_dagster.transport.session import CallCounter, Http

Object = dict[str, Any]

# A POST nobody answered may still run for as long as this (section 15): quiet times are longer.
TIMEOUT = (10, 60)
# Actions of one batch, and objects of one page (sections 6 and 9).
BATCH, PAGE = 10, 100
REPEATS = 3
# Invalid and expired tokens of a listing (section 6): the listing begins again.
STALE_PAGE, LISTINGS_AT_MOST = "pagination token is invalid", 3
REMEDIES: Mapping[int, str] = {
    401: "Check the token of the Asana pair: it is wrong, revoked, or blocked for the workspace by an admin.",
    402: "The workspace's plan does not include this: custom fields need a paid plan.",
    403: "Give the integration's user editor access to the project, and to locked fields.",
    404: "Check the gid in mlc.yaml, and that the integration's user is a member there.",
}

_json = partial(json_object, "Asana", check="api_url")
_broken = partial(broken, "Asana", check="api_url")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """One call inside a batch. path: below /api/1.0; data: the body's `data`, or a GET's parameters."""

    method: str
    path: str
    data: Mapping[str, Any] = field(default_factory=dict)
    fields: Sequence[str] = ()

    def body(self) -> Object:
        """As /batch takes it (section 9)."""
        options = {"options": {"fields": list(self.fields)}} if self.fields else {}
        return {"method": self.method.lower(), "relative_path": self.path, "data": self.data, **options}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one action of a batch was answered."""

    status: int
    data: Object
    words: str

    @property
    def done(self) -> bool:
        """Whether it happened."""
        return self.status < 300

    @property
    def again(self) -> bool:
        """Whether Asana failed at it, so that nobody knows whether it happened."""
        return self.status >= 500 or self.status == 429


class AsanaClient:
    """One workspace. All methods raise transport's CallFailed."""

    def __init__(
        self,
        api_url: str,
        workspace: str,
        *,
        auth: Auth,
        budget: Budget,
        counter: CallCounter,
        clock: Clock,
    ) -> None:
        self.workspace, self.clock = workspace, clock
        self.http = Http(
            "Asana",
            api_url,
            auth=auth,
            budget=budget,
            counter=counter,
            clock=clock,
            timeout=TIMEOUT,
            remedies=REMEDIES,
            words=_words,
        )

    @cached_property
    def me(self) -> str:
        """The gid of the token's own user."""
        return str(self.get("/users/me", ["gid"])["gid"])

    def get(self, path: str, fields: Sequence[str] = (), **params: Any) -> Object:
        """One object. `fields` are opt_fields (section 6)."""
        return _data(self._call("GET", path, params={**_opt(fields), **params}))

    def find(self, path: str, fields: Sequence[str] = ()) -> Object | None:
        """One object; None where Asana knows none, or has it in the trash."""
        try:
            return self.get(path, fields)
        except Misconfigured as failure:
            if failure.status != 404:
                raise
            return None

    def pages(self, path: str, fields: Sequence[str] = (), **params: Any) -> Iterator[Object]:
        """Every object of a list, each gid once. A token that ends on the way begins the list again."""
        seen: set[str] = set()
        for attempt in range(1, LISTINGS_AT_MOST + 1):
            try:
                for each in self._listing(path, {**_opt(fields), **params}):
                    if each["gid"] not in seen:
                        seen.add(each["gid"])
                        yield each
            except Refused as refused:
                if STALE_PAGE not in refused.excerpt or attempt == LISTINGS_AT_MOST:
                    raise
            else:
                return

    def create(self, path: str, data: Mapping[str, Any]) -> Object:
        """POST that makes something. Raises InDoubt when it may have been made and nobody said so."""
        return _data(self._call("POST", path, json={"data": data}, repeatable=False))

    def act(self, path: str, data: Mapping[str, Any]) -> Object:
        """POST that may be repeated: addTask, addProject, addCustomFieldSetting (sections 2 to 4)."""
        return _data(self._call("POST", path, json={"data": data}, repeatable=True))

    def put(self, path: str, data: Mapping[str, Any]) -> Object:
        """Change only what is named (section 1)."""
        return _data(self._call("PUT", path, json={"data": data}))

    def delete(self, path: str) -> None:
        """Remove an object."""
        self._call("DELETE", path)

    def batch(
        self, actions: Sequence[Action], *, repeatable: bool, leaving: Callable[[], None] | None = None
    ) -> list[Answer]:
        """Up to ten calls in one, in the order asked for; they run side by side (section 9).

        Each counts in the minute's quota. With `repeatable` those that Asana failed at are sent again. Raises
        InDoubt when it is off and nobody answered: any of them may have happened. Raises Again when Asana
        goes on failing. `leaving`: as of transport's `Http.call`.
        """
        answers = self._batch(actions, repeatable=repeatable, leaving=leaving)
        for _ in range(REPEATS if repeatable else 0):
            failed = [index for index, answer in enumerate(answers) if answer.again]
            if not failed:
                break
            self.clock.sleep(1)
            again = self._batch([actions[index] for index in failed], repeatable=True)
            for index, answer in zip(failed, again, strict=True):
                answers[index] = answer
        if repeatable and (failing := next((answer for answer in answers if answer.again), None)):
            raise Again("Asana", "POST", "/batch", status=failing.status, excerpt_text=failing.words)
        return answers

    def create_all(self, actions: Sequence[Action]) -> None:
        """Several POSTs that each make something, ten in a call, side by side.

        Raises what the first that failed means: Refused, or InDoubt where it may have been made.
        """
        for start in range(0, len(actions), BATCH):
            some = actions[start : start + BATCH]
            for action, answer in zip(some, self.batch(some, repeatable=False), strict=True):
                if not answer.done:
                    kind = InDoubt if answer.again else Refused
                    raise kind("Asana", "POST", action.path, status=answer.status, excerpt_text=answer.words)

    def _batch(
        self, actions: Sequence[Action], *, repeatable: bool, leaving: Callable[[], None] | None = None
    ) -> list[Answer]:
        body = {"data": {"actions": [action.body() for action in actions]}}
        response = self._call(
            "POST", "/batch", json=body, repeatable=repeatable, cost=len(actions), leaving=leaving
        )
        answers = _json(response).get("data")
        if not isinstance(answers, list) or len(answers) != len(actions):
            raise _broken(response, f"{len(actions)} answers were expected")
        return [_answer(each) for each in answers]

    def _listing(self, path: str, params: Mapping[str, Any]) -> Iterator[Object]:
        offset: Mapping[str, str] = {}
        while True:
            response = self._call("GET", path, params={**params, "limit": PAGE, **offset})
            body = _json(response)
            items = body.get("data")
            if not isinstance(items, list):
                raise _broken(response, "it is no list")
            yield from items
            following = body.get("next_page")
            if not following:
                return
            offset = {"offset": str(following["offset"])}

    def _call(self, method: str, path: str, **request: Any) -> requests.Response:
        response = self.http.call(
            method, path, overrides={402: Misconfigured, 404: Misconfigured, 412: Conflict}, **request
        )
        for change in response.headers.get("Asana-Change", "").split(","):
            if "affected=true" in change:
                log.warning("Asana announces a change that affects us: %s", change.strip())
        return response


def _opt(fields: Sequence[str]) -> Mapping[str, str]:
    return {"opt_fields": ",".join(fields)} if fields else {}


def _data(response: requests.Response) -> Object:
    data = _json(response).get("data")
    if not isinstance(data, dict):
        raise _broken(response, "it has no `data`")
    return data


def _answer(each: Mapping[str, Any]) -> Answer:
    body = each.get("body") or {}
    return Answer(int(each["status_code"]), body.get("data") or {}, _messages(body))


def _words(response: requests.Response) -> str:
    try:
        return _messages(response.json()) or response.text
    except (ValueError, AttributeError):
        return response.text


def _messages(body: Mapping[str, Any]) -> str:
    """The messages of the errors envelope (section 11)."""
    errors = body.get("errors")
    found = [str(error.get("message", "")) for error in errors or [] if isinstance(error, Mapping)]
    return "; ".join(message for message in found if message)
