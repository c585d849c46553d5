"""Tableau's REST API for one site, and nothing else (vendors/tableau.md).

Why not tableauserverclient: it sets no timeout, repeats nothing, hides refusals in lists and waits for a job
until a date parses (sections 1 and 7). It drives the sandbox in tests instead.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import requests

from mlc_dagster.clock import Clock
from mlc_dagster.tableau import wire
from mlc_dagster.tableau.auth import SharedSession
from mlc_dagster.transport.answers import broken
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import Again, CallFailed, InDoubt, Misconfigured, Refused
from mlc_dagster.transport.session import CallCounter, Http

# A call nobody answered may still run for as long as this: quiet times are longer.
TIMEOUT = (10, 120)
# Bytes of a download: an extract, which Tableau compresses.
LARGEST = 2 * 2**30
PAGE = 1000
# At most 64 MB (section 5).
CHUNK = 32 * 2**20
UPLOADS_AT_MOST = 3
REMEDIES: Mapping[int, str] = {
    401: "The session was refused twice. Check the access token, or the scopes of the Connected App.",
    403: "The user has no right to do this. It needs the role Creator or a site administrator, and the right "
    "to publish in the project; 403008 means that the site's storage is full.",
    404: "Tableau does not show this. Check site and project; see docs/tableau.md, Errors.",
}
SUCCESS, FAILED = (0, 3), (1, 2)
# Of a write: not repeated; an upload session or a data source that is gone is no matter of the settings.
ONCE: Mapping[str, Any] = {"repeatable": False, "overrides": {404: Refused}}
ASKED = re.compile(r"[\w \-.()]+")
EVENT_PREFIX = "webhook-source-event-"
WAITING = ("Pending", "InProgress")
REFRESHES = ("refresh_extracts", "increment_extracts", "flow")
OTHER_JOBS = (*REFRESHES, "subscription")


@dataclass(frozen=True)
class JobState:
    """A job as it shows. code: 0, 3 success, 1 failed, 2 cancelled; None: not told. note: Tableau's words."""

    ended: bool
    code: int | None
    note: str

    @property
    def succeeded(self) -> bool:
        """It came to a good end."""
        return self.ended and self.code in SUCCESS

    @property
    def failed(self) -> bool:
        """It came to a bad end."""
        return self.ended and self.code in FAILED


@dataclass(frozen=True)
class Found:
    """Something with an id and a name."""

    id: str
    name: str


@dataclass(frozen=True)
class Published(Found):
    """A published data source; project: the id of its project."""

    description: str
    project: str


@dataclass(frozen=True)
class Hook:
    """A webhook: the event it tells of, and the address it calls, which holds a secret."""

    id: str
    event: str
    url: str = field(repr=False)
    enabled: bool


@dataclass(frozen=True)
class RefreshTask:
    """A schedule that refreshes an extract. kind: datasource or workbook; failures: in a row, up to now."""

    kind: str
    target: str
    failures: int


@dataclass(frozen=True)
class RefreshRun:
    """One refresh of an extract or run of a flow that has ended. kind: the list's word for which of them.

    created: as Tableau writes it (UTC).
    """

    job: str
    kind: str
    title: str
    created: str
    failed: bool


