"""Compiles every model on empty tables with the entities' types, so that mistakes show before any record."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from mlc_dagster.lake import with_system
from mlc_dagster.mappings.contract import closest
from mlc_dagster.mappings.loading import Loaded
from mlc_dagster.mappings.model import Model
from mlc_dagster.mappings.sqlerrors import sql_problem
from mlc_dagster.mappings.template import Template, TemplateProblem
from mlc_dagster.mappings.types import CannotCast, cast
from mlc_dagster.problems import Problem
from mlc_dagster.yamlfile import YamlFile

COMPANY = "COMPANY"


class Schemas(Protocol):
    """The part of the catalogue that validation needs."""

    def schema(self, entity: str) -> pa.Schema:
        """The fields of an entity."""
        ...

    def entities(self) -> Sequence[str]:
        """The names of all entities."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a model's SQL, with its DuckDB type."""

    name: str
    type: str


def describe(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Output]:
    """The columns a query returns."""
    return [Output(str(row[0]), str(row[1])) for row in connection.execute(f"describe {sql}").fetchall()]


def validate(loaded: Loaded, catalog: Schemas) -> list[Problem]:
    """Everything wrong with the SQL of models and of their tests, one problem a query at most."""
    problems: list[Problem] = []
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        for lookup in loaded.lookups.values():
            connection.register(f"lookup_{lookup.name}", lookup.table)
        templates = loaded.compilable()
        _register_entities(connection, loaded, catalog)
        for key, template in templates.items():
            problems += _sql_problems(connection, key, template, loaded)
    return problems


def _register_entities(connection: duckdb.DuckDBPyConnection, loaded: Loaded, catalog: Schemas) -> None:
    templates = [*loaded.compilable().values()]
    templates += [test for model in loaded.models.values() for test in model.test_templates.values()]
    used = {name for template in templates for use in ("changed", "latest") for name in template.names(use)}
    for entity in sorted(used & set(catalog.entities())):
        connection.register("empty", with_system(catalog.schema(entity)).empty_table())
        for relation in (f"latest_{entity}", f"changed_{entity}"):
            connection.execute(f"create table {relation} as select * from empty")


def _sql_problems(
    connection: duckdb.DuckDBPyConnection, key: str, template: Template, loaded: Loaded
) -> Iterator[Problem]:
    sql = ""
    try:
        sql = template.render(COMPANY, loaded.variables)
        outputs = describe(connection, sql)
    except TemplateProblem as error:
        yield error.problem
        return
    except duckdb.Error as error:
        yield sql_problem(error, template, sql)
        return
    if not loaded.contract_holds(key):
        return
    model = loaded.models[key]
    yield from _output_problems(model, outputs)
    with _rows_relation(connection, model):
        for name, test in model.test_templates.items():
            yield from _test_problems(connection, model, name, test, loaded)


def _output_problems(model: Model, outputs: list[Output]) -> Iterator[Problem]:
    names = [output.name for output in outputs]
    contract = YamlFile(Path(model.contract_file))
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield model.template.problem(
            line_of(model, name), f"The model returns `{name}` twice.", "Rename one."
        )
    for name in model.contract.identity:
        if name not in names:
            remedy = {
                "source_key": "Select `_key as source_key` from the changed() relation.",
                "source_number": "The contract's `number` asks for it: select it as source_number.",
            }[name]
            yield model.template.problem(1, f"The model returns no `{name}`.", remedy)
    for name in model.contract.columns:
        if name not in names:
            extra = [
                other for other in names if other not in (*model.contract.columns, *model.contract.identity)
            ]
            remedy = closest(name, extra) if extra else "Select it in the model, or remove it here."
            yield contract.problem(("columns", name), f"The model does not return `{name}`.", remedy)
    for output in outputs:
        if output.name in model.contract.identity:
            continue
        if (column := model.contract.columns.get(output.name)) is None:
            message = f"The model returns `{output.name}`, which the contract does not declare."
            yield model.template.problem(
                line_of(model, output.name), message, f"Add it to {contract.name}, or drop it."
            )
            continue
        try:
            cast(output.name, column.column_type, column.max_length, output.type)
        except CannotCast as error:
            yield model.template.problem(line_of(model, output.name), error.message, error.remedy)


def _test_problems(
    connection: duckdb.DuckDBPyConnection, model: Model, name: str, template: Template, loaded: Loaded
) -> Iterator[Problem]:
    try:
        sql = template.render(COMPANY, loaded.variables, rows="contract_rows")
        found = [output.name for output in describe(connection, sql)]
    except TemplateProblem as error:
        yield error.problem
        return
    except duckdb.Error as error:
        yield sql_problem(error, template, sql)
        return
    check = next(check for check in model.checks if check.name == name)
    missing = [key for key in model.contract.key if key not in found]
    if check.row_level and missing:
        remedy = "A column's query says by key which rows fail."
        yield template.problem(1, f"The query `{name}` does not return {', '.join(missing)}.", remedy)


@contextmanager
def _rows_relation(connection: duckdb.DuckDBPyConnection, model: Model) -> Iterator[None]:
    connection.register("contract_rows", model.schema.empty_table())
    yield
    connection.unregister("contract_rows")


def line_of(model: Model, column: str) -> int:
    """The line of a model's SQL that makes a column, as far as its name tells."""
    lines = model.template.text.split("\n")
    numbered = list(enumerate(lines, 1))
    named = [number for number, line in numbered if f"as {column}" in line or f'as "{column}"' in line]
    mentioned = [number for number, line in numbered if column in line]
    return next(iter([*named, *mentioned]), 1)
