"""The contract, row by row: SQL that casts a model's output strictly and says why a row is refused."""

from collections.abc import Callable, Iterator, Mapping

from mlc_dagster.mappings.contract import Check
from mlc_dagster.mappings.model import Model
from mlc_dagster.mappings.template import literal
from mlc_dagster.mappings.types import cast, shown

# Refusals travel as one text: check and reason split by US, several of them by RS (the ASCII separators).
FIELD, ITEM = "\x1f", "\x1e"
Relations = Callable[[Check], str]


def cast_sql(model: Model, types: Mapping[str, str]) -> str:
    """From `output` (`_row`, identity, the model's columns): its rows in the contract's types, and `_faults`.

    `types` gives the DuckDB type of each column. `_faults` is empty where every value fits.
    """
    identity = [f"cast({name} as varchar) as {name}" for name in model.contract.identity]
    values, reasons = [], ["case when source_key is null then 'source_key: it is empty' end"]
    for name, column in model.contract.columns.items():
        made = cast(name, column.column_type, column.max_length, types[name])
        values.append(f'{made.value} as "{name}"')
        reasons.append(made.reason)
    faults = ", ".join(_fault("types", reason) for reason in reasons if reason != "null")
    columns = ", ".join(["_row", *identity, *values])
    return f"select {columns}, concat_ws('{ITEM}', {faults}) as _faults from output"


def judge_sql(model: Model, relation: Relations) -> str:
    """From `typed` (what cast_sql made): the rows with the faults of the key and of row-level tests added.

    `relation` gives the SQL of the values (for relationships) or keys (for SQL tests) a check looks into.
    """
    faults = [*_key_faults(model)]
    for check in model.checks:
        if check.row_level and check.severity == "error":
            faults.append(_fault(check.name, _failing(check, model, relation)))
    tests = f"concat_ws('{ITEM}', {', '.join(faults)})"
    columns = ", ".join(f'"{name}"' for name in ("_row", *model.schema.names))
    return f"select {columns}, case when _faults = '' then {tests} else _faults end as _faults from typed"


def failing_condition(check: Check, model: Model, relation: Relations, rows: str) -> str:
    """SQL that is true for a row of `rows` that fails a row-level check, or a `unique` of the model."""
    columns = ", ".join(f'"{name}"' for name in check.columns)
    match check.kind:
        case "not_null":
            return f"{columns} is null"
        case "accepted_values":
            values = ", ".join(_as_text(value) for value in check.spec.accepted_values or ())
            return f"{columns} is not null and cast({columns} as varchar) not in ({values})"
        case "relationships":
            return f"{columns} is not null and {columns} not in ({relation(check)})"
        case "unique":
            return _repeated(check.columns, rows)
        case _:
            keys = ", ".join(f'"{name}"' for name in model.contract.key)
            return f"({keys}) in (select {keys} from ({relation(check)}))"


def _failing(check: Check, model: Model, relation: Relations) -> str:
    condition = failing_condition(check, model, relation, "typed")
    column = check.columns[0]
    source = f'"{column}"'
    value = "" if check.kind == "not_null" else f" || ' ' || coalesce({shown(source)}, 'nothing')"
    words = {
        "not_null": " is empty",
        "accepted_values": " is not among the accepted values",
        "relationships": f" is not in {_place(check)}",
        "unique": " stands in more than one row",
        "sql": f" fails the test {check.name}",
    }[check.kind]
    return f"case when {condition} then {literal(column)}{value} || {literal(words)} end"


def _key_faults(model: Model) -> Iterator[str]:
    for name in model.contract.key:
        column = f'"{name}"'
        yield _fault(
            "key_unique",
            f"case when {column} is null or cast({column} as varchar) = '' "
            f"then 'the key {name} is empty' end",
        )
    key = " || '|' || ".join(shown(f'"{name}"') for name in model.contract.key)
    repeated = _repeated(model.contract.key, "typed")
    yield _fault("key_unique", f"case when {repeated} then 'more than one row has the key ' || {key} end")


def _repeated(columns: tuple[str, ...] | list[str], rows: str) -> str:
    listed = ", ".join(f'"{name}"' for name in columns)
    filled = " and ".join(f'"{name}" is not null' for name in columns)
    return (
        f"({filled} and ({listed}) in "
        f"(select {listed} from {rows} where {filled} group by all having count(*) > 1))"
    )


def _place(check: Check) -> str:
    spec = check.spec.relationships
    return f"{spec.model or spec.lookup}.{spec.column}" if spec else ""


def _fault(check: str, reason: str) -> str:
    return f"{literal(check + FIELD)} || ({reason})"


def _as_text(value: str | int | bool) -> str:
    return literal(str(value).lower() if isinstance(value, bool) else str(value))
