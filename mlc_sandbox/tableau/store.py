"""What the site holds. Times are aware UTC; ids are LUIDs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


def luid() -> str:
    """A new id."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class User:
    """A user of a site. `name` is the e-mail address on Cloud."""

    id: str
    name: str
    full_name: str
    site_role: str
    auth: str = "ServerDefault"
    last_login: datetime | None = None


@dataclass(slots=True)
class Group:
    """A group and its members' ids."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    minimum_role: str | None = None


@dataclass(slots=True)
class Project:
    """A project; content belongs to one."""

    id: str
    name: str
    owner: str
    created: datetime
    parent: str | None = None
    description: str = ""
    permissions: str = "ManagedByOwner"


@dataclass(slots=True)
class Event:
    """What happened to a data source, for tests: what, by which job, with which words."""

    at: datetime
    what: str
    job: str | None = None
    note: str = ""


@dataclass(slots=True)
class DataSource:
    """A published data source. `file` names its .hyper; without one its data lives in another database."""

    id: str
    name: str
    project: str
    owner: str
    created: datetime
    updated: datetime
    connection: str
    file: str | None = None
    description: str = ""
    certified: bool = False
    tags: set[str] = field(default_factory=set)
    hidden_lists: int = 0
    history: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Upload:
    """An upload session: its chunks so far are the file."""

    id: str
    file: str
    began: datetime


@dataclass(slots=True)
class Job:
    """An asynchronous job. `work` is what it has still to do, None once it was done."""

    id: str
    kind: str
    created: datetime
    title: str
    work: Any
    datasource: str | None = None
    connection: str | None = None
    flow_run: str | None = None
    task: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    code: int | None = None
    note: str | None = None
    polls: int = 0
    stuck_until: datetime | None = None
    fault: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Task:
    """A scheduled refresh of an extract."""

    id: str
    datasource: str
    frequency: str
    start: str
    intervals: list[tuple[str, str]]
    incremental: bool = False
    failures: int = 0


@dataclass(slots=True)
class Flow:
    """A Prep flow."""

    id: str
    name: str
    project: str
    owner: str
    created: datetime


@dataclass(slots=True)
class FlowRun:
    """One run of a flow, by its job."""

    id: str
    flow: str
    job: str


@dataclass(slots=True)
class Webhook:
    """A webhook: which event goes to which address."""

    id: str
    name: str
    event: str
    url: str
    owner: str
    created: datetime
    enabled: bool = True
    reason: str = ""
    failures: int = 0


@dataclass(slots=True)
class Site:
    """A site with everything on it, by id."""

    id: str
    name: str
    content_url: str
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    datasources: dict[str, DataSource] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: dict[str, tuple[datetime, str]] = field(default_factory=dict)  # RequestID -> when, job
    tasks: dict[str, Task] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    flow_runs: dict[str, FlowRun] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)


@dataclass(slots=True)
class AccessToken:
    """A personal access token. `used` is the sandbox's date, as its expiry is counted in days."""

    name: str
    secret: str
    user: str
    used: datetime
    ends: date
    revoked: bool = False


@dataclass(slots=True)
class Session:
    """What an X-Tableau-Auth token stands for. `scopes` is None without a JWT."""

    token: str
    site: str
    user: str
    name: str
    began: datetime
    used: datetime
    pat: str | None = None
    scopes: frozenset[str] | None = None
