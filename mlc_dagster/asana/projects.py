"""The projects tasks live in: their custom fields, their sections, and those that are made when needed."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlc_dagster.asana.client import Action, AsanaClient, Object
from mlc_dagster.asana.shape import Bound, Declared, Shape, Task
from mlc_dagster.delivery.errors import InDoubtError, Stop
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.settings.asana import AsanaDestination
from mlc_dagster.transport.errors import InDoubt, Misconfigured, Refused

DEFINITION = ["name", "resource_subtype", "precision", "enum_options.name", "enum_options.enabled"]
FIELDS = [f"custom_field.{name}" for name in DEFINITION]
# Section 3: disabled options count too.
OPTIONS_AT_MOST = 500
# A project from a template is a job of seconds (section 4).
JOB_SECONDS, JOB_LOOKS = 2.0, 60
TOO_LONG = "The result is too large"

log = logging.getLogger(__name__)


class Fields:
    """Which custom field is which: bound by gid at set-up, because people rename fields."""

    NAME = "fields"

    def __init__(self, client: AsanaClient, memory: Memory) -> None:
        self._client, self._memory = client, memory

    @property
    def gids(self) -> Mapping[str, str]:
        """The gids by the name the contracts use."""
        return dict(self._memory.read(self.NAME).value)

    def remember(self, name: str, gid: str) -> None:
        """Bind a name to a field."""
        before = self._memory.read(self.NAME)
        self._memory.write(self.NAME, before, {**before.value, name: gid})

    def attached(self, project: str) -> dict[str, Object]:
        """The definitions of a project's custom fields by gid, as they are now."""
        settings = self._client.pages(f"/projects/{project}/custom_field_settings", FIELDS)
        return {str(each["custom_field"]["gid"]): each["custom_field"] for each in settings}

    def bound(self, project: str, declared: Sequence[Declared]) -> dict[str, Bound]:
        """The declared fields as a project has them.

        Raises Stop, naming each field that is missing or of another kind.
        """
        gids, there = self.gids, self.attached(project)
        found = {each.name: bind(there[gid]) for each in declared if (gid := gids.get(each.name)) in there}
        missing = [repr(each.name) for each in declared if each.name not in found]
        problems = [f"it lacks the custom fields {', '.join(missing)}"] if missing else []
        attached = [(each, found[each.name]) for each in declared if each.name in found]
        problems += [wrong for each, bound in attached if (wrong := _wrong(each, bound))]
        if problems:
            told = "; ".join(problems)
            raise Stop(f"Project {project}: {told}. Nothing was sent. Run `mlc asana setup`.")
        return found

    def attach(self, project: str, field: str) -> None:
        """Attach a field. Repeated after a lost answer it may be refused (section 19: uncertain)."""
        try:
            self._client.act(f"/projects/{project}/addCustomFieldSetting", {"custom_field": field})
        except Refused:
            if field not in self.attached(project):
                raise

    def add_options(self, field: Bound, names: Sequence[str]) -> Bound:
        """Make missing options, as many as there is room for, and return the field as it is then."""
        for name in names:
            if name in field.disabled:
                self._client.put(f"/enum_options/{field.disabled[name]}", {"enabled": True})
        missing = [name for name in names if name not in field.options and name not in field.disabled]
        room = max(0, OPTIONS_AT_MOST - len(field.options) - len(field.disabled))
        path = f"/custom_fields/{field.gid}/enum_options"
        self._client.create_all([Action("post", path, {"name": name}) for name in missing[:room]])
        return bind(self._client.get(f"/custom_fields/{field.gid}", DEFINITION))


def bind(definition: Mapping[str, Any]) -> Bound:
    """A field's definition as we use it. Of two options with one name the older counts."""
    options: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for option in definition.get("enum_options") or ():
        options[0 if option.get("enabled", True) else 1].setdefault(str(option["name"]), str(option["gid"]))
    return Bound(
        str(definition["gid"]),
        str(definition["name"]),
        str(definition["resource_subtype"]),
        definition.get("precision"),
        *options,
    )


