"""What table expressions give, and the row context that walks over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mlc_sandbox.powerbi.dax.context import Context, Keys, Rows, Tuples
from mlc_sandbox.powerbi.dax.model import Column, Table
from mlc_sandbox.powerbi.dax.scalars import Value, key


@dataclass(frozen=True, eq=False)
class Heading:
    """The columns of a rowset: a model column keeps its lineage, a computed one has only its name."""

    columns: tuple[Column | str, ...]

    @cached_property
    def places(self) -> dict[Column, int]:
        """Model column to place."""
        return {column: at for at, column in enumerate(self.columns) if isinstance(column, Column)}

    @cached_property
    def names(self) -> dict[str, int]:
        """Lower-case name of a computed column to place."""
        return {column.lower(): at for at, column in enumerate(self.columns) if isinstance(column, str)}

    @property
    def titles(self) -> list[str]:
        """As executeQueries names them: `Table[column]` and `[computed]`."""
        return [f"[{column}]" if isinstance(column, str) else repr(column) for column in self.columns]


class Frame:
    """One row of an iteration, inside the iterations around it: a row of a model table, or of a rowset."""

    __slots__ = ("heading", "parent", "row", "table", "values")

    def __init__(
        self,
        parent: Frame | None,
        table: Table | None,
        row: int,
        heading: Heading | None = None,
        values: tuple[Value, ...] = (),
    ) -> None:
        self.parent, self.table, self.row, self.heading, self.values = parent, table, row, heading, values


class Env:
    """Where an expression is evaluated: filter context, row contexts, variables."""

    __slots__ = ("context", "frame", "variables")

    def __init__(
        self, context: Context, frame: Frame | None = None, variables: dict[str, object] | None = None
    ) -> None:
        self.context, self.frame = context, frame
        self.variables: dict[str, object] = {} if variables is None else variables


class TableRows:
    """Rows of a model table by number."""

    def __init__(self, table: Table, numbers: Sequence[int]) -> None:
        self.table, self.numbers = table, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def heading(self) -> Heading:
        """All columns of the table."""
        return Heading(tuple(self.table.columns))

    def frames(self, parent: Frame | None) -> Iterator[Frame]:
        """One row context after another."""
        table = self.table
        for number in self.numbers:
            yield Frame(parent, table, number)

    def tuples(self) -> list[tuple[Value, ...]]:
        """The rows."""
        content = [column.values for column in self.table.columns]
        return [tuple(values[number] for values in content) for number in self.numbers]

    def kept(self, flags: Sequence[bool]) -> TableRows:
        """The rows whose flag is set."""
        return TableRows(self.table, [at for at, flag in zip(self.numbers, flags, strict=True) if flag])

    def keep(self, context: Context) -> Context:
        """As a filter, besides those there are. Computed columns filter nothing."""
        return context.joined(Rows(self.table, self.numbers))


class Rowset:
    """Rows that an expression made."""

    def __init__(self, heading: Heading, rows: Sequence[tuple[Value, ...]]) -> None:
        self.heading, self.rows = heading, rows

    def __len__(self) -> int:
        return len(self.rows)

    def frames(self, parent: Frame | None) -> Iterator[Frame]:
        """One row context after another."""
        heading = self.heading
        for values in self.rows:
            yield Frame(parent, None, 0, heading, values)

    def tuples(self) -> list[tuple[Value, ...]]:
        """The rows."""
        return list(self.rows)

    def kept(self, flags: Sequence[bool]) -> Rowset:
        """The rows whose flag is set."""
        return Rowset(self.heading, [row for row, flag in zip(self.rows, flags, strict=True) if flag])

    def keep(self, context: Context) -> Context:
        """As a filter, besides those there are. Computed columns filter nothing."""
        places = self.heading.places
        if not places:
            return context
        if len(places) == 1:
            ((column, at),) = places.items()
            return context.narrowed({column: (Keys({key(row[at]) for row in self.rows}),)})
        wanted = list(places.values())
        allowed = {tuple(key(row[at]) for at in wanted) for row in self.rows}
        return context.joined(Tuples(tuple(places), allowed))


AnyRows = TableRows | Rowset


def transition(context: Context, frame: Frame | None) -> Context:
    """Context transition: every row context becomes filters, the outermost first."""
    if frame is None:
        return context
    if frame.parent is not None:
        context = transition(context, frame.parent)
    if frame.table is not None:
        table = frame.table
        return context.without(table.expanded).joined(Rows(table, table.twins(frame.row)))
    places = frame.heading.places if frame.heading else {}
    values = frame.values
    return context.replaced({column: (Keys((key(values[at]),)),) for column, at in places.items()})
