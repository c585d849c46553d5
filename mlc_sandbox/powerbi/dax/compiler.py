"""Syntax trees to Python functions of an Env. Names are resolved here, once; values at each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from mlc_sandbox.powerbi.dax import scalars
from mlc_sandbox.powerbi.dax.context import Context
from mlc_sandbox.powerbi.dax.errors import DaxError, Position
from mlc_sandbox.powerbi.dax.model import Column, Model, Table
from mlc_sandbox.powerbi.dax.nodes import (
    Binary,
    Block,
    Call,
    Literal,
    Name,
    Node,
    Reference,
    TableLiteral,
    Unary,
)
from mlc_sandbox.powerbi.dax.parser import parse_expression
from mlc_sandbox.powerbi.dax.rowsets import AnyRows, Env, Frame, Heading, Rowset, TableRows, transition
from mlc_sandbox.powerbi.dax.scalars import Value

Scalar = Callable[[Env], Value]
Rows = Callable[[Env], AnyRows]
Scope = Mapping[str, bool]  # variable, lower case, to whether it holds a table


@dataclass(frozen=True, slots=True)
class Function:
    """How a call is compiled, and how many arguments it takes (`most` None: any number)."""

    build: Callable[[Compiler, Call, Scope], Any]
    least: int
    most: int | None


SCALARS: dict[str, Function] = {}
TABLES: dict[str, Function] = {}

Build = Callable[["Compiler", Call, Scope], Any]


def scalar_function(name: str, least: int, most: int | None = -1) -> Callable[[Build], Build]:
    """Registers a function that gives a value; without `most` it takes exactly `least` arguments."""
    return partial(_register, SCALARS, name, least, least if most == -1 else most)


def table_function(name: str, least: int, most: int | None = -1) -> Callable[[Build], Build]:
    """Registers a function that gives a table."""
    return partial(_register, TABLES, name, least, least if most == -1 else most)


def _register(registry: dict[str, Function], name: str, least: int, most: int | None, build: Build) -> Build:
    registry[name] = Function(build, least, most)
    return build


class Compiler:
    """Compiles for one model. `now` is the time of TODAY and NOW."""

    def __init__(self, model: Model, now: datetime) -> None:
        self.model, self.now = model, now
        self.computed: set[str] = set()  # lower-case names of computed columns seen so far
        self._measures: dict[str, Callable[[Context], Value] | None] = {}

    # Kinds

    def is_table(self, node: Node, scope: Scope) -> bool:
        """Whether the expression gives a table."""
        if isinstance(node, Name):
            return scope.get(node.name.lower(), True) if not node.quoted else True
        if isinstance(node, Block):
            return self.is_table(node.result, self._inner_scope(node, scope))
        return isinstance(node, TableLiteral) or (isinstance(node, Call) and node.function in TABLES)

    def _inner_scope(self, node: Block, scope: Scope) -> Scope:
        inner = dict(scope)
        for name, value in node.variables:
            inner[name] = self.is_table(value, inner)
        return inner

    # Tables

    def rows(self, node: Node, scope: Scope) -> Rows:
        """The function that gives a table expression's rows."""
        if isinstance(node, Name):
            return self._named_rows(node, scope)
        if isinstance(node, Block):
            block: Rows = self._block(node, scope, inside=self.rows)
            return block
        if isinstance(node, TableLiteral):
            return self._table_literal(node, scope)
        if isinstance(node, Call) and node.function in TABLES:
            found: Rows = self._call(TABLES, node, scope)
            return found
        if isinstance(node, Call) and node.function not in SCALARS:
            raise _unknown_function(node)
        raise DaxError("The expression specified in the query is not a valid table expression.", node.at)

    def _named_rows(self, node: Name, scope: Scope) -> Rows:
        name = node.name.lower()
        if not node.quoted and name in scope:
            if not scope[name]:
                raise DaxError(f"The variable '{node.name}' is no table.", node.at)
            return lambda env: env.variables[name]  # type: ignore[return-value]
        table = self.table(node)
        return lambda env: TableRows(table, env.context.real_rows(table))

    def _table_literal(self, node: TableLiteral, scope: Scope) -> Rows:
        rows = [[self.scalar(value, scope) for value in row] for row in node.rows]
        width = len(rows[0]) if rows else 1
        names = ("Value",) if width == 1 else tuple(f"Value{place + 1}" for place in range(width))
        self.computed.update(name.lower() for name in names)
        heading = Heading(names)
        return lambda env: Rowset(heading, [tuple(value(env) for value in row) for row in rows])

    def table(self, node: Node) -> Table:
        """The model table that a node names."""
        if isinstance(node, Name) and node.name.lower() in self.model.tables:
            return self.model.tables[node.name.lower()]
        shown = node.name if isinstance(node, Name) else "the expression"
        raise DaxError(f"Cannot find table '{shown}'.", node.at)

    # Columns and measures

    def find_column(self, node: Node) -> Column | None:
        """The model column of a qualified reference; None when it is none."""
        if not isinstance(node, Reference) or node.table is None:
            return None
        table = self.model.tables.get(node.table.lower())
        return None if table is None else table.by_name.get(node.name.lower())

    def column(self, node: Node) -> Column:
        """The model column that an argument must name."""
        column = self.find_column(node)
        if column is None:
            if isinstance(node, Reference):
                raise _no_column(node)
            raise DaxError("A column reference such as Table[Column] is expected here.", node.at)
        return column

    def measure(self, name: str) -> Callable[[Context], Value] | None:
        """What gives a measure's value in a filter context; None without such a measure."""
        name = name.lower()
        if name not in self.model.measures:
            return None
        if name not in self._measures:
            self._measures[name] = None  # being compiled
            measure = self.model.measures[name]
            body = self.scalar(parse_expression(measure.expression, measure.name), {})
            self._measures[name] = lambda context: body(Env(context))
        found = self._measures[name]
        if found is None:
            raise DaxError(f"A circular dependency was detected: Measure [{name}].")
        return found

    # Values

    def scalar(self, node: Node, scope: Scope) -> Scalar:
        """The function that gives an expression's value."""
        if self.is_table(node, scope):
            return self._single_value(node, scope)
        builders: dict[type, Callable[[Any, Scope], Scalar]] = {
            Literal: self._literal,
            Reference: self._reference,
            Name: self._variable,
            Unary: self._unary,
            Binary: self._binary,
            Block: partial(self._block, inside=self.scalar),
            Call: partial(self._call, SCALARS),
        }
        return builders[type(node)](node, scope)

    def condition(self, node: Node, scope: Scope) -> Callable[[Env], bool]:
        """The function that gives an expression's truth."""
        value = self.scalar(node, scope)
        return lambda env: scalars.truth(value(env))

    def _single_value(self, node: Node, scope: Scope) -> Scalar:
        rows = self.rows(node, scope)

        def value(env: Env) -> Value:
            found = rows(env).tuples()
            if len(found) > 1 or (found and len(found[0]) > 1):
                raise DaxError(
                    "A table of multiple values was supplied where a single value was expected.", node.at
                )
            return found[0][0] if found else None

        return value

    def _literal(self, node: Literal, scope: Scope) -> Scalar:  # noqa: ARG002
        value = node.value
        return lambda env: value  # noqa: ARG005

    def _variable(self, node: Name, scope: Scope) -> Scalar:  # noqa: ARG002
        name = node.name.lower()
        return lambda env: env.variables[name]  # type: ignore[return-value]

    def _unary(self, node: Unary, scope: Scope) -> Scalar:
        value = self.scalar(node.operand, scope)
        if node.operator == "NOT":
            return lambda env: not scalars.truth(value(env))
        return value if node.operator == "+" else lambda env: scalars.negate(value(env))

    def _binary(self, node: Binary, scope: Scope) -> Scalar:
        if node.operator == "IN":
            return self._in(node, scope)
        left, right = self.scalar(node.left, scope), self.scalar(node.right, scope)
        if node.operator in ("&&", "||"):
            stop = node.operator == "||"
            return lambda env: scalars.truth((left if scalars.truth(left(env)) is stop else right)(env))
        at, work = node.at, _operator(node.operator, node.at)

        def value(env: Env) -> Value:
            try:
                return work(left(env), right(env))
            except DaxError as error:
                raise error.located(at) from error

        return value

    def _in(self, node: Binary, scope: Scope) -> Scalar:
        value, rows = self.scalar(node.left, scope), self.rows(node.right, scope)
        equal = scalars.comparison("==", node.at)

        def found(env: Env) -> bool:
            wanted = value(env)
            return any(equal(wanted, row[0]) for row in rows(env).tuples())

        return found

    def _block(self, node: Block, scope: Scope, inside: Callable[[Node, Scope], Any]) -> Any:
        inner = dict(scope)
        values: list[tuple[str, Callable[[Env], object]]] = []
        for name, value in node.variables:
            holds_table = self.is_table(value, inner)
            values.append((name, (self.rows if holds_table else self.scalar)(value, inner)))
            inner[name] = holds_table
        result = inside(node.result, inner)

        def evaluate(env: Env) -> Any:
            inner_env = Env(env.context, env.frame, dict(env.variables))
            for name, value in values:
                inner_env.variables[name] = value(inner_env)
            return result(inner_env)

        return evaluate

    def _call(self, registry: Mapping[str, Function], node: Call, scope: Scope) -> Any:
        function = registry.get(node.function)
        if function is None:
            raise _unknown_function(node)
        count = len(node.arguments)
        if count < function.least or (function.most is not None and count > function.most):
            few = count < function.least
            raise DaxError(
                f"Too {'few' if few else 'many'} arguments were passed to the {node.function} function. The "
                f"{'minimum' if few else 'maximum'} argument count for the function is "
                f"{function.least if few else function.most}.",
                node.at,
            )
        return function.build(self, node, scope)

    # References

    def _reference(self, node: Reference, scope: Scope) -> Scalar:  # noqa: ARG002
        column = self.find_column(node)
        if column is not None:
            return _column_value(column, node.at)
        measure = self.measure(node.name)
        if node.table is not None:
            if measure is None:
                raise _no_column(node)
            return lambda env: measure(transition(env.context, env.frame))
        return self._unqualified(node, measure)

    def _unqualified(self, node: Reference, measure: Callable[[Context], Value] | None) -> Scalar:
        """`[name]`: a computed column of the row context, else a measure, else a model column of it."""
        name = node.name.lower()
        columns = [table.by_name[name] for table in self.model.tables.values() if name in table.by_name]
        if measure is None and name not in self.computed and not columns:
            raise DaxError(f"Cannot find name '[{node.name}]'.", node.at)

        def value(env: Env) -> Value:
            frame = env.frame
            while frame is not None:
                if frame.heading is not None and name in frame.heading.names:
                    return frame.values[frame.heading.names[name]]
                frame = frame.parent
            if measure is not None:
                return measure(transition(env.context, env.frame))
            for column in columns:
                held, found = _look_up(env.frame, column)
                if held:
                    return found
            raise DaxError(f"The value for '{node.name}' cannot be determined.", node.at)

        return value


