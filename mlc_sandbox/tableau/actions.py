"""The actions of a data update as SQL (section 6 of the sheet). What that leaves open is a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIONS = ("insert", "replace", "update", "upsert", "delete")
_CERTAIN = {"eq": "=", "lt": "<", "gte": ">="}
_MORE = {"neq": "<>", "lte": "<=", "gt": ">"}
_CONSTANTS = {
    "boolean": "BOOL",
    "datetime": "TIMESTAMPTZ",
    "double": "DOUBLE PRECISION",
    "integer": "BIGINT",
    "string": "TEXT",
}


class ActionFailed(Exception):
    """The job fails; the text is its note."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The open questions, answered (the switches of the same names)."""

    by_position: bool = False
    ignore_unknown: bool = False
    null_missing: bool = True
    refuse_duplicates: bool = False
    null_equals_null: bool = False
    more_operators: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its columns: name -> type as the catalog names it."""

    schema: str
    name: str
    columns: Mapping[str, str] = field(hash=False)


Tables = Mapping[tuple[str, str], Table]
Action = Mapping[str, Any]


def malformed(body: Any) -> str | None:
    """What is wrong with the shape of a request's body; None when nothing is."""
    actions = body.get("actions") if isinstance(body, dict) else None
    if not isinstance(actions, list) or not actions:
        return "The body has no list `actions`."
    for action in actions:
        if not isinstance(action, dict) or action.get("action") not in ACTIONS:
            return f"Each action is one of {', '.join(ACTIONS)}."
        if not action.get("target-table"):
            return "An action has no target-table."
        if action["action"] in ("update", "upsert", "delete") and "condition" not in action:
            return f"{action['action']} needs a condition."
        if action["action"] in ("insert", "replace") and "condition" in action:
            return f"{action['action']} takes no condition."
    return None


def checks(action: Action, target: Tables, source: Tables, rules: Rules) -> Iterator[str]:
    """Queries that must not answer true: with `refuse_duplicates`, whether the source has a key twice."""
    if not rules.refuse_duplicates or action["action"] not in ("update", "upsert"):
        return
    work = _Work(action, target, source, rules)
    keys = ", ".join(quoted(name) for name in sorted(work.used))
    if keys:
        twice = f"SELECT 1 FROM {work.source_name} GROUP BY {keys} HAVING COUNT(*) > 1"
        yield f"SELECT EXISTS ({twice})"


def commands(action: Action, target: Tables, source: Tables, rules: Rules) -> Iterator[str]:
    """The SQL of one action. Raises ActionFailed."""
    work = _Work(action, target, source, rules)
    match action["action"]:
        case "insert":
            yield work.insert()
        case "replace":
            yield f"DELETE FROM {work.target_name}"
            yield work.insert()
        case "update":
            yield from work.update()
        case "upsert":
            yield from work.update()
            yield work.insert(missing_only=True)
        case "delete":
            yield work.delete()


