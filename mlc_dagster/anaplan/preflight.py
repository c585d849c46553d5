"""Checks before the first call that changes anything: model, imports, headers and codes."""

import codecs
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlc_dagster.anaplan.answers import FileFormat, ImportAction, Model, NamedObject
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import LINE_BREAKS
from mlc_dagster.anaplan.taskrun import Action

LONGEST_CODE = 60
LIST, MODULE = "HIERARCHY_DATA", "MODULE_DATA"
KINDS = {LIST: "a list import", MODULE: "a module import"}

# vendors/anaplan.md sections 4 and 5: states in which no import can run.
CLOSED_STATES = {
    "ARCHIVED": "is archived: a workspace administrator must unarchive it",
    "LOCKED": "is locked: a workspace administrator must unlock it",
}
MAINTENANCE = frozenset({"MAINTENANCE", "PRODUCTION_MAINTENANCE"})

T = TypeVar("T", NamedObject, ImportAction)


class PreflightFailed(Exception):
    """Something in the model or the settings must change before a delivery can start. Nothing was sent."""


class Offline(Exception):
    """The model is in maintenance: it comes back without anybody who delivers to it."""


def check_model(model: Model) -> None:
    """Refuse a model in which no import can run.

    Raises:
        PreflightFailed: an administrator must open it first.
        Offline: it is in maintenance.
    """
    state = f"Anaplan model {model.name!r} ({model.id})"
    if model.state in MAINTENANCE:
        raise Offline(f"{state} is in maintenance.")
    if model.state in CLOSED_STATES:
        raise PreflightFailed(f"{state} {CLOSED_STATES[model.state]}.")


def named(objects: Sequence[T], wanted: str, kind: str) -> T:
    """The one object of this id or exact name; `kind` is what people call it, such as import.

    Raises:
        PreflightFailed: there is none, or there are several.
    """
    found = [thing for thing in objects if wanted in (thing.id, thing.name)]
    if not found:
        near = [thing.name for thing in objects if thing.name.casefold() == wanted.strip().casefold()]
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else "The model builder must create it, or grant our role access."
        )
        raise PreflightFailed(f"Anaplan has no {kind} {wanted!r} in this model. {hint}")
    if len(found) > 1:
        ids = ", ".join(thing.id for thing in found)
        raise PreflightFailed(
            f"{len(found)} objects of kind {kind} are named {wanted!r}: name one of the ids {ids} in the "
            f"settings."
        )
    return found[0]


def find_import(imports: Sequence[ImportAction], wanted: str, kind: str) -> ImportAction:
    """The import of this id or exact name. It must be of the kind and read an uploaded file."""
    action = named(imports, wanted, "import")
    if action.type != kind:
        raise PreflightFailed(
            f"Import {action.name!r} ({action.id}) is of type {action.type}; {KINDS[kind]} ({kind}) is "
            f"needed here. Correct the settings."
        )
    if not action.reads_a_file:
        raise PreflightFailed(
            f"Import {action.name!r} reads from {action.source_id or 'no source'}, which is no uploaded "
            f"file: the model builder must give it a file as its source."
        )
    return action


def resolve(client: AnaplanClient, wanted: str, kind: str, columns: Sequence[str]) -> Action:
    """The import by name or id, with a file that exists and has these columns."""
    return _with_layout(client, find_import(client.catalog.imports(), wanted, kind), columns)


@dataclass(frozen=True, slots=True)
class ProcessImports:
    """A process that passed pre-flight, and the imports in it that read our files."""

    id: str
    list_import: Action | None
    data_import: Action


def resolve_process(
    client: AnaplanClient, wanted: str, list_columns: Sequence[str], columns: Sequence[str]
) -> ProcessImports:
    """The process by name or id: at most one list import, then one module import, each with its own file.

    Its other steps may be anything that reads no uploaded file: deletes, exports, imports from other modules.
    """
    process = named(client.catalog.processes(), wanted, "process")
    known = {action.id: action for action in client.catalog.imports()}
    steps = [known.get(step.id, step) for step in client.catalog.process_steps(process.id)]
    readers = [step for step in steps if step.reads_a_file]
    kinds = [step.type for step in readers]
    if kinds not in ([LIST, MODULE], [MODULE]):
        there = ", ".join(f"{step.name!r} ({step.type})" for step in readers) or "none"
        raise PreflightFailed(
            f"Process {process.name!r} must hold at most one list import, then one module import, that read "
            f"uploaded files. Those it holds, in the order they run: {there}. A further one would read what "
            f"an earlier run left behind. The model builder must change the process."
        )
    if len({step.source_id for step in readers}) < len(readers):
        raise PreflightFailed(
            f"The imports of process {process.name!r} read one file. The model builder must give each a file "
            f"of its own."
        )
    data_import = _with_layout(client, readers[-1], columns)
    list_import = _with_layout(client, readers[0], list_columns) if len(readers) > 1 else None
    return ProcessImports(process.id, list_import, data_import)


