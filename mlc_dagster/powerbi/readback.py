"""What measures find in one table, read by queries, to be compared with the ledger row by row."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from mlc_dagster.delivery.destination import FoundRow
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.powerbi.dax import column, literal, quoted
from mlc_dagster.powerbi.remembered import Dataset, Step, Table, TableState
from mlc_dagster.powerbi.section import TEXT_LIMIT
from mlc_dagster.powerbi.star import Column, Shape
from mlc_dagster.powerbi.verify import Verifier
from mlc_dagster.transport.errors import Again, Refused

# Of one answer: 100,000 rows, 1,000,000 values or 15 MB, whichever comes first (section 11). The bytes are
# found out: an answer that was cut is asked for again in smaller pages.
ANSWER_ROWS, ANSWER_VALUES, SMALLER = 100_000, 1_000_000, 4
# DateTime is stored in steps of 1/300 s (section 3).
STEPS_A_SECOND = 300
COMPANY = "company"


class PushReadBack:
    """Reads the rows that count: of a dimension all, of a fact the newest version of each key in the slot
    that the control table names, as the measures choose them.

    Of texts in a column that differ by case only Power BI shows one spelling for all, so texts are compared
    without case, and a key is named as the ledger spells it.

    It takes no lease. A load or a switch in between makes what was read worthless, and is Again.
    """

    removes = True

    def __init__(
        self,
        name: str,
        shape: Shape,
        dataset: Dataset,
        verifier: Verifier,
        *,
        keys: Callable[[], Iterable[str]],
        unresolved: Callable[[], bool],
    ) -> None:
        """Both ask the ledger, for all companies. `keys`: those the table holds. `unresolved`: whether a
        batch is open or in doubt.
        """
        self._name, self._shape, self._dataset, self._verifier = name, shape, dataset, verifier
        self._keys, self._unresolved = keys, unresolved
        self._page = min(ANSWER_ROWS, ANSWER_VALUES // (len(shape.columns) + len(shape.technical)))

    def rows(self, company: str) -> Iterator[FoundRow]:  # noqa: ARG002 - a deleted row does not say whose it was
        """The rows that count, of all companies, in the order of their keys.

        Raises:
            Stop: the dataset is not set up.
            CallFailed: of the client; Again while the table is being loaded.
        """
        before = self._state()
        slot, floor = self._read_by_measures(before)
        if slot is not None:
            spelled = {key.casefold(): key for key in self._keys()}
            for rows in self._by_key(self._shape.physical(slot)):
                for row in self._counting(rows, floor):
                    shown = self._key(row)
                    yield self._found(spelled.get(shown.casefold(), shown), row)
        if _moving(self._state()) != _moving(before):
            raise self._busy()

    def check(self) -> None:
        """Count the rows of one physical table. Raises as `rows`."""
        self._state()
        self._verifier.ask(f'EVALUATE ROW ( "rows", COUNTROWS ( {quoted(self._shape.names[0])} ) + 0 )')

    def calls(self, rows: int) -> int:
        """One a page; of a fact, one more for its slot."""
        return 1 + rows // self._page + self._shape.fact

    def as_shown(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As it is compared: texts of at most 4,000 characters without case, times in UTC and its steps."""
        kept = {found.source: _kept(payload.get(found.source)) for found in self._shape.columns}
        return {**kept, self._shape.key.source: str(payload.get(self._shape.key.source))}

    def to_delete(self, row: FoundRow) -> dict[str, Any]:
        """The last version of a fact's key says that it is deleted; a dimension is loaded without it."""
        return {self._shape.key.source: row.key}

    def _state(self) -> TableState:
        """What we remember of the table. Raises Stop before the set-up, Again during a load.

        A load that nobody will end, as its batch was put back, left a dimension as it is for now.
        """
        if not self._dataset.id:
            raise Stop(f"{self._name}: there is no dataset yet. Run `mlc powerbi setup`.")
        state = Table(self._dataset.memory, self._shape.title).state
        if state.load and (state.load.step is Step.SWITCHING if self._shape.fact else self._unresolved()):
            raise self._busy()
        return state

    def _busy(self) -> Again:
        text = f"{self._name} is being loaded, so it cannot be read in one state"
        remedy = "Nothing is wrong: the next delivery's check looks again."
        return Again("Power BI", "POST", "executeQueries", excerpt_text=text, remedy=remedy)

    def _read_by_measures(self, state: TableState) -> tuple[str | None, int]:
        """The slot and the floor that measures use; a dimension has neither, an unloaded fact no slot."""
        if not self._shape.fact:
            return "", 0
        seen = self._verifier.switched(self._shape, state.seq)
        return seen["slot"] or None, int(seen["floor"])

    def _by_key(self, table: str) -> Iterator[list[Mapping[str, Any]]]:
        """All stored rows, those of one key together. Power BI tells keys apart without case."""
        key = column(table, self._shape.key.name)
        rows_of = quoted(table)
        while True:
            found = self._answer(table, rows_of)
            for _, rows in groupby(found, lambda row: self._key(row).casefold()):
                yield list(rows)
            if len(found) < self._page:
                return
            last = self._constant(found[-1])
            rows_of = f"FILTER ( {quoted(table)}, {key} > {last} )"

    def _answer(self, table: str, rows_of: str) -> Sequence[Mapping[str, Any]]:
        """The first page of some rows by key. TOPN gives all rows of its last key, so none is torn."""
        key = column(table, self._shape.key.name)
        while True:
            top = f"EVALUATE TOPN ( {self._page}, {rows_of}, {key}, ASC ) ORDER BY {key}"
            try:
                return [_named(row) for row in self._verifier.ask(top)]
            except Refused as refused:
                # Cut short, which is told with a 200.
                if refused.status != 200 or self._page < SMALLER:
                    raise
                self._page //= SMALLER

    def _counting(self, rows: list[Mapping[str, Any]], floor: int) -> list[Mapping[str, Any]]:
        """Of the stored rows of one key those that count."""
        if not self._shape.fact:
            return rows
        newest = max(rows, key=lambda row: (int(row["_version"]), not row["_deleted"]))
        return [] if newest["_deleted"] or int(newest["_version"]) < floor else [newest]

    def _key(self, row: Mapping[str, Any]) -> str:
        """The key as the ledger has it: of a day without the time that Power BI adds."""
        text = str(row[self._shape.key.name])
        return text.partition("T")[0] if self._shape.key.type == "DateTime" else text

    def _constant(self, row: Mapping[str, Any]) -> str:
        """The key as DAX writes it."""
        if self._shape.key.type != "DateTime":
            return literal(row[self._shape.key.name])
        day = date.fromisoformat(self._key(row))
        return f"DATE ( {day.year}, {day.month}, {day.day} )"

    def _found(self, key: str, row: Mapping[str, Any]) -> FoundRow:
        values = {found.source: _read(row[found.name], found) for found in self._shape.columns}
        company = next((row[found.name] for found in self._shape.columns if found.source == COMPANY), None)
        return FoundRow(key, {**values, self._shape.key.source: key}, company)


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column out of `Table[Column]`."""
    return {name[name.index("[") + 1 : -1]: value for name, value in row.items()}


def _moving(state: TableState) -> tuple[str, str, int]:
    """What may not change while rows are read; appends may."""
    return state.active, state.load_id, state.seq


def _read(value: Any, found: Column) -> Any:
    if value is None:
        return None
    if found.type == "DateTime":
        return _in_steps(datetime.fromisoformat(str(value).removesuffix("Z")))
    return Decimal(value) if found.type == "Decimal" else _folded(value)


def _kept(value: Any) -> Any:
    if isinstance(value, datetime):
        return _in_steps(value.astimezone(UTC).replace(tzinfo=None))
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return _folded(value[:TEXT_LIMIT]) if isinstance(value, str) else value


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _in_steps(time: datetime) -> datetime:
    steps = round(time.microsecond * STEPS_A_SECOND / 1_000_000)
    return time.replace(microsecond=0) + timedelta(microseconds=steps * 1_000_000 // STEPS_A_SECOND)
