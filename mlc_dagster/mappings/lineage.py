"""Column lineage: which fields of which entities each column of a model is made of."""

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, build_scope

Origin = tuple[str, str]
Lineage = dict[str, list[Origin]]
PREFIXES = ("changed_", "latest_")


def trace(sql: str, entities: Mapping[str, Sequence[str]], columns: Sequence[str]) -> Lineage:
    """For each column the (entity, top-level field) pairs behind it, in order of appearance.

    `entities` gives each entity's fields. A column of literals or lookups has no origin, and so has every
    column of SQL that DuckDB reads and sqlglot does not.
    """
    try:
        scope = build_scope(sqlglot.parse_one(sql, read="duckdb"))
    except SqlglotError:
        scope = None
    if scope is None:
        return {column: [] for column in columns}
    return {column: list(dict.fromkeys(_output(scope, column, entities))) for column in columns}


def _output(scope: Scope, column: str, entities: Mapping[str, Sequence[str]]) -> Iterator[Origin]:
    """The origins of one column that a query, or each part of a union, returns."""
    if scope.set_operation_scopes:
        names = _names(scope.set_operation_scopes[0])
        for part in scope.set_operation_scopes:
            own = _names(part)
            yield from _output(part, own[names.index(column)] if column in names else column, entities)
        return
    for projection in getattr(scope.expression, "selects", []):
        if projection.is_star:
            yield from _from_star(scope, column, entities)
        elif projection.alias_or_name.lower() == column.lower():
            yield from _expression(scope, projection, entities)


def _names(scope: Scope) -> list[str]:
    return [projection.alias_or_name for projection in getattr(scope.expression, "selects", [])]


def _expression(
    scope: Scope, node: exp.Expression, entities: Mapping[str, Sequence[str]]
) -> Iterator[Origin]:
    inner = {id(found) for query in node.find_all(exp.Query) for found in query.find_all(exp.Column)}
    for column in node.find_all(exp.Column, bfs=False):
        if id(column) not in inner:
            yield from _column(scope, [part.name for part in column.parts], entities)
    for query in node.find_all(exp.Query):
        if (subscope := next((s for s in scope.subquery_scopes if s.expression is query), None)) is not None:
            for projection in getattr(query, "selects", []):
                yield from _expression(subscope, projection, entities)


def _column(scope: Scope, parts: list[str], entities: Mapping[str, Sequence[str]]) -> Iterator[Origin]:
    """Resolve `relation.column.field...` or `column.field...` in a scope."""
    if len(parts) > 1 and parts[0] in scope.sources:
        yield from _source(scope, parts[0], parts[1], entities)
        return
    if parts[0] in _unnested(scope):
        yield from _unnest(scope, parts[0], entities)
        return
    for name in scope.sources:
        yield from _source(scope, name, parts[0], entities)
    if scope.parent is not None and not scope.sources:
        yield from _column(scope.parent, parts, entities)


def _source(scope: Scope, name: str, column: str, entities: Mapping[str, Sequence[str]]) -> Iterator[Origin]:
    source = scope.sources[name]
    if isinstance(source, exp.Table):
        prefix = next((prefix for prefix in PREFIXES if source.name.startswith(prefix)), None)
        entity = source.name.removeprefix(prefix) if prefix else ""
        if prefix and (column in entities.get(entity, ()) or column.startswith("_")):
            yield entity, column
    elif isinstance(source.expression, exp.Unnest | exp.Lateral):
        yield from _unnest(scope, name, entities)
    else:
        yield from _output(source, column, entities)


def _from_star(scope: Scope, column: str, entities: Mapping[str, Sequence[str]]) -> Iterator[Origin]:
    for name in scope.sources:
        yield from _source(scope, name, column, entities)


def _unnested(scope: Scope) -> dict[str, exp.Expression]:
    """The names under which unnest(...) in FROM can be called: its table alias and its column aliases."""
    names: dict[str, exp.Expression] = {}
    for unnest in scope.expression.find_all(exp.Unnest):
        alias = unnest.args.get("alias")
        if alias is not None:
            for identifier in [alias.this, *alias.columns]:
                if identifier is not None:
                    names[identifier.name] = unnest
    return names


def _unnest(scope: Scope, name: str, entities: Mapping[str, Sequence[str]]) -> Iterator[Origin]:
    unnest = _unnested(scope).get(name)
    for expression in unnest.expressions if unnest is not None else ():
        yield from _expression(scope, expression, entities)
