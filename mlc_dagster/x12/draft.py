"""Builds segments from typed values: each is written as its element's type says, or refused."""

import unicodedata
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal

from mlc_dagster.x12.charset import fit
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.elements import check_elements
from mlc_dagster.x12.errors import RefusedError
from mlc_dagster.x12.findings import Severity
from mlc_dagster.x12.segments import ElementDef, SegmentDef, segment_defs
from mlc_dagster.x12.syntax import Element, Segment
from mlc_dagster.x12.values import digits, write_date, write_decimal, write_implied, write_time

Value = str | int | Decimal | date | time | tuple[str, ...] | None


class Draft:
    """The segments of one document. `notes` say what was changed in its texts to make them fit.

    Free text is written in the partner's letters, cleaned of delimiters and cut. What identifies something,
    and every number, is written as it is or not at all.
    """

    def __init__(self, set_id: str, record: str, dialect: Dialect) -> None:
        self.set_id = set_id
        self.record = record
        self.dialect = dialect
        self.segments: list[Segment] = []
        self.notes: list[str] = []

    def add(self, segment_id: str, *values: Value) -> None:
        """Append a segment with these values in order; None and "" leave an element empty.

        Raises:
            RefusedError: a value cannot be written, or the segment is not valid with these values.
        """
        definition = segment_defs(self.dialect.version)[segment_id]
        elements = [self._element(definition, at, value) for at, value in enumerate(values, 1)]
        while elements and elements[-1] == "":
            elements.pop()
        segment = Segment(segment_id, tuple(elements))
        for finding in check_elements(segment, definition, repetition=self.dialect.separators.repetition):
            if finding.severity is Severity.ERROR:
                raise self.refusal(f"{segment_id} {finding.element:02}", finding.message)
        self.segments.append(segment)

    def refusal(self, place: str, reason: str) -> RefusedError:
        """The error for a value that cannot be said."""
        position = len(self.segments) + 2  # ST is 1, and this segment is not written yet
        where = f"{place}, segment {position}"
        return RefusedError(
            f"Document {self.record} cannot be written as {self.set_id}: {where}: {reason}.",
            record=self.record,
        )

    def note(self, place: str, what: str) -> None:
        """Tell that something was changed or left out."""
        self.notes.append(f"{self.set_id} {self.record}: {place}: {what}")

    def fits(self, text: str) -> bool:
        """Can the partner's letters say this text exactly?"""
        return self._clean(text) == unicodedata.normalize("NFC", text)

    def says(self, text: str) -> bool:
        """Is anything left of a text when it is cleaned?"""
        return self._clean(text) != ""

    def texts(self, place: str, value: str, width: int) -> list[str]:
        """A long text in pieces of at most `width` characters, broken between words where there are any."""
        rest = self._readable(place, value)
        pieces = []
        while len(rest) > width:
            at = rest.rfind(" ", 1, width + 1)
            at = at if at > 0 else width
            pieces.append(rest[:at].rstrip())
            rest = rest[at:].lstrip()
        return [*pieces, rest] if rest else pieces

    def _clean(self, value: str) -> str:
        return fit(value, self.dialect.charset, self.dialect.separators.characters)

    def _element(self, definition: SegmentDef, position: int, value: Value) -> Element:
        if value is None or value == "":
            return ""
        element = definition.elements[position - 1]
        place = f"{definition.id} {position:02} ({element.name.lower()})"
        if isinstance(value, tuple):
            return value if len(value) > 1 else value[0]
        if isinstance(value, str):
            return self._string(value, element, place)
        return self._typed(value, element, place)

    def _string(self, value: str, element: ElementDef, place: str) -> str:
        if element.free_text:
            return self._free_text(value, element, place)
        if not self.fits(value):
            remedy = "another charset or other delimiters, or another value in the ERP"
            raise self.refusal(
                place, f"{value!r} identifies something and cannot be sent unchanged; needed is {remedy}"
            )
        return unicodedata.normalize("NFC", value)

    def _free_text(self, value: str, element: ElementDef, place: str) -> str:
        text = self._readable(place, value)
        if len(text) > element.maximum:
            self.note(place, f"{text!r} was cut to {element.maximum} characters")
        return text[: element.maximum].rstrip()

    def _readable(self, place: str, value: str) -> str:
        """A free text as the partner can read it; what that costs is told."""
        text = self._clean(value)
        if any(letter in self.dialect.separators.characters for letter in value):
            self.note(place, f"delimiters in {value!r} became blanks")
        if "?" in text and text.count("?") > value.count("?"):
            self.note(place, f"letters of {value!r} that the charset lacks became ?")
        return text

    def _typed(self, value: int | Decimal | date | time, element: ElementDef, place: str) -> str:
        writer = _WRITERS.get((element.type, type(value)))
        if writer is None:
            raise TypeError(f"{place} is of type {element.type}, not {type(value).__name__}")
        try:
            text = writer(value)
        except ValueError as error:
            raise self.refusal(place, str(error)) from None
        if element.type in ("R", "N0", "N2") and digits(text) > element.maximum:
            raise self.refusal(
                place, f"{value} has more than {element.maximum} digits, and numbers are never cut"
            )
        return text


def _whole(value: int) -> str:
    return str(value)


_WRITERS: dict[tuple[str, type], Callable[..., str]] = {
    ("R", Decimal): write_decimal,
    ("N2", Decimal): write_implied,
    ("N0", int): _whole,
    ("DT", date): write_date,
    ("TM", time): write_time,
}
