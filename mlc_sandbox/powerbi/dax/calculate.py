"""CALCULATE and CALCULATETABLE: context transition, then modifiers, then filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlc_sandbox.powerbi.dax import scalars
from mlc_sandbox.powerbi.dax.compiler import (
    Compiler,
    Rows,
    Scalar,
    Scope,
    scalar_function,
    table_function,
)
from mlc_sandbox.powerbi.dax.context import ColumnFilter, Condition, Context, Keys
from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.model import Column
from mlc_sandbox.powerbi.dax.nodes import Binary, Call, Name, Node, Reference, TableLiteral, Unary
from mlc_sandbox.powerbi.dax.rowsets import AnyRows, Env, Frame, Heading, Rowset, transition
from mlc_sandbox.powerbi.dax.scalars import Value
from mlc_sandbox.powerbi.dax.tables import distinct

MODIFIERS = ("REMOVEFILTERS", "ALL", "ALLEXCEPT")
# Functions whose arguments are looked at in the same row context: a column inside them is the filter's.
_TRANSPARENT = frozenset(
    [
        "ABS",
        "AND",
        "COALESCE",
        "DATE",
        "DATEDIFF",
        "DAY",
        "DIVIDE",
        "IF",
        "INT",
        "ISBLANK",
        "MONTH",
        "NOT",
        "OR",
        "ROUND",
        "SWITCH",
        "YEAR",
    ]
)


@dataclass(frozen=True, slots=True)
class ColumnArgument:
    """A filter of one column. `build` evaluates its values in the outer context."""

    column: Column
    build: Callable[[Env], ColumnFilter]
    keep: bool


@dataclass(frozen=True, slots=True)
class TableArgument:
    """A filter given as a table."""

    rows: Rows
    keep: bool


Argument = ColumnArgument | TableArgument
Removed = frozenset[Column] | None  # None: everything


class Filters:
    """The arguments of one CALCULATE."""

    def __init__(self, compiler: Compiler, nodes: tuple[Node, ...], scope: Scope) -> None:
        self.removed: list[Removed] = []
        self.columns: list[ColumnArgument] = []
        self.tables: list[TableArgument] = []
        for node in nodes:
            if isinstance(node, Call) and node.function in MODIFIERS:
                self.removed.append(_removed(compiler, node))
                continue
            for argument in _arguments(compiler, node, scope, keep=False):
                if isinstance(argument, ColumnArgument):
                    self.columns.append(argument)
                else:
                    self.tables.append(argument)
        self._replaced = frozenset(argument.column for argument in self.columns if not argument.keep)

    def context(self, env: Env) -> Context:
        """The filter context inside. All arguments are evaluated in the one outside."""
        columns: dict[Column, tuple[ColumnFilter, ...]] = {}
        for argument in self.columns:
            found = argument.build(env)
            columns[argument.column] = (*columns.get(argument.column, ()), found)
        tables = [(argument.rows(env), argument.keep) for argument in self.tables]
        context = transition(env.context, env.frame)
        for removed in self.removed:
            context = context.without(removed)
        replaced = self._replaced
        for rows, keep in tables:
            if not keep:
                replaced = replaced | _filtered_columns(rows)
        if replaced:
            context = context.without(replaced)
        if columns:
            context = context.narrowed(columns)
        for rows, _ in tables:
            context = rows.keep(context)
        return context


def _filtered_columns(rows: AnyRows) -> frozenset[Column]:
    return frozenset(rows.heading.places) if isinstance(rows, Rowset) else rows.table.expanded


@scalar_function("CALCULATE", 1, None)
def _calculate(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    value = compiler.scalar(call.arguments[0], scope)
    filters = Filters(compiler, call.arguments[1:], scope)
    # Row contexts have become filters: inside, they are gone.
    return lambda env: value(Env(filters.context(env), None, env.variables))


@table_function("CALCULATETABLE", 1, None)
def _calculatetable(compiler: Compiler, call: Call, scope: Scope) -> Rows:
    rows = compiler.rows(call.arguments[0], scope)
    filters = Filters(compiler, call.arguments[1:], scope)
    return lambda env: rows(Env(filters.context(env), None, env.variables))


def _removed(compiler: Compiler, call: Call) -> Removed:
    """The columns whose filters a modifier takes away. Of a table: those of its expansion."""
    if call.function == "ALLEXCEPT":
        if len(call.arguments) < 2:
            raise DaxError("ALLEXCEPT needs a table and at least one column.", call.at)
        kept: set[Column] = set()
        for node in call.arguments[1:]:
            table_of = compiler.table(node).expanded if isinstance(node, Name) else {compiler.column(node)}
            kept |= table_of
        return compiler.table(call.arguments[0]).expanded - kept
    if not call.arguments:
        return None
    if isinstance(call.arguments[0], Name):
        return compiler.table(call.arguments[0]).expanded
    return frozenset(compiler.column(node) for node in call.arguments)


def _arguments(compiler: Compiler, node: Node, scope: Scope, *, keep: bool) -> list[Argument]:
    """One filter argument; conditions joined by && are several."""
    if isinstance(node, Call) and node.function == "KEEPFILTERS" and len(node.arguments) == 1:
        return _arguments(compiler, node.arguments[0], scope, keep=True)
    if compiler.is_table(node, scope):
        return [TableArgument(compiler.rows(node, scope), keep)]
    if isinstance(node, Binary) and node.operator == "&&":
        sides = (node.left, node.right)
        return [found for side in sides for found in _arguments(compiler, side, scope, keep=keep)]
    columns = _columns(compiler, node)
    if len(columns) == 1:
        column = columns.pop()
        build = _matching(compiler, node, column, scope) or _tested(compiler, node, column, scope)
        return [ColumnArgument(column, build, keep)]
    if not columns or len({column.table for column in columns}) > 1:
        raise DaxError(
            "A True/False expression used as a table filter must name columns of one table.", node.at
        )
    return [TableArgument(_combinations(compiler, node, sorted(columns, key=repr), scope), keep)]


def _columns(compiler: Compiler, node: Node) -> set[Column]:
    """The model columns that a condition looks at in its own row context."""
    column = compiler.find_column(node)
    if column is not None:
        return {column}
    inner: tuple[Node, ...] = ()
    if isinstance(node, Unary):
        inner = (node.operand,)
    elif isinstance(node, Binary):
        inner = (node.left, node.right)
    elif isinstance(node, Call) and node.function in _TRANSPARENT:
        inner = node.arguments
    elif isinstance(node, TableLiteral):
        inner = tuple(value for row in node.rows for value in row)
    return {found for part in inner for found in _columns(compiler, part)}


def _matching(
    compiler: Compiler, node: Node, column: Column, scope: Scope
) -> Callable[[Env], ColumnFilter] | None:
    """`column = value`, `column == value`, `column IN {...}` as a set of keys; None for the rest."""
    if not isinstance(node, Binary) or node.operator not in ("=", "==", "IN"):
        return None
    sides = [node.left, node.right]
    if node.operator != "IN" and not isinstance(node.left, Reference):
        sides.reverse()
    if compiler.find_column(sides[0]) is not column or _columns(compiler, sides[1]):
        return None
    if node.operator == "IN":
        rows = compiler.rows(sides[1], scope)
        return lambda env: Keys({scalars.key(row[0]) for row in rows(env).tuples()})
    value = compiler.scalar(sides[1], scope)
    compare = scalars.comparison(node.operator, node.at)
    loose = node.operator == "="

    def build(env: Env) -> ColumnFilter:
        wanted, sample = value(env), column.sample
        if type(wanted) is not type(sample) and wanted is not None:
            # Values of two types: as exact as the comparison itself; a wrong type is its error.
            compare(sample, wanted)
            return Condition(lambda found: compare(found, wanted))
        return Keys(scalars.equal_keys(wanted) if loose else (scalars.key(wanted),))

    return build


def _tested(compiler: Compiler, node: Node, column: Column, scope: Scope) -> Callable[[Env], ColumnFilter]:
    """Any condition of one column, tested for each of its values."""
    test = compiler.condition(node, scope)
    heading = Heading((column,))

    def build(env: Env) -> ColumnFilter:
        def passes(value: Value) -> bool:
            return test(Env(env.context, Frame(env.frame, None, 0, heading, (value,)), env.variables))

        return Condition(passes)

    return build


def _combinations(compiler: Compiler, node: Node, columns: list[Column], scope: Scope) -> Rows:
    """A condition of several columns of one table: FILTER over ALL of them."""
    test = compiler.condition(node, scope)
    heading = Heading(tuple(columns))

    def rows(env: Env) -> AnyRows:
        found = Rowset(heading, distinct(columns, columns[0].table.numbers))
        frames = found.frames(env.frame)
        return found.kept([test(Env(env.context, frame, env.variables)) for frame in frames])

    return rows