def _with_layout(client: AnaplanClient, found: ImportAction, columns: Sequence[str]) -> Action:
    # Anaplan makes a stray file of an unknown id instead of refusing the upload (section 6).
    if not any(file.id == found.source_id for file in client.catalog.files()):
        raise PreflightFailed(
            f"The file {found.source_id} of import {found.name!r} does not exist any more. The model builder "
            f"must upload it once in the model and give it to the import."
        )
    action = Action(found.id, found.name, found.source_id, client.catalog.import_format(found.id))
    check_layout(action.name, action.layout, columns)
    return action


def check_layout(name: str, layout: FileFormat, columns: Sequence[str]) -> None:
    """The file's header must equal the import's, name by name and in order."""
    try:
        codecs.lookup(layout.encoding)
    except LookupError:
        raise PreflightFailed(
            f"Import {name!r} wants its file in {layout.encoding!r}, which is not known here. The model "
            f"builder must set the data source to UTF-8."
        ) from None
    if len(layout.separator) != 1 or len(layout.delimiter) > 1:
        raise PreflightFailed(
            f"Import {name!r}: separator {layout.separator!r} and text delimiter {layout.delimiter!r} must "
            f"be single characters. The model builder must change the data source."
        )
    if (layout.header_row, layout.first_data_row) != (1, 2):
        raise PreflightFailed(
            f"Import {name!r} expects its header in row {layout.header_row} and data from row "
            f"{layout.first_data_row}. The model builder must set them to 1 and 2."
        )
    if tuple(columns) != layout.headers:
        difference = _difference(columns, layout.headers)
        raise PreflightFailed(
            f"Import {name!r} expects other columns than the mapping has: {difference}. The model builder "
            f"uploads a file with the mapping's columns and maps them, or the mapping is changed."
        )


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    parts = []
    if missing := [name for name in ours if name not in theirs]:
        parts.append(f"the import lacks {', '.join(missing)}")
    if extra := [name for name in theirs if name not in ours]:
        parts.append(f"the mapping lacks {', '.join(extra)}")
    return "; ".join(parts) or f"the order differs, the import has {', '.join(theirs)}"


def code_problem(code: str, *, listed: bool = True) -> str | None:
    """Why Anaplan could never take a code; None where it can. `listed`: it becomes that of a list's item."""
    if not code.strip():
        return "the code is empty"
    if listed and len(code) > LONGEST_CODE:
        return f"the code has {len(code)} characters and Anaplan takes {LONGEST_CODE}"
    if code != code.strip():
        return "the code begins or ends with a blank, which Anaplan may cut off"
    if LINE_BREAKS.search(code):
        return "the code contains a line break, which would make a line of the file"
    return None


def equal_codes(codes: Sequence[str]) -> dict[str, str]:
    """Code -> why it is refused: another differs from it in case or blanks only.

    Whether Anaplan takes such codes for one is not documented (section 12). No row of them is sent where no
    list import would refuse the second before the numbers of both are added up.
    """
    return {
        code: f"{group[0]!r} and {group[1]!r} may be one code to Anaplan, which would add up their numbers"
        for group in _alike(codes)
        for code in group
    }


def renamed_codes(live: Sequence[str], deleted: Sequence[str]) -> dict[str, str]:
    """Code -> why it waits: it is deleted in other case or blanks by the same delivery, as after a rename.

    If both are one code to Anaplan, the mark of the delete would end up over the live row. Sent one after the
    other they end well, one code or two.
    """
    gone = set(deleted)
    return {
        code: f"{before[0]!r}, which may be the same code to Anaplan, is deleted first; the next run sends it"
        for group in _alike([*live, *deleted])
        if (before := [code for code in group if code in gone])
        for code in group
        if code not in gone
    }


def _alike(codes: Sequence[str]) -> list[list[str]]:
    """The codes that differ in case or blanks only, group by group."""
    groups = defaultdict(list)
    for code in codes:
        groups[" ".join(code.split()).casefold()].append(code)
    return [group for group in groups.values() if len(group) > 1]
