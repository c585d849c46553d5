"""Aggregations of a column, of an expression over a table, and of a table's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlc_sandbox.powerbi.dax import scalars
from mlc_sandbox.powerbi.dax.compiler import Compiler, Scalar, Scope, scalar_function
from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.nodes import Call, Node
from mlc_sandbox.powerbi.dax.rowsets import Env
from mlc_sandbox.powerbi.dax.scalars import Value

Aggregate = Callable[[list[Any]], Value]  # of values that are not BLANK; of none it is BLANK


def _refuse(name: str, values: Sequence[Value], *types: type) -> None:
    wrong = next((value for value in values if isinstance(value, types)), None)
    if wrong is not None:
        kind = scalars.type_name(wrong)
        raise DaxError(f"The function {name} cannot work with values of type {kind}.")


def total(values: list[Any]) -> Value:
    """The exact sum; Doubles make it a Double."""
    _refuse("SUM", values, str, bool)
    if not values:
        return None
    result: Value
    try:
        result = sum(values)
    except TypeError:  # dates, or Doubles among fixed decimals
        result = None
        for value in values:
            result = scalars.add(result, value)
    return result


def _largest(values: list[Any]) -> Value:
    _refuse("MAX", values, bool)
    found: Value = max(values, key=scalars.sort_key, default=None)
    return found


def _smallest(values: list[Any]) -> Value:
    _refuse("MIN", values, bool)
    found: Value = min(values, key=scalars.sort_key, default=None)
    return found


def _average(values: list[Any]) -> Value:
    return scalars.divide(total(values), len(values)) if values else None


def _count(values: list[Any]) -> Value:
    _refuse("COUNT", values, bool)
    return len(values) or None


def _over_column(name: str, aggregate: Aggregate) -> None:
    def build(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
        column = compiler.column(call.arguments[0])

        def value(env: Env) -> Value:
            rows = env.context.rows(column.table)
            values = column.values
            shown = values if rows is None else [values[row] for row in rows]
            try:
                return aggregate([found for found in shown if found is not None])
            except DaxError as error:
                raise error.located(call.at) from error

        return value

    def larger_of_two(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
        if len(call.arguments) == 1:
            return build(compiler, call, scope)
        pair = [compiler.scalar(argument, scope) for argument in call.arguments]
        return lambda env: aggregate([found for item in pair if (found := item(env)) is not None])

    if name in ("MAX", "MIN"):
        scalar_function(name, 1, 2)(larger_of_two)
    else:
        scalar_function(name, 1)(build)


def _over_rows(name: str, aggregate: Aggregate) -> None:
    def build(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
        rows, expression = compiler.rows(call.arguments[0], scope), compiler.scalar(call.arguments[1], scope)

        def value(env: Env) -> Value:
            context, variables = env.context, env.variables
            found = (expression(Env(context, frame, variables)) for frame in rows(env).frames(env.frame))
            try:
                return aggregate([value for value in found if value is not None])
            except DaxError as error:
                raise error.located(call.at) from error

        return value

    scalar_function(name, 2)(build)


for _name, _aggregate in {
    "SUM": total,
    "MAX": _largest,
    "MIN": _smallest,
    "AVERAGE": _average,
    "COUNT": _count,
}.items():
    _over_column(_name, _aggregate)
    _over_rows(f"{_name}X", _aggregate)


@scalar_function("COUNTROWS", 1)
def _countrows(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    """BLANK, not 0, of an empty table."""
    rows = compiler.rows(call.arguments[0], scope)
    return lambda env: len(rows(env)) or None


@scalar_function("DISTINCTCOUNT", 1)
def _distinctcount(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
    """BLANK counts as a value; of no rows the answer is BLANK."""
    column = compiler.column(call.arguments[0])

    def value(env: Env) -> Value:
        keys = column.keys
        return len({keys[row] for row in env.context.real_rows(column.table)}) or None

    return value


# The one value of a column


def _only_values(compiler: Compiler, node: Node) -> Callable[[Env], list[Value]]:
    """The distinct visible values of a column, as VALUES gives them."""
    column = compiler.column(node)

    def values(env: Env) -> list[Value]:
        keys, content = column.keys, column.values
        return list({keys[row]: content[row] for row in env.context.visible(column.table)}.values())

    return values


@scalar_function("HASONEVALUE", 1)
def _hasonevalue(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
    values = _only_values(compiler, call.arguments[0])
    return lambda env: len(values(env)) == 1


@scalar_function("SELECTEDVALUE", 1, 2)
def _selectedvalue(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    values = _only_values(compiler, call.arguments[0])
    others = [compiler.scalar(argument, scope) for argument in call.arguments[1:]]

    def value(env: Env) -> Value:
        found = values(env)
        if len(found) == 1:
            return found[0]
        return others[0](env) if others else None

    return value


@scalar_function("RELATED", 1)
def _related(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
    """The value on the one side for the row that is being walked over."""
    column = compiler.column(call.arguments[0])

    def value(env: Env) -> Value:
        frame = env.frame
        while frame is not None:
            if frame.table is not None and column.table in frame.table.paths:
                return frame.table.related(column)[frame.row]
            frame = frame.parent
        raise DaxError(
            f"The column '{column!r}' either doesn't exist or doesn't have a relationship to any table "
            "available in the current context.",
            call.at,
        )

    return value