class TableauClient:
    """One site. All methods raise transport's CallFailed."""

    def __init__(
        self,
        base_url: str,
        session: SharedSession,
        *,
        calls: Budget,
        content: Budget,
        counter: CallCounter,
        clock: Clock,
    ) -> None:
        """`base_url`: with the API's version. `content`: the budget of publishing and updating."""
        self.clock, self._session, self._content = clock, session, content
        self.http = Http(
            "Tableau",
            base_url,
            auth=session,
            budget=calls,
            counter=counter,
            clock=clock,
            timeout=TIMEOUT,
            remedies=REMEDIES,
            words=wire.words,
            lockout=wire.lockout,
            largest=LARGEST,
        )

    # -- what there is --------------------------------------------------------------------------------------

    def project(self, name: str) -> str | None:
        """The id of a project at the top of the site (section 4)."""
        found = self._pages("/projects", "projects/project", **_named(name))
        return next((each.get("id", "") for each in found if _top(each, name)), None)

    def create_project(self, name: str) -> str:
        """Create one at the top of the site; the id. Not repeatable."""
        attributes = {"name": name, "contentPermissions": "ManagedByOwner"}
        data = wire.request("project", attributes)
        answer = self._call("POST", "/projects", data=data, headers=wire.XML, repeatable=False)
        return _element(answer, "project").get("id", "")

    def datasource(self, id: str) -> Published | None:
        """The data source of this id; None when there is none."""
        response = self._response("GET", f"/datasources/{id}", answers=(404,))
        if response.status_code == 404:
            return None
        found = _element(_root(response), "datasource")
        project = _element(found, "project").get("id", "")
        return Published(id, found.get("name", ""), found.get("description", ""), project)

    def datasource_named(self, name: str, project: str) -> str | None:
        """The id of the data source of this name in a project; new ones may show late (section 1)."""
        for each in self._pages("/datasources", "datasources/datasource", **_named(name)):
            inside = wire.find(each, "project")
            same = each.get("name", "").casefold() == name.casefold()
            if same and inside is not None and inside.get("id") == project:
                return each.get("id", "")
        return None

    def users(self) -> Iterator[Found]:
        """The users of the site; the name is an e-mail address on Cloud (section 11)."""
        yield from map(_found, self._pages("/users", "users/user"))

    def groups(self) -> Iterator[Found]:
        """The groups of the site."""
        yield from map(_found, self._pages("/groups", "groups/group"))

    def download(self, id: str, path: Path) -> bool:
        """Write a data source to a file: a .tdsx, or a .hyper (section 9). False where it is gone."""
        response = self._response("GET", f"/datasources/{id}/content", answers=(404,))
        if response.status_code == 404:
            return False
        path.write_bytes(response.content)
        return True

    # -- writing --------------------------------------------------------------------------------------------

    def upload(self, path: Path) -> str:
        """Upload a file in chunks; the id of the upload session, which is used once (section 5).

        A chunk has no number. One without an answer may be there or not: all begins again in a new session.
        """
        for _ in range(UPLOADS_AT_MOST - 1):
            try:
                return self._uploaded(path)
            except InDoubt:
                continue
            except Refused as refused:
                if refused.status != 404:
                    raise
        try:
            return self._uploaded(path)
        except InDoubt as doubt:
            # Nothing uses that session: nothing has happened.
            raise Again("Tableau", doubt.method, doubt.path, excerpt_text=doubt.excerpt) from doubt

    def publish(
        self, name: str, description: str, project: str, upload: str, *, leaving: Callable[[], None]
    ) -> str:
        """Publish an uploaded .hyper in place of what has this name; the job's id. InDoubt: it may happen.

        `leaving`: as of transport's `Http.call`.
        """
        self._content.acquire()
        payload = wire.request(
            "datasource", {"name": name, "description": description}, ("project", {"id": project})
        )
        body, headers = wire.multipart(payload)
        path = f"/datasources?datasourceType=hyper&overwrite=true&asJob=true&uploadSessionId={upload}"
        answer = self._call("POST", path, data=body, headers=headers, leaving=leaving, **ONCE)
        return _element(answer, "job").get("id", "")

    def update(
        self, id: str, actions: Sequence[Mapping[str, Any]], request_id: str, upload: str | None
    ) -> str:
        """Change the rows of a data source; the job's id (section 6).

        Tableau carries one `request_id` out once in 24 hours. InDoubt: it may happen.
        """
        self._content.acquire()
        path = f"/datasources/{id}/data" + (f"?uploadSessionId={upload}" if upload else "")
        headers = {"RequestID": request_id, "Accept": "application/xml"}
        answer = self._call("PATCH", path, json={"actions": list(actions)}, headers=headers, **ONCE)
        return _element(answer, "job").get("id", "")

    # -- jobs -----------------------------------------------------------------------------------------------

    def job(self, id: str) -> JobState | None:
        """How a job stands; None when Tableau does not know it (section 7).

        It has ended when it says when, in whatever form: its code is 1 while it runs.
        """
        response = self._response("GET", f"/jobs/{id}", answers=(404,))
        if response.status_code == 404:
            return None
        job = _element(_root(response), "job")
        code = job.get("finishCode", "")
        notes = [each.get("text") or each.text or "" for each in job.iter() if _says(each)]
        return JobState(bool(job.get("completedAt")), int(code) if code.isdigit() else None, "; ".join(notes))

    def waiting(self, since: datetime) -> bool:
        """Whether a job that may write a data source waits or runs, created since then.

        How the list calls our jobs is not known (section 7), so every job counts that is certainly no other.
        """
        return any(
            job.get("status") in WAITING and not any(word in job.get("jobType", "") for word in OTHER_JOBS)
            for job in self._jobs_since(since)
        )

    def refresh_tasks(self) -> Iterator[RefreshTask]:
        """The refresh tasks we may see, of data sources and workbooks (section 8)."""
        for task in wire.every(self._call("GET", "/tasks/extractRefreshes"), "tasks/task/extractRefresh"):
            failures = int(task.get("consecutiveFailedCount", "0"))
            for kind in ("datasource", "workbook"):
                if (target := wire.find(task, kind)) is not None:
                    yield RefreshTask(kind, target.get("id", ""), failures)

    def refresh_runs(self, since: datetime) -> Iterator[RefreshRun]:
        """The refreshes and flows that were started since then and have ended (section 7)."""
        for job in self._jobs_since(since):
            kind, status = job.get("jobType", ""), job.get("status")
            if any(word in kind for word in REFRESHES) and status in ("Success", "Failed"):
                created = job.get("createdAt", "")
                title = job.get("title", "")
                yield RefreshRun(job.get("id", ""), kind, title, created, status == "Failed")

    def run_task(self, id: str) -> None:
        """Start an extract refresh task now (section 8)."""
        path = f"/tasks/extractRefreshes/{id}/runNow"
        self._response("POST", path, data=b"<tsRequest/>", headers=wire.XML, repeatable=False)

    def run_flow(self, id: str) -> None:
        """Start a flow now."""
        self._response("POST", f"/flows/{id}/run", data=b"<tsRequest/>", headers=wire.XML, repeatable=False)

    # -- webhooks -------------------------------------------------------------------------------------------

    def webhooks(self) -> list[Hook]:
        """All webhooks of the site; only a site administrator sees them (section 10)."""
        found = wire.every(self._call("GET", "/webhooks"), "webhooks/webhook")
        return [_hook(each) for each in found]

    def create_webhook(self, name: str, event: str, url: str) -> None:
        """Let Tableau post to an https address when something happens. Not repeatable."""
        root = Element("tsRequest")
        webhook = SubElement(root, "webhook", {"name": name})
        SubElement(SubElement(webhook, "webhook-source"), EVENT_PREFIX + event)
        destination = SubElement(webhook, "webhook-destination")
        SubElement(destination, "webhook-destination-http", {"method": "POST", "url": url})
        self._response("POST", "/webhooks", data=wire.body(root), headers=wire.XML, repeatable=False)

    def enable_webhook(self, id: str) -> None:
        """Switch one on again that Tableau has switched off."""
        data = wire.request("webhook", {"isEnabled": "true"})
        self._response("PUT", f"/webhooks/{id}", data=data, headers=wire.XML)

    def delete_webhook(self, id: str) -> None:
        """Delete one; that it is gone already is as good."""
        self._response("DELETE", f"/webhooks/{id}", answers=(404,))

    # -- calls ----------------------------------------------------------------------------------------------

    def _jobs_since(self, since: datetime) -> Iterator[Element]:
        created = f"createdAt:gte:{since:%Y-%m-%dT%H:%M:%SZ}"
        yield from self._pages("/jobs", "backgroundJobs/backgroundJob", filter=created)

    def _uploaded(self, path: Path) -> str:
        started = self._call("POST", "/fileUploads", data=b"", headers=wire.XML, repeatable=True)
        session = _element(started, "fileUpload").get("uploadSessionId", "")
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                body, headers = wire.multipart(b"", chunk)
                place = f"/fileUploads/{session}"
                self._response("PUT", place, data=body, headers=headers, **ONCE)
        return session

    def _pages(self, path: str, items: str, **params: str) -> Iterator[Element]:
        number = 1
        while True:
            asked = {"pageSize": PAGE, "pageNumber": number, **params}
            root = self._call("GET", path, params=asked)
            found = wire.every(root, items)
            yield from found
            pagination = wire.find(root, "pagination")
            total = int(pagination.get("totalAvailable", "0")) if pagination is not None else 0
            if not found or number * PAGE >= total:
                return
            number += 1

    def _call(self, method: str, path: str, **request: Any) -> Element:
        return _root(self._response(method, path, **request))

    def _response(self, method: str, path: str, **request: Any) -> requests.Response:
        overrides = {404: Misconfigured, **request.pop("overrides", {})}
        place = f"/sites/{self._session.site}{path}"
        return self.http.call(method, place, overrides=overrides, **request)


