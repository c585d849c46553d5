"""The mailbox over REST. Paths, verbs and names come from the settings: most are not public (section 6)."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import requests

from mlc_dagster.cleo.mailbox import Listed
from mlc_dagster.clock import Clock
from mlc_dagster.settings.cleo import Rest, RestCall
from mlc_dagster.transport.answers import broken, json_object
from mlc_dagster.transport.auth import CachedAuth, Token
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import CallCounter, Http

TIMEOUT = (10, 120)
PAGE = 100
# Of a token that does not say how long it lives (section 3): after that we log in again.
UNTOLD_LIFE = timedelta(minutes=10)
REMEDIES: Mapping[int, str] = {
    400: "Check user and password of the Cleo pair: the log-in was refused.",
    401: "Check user and password of the Cleo pair: the log-in was refused.",
    403: "The mailbox account may not do this. Check the folders of mlc.yaml, and its permissions in Cleo "
    "for them, and for connections where suppliers are such.",
    404: "Check the paths under `rest` in mlc.yaml with Cleo: they are not published.",
}
_object = partial(json_object, "Cleo", check="base_url and the paths under `rest`")
_broken = partial(broken, "Cleo", check="base_url and the paths under `rest`")


class RestMailbox:
    """The mailbox of one account."""

    def __init__(
        self,
        settings: Rest,
        user: str,
        password: str,
        *,
        budget: Budget,
        counter: CallCounter,
        clock: Clock,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._login = (user, password)
        common: dict[str, Any] = {
            "budget": budget,
            "counter": counter,
            "clock": clock,
            "timeout": TIMEOUT,
            "remedies": REMEDIES,
        }
        self._open = Http("Cleo", settings.base_url, **common)
        self.http = Http("Cleo", settings.base_url, auth=CachedAuth(self._token, clock=clock), **common)

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Upload a file. Repeated after a lost answer: the receiver tells repetitions by ISA13.

        409 says that the name was used: by us, as names are never used twice, so the file is there.
        """
        settings = self._settings
        common = {"repeatable": True, "answers": (409,)}
        if settings.form == "raw":
            headers = {"Content-Type": "application/octet-stream"}
            self._call(settings.upload, folder, name, data=content, headers=headers, **common)
            return
        boundary = uuid.uuid4().hex
        body = _multipart(boundary, settings.field, name, content)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        self._call(settings.upload, folder, name, data=body, headers=headers, **common)

    def list(self, folder: str) -> list[Listed]:
        """The files of a folder, page by page. A list that shifts shows the rest with the next look."""
        found: dict[str, Listed] = {}
        start = 0
        while True:
            parameters = {self._settings.start_parameter: start, self._settings.count_parameter: PAGE}
            response = self._call(self._settings.list, folder, "", params=parameters)
            total, items = _page(response)
            found |= {item.name: item for item in items}
            start += len(items)
            if not items or start >= total:
                return list(found.values())

    def get(self, folder: str, name: str) -> bytes | None:
        """A file's content; None when somebody else has taken it."""
        try:
            return self._call(self._settings.get, folder, name).content
        except Misconfigured as failure:
            if failure.status != 404:
                raise
            return None

    def delete(self, folder: str, name: str) -> None:
        """Remove a file."""
        try:
            self._call(self._settings.delete, folder, name, repeatable=True)
        except Misconfigured as failure:
            if failure.status != 404:
                raise

    def _call(self, call: RestCall, folder: str, name: str, **request: Any) -> requests.Response:
        path = call.path.format(folder=quote(folder, safe=""), name=quote(name, safe=""))
        return self.http.call(call.method, path, overrides={404: Misconfigured}, **request)

    def _token(self) -> Token:
        """Log in by the password grant; there is no client id and no scope (section 3)."""
        user, password = self._login
        form = urlencode({"grant_type": "password", "username": user, "password": password})
        response = self._open.call(
            "POST",
            self._settings.login,
            data=form.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            repeatable=True,
            overrides={400: Misconfigured},
        )
        answer = _object(response)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise _broken(response, "it has no access_token")
        return Token(token, self._clock.now() + _life(answer.get("expires_in")))


def _life(told: object) -> timedelta:
    """`expires_in` is not verified (section 3): a number, a text or nothing."""
    try:
        return timedelta(seconds=int(str(told)))
    except ValueError:
        return UNTOLD_LIFE


def _multipart(boundary: str, field: str, name: str, content: bytes) -> bytes:
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def _page(response: requests.Response) -> tuple[int, list[Listed]]:
    """The list body of section 4. Names of fields are assumed."""
    body = _object(response)
    resources = body.get("resources")
    if not isinstance(resources, list):
        raise _broken(response, "it has no `resources`")
    items = [Listed(str(each["name"]), each.get("size")) for each in resources if each.get("name")]
    return int(body.get("totalResults", len(items))), items
