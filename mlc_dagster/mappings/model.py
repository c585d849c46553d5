"""A model, the rows it makes, and what its checks found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mlc_dagster.mappings.contract import SOURCE_KEY, SOURCE_NUMBER, Check, Contract, Section, Severity
from mlc_dagster.mappings.template import Template

IDENTITY = frozenset({SOURCE_KEY, SOURCE_NUMBER})


@dataclass(frozen=True)
class Model:
    """One pair of files: `<target>/<name>.sql` and its contract, with its target's section if any."""

    target: str
    name: str
    sql_file: str
    contract_file: str
    contract: Contract
    checks: tuple[Check, ...]
    template: Template
    test_templates: Mapping[str, Template]
    section: Section | None = None

    @property
    def key(self) -> str:
        """Its full name, which is also the destination's: `anaplan/supplier_invoices`."""
        return f"{self.target}/{self.name}"

    @property
    def description(self) -> str:
        """What the rows are, in the contract's words."""
        return self.contract.description

    @property
    def after(self) -> tuple[str, ...]:
        """Models of the same target whose destinations must be delivered first."""
        return tuple(self.contract.after)

    @property
    def tombstone(self) -> Mapping[str, Any] | None:
        """The typed column values that mark a deleted row."""
        return self.contract.tombstone

    @property
    def source(self) -> str:
        """The entity of changed()."""
        return self.contract.source

    @property
    def joined(self) -> tuple[str, ...]:
        """The entities of latest()."""
        return self.template.names("latest")

    @property
    def entities(self) -> tuple[str, ...]:
        """Every entity the model reads, the changed one first."""
        return tuple(dict.fromkeys([self.source, *self.joined]))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its rows: the record's identity, then the contract's columns."""
        own = [(name, column.column_type.arrow) for name, column in self.contract.columns.items()]
        return pa.schema([*((name, pa.string()) for name in self.contract.identity), *own])


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column as the UI and the docs show it."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """A check that will run, known before any row is."""

    name: str
    blocking: bool
    severity: Severity
    description: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found over the rows of one run."""

    name: str
    passed: bool
    blocking: bool
    severity: Severity
    failing_rows: int
    message: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that breaks its contract and goes to quarantine. `row` holds plain JSON values."""

    key: str | None
    source_key: str
    number: str | None
    reason: str
    checks: tuple[str, ...]
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MappedRow:
    """One row for a destination: its key, the ERP record it came from, its business number and its values."""

    key: str
    source_key: str
    number: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Mapped:
    """The rows of one model for one company, and what they answer for.

    `table` starts with `source_key`, and with `source_number` where the business number is no column.
    `scope` holds the source keys that were evaluated: what the destination holds of them, and neither `table`
    nor `refused` does, is to be deleted. `whole` says that every record of the lake was evaluated.
    """

    model: str
    company: str
    table: pa.Table
    key: tuple[str, ...]
    number: str
    refused: tuple[RefusedRow, ...]
    scope: frozenset[str]
    whole: bool
    fingerprint: str
    checks: tuple[CheckResult, ...]

    @property
    def blocked(self) -> tuple[CheckResult, ...]:
        """The failed checks that forbid a delivery."""
        return tuple(check for check in self.checks if check.blocking and not check.passed)

    def rows(self) -> Iterator[MappedRow]:
        """The rows one by one, values as Python has them (Decimal, date, datetime in UTC)."""
        for batch in self.table.to_batches(max_chunksize=1_000):
            for values in batch.to_pylist():
                number = values[self.number]
                payload = {name: value for name, value in values.items() if name not in IDENTITY}
                yield MappedRow(
                    self._key(values), values["source_key"], "" if number is None else str(number), payload
                )

    def owners(self) -> dict[str, str]:
        """The ERP record of each row, by the row's key."""
        named = self.table.select(dict.fromkeys(("source_key", *self.key)))
        return {self._key(values): values["source_key"] for values in named.to_pylist()}

    def _key(self, values: Mapping[str, Any]) -> str:
        return "|".join(str(values[name]) for name in self.key)
