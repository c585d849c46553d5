"""Functions that give tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

from mlc_sandbox.powerbi.dax import scalars
from mlc_sandbox.powerbi.dax.compiler import Compiler, Rows, Scalar, Scope, table_function
from mlc_sandbox.powerbi.dax.context import ColumnFilter, Context, Keys
from mlc_sandbox.powerbi.dax.context import Rows as RowsFilter
from mlc_sandbox.powerbi.dax.errors import DaxError, Position
from mlc_sandbox.powerbi.dax.model import Column, Table
from mlc_sandbox.powerbi.dax.nodes import Call, Literal, Name, Node, Reference
from mlc_sandbox.powerbi.dax.rowsets import AnyRows, Env, Heading, Rowset, TableRows
from mlc_sandbox.powerbi.dax.scalars import Value

_MOST_COMBINATIONS = 2_000_000  # of a cross join; the service ends such a query for lack of memory


def distinct(columns: Sequence[Column], numbers: Iterable[int]) -> list[tuple[Value, ...]]:
    """The combinations of values of columns of one table, in order of first appearance."""
    keys = [column.keys for column in columns]
    values = [column.values for column in columns]
    found: dict[tuple[Any, ...], tuple[Value, ...]] = {}
    for number in numbers:
        combination = tuple(of[number] for of in keys)
        if combination not in found:
            found[combination] = tuple(of[number] for of in values)
    return list(found.values())


def _named_pairs(compiler: Compiler, arguments: Sequence[Node], scope: Scope) -> list[tuple[str, Scalar]]:
    """`"name", expression` pairs."""
    pairs: list[tuple[str, Scalar]] = []
    for name, expression in zip(arguments[::2], [*arguments[1::2], None], strict=False):
        if not isinstance(name, Literal) or not isinstance(name.value, str) or expression is None:
            raise DaxError("A name in double quotes and an expression are expected here.", name.at)
        pairs.append((name.value, compiler.scalar(expression, scope)))
    compiler.computed.update(name.lower() for name, _ in pairs)
    return pairs


@table_function("ROW", 2, None)
def _row(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    pairs = _named_pairs(compiler, call.arguments, scope)
    heading = Heading(tuple(name for name, _ in pairs))
    return lambda env: Rowset(heading, [tuple(value(env) for _, value in pairs)])


def _values_of(column: Column, numbers: Callable[[Context, Table], Iterable[int]]) -> Rows:
    heading = Heading((column,))
    return lambda env: Rowset(heading, distinct((column,), numbers(env.context, column.table)))


@table_function("VALUES", 1)
def _values(compiler: Compiler, call: Call, scope: Scope) -> Rows:  # noqa: ARG001
    """Of a column its visible values, of a table its visible rows: with the blank row, if it is visible."""
    subject = call.arguments[0]
    if isinstance(subject, Reference):
        return _values_of(compiler.column(subject), Context.visible)
    table = compiler.table(subject)
    return lambda env: TableRows(table, env.context.visible(table))


@table_function("DISTINCT", 1)
def _distinct(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    """Of a column its visible values without the blank row, of a table its different rows."""
    subject = call.arguments[0]
    if isinstance(subject, Reference):
        return _values_of(compiler.column(subject), Context.real_rows)
    rows = compiler.rows(subject, scope)

    def different(env: Env) -> AnyRows:
        found, seen = rows(env), set()
        flags = []
        for row in found.tuples():
            content = tuple(scalars.key(value) for value in row)
            flags.append(content not in seen)
            seen.add(content)
        return found.kept(flags)

    return different


@table_function("ALL", 1, None)
def _all(compiler: Compiler, call: Call, scope: Scope) -> Rows:  # noqa: ARG001
    """Whatever the filters say: a table's rows, or the combinations of columns of one table."""
    if len(call.arguments) == 1 and isinstance(call.arguments[0], Name):
        table = compiler.table(call.arguments[0])
        return lambda env: TableRows(table, table.numbers)  # noqa: ARG005
    columns = [compiler.column(argument) for argument in call.arguments]
    if len({column.table for column in columns}) > 1:
        raise DaxError("All column arguments of the ALL function must be from the same table.", call.at)
    heading = Heading(tuple(columns))
    return lambda env: Rowset(heading, distinct(columns, columns[0].table.numbers))  # noqa: ARG005


