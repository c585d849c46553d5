"""Runs a query text on a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# Imported for what they register.
from mlc_sandbox.powerbi.dax import aggregates, calculate, functions, tables  # noqa: F401
from mlc_sandbox.powerbi.dax.compiler import Compiler
from mlc_sandbox.powerbi.dax.context import Context
from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.model import Model
from mlc_sandbox.powerbi.dax.nodes import Query
from mlc_sandbox.powerbi.dax.parser import parse_query
from mlc_sandbox.powerbi.dax.rowsets import Env
from mlc_sandbox.powerbi.dax.scalars import Value
from mlc_sandbox.powerbi.dax.tables import sorted_places


@dataclass(frozen=True, slots=True)
class Result:
    """The table of the first EVALUATE; `tables` is how many there were."""

    titles: list[str]
    rows: list[tuple[Value, ...]]
    tables: int


def run(model: Model, text: str, now: datetime) -> Result:
    """Evaluate a query. `now` is aware UTC: the service's TODAY is that day.

    Raises:
        DaxError: the query is wrong or beyond this subset; the text says where.
    """
    queries = parse_query(text)
    try:
        return _evaluate(Compiler(model, now), queries[0], Context(model), len(queries))
    except DaxError as error:
        raise error.located(queries[0].at) from error
    except RecursionError as error:
        raise DaxError("The query nests too deeply.", queries[0].at) from error


def _evaluate(compiler: Compiler, query: Query, context: Context, count: int) -> Result:
    rows = compiler.rows(query.table, {})
    order = [(compiler.scalar(node, {}), descending) for node, descending in query.order]
    found = rows(Env(context))
    content = found.tuples()
    if order:
        environments = [Env(context, frame) for frame in found.frames(None)]
        content = [content[place] for place, _ in sorted_places(environments, order)]
    return Result(found.heading.titles, content, count)