class _Work:
    """One action with its tables found and its condition understood."""

    def __init__(self, action: Action, target: Tables, source: Tables, rules: Rules) -> None:
        self.rules = rules
        self.target = _find(target, action, "target")
        self.target_name = qualified("target", self.target.schema, self.target.name)
        has_source = action["action"] != "delete" or "source-table" in action
        self.source = _find(source, action, "source") if has_source else None
        self.source_name = qualified("payload", self.source.schema, self.source.name) if self.source else ""
        self.used: set[str] = set()  # source columns of the condition
        self.pairs = self._pairs() if self.source and action["action"] != "delete" else {}
        self.condition = self._condition(action["condition"]) if "condition" in action else ""

    def insert(self, *, missing_only: bool = False) -> str:
        """Rows of the source; with `missing_only` those that no row of the target matches."""
        columns = ", ".join(quoted(name) for name in self.pairs)
        values = ", ".join(f"s.{quoted(name)}" for name in self.pairs.values())
        text = f"INSERT INTO {self.target_name} ({columns}) SELECT {values} FROM {self.source_name} s"
        if missing_only:
            text += f" WHERE NOT EXISTS (SELECT 1 FROM {self.target_name} t WHERE {self.condition})"
        return text

    def update(self) -> Iterator[str]:
        """The columns that are no part of the condition."""
        changed = {name: origin for name, origin in self.pairs.items() if origin not in self.used}
        if changed:
            sets = ", ".join(f"{quoted(name)} = s.{quoted(origin)}" for name, origin in changed.items())
            yield f"UPDATE {self.target_name} t SET {sets} FROM {self.source_name} s WHERE {self.condition}"

    def delete(self) -> str:
        """By the source's rows, or by constants. A source column that decides nothing is an error."""
        if self.source is None:
            return f"DELETE FROM {self.target_name} t WHERE {self.condition}"
        unused = set(self.source.columns) - self.used
        if unused:
            raise ActionFailed(f"Source columns not used in the condition: {', '.join(sorted(unused))}.")
        return f"DELETE FROM {self.target_name} t USING {self.source_name} s WHERE {self.condition}"

    def _pairs(self) -> dict[str, str]:
        """Target column -> source column."""
        assert self.source is not None
        wanted, given = list(self.target.columns), list(self.source.columns)
        if self.rules.by_position:
            if len(given) > len(wanted):
                raise ActionFailed(f"The source has {len(given)} columns, the target {len(wanted)}.")
            pairs = dict(zip(wanted, given, strict=False))
        else:
            unknown = [name for name in given if name not in self.target.columns]
            if unknown and not self.rules.ignore_unknown:
                raise ActionFailed(f"Columns that the target does not have: {', '.join(unknown)}.")
            pairs = {name: name for name in given if name in self.target.columns}
        missing = [name for name in wanted if name not in pairs]
        if missing and not self.rules.null_missing:
            raise ActionFailed(f"Columns that the source does not have: {', '.join(missing)}.")
        return pairs

    def _condition(self, condition: Any) -> str:
        op = condition.get("op") if isinstance(condition, dict) else None
        if op == "and" or (self.rules.more_operators and op in ("or", "not")):
            inner = [self._condition(one) for one in condition.get("args") or []]
            if not inner or (op == "not" and len(inner) != 1):
                raise ActionFailed(f"The arguments of {op} are not understood.")
            return f"(NOT {inner[0]})" if op == "not" else f"({f' {op.upper()} '.join(inner)})"
        signs = _CERTAIN | (_MORE if self.rules.more_operators else {})
        if op not in signs:
            raise ActionFailed(f"The operator {op!r} is not understood.")
        left, right = self._operands(condition)
        if op == "eq" and self.rules.null_equals_null:
            return f"({left} IS NOT DISTINCT FROM {right})"
        return f"({left} {signs[op]} {right})"

    def _operands(self, condition: Mapping[str, Any]) -> tuple[str, str]:
        """Left the target's column (or the source's), right the other one or the constant."""
        found: list[str] = []
        kind = ""
        for side, alias, table in (("target-col", "t", self.target), ("source-col", "s", self.source)):
            name = condition.get(side)
            if name is None:
                continue
            if table is None or name not in table.columns:
                raise ActionFailed(f"There is no {side} {name!r}.")
            if alias == "s":
                self.used.add(name)
            kind = table.columns[name]
            found.append(f"{alias}.{quoted(name)}")
        if "const" in condition:
            found.append(_constant(condition["const"], kind))
        if len(found) != 2:
            raise ActionFailed(f"{condition.get('op')} compares two things, not {len(found)}.")
        return found[0], found[1]


def _constant(value: Any, kind: str) -> str:
    known = _CONSTANTS.get(value.get("type", "")) if isinstance(value, dict) else None
    if known is None:
        raise ActionFailed(f"A constant's type is one of {', '.join(_CONSTANTS)}.")
    text = value.get("v")
    plain = str(text).lower() if isinstance(text, bool) else str(text)
    return f"CAST(CAST({literal(plain)} AS {known}) AS {_sql_type(kind) if kind else known})"


def _sql_type(kind: str) -> str:
    """The catalog's names of types are not all SQL's."""
    names = {"BIG_INT": "BIGINT", "SMALL_INT": "SMALLINT", "DOUBLE": "DOUBLE PRECISION"}
    return (names | {"TIMESTAMP_TZ": "TIMESTAMPTZ"}).get(kind, kind)


def _find(tables: Tables, action: Action, side: str) -> Table:
    name, schema = action.get(f"{side}-table"), action.get(f"{side}-schema")
    found = [table for key, table in tables.items() if key[1] == name and schema in (None, key[0])]
    if len(found) != 1:
        raise ActionFailed(
            "com.tableausoftware.server.status.reporting.TableauRuntimeException: There was a problem "
            f"retrieving table information for the {side} table. Specified table does not exist: {name}. "
            "(errorCode=410012)"
        )
    return found[0]


def quoted(name: str) -> str:
    """An SQL name."""
    return '"' + name.replace('"', '""') + '"'


def qualified(database: str, schema: str, table: str) -> str:
    """An SQL name with database and schema."""
    return ".".join(quoted(part) for part in (database, schema, table))


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"
