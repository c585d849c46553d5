"""Checks before the first call that changes anything: model, imports, headers and codes."""

import codecs
from collections import Counter
from collections.abc import Sequence

from mlc_dagster.anaplan.answers import FileFormat, ImportAction, Model
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import LINE_BREAKS
from mlc_dagster.anaplan.imports import Action

LONGEST_CODE = 60
LIST, MODULE = "HIERARCHY_DATA", "MODULE_DATA"
KINDS = {LIST: "a list import", MODULE: "a module import"}

# vendors/anaplan.md sections 4 and 5: states in which no import can run.
CLOSED_STATES = {
    "ARCHIVED": "is archived: a workspace administrator must unarchive it",
    "LOCKED": "is locked: a workspace administrator must unlock it",
    "MAINTENANCE": "is in maintenance: wait, or ask a workspace administrator to bring it online",
    "PRODUCTION_MAINTENANCE": "is in maintenance: wait, or ask a workspace administrator to bring it online",
}


class PreflightFailed(Exception):
    """Something in the model or the settings must change before a delivery can start. Nothing was sent."""


def check_model(model: Model) -> None:
    """Refuse a model in which no import can run."""
    if model.state in CLOSED_STATES:
        raise PreflightFailed(f"Anaplan model {model.name!r} ({model.id}) {CLOSED_STATES[model.state]}.")


def find_import(imports: Sequence[ImportAction], wanted: str, kind: str) -> ImportAction:
    """The import of this id or exact name. It must be of the kind and read an uploaded file."""
    found = [action for action in imports if wanted in (action.id, action.name)]
    if not found:
        near = [action.name for action in imports if action.name.casefold() == wanted.strip().casefold()]
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else "The model builder must create it, or grant our role access."
        )
        raise PreflightFailed(f"Anaplan has no import {wanted!r} in this model. {hint}")
    if len(found) > 1:
        ids = ", ".join(action.id for action in found)
        raise PreflightFailed(
            f"{len(found)} imports are named {wanted!r}: name one of the ids {ids} in the settings."
        )
    action = found[0]
    if action.type != kind:
        raise PreflightFailed(
            f"Import {action.name!r} ({action.id}) is of type {action.type}; {KINDS[kind]} ({kind}) is "
            f"needed here. Correct the settings."
        )
    if not action.source_id.startswith("113"):
        raise PreflightFailed(
            f"Import {action.name!r} reads from {action.source_id or 'no source'}, which is no uploaded "
            f"file: the model builder must give it a file as its source."
        )
    return action


def resolve(client: AnaplanClient, imports: Sequence[ImportAction], wanted: str, kind: str) -> Action:
    """The import by name or id, with the layout of its file."""
    found = find_import(imports, wanted, kind)
    return Action(found.id, found.name, found.source_id, client.catalog.import_format(found.id))


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


def check_codes(codes: Sequence[str]) -> dict[str, str]:
    """Code -> why Anaplan could never take it.

    Raises:
        PreflightFailed: a code occurs twice. Anaplan would sum the numbers of both rows (section 11).
    """
    twice = [code for code, times in Counter(codes).items() if times > 1]
    if twice:
        raise PreflightFailed(
            f"{len(twice)} codes occur more than once, such as {twice[0]!r}: Anaplan would add up the "
            f"numbers of such rows. The mapping's key must be unique."
        )
    return {code: reason for code in codes if (reason := _code_problem(code))}


def _code_problem(code: str) -> str | None:
    if not code.strip():
        return "the code is empty"
    if len(code) > LONGEST_CODE:
        return f"the code has {len(code)} characters and Anaplan takes {LONGEST_CODE}"
    if code != code.strip():
        return "the code begins or ends with a blank, which Anaplan may cut off"
    if LINE_BREAKS.search(code):
        return "the code contains a line break, which would make a line of the file"
    return None
