"""The partners' own small X12 reader and writer (vendors/x12.md sections 1, 8 and 12).

Written from the sheet for the sandbox alone: it shares nothing with the product, so that a misreading of one
side shows on the other.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

Segment = list[str]

# Width of each ISA element, 01 to 16; separators lie between them (section 1).
_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
ISA_LENGTH = 106
GROUPS = {"850": "PO", "860": "PC", "810": "IN", "856": "SH", "861": "RC", "997": "FA"}


class Unreadable(Exception):
    """There is no interchange here; the text says what is wrong and where."""


def at(segment: Segment, position: int) -> str:
    """An element by its number from 1; empty when it is not there."""
    return segment[position] if position < len(segment) else ""


@dataclass(slots=True)
class Set:
    """One transaction set, ST to SE; `errors` are AK502 codes of its frame."""

    segments: list[Segment]
    errors: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """ST01."""
        return at(self.segments[0], 1)

    @property
    def control(self) -> str:
        """ST02."""
        return at(self.segments[0], 2)

    def first(self, name: str) -> Segment:
        """The first segment of this name; an empty one when there is none."""
        return next((segment for segment in self.segments if segment[0] == name), [name])


@dataclass(slots=True)
class Group:
    """One functional group; `errors` are AK905 codes of its frame."""

    head: Segment
    sets: list[Set] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    declared: str = ""  # GE01


@dataclass(slots=True)
class Interchange:
    """One interchange; `error` is the TA105 code of a broken frame."""

    head: Segment
    text: str
    groups: list[Group] = field(default_factory=list)
    acknowledgments: list[Segment] = field(default_factory=list)  # TA1
    error: str = ""

    @property
    def sender(self) -> tuple[str, str]:
        """ISA05 and ISA06 without blanks."""
        return self.head[5], self.head[6].strip()

    @property
    def receiver(self) -> tuple[str, str]:
        """ISA07 and ISA08 without blanks."""
        return self.head[7], self.head[8].strip()

    @property
    def control(self) -> str:
        """ISA13."""
        return self.head[13]

    @property
    def version(self) -> str:
        """GS08 of the first group, else what ISA12 stands for."""
        return at(self.groups[0].head, 8) if self.groups else f"{self.head[12]}0"

    @property
    def only_acknowledges(self) -> bool:
        """Nothing in it may be acknowledged: 997 and TA1 alone."""
        return all(at(group.head, 1) == "FA" for group in self.groups)


def read(text: str) -> list[Interchange]:
    """Every interchange of a file; a BOM and line breaks around segments are taken. Raises Unreadable."""
    rest = text.removeprefix("\ufeff").strip()
    if not rest:
        raise Unreadable("The file is empty.")
    interchanges = []
    while rest:
        interchange, rest = _read_one(rest)
        interchanges.append(interchange)
    return interchanges


def _read_one(text: str) -> tuple[Interchange, str]:
    if not text.startswith("ISA") or len(text) < ISA_LENGTH:
        raise Unreadable(f"An interchange begins with ISA and {ISA_LENGTH} characters, not {text[:20]!r}.")
    element, terminator = text[3], text[105]
    head = text[:105].split(element)
    if tuple(map(len, head[1:])) != _WIDTHS:
        raise Unreadable("The ISA segment is not of fixed width.")
    segments: list[Segment] = [head]
    position = ISA_LENGTH
    while segments[-1][0] != "IEA":
        end = text.find(terminator, position)
        if end < 0:
            return _frame(segments, text, complete=False), ""
        raw = text[position:end].strip("\r\n")
        position = end + 1
        if raw == "ISA" or raw.startswith(f"ISA{element}"):
            return _frame(segments, text[:position], complete=False), text[end - len(raw) :]
        segments.append(raw.split(element))
    return _frame(segments, text[:position], complete=True), text[position:].strip()


def _frame(segments: list[Segment], text: str, *, complete: bool) -> Interchange:
    interchange = Interchange(segments[0], text)
    group: Group | None = None
    current: Set | None = None
    for segment in segments[1:-1] if complete else segments[1:]:
        name = segment[0]
        if current is not None and name not in {"ST", "GE", "GS"}:
            current.segments.append(segment)
            if name == "SE":
                _close_set(current)
                current = None
            continue
        if current is not None:
            current.errors.append("2")
            current = None
        if name == "TA1":
            interchange.acknowledgments.append(segment)
        elif name == "GS":
            group = Group(segment)
            interchange.groups.append(group)
        elif name == "ST" and group is not None:
            current = Set([segment])
            group.sets.append(current)
        elif name == "GE" and group is not None:
            _close_group(group, segment)
            group = None
        else:
            interchange.error = "022"
    for unclosed in interchange.groups if group is not None else ():
        if not unclosed.declared:
            unclosed.errors.append("3")
    interchange.error = interchange.error or _frame_error(interchange, segments[-1], complete=complete)
    return interchange


def _frame_error(interchange: Interchange, tail: Segment, *, complete: bool) -> str:
    """TA105 of the interchange's own numbers (section 8)."""
    if not complete:
        return "022"
    if not interchange.control.isdecimal():
        return "018"
    if at(tail, 2) != interchange.control:
        return "001"
    if at(tail, 1) != str(len(interchange.groups)):
        return "021"
    return ""


