"""A model at one moment: tables as column stores with lazy indexes, relationships, measures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.scalars import Value, key


class Column:
    """One column. Row numbers count from 0; number `table.count` is the blank row (see Table)."""

    def __init__(self, table: Table, name: str, position: int) -> None:
        self.table, self.name, self.position = table, name, position

    def __repr__(self) -> str:
        return f"{self.table.name}[{self.name}]"

    @cached_property
    def values(self) -> list[Value]:
        """By row number, the blank row's BLANK last. Texts that differ by case alone get one spelling."""
        raw = [row[self.position] for row in self.table.rows]
        raw.append(None)
        spellings: dict[str, str] = {}
        return [
            spellings.setdefault(value.casefold(), value) if type(value) is str else value for value in raw
        ]

    @cached_property
    def keys(self) -> list[Hashable]:
        """What identifies each row's value."""
        return [key(value) for value in self.values]

    @cached_property
    def index(self) -> dict[Hashable, list[int]]:
        """Key to row numbers, in order of first appearance; the blank row counts where there is one."""
        found: dict[Hashable, list[int]] = {}
        for number in self.table.numbers:
            found.setdefault(self.keys[number], []).append(number)
        return found

    @cached_property
    def own_keys(self) -> frozenset[Hashable]:
        """Keys of the real rows."""
        return frozenset(self.keys[: self.table.count])

    @cached_property
    def sample(self) -> Value:
        """Some value that is not BLANK; None when there is none."""
        return next((value for value in self.values if value is not None), None)


class Table:
    """Rows by columns. On a one side a blank row stands for keys that only the many side has."""

    def __init__(self, name: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        self.name, self.rows, self.count = name, rows, len(rows)
        self.columns = [Column(self, title, position) for position, title in enumerate(columns)]
        self.to_one: list[Relation] = []
        self.to_many: list[Relation] = []
        self._related: dict[Column, list[Value]] = {}
        self._related_keys: dict[Column, list[Hashable]] = {}

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Lower-case name to column."""
        return {column.name.lower(): column for column in self.columns}

    @cached_property
    def has_blank_row(self) -> bool:
        """Whether some row elsewhere points at a key that this table lacks."""
        return any(relation.unmatched for relation in self.to_many)

    @cached_property
    def numbers(self) -> range:
        """All row numbers, the blank row included."""
        return range(self.count + self.has_blank_row)

    @cached_property
    def paths(self) -> dict[Table, list[Relation]]:
        """The expanded table: every table reached over many-to-one relationships, and how; itself too."""
        found: dict[Table, list[Relation]] = {self: []}
        waiting = [self]
        while waiting:
            table = waiting.pop(0)
            for relation in table.to_one:
                if relation.one.table not in found:
                    found[relation.one.table] = [*found[table], relation]
                    waiting.append(relation.one.table)
        return found

    @cached_property
    def expanded(self) -> frozenset[Column]:
        """The columns of the expanded table."""
        return frozenset(column for table in self.paths for column in table.columns)

    @cached_property
    def identical(self) -> dict[tuple[Hashable, ...], list[int]]:
        """Row content to row numbers: the engine cannot tell identical rows apart."""
        found: dict[tuple[Hashable, ...], list[int]] = {}
        for number, row in enumerate(zip(*(column.keys for column in self.columns), strict=True)):
            if number < self.count:
                found.setdefault(row, []).append(number)
        return found

    def twins(self, number: int) -> list[int]:
        """The rows identical to this one, itself included."""
        if number >= self.count:
            return [number]
        return self.identical[tuple(column.keys[number] for column in self.columns)]

    def related_row(self, number: int, table: Table) -> int:
        """The row of a table on the one side that this row belongs to."""
        for relation in self.paths[table]:
            number = relation.one_row(relation.many.keys[number])
        return number

    def related(self, column: Column) -> list[Value]:
        """A column of the expanded table, by this table's row numbers."""
        if column.table is self:
            return column.values
        if column not in self._related:
            rows = range(self.count + 1)
            self._related[column] = [column.values[self.related_row(row, column.table)] for row in rows]
        return self._related[column]

    def related_keys(self, column: Column) -> list[Hashable]:
        """The keys of `related`."""
        if column.table is self:
            return column.keys
        if column not in self._related_keys:
            self._related_keys[column] = [key(value) for value in self.related(column)]
        return self._related_keys[column]


@dataclass(eq=False)
class Relation:
    """Many to one. `both`: filters also go from the many side to the one side. `unique`: duplicates on the
    one side fail the query.
    """

    many: Column
    one: Column
    both: bool = False
    unique: bool = False

    @cached_property
    def _one_rows(self) -> dict[Hashable, int]:
        found: dict[Hashable, int] = {}
        for number in range(self.one.table.count):
            value = self.one.keys[number]
            if found.setdefault(value, number) != number and self.unique:
                raise DaxError(
                    f"Column '{self.one.name}' in Table '{self.one.table.name}' contains a duplicate value "
                    f"'{self.one.values[number]}' and this is not allowed for columns on the one side of a "
                    "many-to-one relationship or for columns that are used as the primary key of a table."
                )
        return found

    @cached_property
    def unmatched(self) -> frozenset[Hashable]:
        """Keys of the many side that the one side lacks: they belong to its blank row."""
        return self.many.own_keys - frozenset(self._one_rows)

    def one_row(self, value: Hashable) -> int:
        """The row of the one side with this key, else its blank row."""
        return self._one_rows.get(value, self.one.table.count)

    def many_keys(self, ones: Sequence[int]) -> frozenset[Hashable]:
        """The keys of the many side that belong to these rows of the one side."""
        keys = self.one.keys
        blank = self.one.table.count
        if blank in ones:
            return frozenset(keys[number] for number in ones if number != blank) | self.unmatched
        return frozenset(keys[number] for number in ones)


@dataclass(frozen=True, slots=True)
class Measure:
    """A named expression; its text is parsed when a query uses it."""

    name: str
    expression: str


class Model:
    """What a query runs on: names are found without regard to case."""

    def __init__(
        self, tables: Sequence[Table], relations: Sequence[Relation] = (), measures: Sequence[Measure] = ()
    ) -> None:
        self.tables: Mapping[str, Table] = {table.name.lower(): table for table in tables}
        self.measures: Mapping[str, Measure] = {measure.name.lower(): measure for measure in measures}
        self.two_way = any(relation.both for relation in relations)
        self.cache: dict[str, Any] = {}
        for relation in relations:
            relation.many.table.to_one.append(relation)
            relation.one.table.to_many.append(relation)
