"""What to write to a task that is there: the ERP's parts always, people's only while they still are ours."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlc_dagster.asana.shape import Wanted


@dataclass(frozen=True)
class Seen:
    """A task as it is; assignee is a gid, section a name, fields are by column."""

    name: str
    notes: str
    due_on: str | None
    completed: bool
    section: str | None
    assignee: str | None
    fields: Mapping[str, Any]


@dataclass
class Edits:
    """What has to change. parts: name, notes, due_on, completed, assignee; fields by column."""

    parts: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    section: str | None = None

    def __bool__(self) -> bool:
        return bool(self.parts or self.fields or self.section)


def blind_edits(before: Wanted, wanted: Wanted, shared: Collection[str]) -> Edits | None:
    """What to write without looking at the task: None when something people may have changed is concerned.

    None also when nothing differs: then somebody asked for this row to be sent again.
    """
    edits = Edits(
        fields={name: value for name, value in wanted.fields.items() if value != before.fields.get(name)}
    )
    for part in PARTS:
        if getattr(before, part) != (value := getattr(wanted, part)):
            if part in shared:
                return None
            _put(edits, part, value)
    return edits or None


def edits(
    before: Wanted | None,
    seen: Seen,
    wanted: Wanted,
    shared: Collection[str],
    changed: Callable[[], Collection[str]],
) -> Edits:
    """What to write to a task that was looked at. `before` is what was written last; where we do not know it,
    because the task was only found or its document has come back, `changed` says which parts people changed.
    """
    found = Edits(
        fields={name: value for name, value in wanted.fields.items() if value != seen.fields.get(name)}
    )
    for part in PARTS:
        now, value = getattr(seen, part), _comparable(part, getattr(wanted, part))
        if now == value or (part == "section" and value is None):
            continue
        if part not in shared:
            _put(found, part, getattr(wanted, part))
        elif part == "name" and before is not None and now.endswith(before.name) and before.name:
            # What people put before our name stays there.
            if not now.endswith(wanted.name):
                found.parts["name"] = now.removesuffix(before.name) + wanted.name
        elif part not in changed() if before is None else now == _comparable(part, getattr(before, part)):
            _put(found, part, getattr(wanted, part))
    return found


PARTS = ("name", "notes", "due_on", "completed", "assignee", "section")


def _put(found: Edits, part: str, value: Any) -> None:
    if part == "section":
        found.section = value
    else:
        found.parts[part] = value.isoformat() if part == "due_on" and value else value


def _comparable(part: str, value: Any) -> Any:
    return value.isoformat() if part == "due_on" and value is not None else value
