"""Validates what a client declares: datasets, tables, columns, measures, relationships."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlc_sandbox.powerbi.errors import bad_request, simple
from mlc_sandbox.powerbi.values import TYPES

MOST = 75  # columns of a table, tables, relationships
MODES = ("Push", "PushStreaming")
_TABLE_NAME = re.compile(r"[\t\n\r #\-0-9@-Z^-_a-z~-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{1,100}")
_FIELD_NAME = re.compile(r"[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_TEXT, _LIST, _FLAG = str, list, bool

# Property to type; a star marks required ones (the definitions of swagger.json).
_DATASET = {
    "name*": _TEXT,
    "tables*": _LIST,
    "relationships": _LIST,
    "datasources": _LIST,
    "defaultMode": _TEXT,
}
_TABLE = {
    "name*": _TEXT,
    "columns*": _LIST,
    "rows": _LIST,
    "measures": _LIST,
    "isHidden": _FLAG,
    "description": _TEXT,
    "source": _LIST,
}
_COLUMN = {
    "name*": _TEXT,
    "dataType*": _TEXT,
    "formatString": _TEXT,
    "sortByColumn": _TEXT,
    "dataCategory": _TEXT,
    "isHidden": _FLAG,
    "summarizeBy": _TEXT,
}
_MEASURE = {
    "name*": _TEXT,
    "expression*": _TEXT,
    "formatString": _TEXT,
    "description": _TEXT,
    "isHidden": _FLAG,
}
_RELATIONSHIP = {
    "name*": _TEXT,
    "fromTable*": _TEXT,
    "fromColumn*": _TEXT,
    "toTable*": _TEXT,
    "toColumn*": _TEXT,
    "crossFilteringBehavior": _TEXT,
}
_DIRECTIONS = ("OneDirection", "BothDirections", "Automatic")
_SUMMARIES = ("default", "none", "sum", "min", "max", "count", "average", "distinctcount")


def check_dataset(body: Any) -> None:
    """A create request. Raises ApiError 400 that names everything wrong with it."""
    problems = _shape(body, _DATASET, "dataset")
    if problems:
        raise bad_request(*problems)
    mode = body.get("defaultMode", "Push")
    if mode not in MODES:
        raise simple(400, "InvalidRequest", f"defaultMode {mode!r} is not supported here.")
    for table in body["tables"]:
        problems += _table(table)
    if problems:
        raise bad_request(*problems)
    if mode == "PushStreaming":
        _refuse_extras(body["tables"])
    problems += _model(body["tables"], body.get("relationships", []))
    if problems:
        raise bad_request(*problems)


def check_table(body: Any, name: str, others: Sequence[Mapping[str, Any]]) -> None:
    """A table of a PUT; `others` are the model's other tables. Raises ApiError 400."""
    problems = _table(body)
    if not problems and body["name"] != name:
        problems.append(f"The table in the path is '{name}', in the body '{body['name']}'.")
    if not problems:
        problems += _measure_names([body, *others])
    if problems:
        raise bad_request(*problems, target="table")


def _shape(body: Any, properties: Mapping[str, type], what: str) -> list[str]:
    """Unknown and missing properties, and values of a wrong kind. Keys are case-sensitive."""
    if not isinstance(body, dict):
        return [f"The {what} is no JSON object."]
    known = {name.rstrip("*"): kind for name, kind in properties.items()}
    problems = [
        f"The property '{name}' does not exist on type '{what}'. Make sure to only use property names that "
        "are defined by the type."
        for name in body
        if name not in known
    ]
    problems += [
        f"The property '{name[:-1]}' of the {what} is required."
        for name in properties
        if name.endswith("*") and body.get(name[:-1]) is None
    ]
    problems += [
        f"The property '{name}' of the {what} takes {kind.__name__}."
        for name, kind in known.items()
        if body.get(name) is not None and not isinstance(body[name], kind)
    ]
    return problems


