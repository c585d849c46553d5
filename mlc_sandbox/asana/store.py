"""What an organisation holds. Plain data, picklable; objects name each other by gid."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

# text | number | option gid | date, with the time if it has one | gids of options or users
FieldValue = str | Decimal | date | datetime | tuple[str, ...]


@dataclass(eq=False)
class Entity:
    """Anything with a gid."""

    resource_type: ClassVar[str]

    gid: str


@dataclass(eq=False)
class Workspace(Entity):
    """The organisation."""

    resource_type = "workspace"

    name: str
    domains: tuple[str, ...]


@dataclass(eq=False)
class User(Entity):
    """A member."""

    resource_type = "user"

    name: str
    email: str


@dataclass(eq=False)
class Team(Entity):
    """Members by gid."""

    resource_type = "team"

    name: str
    members: list[str] = field(default_factory=list)


@dataclass(eq=False)
class TeamMembership(Entity):
    """A user in a team."""

    resource_type = "team_membership"

    team: str
    user: str


@dataclass(eq=False)
class Membership(Entity):
    """Access of a user or a team to a project."""

    resource_type = "membership"

    project: str
    member: str
    level: str


@dataclass(eq=False)
class Project(Entity):
    """A project; its sections and field settings in order."""

    resource_type = "project"

    name: str
    created: datetime
    modified: datetime
    owner: str | None
    team: str | None = None
    notes: str = ""
    privacy: str = "public_to_workspace"
    view: str = "list"
    color: str | None = None
    archived: bool = False
    completed: bool = False
    due_on: date | None = None
    start_on: date | None = None
    template: str | None = None
    sections: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    followers: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Section(Entity):
    """A section with its tasks in order."""

    resource_type = "section"

    name: str
    project: str
    created: datetime
    tasks: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Option(Entity):
    """An option of an enum field."""

    resource_type = "enum_option"

    name: str
    color: str = "none"
    enabled: bool = True


@dataclass(eq=False)
class Field(Entity):
    """A custom field. `kind` is its resource_subtype; `project` holds it when it is local to one."""

    resource_type = "custom_field"

    name: str
    kind: str
    created_by: str
    description: str = ""
    precision: int | None = None
    format: str = "none"
    currency: str | None = None
    label: str | None = None
    label_position: str | None = None
    options: list[Option] = field(default_factory=list)
    project: str | None = None
    locked: bool = False
    notifies: bool = False


@dataclass(eq=False)
class Setting(Entity):
    """A custom field on a project."""

    resource_type = "custom_field_setting"

    project: str
    field: str
    important: bool = False


@dataclass
class External:
    """What one app keeps at a task. `visible` is when `external:<gid>` begins to find it."""

    gid: str | None
    data: str | None
    visible: datetime


@dataclass(eq=False)
class Task(Entity):
    """A task or subtask. `places` is project gid to section gid; `values` is field gid to value."""

    resource_type = "task"

    name: str
    created: datetime
    modified: datetime
    created_by: str
    kind: str = "default_task"
    notes: str = ""
    html_notes: str | None = None
    assignee: str | None = None
    completed: bool = False
    completed_at: datetime | None = None
    completed_by: str | None = None
    approval: str | None = None
    due_on: date | None = None
    due_at: datetime | None = None
    start_on: date | None = None
    parent: str | None = None
    liked: bool = False
    trashed: datetime | None = None
    places: dict[str, str] = field(default_factory=dict)
    values: dict[str, FieldValue] = field(default_factory=dict)
    external: dict[str, External] = field(default_factory=dict)  # by app
    followers: list[str] = field(default_factory=list)
    subtasks: list[str] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    stories: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Story(Entity):
    """A comment, or what the system noted."""

    resource_type = "story"

    task: str
    created: datetime
    created_by: str
    text: str
    kind: str = "comment_added"
    html: str | None = None
    pinned: bool = False
    edited: bool = False
    source: str = "api"

    @property
    def is_comment(self) -> bool:
        """Written by somebody."""
        return self.kind == "comment_added"


@dataclass(eq=False)
class Variable:
    """A date or role that a template asks for."""

    gid: str
    name: str
    description: str = ""


@dataclass(eq=False)
class Template(Entity):
    """A project template: sections and the tasks in them, by name."""

    resource_type = "project_template"

    name: str
    team: str
    owner: str
    sections: dict[str, list[str]]
    dates: list[Variable]
    roles: list[Variable]


@dataclass(eq=False)
class Job(Entity):
    """An instantiation under way; what it fills in stands in `template`."""

    resource_type = "job"

    owner: str
    kind: str
    project: str
    template: str
    roles: dict[str, str]
    status: str = "not_started"
    polls: int = 0


@dataclass(eq=False)
class Delivery:
    """What a webhook's receiver still has to take; an empty list of events is a heartbeat."""

    events: list[dict[str, Any]]
    due: datetime


@dataclass(eq=False)
class Webhook(Entity):
    """A receiver. `seen` is the last event it was given, `failing` since when nothing succeeded."""

    resource_type = "webhook"

    resource: str
    target: str
    filters: list[dict[str, Any]]
    owner: str
    secret: str
    created: datetime
    heartbeat: datetime
    seen: int = 0
    active: bool = True
    failing: datetime | None = None
    retries: int = 0
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_failure_content: str = ""
    queue: list[Delivery] = field(default_factory=list)


@dataclass(eq=False)
class Event:
    """One entry of the event stream. `seen_by` are the resources whose stream it is in."""

    number: int
    at: datetime
    user: str
    action: str
    resource: dict[str, str]
    parent: dict[str, str] | None
    change: dict[str, Any] | None
    seen_by: frozenset[str]


KINDS: tuple[type[Entity], ...] = (
    Workspace,
    User,
    Team,
    TeamMembership,
    Membership,
    Project,
    Section,
    Field,
    Option,
    Setting,
    Task,
    Story,
    Template,
    Job,
    Webhook,
)
