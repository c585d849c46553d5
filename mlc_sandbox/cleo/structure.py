"""What partners check in a whole set: order, hierarchy, counts (vendors/x12.md sections 5 to 8)."""

from __future__ import annotations

from collections.abc import Iterator

from mlc_sandbox.cleo.elements import Agreed, Finding, check_segment, is_checked
from mlc_sandbox.cleo.x12 import Set, at

# The order segments stand in (sections 5 to 7): a list is a loop that its first segment begins.
_Area = list["str | _Area"]
_PARTY: _Area = ["N1", "N2", "N3", "N4", "REF", "PER", "FOB", "TD1", "TD5", "TD3"]
_NOTE: _Area = ["N9", "MSG"]
_CHARGE: _Area = ["SAC", "TXI"]
_HEAD: _Area = ["CUR", "REF", "PER", "FOB", _CHARGE, "ITD", "DTM", "PID", "TD1", "TD5", "TD3", "TXI"]
_LINE: _Area = ["PID", "REF", "PER", _CHARGE, "ITD", "DTM", "TD1", "TD5", "TD3", _NOTE, _PARTY]
_TREE: _Area = [
    *("HL", "LIN", "SN1", "PRF", "PID", "TD1", "TD5", "TD3", "REF", "PER", "MAN", "DTM", "FOB"),
    ["N1", "N2", "N3", "N4", "REF", "PER"],
]
_ORDER: dict[str, _Area] = {
    "850": ["ST", "BEG", *_HEAD, _NOTE, _PARTY, ["PO1", *_LINE], "CTT", "AMT", "SE"],
    "860": ["ST", "BCH", *_HEAD, _NOTE, _PARTY, ["POC", *_LINE], "CTT", "AMT", "SE"],
    "810": [
        *("ST", "BIG", "NTE", "CUR", "REF", "PER", _PARTY, "ITD", "DTM", "FOB", "PID", _NOTE),
        ["IT1", "CUR", "TXI", "PID", "REF", "PER", "DTM", _CHARGE, _PARTY],
        *("TDS", "TXI", "AMT", _CHARGE, "CTT", "SE"),
    ],
    "856": ["ST", "BSN", "DTM", _TREE, "CTT", "SE"],
    "997": ["ST", "AK1", ["AK2", ["AK3", "AK4"], "AK5"], "AK9", "SE"],
}
_NEEDED = {
    "850": ("BEG", "PO1"),
    "860": ("BCH",),
    "810": ("BIG", "IT1", "TDS"),
    "856": ("BSN", "HL"),
    "861": ("BRA", "RCD"),
    "997": ("AK1", "AK9"),
}
_ONCE = ("BEG", "BCH", "BIG", "BSN", "BRA", "AK1", "AK9", "TDS", "CTT")
_COUNTED = {"850": "PO1", "860": "POC", "810": "IT1", "856": "HL", "861": "RCD"}
# BSN05 -> the levels from the top; a tare (T) may lie between any two.
_LEVELS = {"0001": "SOPI", "0002": "SOIP", "0003": "SPOI", "0004": "SOI"}


def check(found: Set, agreed: Agreed) -> list[Finding]:
    """Everything a partner finds in a set."""
    findings = list(_check_presence(found))
    for position, segment in enumerate(found.segments, start=1):
        findings += check_segment(segment, position, agreed)
    findings += _check_order(found)
    if found.kind == "856":
        findings += _check_tree(found)
    return findings + list(_check_count(found))


def _check_presence(found: Set) -> Iterator[Finding]:
    """Segments that must be there, and those that may be there once."""
    names = [segment[0] for segment in found.segments]
    for name in _NEEDED.get(found.kind, ()):
        if name not in names:
            yield Finding(name, len(names), "3")
    if names.count("AK2") > names.count("AK5"):
        yield Finding("AK5", len(names), "3")
    for name in _ONCE:
        if names.count(name) > 1:
            first = names.index(name)
            yield Finding(name, names.index(name, first + 1) + 1, "5")


def _check_order(found: Set) -> list[Finding]:
    """The first segment that stands where it may not. Segments nobody looks into are passed over."""
    if found.kind not in _ORDER:
        return []
    known = _known(_ORDER[found.kind])
    placed = [
        (position, segment[0])
        for position, segment in enumerate(found.segments, start=1)
        if segment[0] in known or is_checked(segment[0])
    ]
    names = [name for _, name in placed]
    end = _walk(_ORDER[found.kind], names, 0)
    if end == len(names):
        return []
    position, name = placed[end]
    return [Finding(name, position, "7" if name in known else "6")]


def _known(area: _Area) -> set[str]:
    return set().union(*({item} if isinstance(item, str) else _known(item) for item in area))


def _walk(area: _Area, names: list[str], at_: int) -> int:
    """How far the names follow the area from here."""
    for item in area:
        if isinstance(item, str):
            while at_ < len(names) and names[at_] == item:
                at_ += 1
        else:
            while at_ < len(names) and names[at_] == item[0]:
                at_ = _walk(item[1:], names, at_ + 1)
    return at_


def _check_tree(found: Set) -> list[Finding]:
    """HL numbers in file order, parents before children, levels as BSN05 says, HL04 true."""
    levels = _LEVELS.get(at(found.first("BSN"), 5), "")
    heads = [
        (position, segment) for position, segment in enumerate(found.segments, start=1) if segment[0] == "HL"
    ]
    parents = {at(segment, 2) for _, segment in heads}
    above = {"": ""}  # HL01 -> the level that counts for its children
    findings: list[Finding] = []
    for number, (position, segment) in enumerate(heads, start=1):
        own, parent, level, children = (at(segment, place) for place in range(1, 5))
        wrong = []
        if own != str(number):
            wrong.append((1, "7", own))
        if parent not in above or (not parent and level != "S"):
            wrong.append((2, "7", parent))
        elif levels and level != "T" and above[parent] != _level_above(level, levels):
            wrong.append((3, "7", level))
        if children and (children == "1") != (own in parents):
            wrong.append((4, "7", children))
        if wrong:
            findings.append(Finding("HL", position, "8", wrong))
        above[own] = above.get(parent, "") if level == "T" else level
    return findings


def _level_above(level: str, levels: str) -> str | None:
    """The level that a child of this one stands under; empty for the top, None for one that is not there."""
    place = levels.find(level)
    return None if place < 0 else levels[max(0, place - 1) : place]


def _check_count(found: Set) -> Iterator[Finding]:
    """CTT01 counts lines or HL segments; leading zeros are taken, CTT02 never rejects (sections 4, 12)."""
    count = sum(segment[0] == _COUNTED.get(found.kind) for segment in found.segments)
    for position, segment in enumerate(found.segments, start=1):
        if segment[0] == "CTT" and at(segment, 1).isdecimal() and int(at(segment, 1)) != count:
            yield Finding("CTT", position, "8", [(1, "7", at(segment, 1))])