def _table(body: Any) -> list[str]:
    problems = _shape(body, _TABLE, "table")
    if problems:
        return problems
    name, columns, measures = body["name"], body["columns"], body.get("measures") or []
    if not _TABLE_NAME.fullmatch(name):
        problems.append(
            f"The table name '{name}' is not allowed: 1 to 100 letters, digits, blanks and # - @ ^ _ ~."
        )
    if not 0 < len(columns) <= MOST:
        problems.append(f"Table '{name}' has {len(columns)} columns; 1 to {MOST} are allowed.")
    for column in columns:
        problems += _column(column, name)
    for measure in measures:
        problems += _shape(measure, _MEASURE, "measure")
    if problems:
        return problems
    problems += _repeated([column["name"] for column in columns], f"column of table '{name}'")
    names = {column["name"] for column in columns}
    problems += [
        f"sortByColumn '{column['sortByColumn']}' of {name}[{column['name']}] is no column of the table."
        for column in columns
        if column.get("sortByColumn") is not None and column["sortByColumn"] not in names
    ]
    return problems


def _column(body: Any, table: str) -> list[str]:
    problems = _shape(body, _COLUMN, "column")
    if problems:
        return problems
    if not _FIELD_NAME.fullmatch(body["name"]):
        problems.append(f"The column name '{body['name']}' of table '{table}' is not allowed.")
    if body["dataType"].lower() not in TYPES:
        problems.append(f"The dataType '{body['dataType']}' of {table}[{body['name']}] is not valid.")
    if body.get("summarizeBy") is not None and body["summarizeBy"].lower() not in _SUMMARIES:
        problems.append(f"summarizeBy '{body['summarizeBy']}' of {table}[{body['name']}] is not valid.")
    return problems


def _repeated(names: Sequence[str], what: str) -> list[str]:
    """Names are compared without regard to case."""
    lower = [name.lower() for name in names]
    return [
        f"The name '{name}' is given to more than one {what}."
        for place, name in enumerate(names)
        if name.lower() in lower[:place]
    ]


def _measure_names(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    return _repeated([m["name"] for table in tables for m in table.get("measures") or []], "measure")


def _refuse_extras(tables: Sequence[Mapping[str, Any]]) -> None:
    """PushStreaming knows only name and dataType of a column (section 3)."""
    if any(set(column) - {"name", "dataType"} for table in tables for column in table["columns"]):
        raise simple(400, "InvalidRequest", "PushStreaming columns have a name and a dataType, nothing else.")


def _model(tables: Sequence[Mapping[str, Any]], relationships: Sequence[Any]) -> list[str]:
    if not 0 < len(tables) <= MOST or len(relationships) > MOST:
        return [f"A dataset has 1 to {MOST} tables and at most {MOST} relationships."]
    problems = _repeated([table["name"] for table in tables], "table") + _measure_names(tables)
    for relationship in relationships:
        problems += _shape(relationship, _RELATIONSHIP, "relationship")
    if problems:
        return problems
    types = {
        (table["name"], column["name"]): TYPES[column["dataType"].lower()]
        for table in tables
        for column in table["columns"]
    }
    for relationship in relationships:
        problems += _relationship(relationship, types)
    problems += _repeated([relationship["name"] for relationship in relationships], "relationship")
    return problems or _paths(relationships)


def _relationship(body: Mapping[str, Any], types: Mapping[tuple[str, str], str]) -> list[str]:
    name = body["name"]
    ends = [(body["fromTable"], body["fromColumn"]), (body["toTable"], body["toColumn"])]
    problems = [
        f"Relationship '{name}': there is no column {table}[{column}]."
        for table, column in ends
        if (table, column) not in types
    ]
    if not _TABLE_NAME.fullmatch(name):
        problems.append(f"The relationship name '{name}' is not allowed.")
    if not problems and types[ends[0]] != types[ends[1]]:
        problems.append(f"Relationship '{name}' joins {types[ends[0]]} to {types[ends[1]]}.")
    if body.get("crossFilteringBehavior", _DIRECTIONS[0]) not in _DIRECTIONS:
        problems.append(f"crossFilteringBehavior of '{name}' is one of {', '.join(_DIRECTIONS)}.")
    return problems


def _paths(relationships: Sequence[Mapping[str, Any]]) -> list[str]:
    """Two ways from one table to another are ambiguous; a way back to itself is a circle."""
    steps: dict[str, list[str]] = {}
    for body in relationships:
        steps.setdefault(body["fromTable"], []).append(body["toTable"])
    for start in steps:
        waiting, reached = [start], {start}
        while waiting:
            for table in steps.get(waiting.pop(), []):
                if table in reached:
                    return [f"There are ambiguous paths between '{start}' and '{table}'."]
                reached.add(table)
                waiting.append(table)
    return []