def _close_set(current: Set) -> None:
    tail = current.segments[-1]
    if at(tail, 2) != current.control:
        current.errors.append("3")
    if at(tail, 1) != str(len(current.segments)):
        current.errors.append("4")


def _close_group(group: Group, tail: Segment) -> None:
    group.declared = at(tail, 1)
    if at(tail, 2) != at(group.head, 6):
        group.errors.append("4")
    if group.declared != str(len(group.sets)):
        group.errors.append("5")
    controls: set[str] = set()
    for found in group.sets:
        if found.control in controls:
            found.errors.append("23")
        controls.add(found.control)


# Writing

_LETTERS = str.maketrans(
    {"å": "AA", "Å": "AA", "æ": "AE", "Æ": "AE", "ä": "AE", "Ä": "AE"}
    | {"ø": "OE", "Ø": "OE", "ö": "OE", "Ö": "OE", "ß": "SS", "ü": "U", "Ü": "U"}
)


def clean(text: str, most: int) -> str:
    """Free text as the basic set has it: upper case, plain letters, no delimiter, cut to its maximum."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode().upper()
    for sign in "*>~":
        plain = plain.replace(sign, " ")
    return " ".join(plain.split())[:most].strip()


def head(
    sender: tuple[str, str],
    receiver: tuple[str, str],
    *,
    control: int,
    now: datetime,
    version: str,
    usage: str,
) -> Segment:
    """ISA of a partner's own interchange, of version 004010 or the like; it never asks for a TA1."""
    repetition = "U" if version < "00403" else "^"
    return [
        *("ISA", "00", " " * 10, "00", " " * 10, sender[0], sender[1].ljust(15)),
        *(receiver[0], receiver[1].ljust(15), f"{now:%y%m%d}", f"{now:%H%M}", repetition),
        *(version[:5], f"{control:09d}", "0", usage, ">"),
    ]


def group(
    kind: str, body: list[Segment], *, between: tuple[str, str], control: int, now: datetime, version: str
) -> list[Segment]:
    """GS to GE around one set, which is given without its ST and SE; `between` is sender and receiver."""
    date, time = f"{now:%Y%m%d}", f"{now:%H%M}"
    return [
        ["GS", GROUPS[kind], *between, date, time, str(control), "X", version],
        ["ST", kind, "0001"],
        *body,
        ["SE", str(len(body) + 2), "0001"],
        ["GE", "1", str(control)],
    ]


def write(start: Segment, inner: list[Segment]) -> str:
    """An interchange: ISA, what is in it, IEA. Trailing empty elements are left away."""
    groups = sum(segment[0] == "GS" for segment in inner)
    segments = [start, *(_trimmed(segment) for segment in inner), ["IEA", str(groups), start[13]]]
    return "".join("*".join(segment) + "~" for segment in segments)


def _trimmed(segment: Segment) -> Segment:
    last = max(number for number, value in enumerate(segment) if value)
    return segment[: last + 1]
