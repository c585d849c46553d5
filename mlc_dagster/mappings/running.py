"""Runs one model over the lake: which records, their rows by contract, and what the tests say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from mlc_dagster.lake import Lake, with_system
from mlc_dagster.lake.lake import read_keys
from mlc_dagster.lake.latest import find_newest, register
from mlc_dagster.lake.partitions import Listing
from mlc_dagster.mappings.contract import Check
from mlc_dagster.mappings.errors import MappingFailed
from mlc_dagster.mappings.findings import SAMPLES, check_infos, finding, looks_at_rows, refusals, refused_row
from mlc_dagster.mappings.judging import cast_sql, failing_condition, judge_sql
from mlc_dagster.mappings.loading import Loaded
from mlc_dagster.mappings.model import CheckResult, Mapped, Model, RefusedRow
from mlc_dagster.mappings.sources import fingerprint, latest_entities
from mlc_dagster.mappings.sqlerrors import sql_problem
from mlc_dagster.mappings.types import CannotCast
from mlc_dagster.mappings.validation import Schemas, describe

# What DuckDB raises when a value, not the SQL, is the trouble: a cast in the model that fails on a record.
VALUE_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


class Catalog(Schemas, Protocol):
    """What mappings know of the ERP's entities."""

    def key(self, entity: str) -> tuple[str, ...]:
        """The fields that make a record's key."""
        ...


def run(
    model: Model,
    loaded: Loaded,
    catalog: Catalog,
    lake: Lake,
    company: str,
    *,
    days: Sequence[date],
    also: Collection[str],
    seen: str | None,
) -> Mapped:
    """The rows of one model; see Mappings.run."""
    needed = latest_entities(model, loaded)

    def evaluate(listings: Mapping[str, Listing]) -> Mapped:
        now = fingerprint(model, loaded, lake, company)
        with lake.connect() as connection:
            work = _Run(connection, model, loaded, catalog, company)
            wanted = None
            if now == seen and not model.contract.whole:
                wanted = read_keys(connection, listings[model.source], days) | set(also)
            work.register_latest({entity: listings[entity] for entity in needed})
            scope = work.register_changed(listings[model.source], wanted)
            work.make_rows()
            table, refused, checks = work.accepted(), work.refused(), work.checks()
            results = {result.name: result for result in [*refusals(model, refused), *checks]}
            return Mapped(
                model=model.key,
                company=company,
                table=table,
                key=tuple(model.contract.key),
                number=model.contract.number,
                refused=refused,
                scope=scope,
                whole=wanted is None,
                fingerprint=now,
                checks=tuple(results[info.name] for info in check_infos(model)),
            )

    try:
        return lake.steady(list(dict.fromkeys([model.source, *needed])), company, evaluate)
    except VALUE_ERRORS as error:
        sql = model.template.render(company, loaded.variables)
        raise MappingFailed(sql_problem(error, model.template, sql)) from error


