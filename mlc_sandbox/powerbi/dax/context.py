"""The filter context: which rows of each table a measure sees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from functools import cached_property

from mlc_sandbox.powerbi.dax.model import Column, Model, Relation, Table
from mlc_sandbox.powerbi.dax.scalars import Value

_FEW = 64  # so many keys are looked up in the index one by one; more are tested row by row


class Keys:
    """Allows these keys of a column."""

    __slots__ = ("allowed",)

    def __init__(self, allowed: Collection[Hashable]) -> None:
        self.allowed = allowed

    def start(self, column: Column) -> list[list[int]] | None:
        """The rows by index, as lists; None when there are too many keys for that."""
        if len(self.allowed) > _FEW:
            return None
        index = column.index
        return [index[value] for value in self.allowed if value in index]

    def select(self, column: Column, rows: Iterable[int]) -> list[int]:
        """Those of the rows that pass."""
        keys, allowed = column.keys, self.allowed
        return [row for row in rows if keys[row] in allowed]


class Condition:
    """Allows the values of a column that fulfil a condition; each value is judged once."""

    __slots__ = ("_judged", "test")

    def __init__(self, test: Callable[[Value], bool]) -> None:
        self.test = test
        self._judged: dict[Hashable, bool] = {}

    def start(self, column: Column) -> None:  # noqa: ARG002
        """No index helps."""
        return

    def select(self, column: Column, rows: Iterable[int]) -> list[int]:
        """Those of the rows that pass."""
        keys, values, judged = column.keys, column.values, self._judged
        found = []
        for row in rows:
            value = keys[row]
            verdict = judged.get(value)
            if verdict is None:
                verdict = judged[value] = self.test(values[row])
            if verdict:
                found.append(row)
        return found


ColumnFilter = Keys | Condition


class Tuples:
    """Allows these combinations of several columns, which may belong to several tables."""

    def __init__(self, columns: Sequence[Column], allowed: Collection[tuple[Hashable, ...]]) -> None:
        self.ordered, self.allowed = tuple(columns), allowed
        self._projected: dict[tuple[Column, ...], set[tuple[Hashable, ...]]] = {}

    @cached_property
    def columns(self) -> frozenset[Column]:
        """What it filters."""
        return frozenset(self.ordered)

    def project(self, columns: Sequence[Column]) -> set[tuple[Hashable, ...]]:
        """The combinations of some of its columns."""
        wanted = tuple(columns)
        if wanted not in self._projected:
            places = [self.ordered.index(column) for column in wanted]
            self._projected[wanted] = {tuple(row[place] for place in places) for row in self.allowed}
        return self._projected[wanted]

    def restrict(self, table: Table, rows: Sequence[int] | None) -> Sequence[int] | None:
        """Those of a table's rows (None: all) that pass, as far as the table's expansion has the columns."""
        known = [column for column in self.ordered if column in table.expanded]
        if not known:
            return rows
        allowed = self.project(known)
        content = [table.related_keys(column) for column in known]
        source = table.numbers if rows is None else rows
        return [row for row in source if tuple(keys[row] for keys in content) in allowed]


class Rows:
    """Allows these rows of a table: filters every column of the expanded table."""

    def __init__(self, table: Table, numbers: Sequence[int]) -> None:
        self.table, self.numbers = table, numbers

    @property
    def columns(self) -> frozenset[Column]:
        """What it filters."""
        return self.table.expanded

    @cached_property
    def _set(self) -> frozenset[int]:
        return frozenset(self.numbers)

    def project(self, columns: Sequence[Column]) -> set[tuple[Hashable, ...]]:
        """The combinations of some of its columns."""
        content = [self.table.related_keys(column) for column in columns]
        return {tuple(keys[row] for keys in content) for row in self.numbers}

    def restrict(self, table: Table, rows: Sequence[int] | None) -> Sequence[int] | None:
        """Those of a table's rows (None: all) that pass: of its own, or of one that its rows belong to."""
        if table is self.table:
            return self.numbers if rows is None else [row for row in rows if row in self._set]
        if table not in self.table.paths:
            return rows
        reached = {self.table.related_row(row, table) for row in self.numbers}
        return sorted(reached) if rows is None else [row for row in rows if row in reached]


JointFilter = Tuples | Rows


