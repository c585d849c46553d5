"""What partners check inside a segment (vendors/x12.md sections 3, 4, 8, 10 and 11)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlc_sandbox.cleo.x12 import Segment, at

# Segment and number of its elements: number, M or O, type, min/max; relational conditions (section 4).
_TABLE = """
BEG 12: 1 M ID 2/2, 2 M ID 2/2, 3 M AN 1/22, 4 O AN 1/30, 5 M DT 8/8, 6 O AN 1/30
BCH 13: 1 M ID 2/2, 2 M ID 2/2, 3 M AN 1/22, 4 O AN 1/30, 5 O AN 1/8, 6 M DT 8/8
BIG 11: 1 M DT 8/8, 2 M AN 1/22, 3 O DT 8/8, 4 O AN 1/22, 5 O AN 1/30, 6 O AN 1/8, 7 O ID 2/2, 8 O ID 2/2
BSN 7: 1 M ID 2/2, 2 M AN 2/30, 3 M DT 8/8, 4 M TM 4/8, 5 O ID 4/4, 6 O ID 2/2, 7 O ID 3/3; C0706
BRA 8: 1 M AN 1/30, 2 M DT 8/8, 3 M ID 2/2, 4 M ID 1/2, 5 O TM 4/8
CUR 21: 1 M ID 2/3, 2 M ID 3/3, 3 O R 4/10
REF 4: 1 M ID 2/3, 2 O AN 1/30, 3 O AN 1/80; R0203
PER 9: 1 M ID 2/2, 2 O AN 1/60, 3 O ID 2/2, 4 O AN 1/80, 5 O ID 2/2, 6 O AN 1/80; P0304 P0506 P0708
N1 6: 1 M ID 2/3, 2 O AN 1/60, 3 O ID 1/2, 4 O AN 2/80; R0203 P0304
N2 2: 1 M AN 1/60, 2 O AN 1/60
N3 2: 1 M AN 1/55, 2 O AN 1/55
N4 7: 1 O AN 2/30, 2 O ID 2/2, 3 O ID 3/15, 4 O ID 2/3
DTM 6: 1 M ID 3/3, 2 O DT 8/8, 3 O TM 4/8, 4 O ID 2/2; R020305 C0403
ITD 15: 1 O ID 2/2, 2 O ID 1/2, 3 O R 1/6, 4 O DT 8/8, 5 O N0 1/3, 6 O DT 8/8, 7 O N0 1/3, 12 O AN 1/80
TD5 15: 1 O ID 1/2, 2 O ID 1/2, 3 O AN 2/80, 4 O ID 1/2, 5 O AN 1/35; R0204050612 C0203
TD1 10: 1 O AN 3/5, 2 O N0 1/7, 6 O ID 1/2, 7 O R 1/10, 8 O ID 2/2; C0102 P0607
TD3 10: 1 O ID 2/2, 2 O AN 1/4, 3 O AN 1/10
PO1 25: 1 O AN 1/20, 2 O R 1/15, 3 O ID 2/2, 4 O R 1/17, 5 O ID 2/2; C0302 C0504 P0607 P0809 P1011
IT1 25: 1 O AN 1/20, 2 O R 1/10, 3 O ID 2/2, 4 O R 1/17, 5 O ID 2/2; P020304 P0607 P0809 P1011
POC 27: 1 O AN 1/20, 2 M ID 2/2, 3 O R 1/15, 4 O R 1/9, 5 O ID 2/2, 6 O R 1/17, 7 O ID 2/2; P0809 P1011
SN1 8: 1 O AN 1/20, 2 M R 1/10, 3 M ID 2/2, 4 O R 1/15, 5 O R 1/15, 6 O ID 2/2, 8 O ID 2/2; P0506
RCD 21: 1 O AN 1/20, 2 O R 1/9, 3 O ID 2/2, 4 O R 1/9, 5 O ID 2/2
LIN 31: 1 O AN 1/20, 2 M ID 2/2, 3 M AN 1/48; P0405 P0607
PID 9: 1 M ID 1/1, 2 O ID 2/3, 4 O AN 1/12, 5 O AN 1/80; R0405
TXI 10: 1 M ID 2/2, 2 O R 1/18, 3 O R 1/10, 6 O ID 1/1, 8 O R 1/9, 9 O AN 1/20; R020306 P0405 C0803
SAC 16: 1 M ID 1/1, 2 O ID 4/4, 5 O N2 1/15, 6 O ID 1/1, 7 O R 1/6, 13 O AN 1/30, 15 O AN 1/80; R0203 P0607
TDS 4: 1 M N2 1/15, 2 O N2 1/15, 3 O N2 1/15, 4 O N2 1/15
AMT 3: 1 M ID 1/3, 2 M R 1/18
CTT 7: 1 M N0 1/6, 2 O R 1/10
HL 4: 1 M AN 1/12, 2 O AN 1/12, 3 M ID 1/2, 4 O ID 1/1
PRF 7: 1 M AN 1/22, 2 O AN 1/30, 3 O AN 1/8, 4 O DT 8/8
MAN 6: 1 M ID 1/2, 2 M AN 1/48
N9 7: 1 M ID 2/3, 2 O AN 1/30, 3 O AN 1/45; R0203
MSG 3: 1 M AN 1/264
NTE 2: 1 O ID 3/3, 2 M AN 1/80
AK1 3: 1 M ID 2/2, 2 M N0 1/9
AK2 3: 1 M ID 3/3, 2 M AN 4/9
AK3 4: 1 M ID 2/3, 2 M N0 1/10, 3 O AN 1/6, 4 O ID 1/3
AK4 4: 1 M POS 1/9, 2 O N0 1/4, 3 M ID 1/3, 4 O AN 1/99
AK5 6: 1 M ID 1/1, 2 O ID 1/3
AK9 9: 1 M ID 1/1, 2 M N0 1/6, 3 M N0 1/6, 4 M N0 1/6, 5 O ID 1/3
"""
# What 005010 lengthens (section 11): (segment, element) -> maximum.
_LONGER = {("REF", 2): 50, ("N9", 2): 50, ("PER", 4): 256, ("PER", 6): 256}
_LONGER |= {("IT1", 2): 15, ("SAC", 13): 50, ("TD3", 3): 15, ("CTT", 1): 6}
# Segments that may stand in a set and are not looked into.
_OTHERS = frozenset(
    """ST SE FOB CTB CSH TAX LDT DIS SDQ PKG PO4 MEA SLN PWK TD4 TSD CLD PAL PAM IT8 ISS CAD MTX BAL PRS
    CTP SI""".split()  # noqa: SIM905 - codes read best as text
)
_UNITS = frozenset(
    """EA PC PK BX CT CA PL BG BO RL SH ST PR DZ KG GR MP MR DK CM MM SM CR LT DL ML HR DA WK MO YR
    KH""".split()  # noqa: SIM905
)
# Elements that must hold one of these codes (sections 4, 7, 8 and 10).
_CODES_AT: dict[tuple[str, int], frozenset[str]] = {
    **dict.fromkeys(
        (("PO1", 3), ("IT1", 3), ("POC", 5), ("SN1", 3), ("SN1", 6), ("RCD", 3), ("RCD", 5)), _UNITS
    ),
    **dict.fromkeys((("BEG", 1), ("BCH", 1), ("BSN", 1), ("BIG", 8)), frozenset({"00", "01", "04", "05"})),
    ("SAC", 1): frozenset("AC"),
    ("HL", 3): frozenset("SOTPI"),
    ("HL", 4): frozenset("01"),
    ("AK5", 1): frozenset("AERMWX"),
    ("AK9", 1): frozenset("AEPRMWX"),
}
_KINDS = {
    "R": r"-?(\d+\.?\d*|\.\d+)",
    "N0": r"-?\d+",
    "N2": r"-?\d+",
    "DT": r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])",
    "TM": r"([01]\d|2[0-3])[0-5]\d([0-5]\d\d{0,2})?",
    "AN": r".*",
    "ID": r".*",
    "POS": r"\d{1,2}.?\d{0,2}",  # an element's place, with the component's after the separator
}
_CODES = {"DT": "8", "TM": "9"}  # AK403; other types that do not fit: 6, a bad character


@dataclass(frozen=True, slots=True)
class _Element:
    mandatory: bool
    kind: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Rule:
    size: int
    elements: dict[int, _Element]
    conditions: tuple[str, ...]


@dataclass(slots=True)
class Finding:
    """One segment at fault: AK3, and an AK4 for each of its elements: (position, AK403, the data)."""

    segment: str
    position: int
    code: str
    elements: list[tuple[int, str, str]] = field(default_factory=list)
    grave: bool = True  # not grave: accepted with errors


def _rules() -> dict[str, _Rule]:
    rules = {}
    for line in _TABLE.strip().splitlines():
        start, _, rest = line.partition(": ")
        fields, _, conditions = rest.partition("; ")
        name, size = start.split()
        elements = {}
        for text in fields.split(", "):
            number, need, kind, lengths = text.split()
            least, most = map(int, lengths.split("/"))
            elements[int(number)] = _Element(need == "M", kind, least, most)
        rules[name] = _Rule(int(size), elements, tuple(conditions.split()))
    return rules


_RULES = _rules()


def is_checked(name: str) -> bool:
    """Whether partners look into segments of this name."""
    return name in _RULES


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an interchange was agreed to be: GS08, ascii, latin1 or utf8, and its component separator."""

    version: str
    charset: str
    component: str

    @property
    def long(self) -> bool:
        """Whether 005010's lengths count."""
        return self.version >= "005010"


