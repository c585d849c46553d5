"""Bytes in, interchanges out: as tolerant as partners need (vendor sheet x12.md, section 12), judging
nothing.

What is wrong but can be taken apart, such as a missing trailer, stays visible in the result: `validate` names
it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlc_dagster.x12.charset import Charset, decode
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.segments import segment_defs
from mlc_dagster.x12.syntax import Delimiters, Element, Group, Interchange, Segment, TransactionSet

_ISA_WIDTHS = tuple(element.maximum for element in segment_defs("004010")["ISA"].elements)
_ISA_LENGTH = 3 + sum(1 + width for width in _ISA_WIDTHS)  # 105, and the terminator behind it
_REPEATING_SINCE = "00403"  # ISA12 from which ISA11 is the repetition separator


def read(content: bytes, charset: Charset | None = None) -> list[Interchange]:
    """All interchanges of a file, in order. `charset` is what is agreed with the partner, if anything is.

    Accepts a byte order mark, UTF-8 and Latin-1, line ends behind terminators or as terminators.

    Raises: UnreadableError: no interchange, or something between interchanges that is none; says at which
        character.
    """
    text = decode(content, charset)
    interchanges = []
    start = _skip_blanks(text, 0)
    while start < len(text):
        delimiters = _delimiters(text, start)
        scanner = _Scanner(text, start, delimiters)
        interchanges.append(_interchange(scanner))
        start = _skip_blanks(text, scanner.at)
    if not interchanges:
        raise UnreadableError("The file is empty: there is no ISA segment.")
    return interchanges


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and (text[at].isspace() or text[at] in "\ufeff\x1a"):
        at += 1
    return at


def _delimiters(text: str, start: int) -> Delimiters:
    """Read from their places in the fixed-width ISA (sheet, section 1)."""
    header = text[start : start + _ISA_LENGTH + 1]
    if not header.startswith("ISA"):
        raise UnreadableError(f"Character {start + 1}: an ISA segment was expected, found {header[:12]!r}.")
    if len(header) <= _ISA_LENGTH:
        raise UnreadableError(f"Character {start + 1}: the file ends within the ISA segment.")
    separator = header[3]
    at = 3
    for position, width in enumerate(_ISA_WIDTHS, 1):
        if header[at] != separator:
            raise UnreadableError(
                f"Character {start + at + 1}: ISA is not of fixed width: element {position:02} begins here, "
                f"found {header[at]!r}. Widths must be {', '.join(map(str, _ISA_WIDTHS))}."
            )
        at += 1 + width
    repeats = header[84:89] >= _REPEATING_SINCE and not header[82].isalnum()
    after = _line_end(text, start + _ISA_LENGTH + 1)
    return Delimiters(separator, header[104], header[105], header[82] if repeats else "", after)


def _line_end(text: str, at: int) -> str:
    return "\r\n" if text.startswith("\r\n", at) else text[at] if text[at : at + 1] in ("\r", "\n") else ""


class _Scanner:
    """Segments one after the other; `at` is the character behind the last one."""

    def __init__(self, text: str, start: int, delimiters: Delimiters) -> None:
        self._text = text
        self.at = start
        self.delimiters = delimiters

    def segments(self) -> Iterator[Segment]:
        """Until and with IEA, or to the end of the file."""
        while (start := _skip_blanks(self._text, self.at)) < len(self._text):
            end = self._text.find(self.delimiters.segment, start)
            end = len(self._text) if end < 0 else end
            self.at = end + 1
            segment = self._segment(self._text[start:end].rstrip("\r\n"))
            yield segment
            if segment.id == "IEA":
                return

    def _segment(self, text: str) -> Segment:
        segment_id, *elements = text.split(self.delimiters.element)
        if segment_id == "ISA":  # its last element is the component separator itself
            return Segment(segment_id, tuple(elements))
        return Segment(segment_id, tuple(self._element(element) for element in elements))

    def _element(self, text: str) -> Element:
        separator = self.delimiters.component
        return tuple(text.split(separator)) if separator in text else text


@dataclass
class _OpenGroup:
    header: Segment
    sets: list[TransactionSet] = field(default_factory=list)
    stray: list[Segment] = field(default_factory=list)

    def closed(self, trailer: Segment | None) -> Group:
        return Group(self.header, tuple(self.sets), trailer, tuple(self.stray))


class _Assembly:
    """Puts segments where they belong. A header that comes too early closes what is open."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.acknowledgments: list[Segment] = []
        self.stray: list[Segment] = []
        self._group: _OpenGroup | None = None
        self._set: list[Segment] = []

    def take(self, segment: Segment) -> None:
        """Any segment but ISA and IEA."""
        if segment.id == "GS":
            self.close_group(None)
            self._group = _OpenGroup(segment)
        elif self._group is None:
            (self.acknowledgments if segment.id == "TA1" else self.stray).append(segment)
        elif segment.id == "GE":
            self.close_group(segment)
        elif segment.id == "ST":
            self._close_set()
            self._set = [segment]
        elif self._set:
            self._set.append(segment)
            if segment.id == "SE":
                self._close_set()
        else:
            self._group.stray.append(segment)

    def _close_set(self) -> None:
        if self._set and self._group:
            self._group.sets.append(TransactionSet(tuple(self._set)))
        self._set = []

    def close_group(self, trailer: Segment | None) -> None:
        """End the group that is open, if one is."""
        self._close_set()
        if self._group:
            self.groups.append(self._group.closed(trailer))
        self._group = None


def _interchange(scanner: _Scanner) -> Interchange:
    segments = scanner.segments()
    header = next(segments)
    assembly = _Assembly()
    trailer = None
    for segment in segments:
        if segment.id == "IEA":
            trailer = segment
        elif segment.id == "ISA":
            raise UnreadableError(
                f"A second ISA segment stands within interchange {header.text(13)}: IEA is missing."
            )
        else:
            assembly.take(segment)
    assembly.close_group(None)
    return Interchange(
        header,
        tuple(assembly.groups),
        trailer,
        scanner.delimiters,
        tuple(assembly.acknowledgments),
        tuple(assembly.stray),
    )