def _look_up(frame: Frame | None, column: Column) -> tuple[bool, Value]:
    """Whether some row context has the column, and its value in the innermost one."""
    while frame is not None:
        if frame.table is column.table:
            return True, column.values[frame.row]
        if frame.heading is not None and column in frame.heading.places:
            return True, frame.values[frame.heading.places[column]]
        frame = frame.parent
    return False, None


def _column_value(column: Column, at: Position) -> Scalar:
    def value(env: Env) -> Value:
        held, found = _look_up(env.frame, column)
        if not held:
            raise DaxError(
                f"A single value for column '{column.name}' in table '{column.table.name}' cannot be "
                "determined. This can happen when a measure formula refers to a column that contains many "
                "values without "
                "specifying an aggregation such as min, max, count, or sum to get a single result.",
                at,
            )
        return found

    return value


def _operator(sign: str, at: Position) -> Callable[[Value, Value], Value]:
    plain: dict[str, Callable[[Value, Value], Value]] = {
        "+": scalars.add,
        "-": scalars.subtract,
        "*": scalars.multiply,
        "/": scalars.divide,
        "&": lambda left, right: scalars.text(left) + scalars.text(right),
    }
    return plain[sign] if sign in plain else scalars.comparison(sign, at)


def _no_column(node: Reference) -> DaxError:
    shown = f"Column '{node.name}' in table '{node.table}'"
    return DaxError(f"{shown} cannot be found or may not be used in this expression.", node.at)


def _unknown_function(node: Call) -> DaxError:
    return DaxError(
        f"Failed to resolve name '{node.function}'. It is not a function of this engine.", node.at
    )