def check_segment(segment: Segment, position: int, agreed: Agreed) -> list[Finding]:
    """What a partner finds in one segment."""
    name = segment[0]
    rule = _RULES.get(name)
    if rule is None:
        return [] if name in _OTHERS else [Finding(name, position, "1", grave=False)]
    faults = list(_faults(segment, rule, agreed))
    return [Finding(name, position, "8", faults)] if faults else []


def _faults(segment: Segment, rule: _Rule, agreed: Agreed) -> Iterator[tuple[int, str, str]]:
    name = segment[0]
    if len(segment) - 1 > rule.size:
        yield rule.size + 1, "3", segment[-1]
    if segment[-1] == "" and len(segment) > 1:
        yield len(segment) - 1, "3", ""  # an empty element at the end (section 2)
    for number, element in rule.elements.items():
        value = at(segment, number)
        most = _LONGER.get((name, number), element.most) if agreed.long else element.most
        if not value:
            if element.mandatory:
                yield number, "1", ""
            continue
        if code := _fault(value, element, most):
            yield number, code, value
    for number, value in enumerate(segment[1:], start=1):
        composite = (name, number) == ("AK4", 1)  # the only one we take (section 8)
        if not _writable(value, agreed.charset) or (agreed.component in value and not composite):
            yield number, "6", value
        if value and value not in _CODES_AT.get((name, number), (value,)):
            yield number, "7", value
    for condition in rule.conditions:
        if (missing := _missing(segment, condition)) is not None:
            yield missing, "2", ""