@table_function("FILTER", 2)
def _filter(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    rows, condition = compiler.rows(call.arguments[0], scope), compiler.condition(call.arguments[1], scope)

    def kept(env: Env) -> AnyRows:
        found, context, variables = rows(env), env.context, env.variables
        return found.kept([condition(Env(context, at, variables)) for at in found.frames(env.frame)])

    return kept


def _with_columns(found: AnyRows, env: Env, pairs: Sequence[tuple[str, Scalar]]) -> list[tuple[Value, ...]]:
    environments = (Env(env.context, frame, env.variables) for frame in found.frames(env.frame))
    return [tuple(value(at) for _, value in pairs) for at in environments]


@table_function("ADDCOLUMNS", 3, None)
def _addcolumns(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    rows = compiler.rows(call.arguments[0], scope)
    pairs = _named_pairs(compiler, call.arguments[1:], scope)

    def wider(env: Env) -> Rowset:
        found = rows(env)
        added = _with_columns(found, env, pairs)
        heading = Heading((*found.heading.columns, *(name for name, _ in pairs)))
        return Rowset(heading, [(*row, *more) for row, more in zip(found.tuples(), added, strict=True)])

    return wider


@table_function("SELECTCOLUMNS", 3, None)
def _selectcolumns(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    rows = compiler.rows(call.arguments[0], scope)
    pairs = _named_pairs(compiler, call.arguments[1:], scope)
    heading = Heading(tuple(name for name, _ in pairs))
    return lambda env: Rowset(heading, _with_columns(rows(env), env, pairs))


# Grouping


@table_function("SUMMARIZE", 2, None)
def _summarize(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    """Groups the rows of a table by columns of its expansion."""
    rows = compiler.rows(call.arguments[0], scope)
    rest = list(call.arguments[1:])
    columns = []
    while rest and isinstance(rest[0], Reference):
        columns.append(compiler.column(rest.pop(0)))
    pairs = _named_pairs(compiler, rest, scope)
    heading = Heading((*columns, *(name for name, _ in pairs)))

    def grouped(env: Env) -> Rowset:
        found = rows(env)
        groups: dict[tuple[Any, ...], tuple[tuple[Value, ...], list[int]]] = {}
        for place, values in enumerate(_group_values(found, columns, call.at)):
            group = groups.setdefault(tuple(map(scalars.key, values)), (values, []))
            group[1].append(place)
        return Rowset(heading, [_group_row(env, found, group, pairs) for group in groups.values()])

    return grouped


def _group_values(found: AnyRows, columns: Sequence[Column], at: Position) -> list[tuple[Value, ...]]:
    places = found.heading.places
    for column in columns:
        if column not in (found.table.expanded if isinstance(found, TableRows) else places):
            raise DaxError(
                f"The column '{column!r}' specified in SUMMARIZE was not found in the input table.", at
            )
    if isinstance(found, TableRows):
        content = [found.table.related(column) for column in columns]
        return [tuple(values[number] for values in content) for number in found.numbers]
    return [tuple(row[places[column]] for column in columns) for row in found.rows]


def _group_row(
    env: Env,
    found: AnyRows,
    group: tuple[tuple[Value, ...], list[int]],
    pairs: Sequence[tuple[str, Scalar]],
) -> tuple[Value, ...]:
    values, members = group
    if not pairs:
        return values
    if isinstance(found, TableRows):
        numbers = [found.numbers[place] for place in members]
        context = env.context.joined(RowsFilter(found.table, numbers))
    else:
        context = Rowset(found.heading, [found.rows[place] for place in members]).keep(env.context)
    inner = Env(context, env.frame, env.variables)
    return (*values, *(value(inner) for _, value in pairs))


@table_function("SUMMARIZECOLUMNS", 1, None)
def _summarizecolumns(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    """Groups by columns of any tables, in the filters given as tables; groups of BLANKs alone do not show."""
    rest = list(call.arguments)
    columns: list[Column] = []
    while rest and isinstance(rest[0], Reference):
        columns.append(compiler.column(rest.pop(0)))
    filters: list[Rows] = []
    while rest and compiler.is_table(rest[0], scope):
        filters.append(compiler.rows(rest.pop(0), scope))
    pairs = _named_pairs(compiler, rest, scope)
    by_table: dict[Table, list[Column]] = {}
    for column in columns:
        by_table.setdefault(column.table, []).append(column)
    ordered = [column for group in by_table.values() for column in group]
    places = [ordered.index(column) for column in columns]
    heading = Heading((*columns, *(name for name, _ in pairs)))

    def grouped(env: Env) -> Rowset:
        context = env.context
        for rows in filters:
            context = rows(env).keep(context)
        parts = [distinct(group, context.visible(table)) for table, group in by_table.items()]
        if math.prod(map(len, parts)) > _MOST_COMBINATIONS:
            raise DaxError("The query needs more memory than a query may use: its groups multiply.", call.at)
        found = []
        for combination in product(*parts):
            values = tuple(value for part in combination for value in part)
            row = _measured(env, context, ordered, values, pairs)
            if row is not None:
                found.append((*(values[place] for place in places), *row))
        return Rowset(heading, found)

    return grouped


def _measured(
    env: Env,
    context: Context,
    columns: Sequence[Column],
    values: Sequence[Value],
    pairs: Sequence[tuple[str, Scalar]],
) -> tuple[Value, ...] | None:
    """The computed values of one group; None when all of them are BLANK."""
    if not pairs:
        return ()
    group: dict[Column, tuple[ColumnFilter, ...]] = {
        column: (Keys((scalars.key(value),)),) for column, value in zip(columns, values, strict=True)
    }
    inner = Env(context.narrowed(group), None, env.variables)
    row = tuple(value(inner) for _, value in pairs)
    return None if all(value is None for value in row) else row


# Order


def _descending(node: Node | None) -> bool:
    """The order argument of TOPN: DESC by default."""
    if isinstance(node, Name):
        return node.name.upper() != "ASC"
    return not (isinstance(node, Literal) and node.value == 1)


@table_function("TOPN", 2, None)
def _topn(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    """The first rows by the order expressions; rows that tie with the last one come too."""
    count, rows = compiler.scalar(call.arguments[0], scope), compiler.rows(call.arguments[1], scope)
    rest = call.arguments[2:]
    keys: list[tuple[Scalar, bool]] = []
    while rest:
        by_name = len(rest) > 1 and (
            (isinstance(rest[1], Name) and rest[1].name.upper() in ("ASC", "DESC"))
            or isinstance(rest[1], Literal)
        )
        keys.append((compiler.scalar(rest[0], scope), _descending(rest[1] if by_name else None)))
        rest = rest[2 if by_name else 1 :]

    def first(env: Env) -> AnyRows:
        found, wanted = rows(env), int(count(env) or 0)  # type: ignore[arg-type]
        environments = [Env(env.context, frame, env.variables) for frame in found.frames(env.frame)]
        order = sorted_places(environments, keys)
        flags = [False] * len(environments)
        for rank, (place, sort_keys) in enumerate(order):
            flags[place] = rank < wanted or (0 < wanted <= rank and sort_keys == order[wanted - 1][1])
        return found.kept(flags)

    return first


def sorted_places(
    environments: Sequence[Env], keys: Sequence[tuple[Scalar, bool]]
) -> list[tuple[int, tuple[Any, ...]]]:
    """(place, sort keys) in the order of the keys; `True` marks a descending one."""
    order = [
        (place, tuple(scalars.sort_key(value(env)) for value, _ in keys))
        for place, env in enumerate(environments)
    ]
    for number in reversed(range(len(keys))):
        order.sort(key=lambda item: item[1][number], reverse=keys[number][1])
    return order
