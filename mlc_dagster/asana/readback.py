"""The tasks of a model as their projects show them, to compare them with the ledger."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from mlc_dagster.asana.carry import LOOK
from mlc_dagster.asana.client import PAGE, AsanaClient
from mlc_dagster.asana.projects import Board, Projects
from mlc_dagster.asana.shape import Shape, Task
from mlc_dagster.delivery.destination import FoundRow

# Of a task itself, by the part's name in the contract; the rest are custom fields.
OWN = ("name", "notes", "due_on", "completed", "section")


class TaskReadBack:
    """Shows the parts the ERP owns; what people may change is theirs, and so are their tasks."""

    removes = False

    def __init__(
        self, client: AsanaClient, projects: Projects, shape: Shape, shared: Collection[str]
    ) -> None:
        self._client, self._projects, self._shape = client, projects, shape
        columns = shape.section.columns
        columns = {"notes": columns.get("lines", ""), **columns}
        self._shown = {part: column for part in OWN if (column := columns.get(part))}
        # Notes may hold a table of lines and be cut: they are not one column any more.
        self._parts = {part: column for part, column in self._shown.items() if part not in {*shared, "notes"}}

    def rows(self, company: str) -> Iterator[FoundRow]:  # noqa: ARG002 - a project holds those of all
        """Every task that carries a key, project by project, and its twin without one."""
        for board in self._projects.boards():
            place = self._projects.of_project(board.project)
            keys: dict[str, str] = {}
            keyless: list[Task] = []
            for task in board.tasks([*LOOK, "created_by.gid"]):
                if key := self._shape.key(task, board.fields):
                    keys[task["name"]] = key
                    values = {**place, **self._values(task, board)}
                    yield FoundRow(key, values, target_id=str(task["gid"]))
                else:
                    keyless.append(task)
            yield from self._twins(keyless, keys)

    def check(self) -> None:
        """Look at the projects and their fields."""
        self._projects.boards()

    def calls(self, rows: int) -> int:
        """Of each project its fields and a page of tasks at least."""
        return 2 * len(self._projects.known()) + rows // PAGE

    def as_shown(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The columns of a row as `rows` yields them; those a tombstone does not name are left out."""
        wanted = self._shape.wanted("", payload)
        parts = {
            column: _comparable(getattr(wanted, part))
            for part, column in self._parts.items()
            if column in payload
        }
        fields = {column: value for column, value in wanted.fields.items() if column in payload}
        return {**fields, **parts}

    def to_delete(self, row: FoundRow) -> dict[str, Any]:
        """All that is shown, its notes and project too: nothing changes but what a tombstone names."""
        due = self._shown.get("due_on")
        return {
            column: date.fromisoformat(value) if column == due and isinstance(value, str) else value
            for column, value in row.values.items()
        }

    def _twins(self, keyless: Iterable[Task], keys: Mapping[str, str]) -> Iterator[FoundRow]:
        """One report tells of a create that gave two tasks, the second without its fields.

        We made it, and it has the name of the other one: a template's tasks and those of people have not.
        """
        for task in keyless:
            if task["name"] in keys and (task.get("created_by") or {}).get("gid") == self._client.me:
                gid = str(task["gid"])
                yield FoundRow(gid, {}, target_id=gid, copy_of=keys[task["name"]])

    def _values(self, task: Task, board: Board) -> dict[str, Any]:
        shown = {part: task.get(part) for part in self._shown}
        if "section" in shown:
            shown["section"] = board.section_of(task)
        every = {column: shown[part] for part, column in self._shown.items()}
        compared = {column: shown[part] for part, column in self._parts.items()}
        return {**every, **self._shape.found(task, board.fields), **compared}


def _comparable(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
