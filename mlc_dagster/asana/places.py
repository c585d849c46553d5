"""Where a row's task belongs: into a project, or below the task of its document."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.asana.projects import Board, Projects
from mlc_dagster.asana.shape import Bound, Shape, Task
from mlc_dagster.transport.errors import Misconfigured

UNKEYED = ["name", "created_by.gid", "created_at", "custom_fields.gid", "custom_fields.text_value"]
KEYED = ["created_at", "custom_fields.gid", "custom_fields.text_value"]
Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where one task belongs: a `project` with its fields and sections, or below the task `parent`."""

    project: str | None = None
    parent: str | None = None
    board: Board | None = field(default=None, compare=False)

    @property
    def fields(self) -> Mapping[str, Bound]:
        """The custom fields there."""
        return self.board.fields if self.board else {}

    def section(self, name: str) -> str:
        """The gid of a section there."""
        if self.board is None:
            raise ValueError("A subtask stands in no section.")
        return self.board.section(name)

    def section_of(self, task: Task) -> str | None:
        """Our name of the section a task stands in; None where it is not in the project."""
        return self.board.section_of(task) if self.board else None


class Places(Protocol):
    """The places of a model's tasks."""

    def prepare(self, payloads: Sequence[Payload]) -> None:
        """Make what rows need before they are sent: projects, options of vocabularies."""
        ...

    def of(self, payload: Payload) -> Place:
        """The place of one row."""
        ...

    def project(self, payload: Payload) -> str | None:
        """The gid of a row's project, if there is one; none is made."""
        ...

    def unfit(self, payload: Payload) -> str | None:
        """Why there is no place for a row yet."""
        ...

    def keyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:
        """Tasks that carry a row's key, gid by key: the oldest of several. since: modified no earlier."""
        ...

    def unkeyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:
        """Tasks we made that carry no key, gid by name: the oldest of several. since: modified no earlier."""
        ...

    def begin(self) -> None:
        """A batch begins: lists that were read before it lack the tasks made since."""
        ...

    def lists(self, place: Place, gid: str) -> bool:
        """Whether a task made before this batch is in the list of its project or document."""
        ...


class Lists:
    """The gids in some lists. What one lacks is looked for once more where it was read before this batch."""

    def __init__(self, read: Callable[[str], Iterable[Task]]) -> None:
        self._read = read
        self._held: dict[str, frozenset[str]] = {}
        self._fresh: set[str] = set()

    def begin(self) -> None:
        """Another batch begins."""
        self._fresh.clear()

    def has(self, name: str, gid: str) -> bool:
        """Whether a list has a task."""
        if gid not in self._held.get(name, ()) and name not in self._fresh:
            self._held[name] = frozenset(str(task["gid"]) for task in self._read(name))
            self._fresh.add(name)
        return gid in self._held[name]


