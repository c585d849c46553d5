"""The written form of X12, without meaning: segments in sets, sets in groups, groups in an interchange."""

from dataclasses import dataclass, field, replace

# An element's text, or the texts of its components where it holds component separators.
Element = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that part things. They cannot be escaped before version 007040 (vendor sheet x12.md,
    section 2).

    `repetition` is "" where ISA11 is a standards id (004010). `line_end` is what stands behind each
    terminator.
    """

    element: str = "*"
    component: str = ">"
    segment: str = "~"
    repetition: str = ""
    line_end: str = ""

    @property
    def characters(self) -> str:
        """All characters no value may hold."""
        return self.element + self.component + self.segment + self.repetition


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `elements[0]` is what the standard calls element 01."""

    id: str
    elements: tuple[Element, ...] = ()

    def text(self, position: int) -> str:
        """The element at a position from 1: "" when absent, the first component of a composite."""
        value = self.elements[position - 1] if position <= len(self.elements) else ""
        return value if isinstance(value, str) else value[0]

    def with_text(self, position: int, value: Element) -> "Segment":
        """A copy with another value at a position from 1."""
        elements = list(self.elements) + [""] * (position - len(self.elements))
        elements[position - 1] = value
        return replace(self, elements=tuple(elements))


@dataclass(frozen=True, slots=True)
class TransactionSet:
    """From ST to SE, both included where they are there. `segments[0]` has position 1 in a 997."""

    segments: tuple[Segment, ...]

    @property
    def id(self) -> str:
        """ST01, such as 850."""
        return self.segments[0].text(1)

    @property
    def control(self) -> str:
        """ST02 as written."""
        return self.segments[0].text(2)

    @property
    def trailer(self) -> Segment | None:
        """SE, or None where the set was cut off."""
        return self.segments[-1] if self.segments[-1].id == "SE" else None

    @property
    def body(self) -> tuple[Segment, ...]:
        """What stands between ST and SE."""
        return self.segments[1:-1] if self.trailer else self.segments[1:]


@dataclass(frozen=True, slots=True)
class Group:
    """From GS to GE. `stray` are segments that stand outside of every set."""

    header: Segment
    sets: tuple[TransactionSet, ...]
    trailer: Segment | None
    stray: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Interchange:
    """From ISA to IEA. `acknowledgments` are its TA1 segments; `stray` stands outside of every group."""

    header: Segment
    groups: tuple[Group, ...]
    trailer: Segment | None
    delimiters: Delimiters
    acknowledgments: tuple[Segment, ...] = ()
    stray: tuple[Segment, ...] = field(default=())

    @property
    def control(self) -> str:
        """ISA13 as written, nine digits."""
        return self.header.text(13)