def _wrong(declared: Declared, bound: Bound) -> str | None:
    if bound.kind != declared.kind:
        return f"the field {declared.name!r} is of type {bound.kind} now and was made as {declared.kind}"
    if declared.kind == "number" and (bound.precision or 0) < declared.precision:
        return f"the field {declared.name!r} keeps {bound.precision} decimals and needs {declared.precision}"
    return None


class Board:
    """One project: its fields as bound, its sections by our names."""

    def __init__(
        self, client: AsanaClient, memory: Memory, fields: Fields, project: str, shape: Shape
    ) -> None:
        self.project = project
        self._client, self._memory, self._all, self._shape = client, memory, fields, shape
        self.fields = fields.bound(project, list(shape.declared()))
        self._name = f"sections:{project}"
        self._there = {
            str(each["gid"]): str(each["name"]) for each in client.pages(f"/projects/{project}/sections")
        }

    def tasks(self, fields: Sequence[str], since: str | None = None) -> Iterator[Object]:
        """Its tasks, each once. since: modified no earlier. A list too long for Asana is read by section."""
        filters = {"modified_since": since} if since else {}
        seen: set[str] = set()
        try:
            for task in self._client.pages("/tasks", fields, project=self.project, **filters):
                seen.add(task["gid"])
                yield task
        except Refused as refused:
            # Section 6: tens of thousands end in a 400 on the last page.
            if TOO_LONG not in refused.excerpt:
                raise
            for section in self._there:
                for task in self._client.pages("/tasks", fields, section=section, **filters):
                    if task["gid"] not in seen:
                        seen.add(task["gid"])
                        yield task

    def section(self, name: str) -> str:
        """The gid of a section, made when there is none. It stays ours when people rename it."""
        remembered = self._memory.read(self._name)
        gid = remembered.value.get(name)
        if gid in self._there:
            return str(gid)
        # Names are not unique (section 4), so a section whose creation nobody answered is looked for first.
        found = next((each for each, title in self._there.items() if title == name), None)
        gid = found or str(self._client.create(f"/projects/{self.project}/sections", {"name": name})["gid"])
        self._there[gid] = name
        self._memory.write(self._name, remembered, {**remembered.value, name: gid})
        return gid

    def section_of(self, task: Task) -> str | None:
        """Our name of the section a task stands in, its own where it is none of ours, empty where it is newer
        than our look. None: the task is not in this project.
        """
        for each in task.get("memberships") or ():
            if (each.get("project") or {}).get("gid") == self.project:
                gid = str((each.get("section") or {}).get("gid", ""))
                ours = {str(known): name for name, known in self._memory.read(self._name).value.items()}
                return ours.get(gid, self._there.get(gid, ""))
        return None

    def make_room(self, values: Mapping[str, Sequence[str]]) -> None:
        """Make options for the values of each vocabulary, by column."""
        for column, names in values.items():
            wanted = self._shape.section.fields[column].name
            field = self.fields[wanted]
            if any(name not in field.options for name in names):
                self.fields[wanted] = self._all.add_options(field, names)