def _root(response: requests.Response) -> Element:
    root = wire.read(response)
    if root is None:
        raise broken("Tableau", response, "it is not Tableau's XML", check="server_url")
    return root


def _element(root: Element, name: str) -> Element:
    found = wire.find(root, name)
    if found is None:
        remedy = "The answer is not what Tableau documents. Check api_version; report it if it stays."
        raise CallFailed("Tableau", "-", name, excerpt_text=f"the answer has no {name}", remedy=remedy)
    return found


def _named(name: str) -> dict[str, str]:
    """The filter for a name. Not every character can be asked for (section 1): then all are looked at."""
    return {"filter": f"name:eq:{name}"} if ASKED.fullmatch(name) else {}


def _found(element: Element) -> Found:
    return Found(element.get("id", ""), element.get("name", ""))


def _hook(element: Element) -> Hook:
    source = wire.find(element, "webhook-source")
    names = [event.tag.removeprefix(wire.NAMESPACE) for event in source] if source is not None else []
    http = wire.find(element, "webhook-destination/webhook-destination-http")
    return Hook(
        element.get("id", ""),
        names[0].removeprefix(EVENT_PREFIX) if names else "",
        http.get("url", "") if http is not None else "",
        # Servers that do not know the attribute do not switch any off.
        element.get("isEnabled", "true") == "true",
    )


def _top(element: Element, name: str) -> bool:
    return element.get("name", "").casefold() == name.casefold() and not element.get("parentProjectId")


def _says(element: Element) -> bool:
    tag = element.tag.removeprefix(wire.NAMESPACE)
    return tag in ("notes", "statusNote")