class Context:
    """Immutable. Filters of single columns by column, and joint filters of several columns."""

    __slots__ = ("_rows", "columns", "joint", "model")

    def __init__(
        self,
        model: Model,
        columns: dict[Column, tuple[ColumnFilter, ...]] | None = None,
        joint: tuple[JointFilter, ...] = (),
    ) -> None:
        self.model, self.columns, self.joint = model, columns or {}, joint
        self._rows: dict[Table, Sequence[int] | None] = {}

    # Narrower and wider contexts

    def without(self, removed: Collection[Column] | None) -> Context:
        """With no filter on these columns; None removes all. Joint filters keep the rest of what they say."""
        if removed is None:
            return Context(self.model)
        columns = {column: filters for column, filters in self.columns.items() if column not in removed}
        if not self.joint:
            return Context(self.model, columns)
        joint: list[JointFilter] = []
        for found in self.joint:
            kept = [column for column in found.columns if column not in removed]
            if len(kept) == len(found.columns):
                joint.append(found)
            elif kept:
                _add_projection(columns, joint, found, kept)
        return Context(self.model, columns, tuple(joint))

    def narrowed(self, columns: dict[Column, tuple[ColumnFilter, ...]]) -> Context:
        """These filters besides those there are."""
        merged = dict(self.columns)
        for column, filters in columns.items():
            merged[column] = merged[column] + filters if column in merged else filters
        return Context(self.model, merged, self.joint)

    def replaced(self, columns: dict[Column, tuple[ColumnFilter, ...]]) -> Context:
        """These filters instead of those there are on their columns."""
        if self.joint:
            return self.without(columns).narrowed(columns)
        return Context(self.model, {**self.columns, **columns})

    def joined(self, found: JointFilter) -> Context:
        """A joint filter besides the filters there are."""
        return Context(self.model, self.columns, (*self.joint, found))

    # What is visible

    def rows(self, table: Table) -> Sequence[int] | None:
        """Numbers of the visible rows, the blank row included; None when all are."""
        if table not in self._rows:
            self._rows[table] = self._select(table, ())
        return self._rows[table]

    def visible(self, table: Table) -> Sequence[int]:
        """Like `rows`, spelt out."""
        rows = self.rows(table)
        return table.numbers if rows is None else rows

    def real_rows(self, table: Table) -> Sequence[int]:
        """The visible rows without the blank row."""
        rows = self.rows(table)
        if rows is None:
            return range(table.count)
        return [row for row in rows if row < table.count] if table.has_blank_row else rows

    def _select(self, table: Table, crossed: tuple[Relation, ...]) -> Sequence[int] | None:
        """`crossed`: the relationships between this table and the one that was asked for."""
        filters = [
            (column, found)
            for column, several in self.columns.items()
            if column.table is table
            for found in several
        ]
        filters += self._propagated(table, crossed)
        rows = self._filtered(table, filters) if filters else None
        for joint in self.joint:
            rows = joint.restrict(table, rows)
        return rows

    def _propagated(self, table: Table, crossed: tuple[Relation, ...]) -> list[tuple[Column, ColumnFilter]]:
        found: list[tuple[Column, ColumnFilter]] = []
        for relation in table.to_one:
            ones = self._across(relation, relation.one.table, crossed)
            if ones is not None:
                found.append((relation.many, Keys(relation.many_keys(ones))))
        if self.model.two_way:
            for relation in table.to_many:
                manys = self._across(relation, relation.many.table, crossed) if relation.both else None
                if manys is not None:
                    reached = {relation.one_row(relation.many.keys[row]) for row in manys}
                    found.append((relation.one, Keys({relation.one.keys[row] for row in reached})))
        return found

    def _across(
        self, relation: Relation, table: Table, crossed: tuple[Relation, ...]
    ) -> Sequence[int] | None:
        """The visible rows of the table on the other side; None when all, or when we came from there."""
        if not self.model.two_way:
            return self.rows(table)
        return None if relation in crossed else self._select(table, (*crossed, relation))

    @staticmethod
    def _filtered(table: Table, filters: list[tuple[Column, ColumnFilter]]) -> Sequence[int]:
        best: tuple[int, list[list[int]], int] | None = None
        for place, (column, found) in enumerate(filters):
            lists = found.start(column)
            if lists is not None:
                size = sum(map(len, lists))
                if best is None or size < best[0]:
                    best = size, lists, place
        rows: Sequence[int] = table.numbers
        if best is not None:
            lists = best[1]
            rows = lists[0] if len(lists) == 1 else [row for rows in lists for row in rows]
        for place, (column, found) in enumerate(filters):
            if best is None or place != best[2]:
                rows = found.select(column, rows)
        return rows


def _add_projection(
    columns: dict[Column, tuple[ColumnFilter, ...]],
    joint: list[JointFilter],
    found: JointFilter,
    kept: list[Column],
) -> None:
    """What a joint filter says of some of its columns: by column where that says it all."""
    allowed = found.project(kept)
    if len(kept) > 1 and len(allowed) > 1:
        joint.append(Tuples(kept, allowed))
        return
    for place, column in enumerate(kept):
        keys = Keys(frozenset(row[place] for row in allowed))
        columns[column] = (*columns.get(column, ()), keys)