class InProjects:
    """Tasks of documents, found by their key field."""

    def __init__(self, client: AsanaClient, projects: Projects, shape: Shape) -> None:
        self._client, self._projects, self._shape = client, projects, shape
        self._lists = Lists(lambda project: projects.of_gid(project).tasks([]))

    def prepare(self, payloads: Sequence[Payload]) -> None:
        """Projects are made, and options for new values of vocabularies."""
        by_place: dict[str | None, list[Payload]] = {}
        for payload in payloads:
            by_place.setdefault(self._projects.place(payload), []).append(payload)
        for place, some in by_place.items():
            board = self._projects.board(place)
            board.make_room(self._vocabularies(some))
            for name in self._sections(some):
                board.section(name)

    def of(self, payload: Payload) -> Place:
        """The row's project."""
        board = self._projects.board(self._projects.place(payload))
        return Place(project=board.project, board=board)

    def project(self, payload: Payload) -> str | None:
        """The one we know."""
        return self._projects.gid(self._projects.place(payload))

    def unfit(self, payload: Payload) -> str | None:  # noqa: ARG002
        """There is a project for each row."""
        return None

    def keyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:  # noqa: ARG002
        """Listed, never searched: the search lags behind (section 7)."""
        found: dict[str, tuple[str, str]] = {}
        for board in self._projects.boards():
            for task in board.tasks(KEYED, since):
                if key := self._shape.key(task, board.fields):
                    mine = (str(task["created_at"]), str(task["gid"]))
                    found[key] = min(found.get(key, mine), mine)
        return {key: gid for key, (_, gid) in found.items()}

    def unkeyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:
        """Of the rows' projects only."""
        found: dict[str, tuple[str, str]] = {}
        boards = {board.project: board for payload in payloads if (board := self.of(payload).board)}
        for board in boards.values():
            for task in board.tasks(UNKEYED, since):
                if task["created_by"]["gid"] == self._client.me and not self._shape.key(task, board.fields):
                    mine = (str(task["created_at"]), str(task["gid"]))
                    found[task["name"]] = min(found.get(task["name"], mine), mine)
        return {name: gid for name, (_, gid) in found.items()}

    def begin(self) -> None:
        """The lists of projects."""
        self._lists.begin()

    def lists(self, place: Place, gid: str) -> bool:
        """In the project."""
        return place.project is not None and self._lists.has(place.project, gid)

    def _sections(self, payloads: Iterable[Payload]) -> list[str]:
        """The sections of rows, in the order of their first row."""
        column = self._shape.section.section
        return list(dict.fromkeys(str(row[column]) for row in payloads if column and row.get(column)))

    def _vocabularies(self, payloads: Iterable[Payload]) -> dict[str, list[str]]:
        columns = [name for name, each in self._shape.section.fields.items() if each.vocabulary]
        rows = list(payloads)
        return {column: sorted({str(row[column]) for row in rows if row.get(column)}) for column in columns}


class BelowTasks:
    """Subtasks of lines, found by the last line of their notes. `parents`: gid by key of the document."""

    def __init__(
        self, client: AsanaClient, shape: Shape, parents: Callable[[Sequence[str]], Mapping[str, str]]
    ) -> None:
        self._client, self._shape, self._parents = client, shape, parents
        self._known: dict[str, str] = {}
        self._lists = Lists(lambda parent: self._subtasks([parent]))

    def prepare(self, payloads: Sequence[Payload]) -> None:
        """Look up the documents' tasks."""
        self._known |= self._parents(
            sorted({self._key(payload) for payload in payloads} - self._known.keys())
        )

    def of(self, payload: Payload) -> Place:
        """Below its document's task."""
        if self._key(payload) not in self._known:
            self.prepare([payload])
        return Place(parent=self._known.get(self._key(payload)))

    def project(self, payload: Payload) -> str | None:  # noqa: ARG002
        """A subtask is in none."""
        return None

    def unfit(self, payload: Payload) -> str | None:
        """A line waits for its document."""
        if self.of(payload).parent:
            return None
        return f"The task of {self._key(payload)} is not there yet; the line goes with the next run."

    def keyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:  # noqa: ARG002
        """One call for each document (section 10)."""
        parents = {self.of(payload).parent for payload in payloads}
        found: dict[str, tuple[str, str]] = {}
        for task in self._subtasks(sorted(parent for parent in parents if parent)):
            if key := self._shape.key(task, {}):
                mine = (str(task["created_at"]), str(task["gid"]))
                found[key] = min(found.get(key, mine), mine)
        return {key: gid for key, (_, gid) in found.items()}

    def unkeyed(self, payloads: Sequence[Payload], since: str | None) -> dict[str, str]:  # noqa: ARG002
        """A subtask carries its key in its notes from the first."""
        return {}

    def begin(self) -> None:
        """The lists of subtasks."""
        self._lists.begin()

    def lists(self, place: Place, gid: str) -> bool:
        """Below the document's task."""
        return self._lists.has(str(place.parent), gid)

    def _subtasks(self, parents: Sequence[str]) -> Iterator[Task]:
        for parent in parents:
            try:
                yield from self._client.pages(f"/tasks/{parent}/subtasks", ["created_at", "notes"])
            except Misconfigured as gone:
                # People deleted the document's task, and its subtasks with it.
                if gone.status != 404:
                    raise

    def _key(self, payload: Payload) -> str:
        column = self._shape.section.parent_key
        return str(payload[column]) if column else ""
