"""The DAX of measures and checks: one template for both slots of a fact, right with versions and duplicates.

Why it looks as it does (vendors/powerbi.md section 13): a fact's slot is a log. The newest version of a key
counts, whatever is filtered, so MAX(_version) looks past every filter but the key's; a row that was posted
twice counts once, so a value is the MAX of its equal copies. `floor` is the version the slot was loaded with:
rows below it are late arrivals of a load that was given up, and count nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The table of all measures is the control table too: its rows say which slot of each fact is active.
CONTROL = "Measures"
DATES = ("Dates", "Date")
SLOTS = ("A", "B")
Filter = str | int | bool | Sequence[str | int]


def quoted(name: str) -> str:
    """A table's name as DAX writes it."""
    return "'" + name.replace("'", "''") + "'"


def column(table: str, name: str) -> str:
    """A column as DAX writes it."""
    return f"{quoted(table)}[{name.replace(']', ']]')}]"


def in_slot(fact: str, slot: str) -> str:
    """The physical table of a fact's slot."""
    return f"{fact} {slot}"


def literal(value: str | int | bool) -> str:
    """A constant."""
    if isinstance(value, bool):
        return "TRUE()" if value else "FALSE()"
    return str(value) if isinstance(value, int) else '"' + value.replace('"', '""') + '"'


@dataclass(frozen=True)
class Fact:
    """A fact table of two slots. `key` and the filters name columns as they are called in Power BI."""

    table: str
    key: str

    @property
    def slot_measure(self) -> str:
        """The hidden measure that tells the active slot, blank before the first load."""
        return f"{self.table} slot"

    @property
    def floor_measure(self) -> str:
        """The hidden measure that tells the version the active slot was loaded with."""
        return f"{self.table} floor"

    def control(self, value: str) -> str:
        """A value of the fact's newest row in the control table: "slot" or "floor"."""
        of_this = f"REMOVEFILTERS ( {quoted(CONTROL)} ), {column(CONTROL, 'entity')} = {literal(self.table)}"
        seq = column(CONTROL, "seq")
        return (
            f"VAR newestSeq = CALCULATE ( MAX ( {seq} ), {of_this} ) "
            f"RETURN CALCULATE ( MAX ( {column(CONTROL, value)} ), {of_this}, {seq} = newestSeq )"
        )

    def sum(self, name: str, where: Mapping[str, Filter]) -> str:
        """The sum of a column over the rows that are live and meet the filters."""
        return f"{self._preamble} RETURN {self._active('MAX', name, _equal_to(where))}"

    def count(self, where: Mapping[str, Filter]) -> str:
        """The number of rows that are live and meet the filters."""
        return f"{self._preamble} RETURN {self._active('DISTINCTCOUNT', self.key, _equal_to(where))}"

    def overdue(self, name: str, due: str, first: int | None, last: int | None) -> str:
        """The sum of a column where the date `due` is `first` to `last` days ago; None is without end.

        Days count from the one day that is selected in Dates, else from today. That selection must not choose
        documents by their own date too, so the filter of Dates is taken away.
        """
        limits = [f"{{}} <= asOf - {first}"] if first is not None else []
        limits += [f"{{}} >= asOf - {last}"] if last is not None else []
        dates = column(*DATES)
        # Documents without a day in Dates make a blank one there, which may be the only one.
        return (
            f"VAR picked = IF ( HASONEVALUE ( {dates} ), MAX ( {dates} ) ) "
            f"VAR asOf = IF ( ISBLANK ( picked ), TODAY (), picked ) {self._preamble} "
            f"RETURN CALCULATE ( {self._active('MAX', name, {due: ' && '.join(limits)})}, "
            f"REMOVEFILTERS ( {quoted(DATES[0])} ) )"
        )

    @property
    def _preamble(self) -> str:
        # In variables, because a filter of CALCULATE may not name a measure.
        return f"VAR activeSlot = [{self.slot_measure}] VAR firstVersion = [{self.floor_measure}]"

    def _active(self, function: str, name: str, where: Mapping[str, str]) -> str:
        first, second = (self._over_keys(in_slot(self.table, slot), function, name, where) for slot in SLOTS)
        return f'IF ( activeSlot = "A", {first}, {second} )'

    def _over_keys(self, table: str, function: str, name: str, where: Mapping[str, str]) -> str:
        """One value a key, out of its newest version. The conditions have a place for their column: {}."""
        key, version = column(table, self.key), column(table, "_version")
        live = [
            f"{version} = newest && {version} >= firstVersion",
            f"{column(table, '_deleted')} = 0",
            *(condition.replace("{}", column(table, field)) for field, condition in where.items()),
        ]
        return (
            f"SUMX ( VALUES ( {key} ), "
            f"VAR newest = CALCULATE ( MAX ( {version} ), ALLEXCEPT ( {quoted(table)}, {key} ) ) "
            f"RETURN CALCULATE ( {function} ( {column(table, name)} ), {', '.join(live)} ) )"
        )


def _equal_to(where: Mapping[str, Filter]) -> dict[str, str]:
    """Conditions on columns: equal to a value, or one of several."""
    return {
        name: f"{{}} = {literal(wanted)}"
        if isinstance(wanted, str | int)
        else f"{{}} IN {{ {', '.join(literal(value) for value in wanted)} }}"
        for name, wanted in where.items()
    }