class Projects:
    """Which project a row belongs into. Each is looked at once by one object of this class."""

    def __init__(self, client: AsanaClient, memory: Memory, settings: AsanaDestination, shape: Shape) -> None:
        self._client, self._memory, self._settings, self._shape = client, memory, settings, shape
        self._fields = Fields(client, memory)
        self._boards: dict[str, Board] = {}

    def board(self, place: str | None) -> Board:
        """The project for a value of `project_by`, or the one project; a missing one is made."""
        gid = self.gid(place)
        return (self._there(gid) if gid else None) or self.of_gid(self._make(place or NOWHERE))

    def boards(self) -> list[Board]:
        """All projects that tasks of the model may be in."""
        return [board for gid in self.known() if (board := self._there(gid)) is not None]

    def gid(self, place: str | None) -> str | None:
        """The project for a value of `project_by`, or the one project; None where there is none yet."""
        if self._settings.project:
            return self._settings.project
        known = self._memory.read(self._name).value.get(place or NOWHERE)
        return str(known) if known else None

    def of_gid(self, gid: str) -> Board:
        """A project by its gid."""
        if gid not in self._boards:
            self._boards[gid] = Board(self._client, self._memory, self._fields, gid, self._shape)
        return self._boards[gid]

    def known(self) -> list[str]:
        """The gids of all projects that tasks of the model may be in."""
        if self._settings.project:
            return [self._settings.project]
        return sorted({str(gid) for gid in self._memory.read(self._name).value.values()})

    def place(self, payload: Mapping[str, Any]) -> str | None:
        """The value that names a row's project."""
        column = self._column
        return str(payload[column]) if column and payload.get(column) else None

    def of_project(self, gid: str) -> dict[str, str]:
        """The column that names a row's project, with its value for the rows of this one; empty where it has
        none.
        """
        if (column := self._column) is None:
            return {}
        places = {known: place for place, known in self._memory.read(self._name).value.items()}
        place = places.get(gid, NOWHERE)
        return {} if place == NOWHERE else {column: place}

    @property
    def _column(self) -> str | None:
        by = self._settings.project_by
        return self._shape.section.places.get(by) if by else None

    @property
    def _name(self) -> str:
        return f"projects:{self._shape.model}:{self._settings.project_by}"

    def _there(self, gid: str) -> Board | None:
        """A project; None for one that we have made and people have deleted, which is forgotten."""
        try:
            return self.of_gid(gid)
        except Misconfigured as gone:
            if gone.status != 404 or self._settings.project:
                raise
            log.warning("The project %s is gone: people have deleted it. Another is made when needed.", gid)
            before = self._memory.read(self._name)
            left = {place: each for place, each in before.value.items() if each != gid}
            self._memory.write(self._name, before, left)
            return None

    def _make(self, place: str) -> str:
        """Make a project with our fields, or adopt the one that an unanswered call has made."""
        name = f"{self._shape.model.replace('_', ' ').capitalize()}: {place}"
        try:
            gid = self._adopted(name) or (
                self._from_template(name) if self._settings.template else self._empty(name)
            )
        except InDoubt as lost:
            raise InDoubtError(f"Nobody said whether the project {name!r} was made. {lost}") from lost
        there = self._fields.attached(gid)
        for declared in self._shape.declared():
            field = self._fields.gids.get(declared.name)
            if field is None:
                raise Stop(f"The custom field {declared.name!r} is missing. Run `mlc asana setup`.")
            if field not in there:
                self._fields.attach(gid, field)
        before = self._memory.read(self._name)
        self._memory.write(self._name, before, {**before.value, place: gid})
        return gid

    def _adopted(self, name: str) -> str | None:
        """A project of this name. Where our database was put back from a copy, it may hold older tasks than
        the newest we know of: all projects are listed whole once.
        """
        if (found := self._named(name)) is not None:
            newest = newest_of(self._shape)
            self._memory.write(newest, self._memory.read(newest), {})
        return found

    def _named(self, name: str) -> str | None:
        projects = self._client.pages(f"/teams/{self._settings.team}/projects", ["name", "created_at"])
        found = sorted((each["created_at"], each["gid"]) for each in projects if each["name"] == name)
        return str(found[0][1]) if found else None

    def _empty(self, name: str) -> str:
        data = {"name": name, "team": self._settings.team, "workspace": self._client.workspace}
        return str(self._client.create("/projects", {**data, "default_view": "board"})["gid"])

    def _from_template(self, name: str) -> str:
        template = f"/project_templates/{self._settings.template}"
        dates = self._client.get(template, ["requested_dates.gid"]).get("requested_dates") or []
        today = self._client.clock.now().date().isoformat()
        asked = [{"gid": each["gid"], "value": today} for each in dates]
        data = {"name": name, "team": self._settings.team, "is_strict": False, "requested_dates": asked}
        job = self._client.create(f"{template}/instantiateProject", data)
        for _ in range(JOB_LOOKS):
            if job["status"] == "succeeded":
                return str(job["new_project"]["gid"])
            if job["status"] == "failed":
                raise Stop(f"Asana could not make the project {name!r} from its template.")
            self._client.clock.sleep(JOB_SECONDS)
            job = self._client.get(f"/jobs/{job['gid']}", ["status", "new_project"])
        raise InDoubtError(f"The project {name!r} is still being made from its template.")


def newest_of(shape: Shape) -> str:
    """What is remembered of when a model's newest task was made."""
    return f"newest:{shape.model}"


# Rows without a supplier, branch or ERP project.
NOWHERE = "None"