def _fault(value: str, element: _Element, most: int) -> str:
    if not re.fullmatch(_KINDS[element.kind], value, re.ASCII):
        return _CODES.get(element.kind, "6")
    numeric = element.kind in {"R", "N0", "N2"}
    length = len(value.replace("-", "").replace(".", "")) if numeric else len(value)
    if length > most:
        return "5"
    return "4" if length < element.least and not numeric else ""


def _writable(value: str, charset: str) -> bool:
    """Whether a partner can read it. Control signs above ASCII tell a Latin-1 reader that it is UTF-8."""
    last = {"ascii": 126, "latin1": 255}.get(charset, 0x10FFFF)
    return all(32 <= ord(sign) <= last and not 127 <= ord(sign) < 160 for sign in value)


def _missing(segment: Segment, condition: str) -> int | None:
    """The first element a condition misses: P all or none, R one at least, C if the first then the rest."""
    numbers = [int(condition[i : i + 2]) for i in range(1, len(condition), 2)]
    given = [number for number in numbers if at(segment, number)]
    missing = [number for number in numbers if number not in given]
    match condition[0]:
        case "P" if given and missing:
            return missing[0]
        case "R" if not given:
            return numbers[0]
        case "C" if at(segment, numbers[0]) and missing:
            return missing[0]
        case _:
            return None
