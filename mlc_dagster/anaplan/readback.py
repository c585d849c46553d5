"""What a model holds of one feed, read from a saved view or an export, to be compared with the ledger."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from mlc_dagster.anaplan import tables
from mlc_dagster.anaplan.answers import NamedObject
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import LINE_BREAKS
from mlc_dagster.anaplan.preflight import PreflightFailed, named
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery.destination import FoundRow
from mlc_dagster.delivery.errors import Stop

# Anaplan keeps numbers as 64-bit floating point and vouches for 15 significant digits (help.anaplan.com,
# "Precision differences and large number calculations"). Money below ten trillion is exact to the cent.
PRECISION = Context(prec=15)
COMPANY = "company"
# What a runtime prompt asks for, and the dimension it is an item of, where they differ in name.
DIMENSIONS = {"Version": "Versions"}
# Asking, two looks, a page and the end of a read request.
CALLS_OF_A_REQUEST = 5
# Columns named in a message: a view with its items in columns has thousands.
MOST_NAMES = 12


class AnaplanReadBack:
    """Reads what a saved view or an export shows. Only columns it shows under the contract's names, whatever
    their case, are compared; the key's columns must be among them.

    A row whose key is one column is a list's item: it is there or it is not. One whose key is several is
    cells by several dimensions, which nobody makes or removes: they hold something or nothing, and those that
    hold nothing are no row, whether a view shows them or leaves them out.
    """

    def __init__(
        self,
        client: AnaplanClient,
        shown_by: str,
        *,
        name: str,
        kinds: Mapping[str, str],
        key: Sequence[str] = ("code",),
        parameters: Mapping[str, str] | None = None,
        removes: bool = False,
        pace: Pace | None = None,
    ) -> None:
        """`shown_by`: name or id of the view or export. `kinds`: the contract's columns, each text, integer,
        decimal, date, timestamp or boolean. `parameters`: the items rows are delivered to, such as
        {"Version": "Actual"}; where their dimension is shown, rows by other items are left out. `removes`: a
        delete action removes what is deleted.
        """
        self.removes = removes
        self._items = {_folded(DIMENSIONS.get(name, name)): item for name, item in (parameters or {}).items()}
        self._client, self._shown_by, self._name = client, shown_by, name
        self._kinds, self._key, self._pace = dict(kinds), tuple(key), pace or Pace()

    def rows(self, company: str) -> Iterator[FoundRow]:  # noqa: ARG002 - a view shows all companies
        """All rows the view shows; a line without a key, such as a sum, is none, nor are cells with nothing.

        Raises:
            Stop: there is no such view or export, or it does not show the key.
            CallFailed: of the client; Again where it cannot be read now.
        """
        try:
            lines = self._table()
            header = next(lines, [])
            _require(self._shown_by, header, self._key)
        except PreflightFailed as problem:
            raise Stop(f"{self._name}: {problem}") from problem
        # The last of equal names counts, because dimensions come before line items.
        shown = {_folded(heading): index for index, heading in enumerate(header)}
        place = {name: shown[_folded(name)] for name in self._kinds if _folded(name) in shown}
        items = [(shown[name], item) for name, item in self._items.items() if name in shown]
        for line in lines:
            if any(_cell(line, index) != item for index, item in items):
                continue
            values = {name: _read(_cell(line, index), self._kinds[name]) for name, index in place.items()}
            key = [values[name] for name in self._key]
            if all(part is not None for part in key) and not self._is_nothing(values):
                yield FoundRow("|".join(map(str, key)), values, values.get(COMPANY))

    def check(self) -> None:
        """Look for the view or export, and for the key in it, without reading it. Raises as `rows`."""
        try:
            look_for_key(self._client, self._shown_by, self._key)
        except PreflightFailed as problem:
            raise Stop(f"{self._name}: {problem}") from problem

    def calls(self, rows: int) -> int:  # noqa: ARG002 - up to a million cells come at once
        """The views' names and the view; one by several dimensions is asked for in pages besides."""
        return 2 if len(self._key) == 1 else 2 + CALLS_OF_A_REQUEST

    def as_shown(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a view shows of delivered columns: no number is 0, no yes is no, no text is empty."""
        shown = {
            name: _FORMS[self._kinds[name]].keep(value)
            for name, value in payload.items()
            if name in self._kinds
        }
        return None if self._is_nothing(shown) else shown

    def to_delete(self, row: FoundRow) -> Mapping[str, Any]:
        """All that is shown, so that nothing changes but what marks it deleted."""
        return row.values

    def _is_nothing(self, values: Mapping[str, Any]) -> bool:
        """Whether these are cells by several dimensions that hold nothing."""
        return len(self._key) > 1 and not any(
            value for name, value in values.items() if name not in self._key
        )

    def _table(self) -> tables.Table:
        kind, found = look_up(self._client, self._shown_by)
        read = tables.of_view if kind == "view" else tables.of_export
        return read(self._client, found, self._pace)


def look_for_key(client: AnaplanClient, shown_by: str, key: Sequence[str]) -> tuple[str, NamedObject]:
    """The view or export of this name or id, without reading it. Of a view only its module is known, which
    has the key's line items or has not: a saved view may still hide them.

    Raises:
        PreflightFailed: as `look_up`, or it cannot show the key.
    """
    kind, found = look_up(client, shown_by)
    columns = tables.columns_of_view if kind == "view" else tables.columns_of_export
    _require(shown_by, columns(client, found), key)
    return kind, found


def look_up(client: AnaplanClient, shown_by: str) -> tuple[str, NamedObject]:
    """The view of this name or id, else the export.

    Raises:
        PreflightFailed: there is none, or there are several.
    """
    for kind, ask in (("view", client.catalog.views), ("export", client.catalog.exports)):
        objects = ask()
        if any(shown_by in (thing.id, thing.name) for thing in objects):
            return kind, named(objects, shown_by, kind)
    raise PreflightFailed(
        f"Anaplan has no saved view and no export {shown_by!r} in this model. A view is named `Module.View`. "
        f"The model builder must create it, or grant our role access."
    )


def _require(shown_by: str, header: Sequence[str], key: Sequence[str]) -> None:
    shown = {_folded(heading) for heading in header}
    if lacking := [name for name in key if _folded(name) not in shown]:
        raise PreflightFailed(
            f"{shown_by!r} does not show {', '.join(lacking)}, by which rows are told apart. The model "
            f"builder adds text line items of these names to the module, such as CODE(ITEM(<list>)), or "
            f"NAME(ITEM(Time)) for a month, and shows them there. "
            f"It shows: {', '.join(header[:MOST_NAMES]) or 'nothing'}."
        )


def _folded(heading: str) -> str:
    return heading.strip().casefold()


def _cell(line: Sequence[str], index: int) -> str:
    return line[index] if index < len(line) else ""


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of a kind are kept in a model. read: from a cell's text; keep: from a delivered value."""

    read: Callable[[str], Any]
    keep: Callable[[Any], Any]


def _read(cell: str, kind: str) -> Any:
    """A cell's value; its text where it is none of the kind, which shows as a difference then."""
    try:
        return _FORMS[kind].read(cell)
    except (ValueError, InvalidOperation):
        return cell


def _number(text: str) -> Decimal:
    number = Decimal(text.strip() or 0)
    if not number.is_finite():
        raise ValueError(text)
    return _precise(number)


def _precise(value: Decimal | None) -> Decimal:
    return PRECISION.plus(value) if value else Decimal(0)


def _integer(text: str) -> int:
    number = _number(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("", "true", "false"):
        raise ValueError(text)
    return word == "true"


def _words(text: str | None) -> str | None:
    """Blanks around a text are no part of it, and its line ends became blanks on the way."""
    return LINE_BREAKS.sub(" ", text or "").strip() or None


def _day(text: str) -> date | None:
    return date.fromisoformat(text.strip()) if text.strip() else None


def _instant(value: datetime | None) -> str | None:
    """As the file for the import has it."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_FORMS: Mapping[str, _Form] = {
    "text": _Form(_words, _words),
    "integer": _Form(_integer, lambda value: value or 0),
    "decimal": _Form(_number, _precise),
    "boolean": _Form(_truth, bool),
    "date": _Form(_day, lambda value: value),
    "timestamp": _Form(_words, _instant),
}