@dataclass(frozen=True)
class _Run:
    """The steps of one run in one DuckDB: each leaves relations that the next one reads."""

    connection: duckdb.DuckDBPyConnection
    model: Model
    loaded: Loaded
    catalog: Catalog
    company: str

    def register_latest(self, listings: Mapping[str, Listing]) -> None:
        """Make the relations of latest() and lookup()."""
        for name, lookup in self.loaded.lookups.items():
            self.connection.register(f"lookup_{name}", lookup.table)
        for entity, listing in listings.items():
            find_newest(self.connection, listing, f"newest_{entity}")
            schema = with_system(self.catalog.schema(entity))
            register(self.connection, f"latest_{entity}", schema, newest=f"newest_{entity}")

    def register_changed(self, listing: Listing, wanted: set[str] | None) -> frozenset[str]:
        """Make the relation of changed(): the wanted keys (None: all) that the lake knows. Returns them.

        A wanted key that is not in the lake is nobody's to answer for: nothing says that it was deleted.
        """
        source, keys = self.model.source, None
        if wanted is not None:
            keys = "wanted"
            self.connection.register(keys, pa.table({"_key": pa.array(sorted(wanted), pa.string())}))
        find_newest(self.connection, listing, "newest_changed", keys=keys)
        schema = with_system(self.catalog.schema(source))
        register(self.connection, f"changed_{source}", schema, newest="newest_changed")
        return frozenset(str(row[0]) for row in self._rows("select _key from newest_changed"))

    def make_rows(self) -> None:
        """Make `output` (the model's own), `typed` (by contract) and `judged` (with each row's faults)."""
        sql = self.model.template.render(self.company, self.loaded.variables)
        types = {output.name: output.type for output in describe(self.connection, sql)}
        self._table("output", f"select row_number() over () as _row, * from ({sql}\n)")
        self._refuse_strays()
        try:
            self._table("typed", cast_sql(self.model, types))
        except CannotCast as error:
            raise MappingFailed(self.model.template.problem(1, error.message, error.remedy)) from error
        self.connection.execute(
            "create temp view typed_rows as select * exclude (_row, _faults) from typed where _faults = ''"
        )
        self._table("judged", judge_sql(self.model, lambda check: self._relation(check, "typed_rows")))

    def accepted(self) -> pa.Table:
        """The rows that pass, in the order of their key and in the contract's exact types."""
        columns = ", ".join(f'"{name}"' for name in self.model.schema.names)
        keys = ", ".join(f'"{name}"' for name in self.model.contract.key)
        self._table("contract_rows", f"select {columns} from judged where _faults = '' order by {keys}")
        return self.connection.sql("from contract_rows").to_arrow_table().cast(self.model.schema)

    def refused(self) -> tuple[RefusedRow, ...]:
        """The rows that do not, each with its reasons and with the values the model gave it."""
        rows = self._rows(
            f"select {self._key('judged.')}, judged.source_key, "
            f'cast(judged."{self.model.contract.number}" as varchar), _faults, output.* exclude (_row) '
            "from judged join output using (_row) where _faults <> '' order by _row"
        )
        names = [item[0] for item in self.connection.description or ()][4:]
        return tuple(refused_row(row[:4], dict(zip(names, row[4:], strict=True))) for row in rows)

    def checks(self) -> list[CheckResult]:
        """The results of the checks that look at the accepted rows."""
        return [self._check(check) for check in self.model.checks if looks_at_rows(check)]

    def _check(self, check: Check) -> CheckResult:
        if check.kind == "sql" and not check.row_level:
            failing = self.connection.sql(self._relation(check, "contract_rows")).to_arrow_table()
            named = [name for name in self.model.contract.key if name in failing.column_names]
            sample = failing.slice(0, SAMPLES).select(named).to_pylist() if named else []
            return finding(
                check, len(failing), ["|".join(str(value) for value in row.values()) for row in sample]
            )
        condition = failing_condition(
            check, self.model, lambda asked: self._relation(asked, "contract_rows"), "contract_rows"
        )
        found = self._rows(
            f"select count(*) over (), {self._key()} from contract_rows where {condition} "
            f"order by 2 limit {SAMPLES}"
        )
        return finding(check, found[0][0] if found else 0, [str(row[1]) for row in found])

    def _relation(self, check: Check, rows: str) -> str:
        variables, relation = self.loaded.variables, check.spec.relationships
        if relation is None:
            return self.model.test_templates[check.name].render(self.company, variables, rows=rows)
        place = f"lookup_{relation.lookup}"
        if relation.model:
            other = self.loaded.models[f"{self.model.target}/{relation.model}"]
            sql = other.template.render(self.company, variables, changed=lambda entity: f"latest_{entity}")
            place = f"({sql}\n)"
        return f'select "{relation.column}" from {place} where "{relation.column}" is not null'

    def _refuse_strays(self) -> None:
        stray = self._rows(
            "select source_key from output where source_key not in (select _key from newest_changed) limit 1"
        )
        if stray:
            message = f"The row of source_key `{stray[0][0]}` is not of changed('{self.model.source}')."
            remedy = "Select `_key as source_key` of that relation."
            raise MappingFailed(self.model.template.problem(1, message, remedy))

    def _key(self, prefix: str = "") -> str:
        return " || '|' || ".join(f'cast({prefix}"{name}" as varchar)' for name in self.model.contract.key)

    def _table(self, name: str, sql: str) -> None:
        self.connection.execute(f"create temp table {name} as {sql}")

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return rows
