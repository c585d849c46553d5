"""Segments and their elements, as tables: what may stand where, how long, and what needs what.

Sources (vendor sheet x12.md, section 4 and 11): order, use and lengths of the open grammars, relational
conditions where they are public. One row an element:

    M AN 1/22 324 Purchase order number
    | |  |    |   name, for people
    | |  |    number in the data dictionary, which a 997 repeats (AK402); - where it is not public
    | |  minimum and maximum length in characters; of numbers, digits only
    | type: AN text, ID code, DT date, TM time, R decimal, N0 whole number, N2 two implied decimals,
    |       C001 and the like: a composite
    M mandatory, O optional (conditions are beside the table)

Conditions name positions: P all or none, R at least one, E at most one, C when the first then all others, L
when the first then one of the others at least. A segment that a set allows and that has no table here is
carried as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

Version = Literal["004010", "005010"]
VERSIONS: tuple[Version, ...] = ("004010", "005010")

_ROW = re.compile(
    r"(?P<use>[MO]) (?P<type>AN|ID|DT|TM|R|N0|N2|C\d{3}) "
    r"(?P<min>\d+)/(?P<max>\d+) (?P<number>\S+) (?P<name>.+)"
)
_CONDITION = re.compile(r"([PRECL])((?:\d\d){2,})")

# Free text may be cleaned of delimiters and cut to its length. All other text identifies something: it fails
# instead.
FREE_TEXT = frozenset({"19", "93", "166", "352", "364", "387", "933", "1551"})


@dataclass(frozen=True, slots=True)
class ElementDef:
    """One element: `minimum` and `maximum` count characters, of numbers digits only."""

    name: str
    number: str
    type: str
    minimum: int
    maximum: int
    mandatory: bool
    components: tuple["ElementDef", ...] = ()

    @property
    def free_text(self) -> bool:
        """May this be cut and cleaned without changing what it identifies?"""
        return self.number in FREE_TEXT


@dataclass(frozen=True, slots=True)
class Condition:
    """A relation between elements of one segment. `kind` is P, R, E, C or L; positions count from 1."""

    kind: str
    positions: tuple[int, ...]

    def __str__(self) -> str:
        return self.kind + "".join(f"{position:02}" for position in self.positions)

    def broken(self, present: frozenset[int]) -> int:
        """The position that breaks it, 0 when it holds. `present` are the positions with a value."""
        first, others = self.positions[0], self.positions[1:]
        here = [position for position in self.positions if position in present]
        missing = [position for position in self.positions if position not in present]
        if self.kind == "P":
            return missing[0] if here and missing else 0
        if self.kind == "R":
            return 0 if here else first
        if self.kind == "E":
            return here[1] if len(here) > 1 else 0
        if first not in present:
            return 0
        if self.kind == "C":
            return missing[0] if missing else 0
        return 0 if any(position in present for position in others) else others[0]


@dataclass(frozen=True, slots=True)
class SegmentDef:
    """One segment: its elements in order, and the conditions between them."""

    id: str
    name: str
    elements: tuple[ElementDef, ...]
    conditions: tuple[Condition, ...]


@cache
def segment_defs(version: Version) -> Mapping[str, SegmentDef]:
    """All segments of a version, by id."""
    defs = {definition.id: definition for definition in _004010}
    if version == "005010":
        for segment_id, changes in _005010.items():
            defs[segment_id] = _changed(defs[segment_id], changes)
    return defs


def _changed(definition: SegmentDef, changes: Mapping[int, str]) -> SegmentDef:
    elements = list(definition.elements)
    for position, row in changes.items():
        elements[position - 1 : position] = [_element(row)]
    return replace(definition, elements=tuple(elements))


def _element(row: str) -> ElementDef:
    match = _ROW.fullmatch(row.strip())
    if match is None:
        raise ValueError(f"no element row: {row!r}")
    return ElementDef(
        name=match["name"],
        number=match["number"],
        type=match["type"],
        minimum=int(match["min"]),
        maximum=int(match["max"]),
        mandatory=match["use"] == "M",
        components=_COMPOSITES[match["number"]] if match["type"].startswith("C") else (),
    )


def _elements(rows: str) -> tuple[ElementDef, ...]:
    return tuple(_element(row) for row in rows.strip().splitlines())


def _conditions(text: str) -> tuple[Condition, ...]:
    found = []
    for word in text.split():
        match = _CONDITION.fullmatch(word)
        if match is None:
            raise ValueError(f"no condition: {word!r}")
        found.append(Condition(match[1], tuple(int(position) for position in re.findall(r"\d\d", match[2]))))
    return tuple(found)


def _segment(segment_id: str, name: str, rows: str, conditions: str = "", *, item_ids: int = 0) -> SegmentDef:
    """A segment from its table. `item_ids` adds that many pairs of qualifier and item number at its end."""
    elements = list(_elements(rows))
    relations = list(_conditions(conditions))
    for _ in range(item_ids):
        relations.append(Condition("P", (len(elements) + 1, len(elements) + 2)))
        elements += _elements(_ITEM_ID)
    return SegmentDef(segment_id, name, tuple(elements), tuple(relations))


_ITEM_ID = """
    O ID 2/2 235 Item number qualifier
    O AN 1/48 234 Item number"""

_REFERENCES = """
    M ID 2/3 128 Qualifier
    M AN 1/{0} 127 Reference
    O ID 2/3 128 Qualifier
    O AN 1/{0} 127 Reference
    O ID 2/3 128 Qualifier
    O AN 1/{0} 127 Reference"""

_UNIT = """
    O ID 2/2 355 Unit
    O R 1/15 1018 Exponent
    O R 1/10 649 Multiplier"""

_COMPOSITES: dict[str, tuple[ElementDef, ...]] = {
    "C001": (_element("M ID 2/2 355 Unit"), *_elements(_UNIT)[1:], *(_elements(_UNIT) * 4)),
    "C030": _elements("M N0 1/2 722 Element position\nO N0 1/2 1528 Component position"),
    "C030-5010": _elements(
        "M N0 1/2 722 Element position\nO N0 1/2 1528 Component position\nO N0 1/4 1686 Repetition"
    ),
    "C040": _elements(_REFERENCES.format(30)),
    "C040-5010": _elements(_REFERENCES.format(50)),
}

_QUESTIONED = """
    O R 1/9 667 Quantity in question
    O C001 2/99 C001 Unit
    O ID 2/2 412 Receiving condition"""

_CURRENCY_TIME = """
    O ID 3/3 374 Date qualifier
    O DT 8/8 373 Date
    O TM 4/8 337 Time"""

_004010 = (
    _segment(
        "ISA",
        "Interchange header",
        """
        M ID 2/2 I01 Authorisation qualifier
        M AN 10/10 I02 Authorisation
        M ID 2/2 I03 Security qualifier
        M AN 10/10 I04 Security
        M ID 2/2 I05 Sender qualifier
        M AN 15/15 I06 Sender
        M ID 2/2 I05 Receiver qualifier
        M AN 15/15 I07 Receiver
        M DT 6/6 I08 Date
        M TM 4/4 I09 Time
        M ID 1/1 I10 Standards id or repetition separator
        M ID 5/5 I11 Version
        M N0 9/9 I12 Control number
        M ID 1/1 I13 Acknowledgment requested
        M ID 1/1 I14 Test or production
        M AN 1/1 I15 Component separator""",
    ),
    _segment("IEA", "Interchange trailer", "M N0 1/5 I16 Groups\nM N0 9/9 I12 Control number"),
    _segment(
        "TA1",
        "Interchange acknowledgment",
        """
        M N0 9/9 I12 Control number
        M DT 6/6 I08 Date
        M TM 4/4 I09 Time
        M ID 1/1 I17 Status
        M ID 3/3 I18 Note""",
    ),
    _segment(
        "GS",
        "Group header",
        """
        M ID 2/2 479 Functional id
        M AN 2/15 142 Sender
        M AN 2/15 124 Receiver
        M DT 8/8 373 Date
        M TM 4/8 337 Time
        M N0 1/9 28 Control number
        M ID 1/2 455 Agency
        M AN 1/12 480 Version""",
    ),
    _segment("GE", "Group trailer", "M N0 1/6 97 Sets\nM N0 1/9 28 Control number"),
    _segment("ST", "Set header", "M ID 3/3 143 Transaction set\nM AN 4/9 329 Control number"),
    _segment("SE", "Set trailer", "M N0 1/10 96 Segments\nM AN 4/9 329 Control number"),
    _segment(
        "BEG",
        "Beginning of purchase order",
        """
        M ID 2/2 353 Purpose
        M ID 2/2 92 Order type
        M AN 1/22 324 Purchase order number
        O AN 1/30 328 Release number
        M DT 8/8 373 Date
        O AN 1/30 367 Contract number
        O ID 2/2 587 Acknowledgment type
        O ID 3/3 1019 Invoice type
        O ID 2/2 1166 Contract type
        O ID 2/2 1232 Purchase category
        O ID 2/2 786 Security level
        O ID 2/2 640 Transaction type""",
    ),
    _segment(
        "BCH",
        "Beginning of purchase order change",
        """
        M ID 2/2 353 Purpose
        M ID 2/2 92 Order type
        M AN 1/22 324 Purchase order number
        O AN 1/30 328 Release number
        O AN 1/8 327 Change sequence number
        M DT 8/8 373 Order date
        O AN 1/45 326 Request reference
        O AN 1/30 367 Contract number
        O AN 1/30 127 Reference
        O DT 8/8 373 Acknowledgment date
        O DT 8/8 373 Change date
        O ID 2/2 1166 Contract type
        O ID 2/2 786 Security level
        O ID 2/2 587 Acknowledgment type
        O ID 2/2 640 Transaction type
        O ID 2/2 1232 Purchase category""",
    ),
    _segment(
        "BIG",
        "Beginning of invoice",
        """
        M DT 8/8 373 Invoice date
        M AN 1/22 76 Invoice number
        O DT 8/8 373 Order date
        O AN 1/22 324 Purchase order number
        O AN 1/30 328 Release number
        O AN 1/8 327 Change sequence number
        O ID 2/2 640 Invoice type
        O ID 2/2 353 Purpose
        O ID 1/2 306 Action
        O AN 1/22 76 Invoice number""",
    ),
    _segment(
        "BSN",
        "Beginning of ship notice",
        """
        M ID 2/2 353 Purpose
        M AN 2/30 396 Shipment number
        M DT 8/8 373 Date
        M TM 4/8 337 Time
        O ID 4/4 1005 Structure
        O ID 2/2 640 Transaction type
        O ID 3/3 641 Status reason""",
        "C0706",
    ),
    _segment(
        "BRA",
        "Beginning of receiving advice",
        """
        M AN 1/30 127 Receipt number
        M DT 8/8 373 Date
        M ID 2/2 353 Purpose
        M ID 1/1 962 Advice type
        O TM 4/8 337 Time
        O ID 2/2 412 Receiving condition
        O ID 1/2 306 Action""",
    ),
    _segment(
        "CUR",
        "Currency",
        """
        M ID 2/3 98 Party
        M ID 3/3 100 Currency
        O R 4/10 280 Rate
        O ID 2/3 98 Party
        O ID 3/3 100 Currency
        O ID 3/3 669 Exchange"""
        + _CURRENCY_TIME * 5,
        "C0807 C0907 L101112 C1110 C1210 L131415 C1413 C1513 L161718 C1716 C1816 L192021 C2019 C2119",
    ),
    _segment(
        "REF",
        "Reference",
        """
        M ID 2/3 128 Qualifier
        O AN 1/30 127 Reference
        O AN 1/80 352 Text
        O C040 2/99 C040 Further references""",
        "R0203",
    ),
    _segment(
        "PER",
        "Contact",
        """
        M ID 2/2 366 Function
        O AN 1/60 93 Name
        O ID 2/2 365 Number qualifier
        O AN 1/80 364 Number
        O ID 2/2 365 Number qualifier
        O AN 1/80 364 Number
        O ID 2/2 365 Number qualifier
        O AN 1/80 364 Number
        O AN 1/20 443 Enquiry reference""",
        "P0304 P0506 P0708",
    ),
    _segment(
        "N1",
        "Party",
        """
        M ID 2/3 98 Role
        O AN 1/60 93 Name
        O ID 1/2 66 Number qualifier
        O AN 2/80 67 Number
        O ID 2/2 706 Relationship
        O ID 2/3 98 Role""",
        "R0203 P0304",
    ),
    _segment("N2", "Further names", "M AN 1/60 93 Name\nO AN 1/60 93 Name"),
    _segment("N3", "Street", "M AN 1/55 166 Street\nO AN 1/55 166 Street"),
    _segment(
        "N4",
        "Place",
        """
        O AN 2/30 19 City
        O ID 2/2 156 State
        O ID 3/15 116 Postal code
        O ID 2/3 26 Country
        O ID 1/2 309 Location qualifier
        O AN 1/30 310 Location""",
        "C0605",
    ),
    _segment(
        "DTM",
        "Date",
        """
        M ID 3/3 374 Qualifier
        O DT 8/8 373 Date
        O TM 4/8 337 Time
        O ID 2/2 623 Time code
        O ID 2/3 1250 Period format
        O AN 1/35 1251 Period""",
        "R020305 C0403 P0506",
    ),
    _segment(
        "ITD",
        "Terms of payment",
        """
        O ID 2/2 336 Type
        O ID 1/2 333 Basis
        O R 1/6 338 Discount percent
        O DT 8/8 370 Discount date
        O N0 1/3 351 Discount days
        O DT 8/8 446 Net due date
        O N0 1/3 386 Net days
        O N2 1/10 362 Discount amount
        O DT 8/8 388 Deferred due date
        O N2 1/10 389 Deferred amount
        O R 1/5 342 Percent payable
        O AN 1/80 352 Text
        O N0 1/2 765 Day of month
        O ID 1/2 107 Payment method
        O R 1/10 954 Percentage""",
        "L03040513 L08040513 L091011",
    ),
    _segment(
        "TD1",
        "Packages and weight",
        """
        O AN 3/5 103 Packaging
        O N0 1/7 80 Packages
        O ID 1/1 23 Commodity qualifier
        O AN 1/30 22 Commodity
        O AN 1/50 79 Lading description
        O ID 1/2 187 Weight qualifier
        O R 1/10 81 Weight
        O ID 2/2 355 Unit
        O R 1/8 183 Volume
        O ID 2/2 355 Unit""",
        "C0102 C0304 P0607 P0910",
    ),
    _segment(
        "TD3",
        "Equipment",
        """
        O ID 2/2 40 Equipment
        O AN 1/4 206 Initial
        O AN 1/10 207 Number
        O ID 1/2 187 Weight qualifier
        O R 1/10 81 Weight
        O ID 2/2 355 Unit
        O ID 1/1 102 Ownership
        O ID 2/2 407 Seal status
        O AN 2/15 225 Seal
        O ID 4/4 24 Equipment type""",
    ),
    _segment(
        "TD5",
        "Carrier",
        """
        O ID 1/2 133 Sequence
        O ID 1/2 66 Number qualifier
        O AN 2/80 67 Number
        O ID 1/2 91 Method
        O AN 1/35 387 Routing
        O ID 2/2 368 Status
        O ID 1/2 309 Location qualifier
        O AN 1/30 310 Location
        O ID 2/2 731 Transit direction
        O ID 2/2 732 Transit time qualifier
        O R 1/4 733 Transit time
        O ID 2/2 284 Service level
        O ID 2/2 284 Service level
        O ID 2/2 284 Service level
        O ID 2/3 26 Country""",
        "R0204050612 C0203 C0708 C1011",
    ),
    _segment(
        "PO1",
        "Order line",
        """
        O AN 1/20 350 Line
        O R 1/15 330 Quantity
        O ID 2/2 355 Unit
        O R 1/17 212 Price
        O ID 2/2 639 Price basis""",
        "C0302 C0504",
        item_ids=10,
    ),
    _segment(
        "POC",
        "Changed order line",
        """
        O AN 1/20 350 Line
        M ID 2/2 670 Change
        O R 1/15 330 Quantity
        O R 1/9 671 Quantity left to receive
        O C001 2/99 C001 Unit
        O R 1/17 212 Price
        O ID 2/2 639 Price basis""",
        "C030405 C0706",
        item_ids=10,
    ),
    _segment(
        "IT1",
        "Invoice line",
        """
        O AN 1/20 350 Line
        O R 1/10 358 Quantity
        O ID 2/2 355 Unit
        O R 1/17 212 Price
        O ID 2/2 639 Price basis""",
        "P020304",
        item_ids=10,
    ),
    _segment(
        "SN1",
        "Shipped quantity",
        """
        O AN 1/20 350 Line
        M R 1/10 382 Shipped
        M ID 2/2 355 Unit
        O R 1/15 646 Shipped to date
        O R 1/15 330 Ordered
        O ID 2/2 355 Unit
        O ID 1/2 728 Returnable container
        O ID 2/2 668 Line status""",
        "P0506",
    ),
    _segment(
        "LIN",
        "Item",
        """
        O AN 1/20 350 Line
        M ID 2/2 235 Item number qualifier
        M AN 1/48 234 Item number""",
        item_ids=14,
    ),
    _segment(
        "PID",
        "Description",
        """
        M ID 1/1 349 Form
        O ID 2/3 750 Characteristic
        O ID 2/2 559 Agency
        O AN 1/12 751 Description code
        O AN 1/80 352 Text
        O ID 2/2 752 Surface
        O AN 1/15 822 Source
        O ID 1/1 1073 Yes or no
        O ID 2/3 819 Language""",
        "C0403 R0405 C0703 C0804 C0905",
    ),
    _segment(
        "TXI",
        "Tax",
        """
        M ID 2/2 963 Type
        O R 1/18 782 Amount
        O R 1/10 954 Rate
        O ID 2/2 955 Jurisdiction qualifier
        O AN 1/10 956 Jurisdiction
        O ID 1/1 441 Exemption
        O ID 1/1 662 Relationship
        O R 1/9 828 Tax base
        O AN 1/20 325 Tax number
        O AN 1/20 350 Line""",
        "R020306 P0405 C0803",
    ),
    _segment(
        "SAC",
        "Allowance or charge",
        """
        M ID 1/1 248 Allowance or charge
        O ID 4/4 1300 Service
        O ID 2/2 559 Agency
        O AN 1/10 1301 Agency's code
        O N2 1/15 610 Amount
        O ID 1/1 378 Percent of
        O R 1/6 332 Percent
        O R 1/9 118 Rate
        O ID 2/2 355 Unit
        O R 1/15 380 Quantity
        O R 1/15 380 Quantity
        O ID 2/2 331 Handling
        O AN 1/30 127 Reference
        O AN 1/20 770 Option
        O AN 1/80 352 Text
        O ID 2/3 819 Language""",
        "R0203 P0304 P0607 P0910 C1110 L130204 C1413 C1615",
    ),
    _segment(
        "TDS",
        "Total",
        """
        M N2 1/15 610 Total
        O N2 1/15 610 Amount the discount applies to
        O N2 1/15 610 Discounted total
        O N2 1/15 610 Discount""",
    ),
    _segment("AMT", "Amount", "M ID 1/3 522 Qualifier\nM R 1/18 782 Amount\nO ID 1/1 478 Debit or credit"),
    _segment(
        "CTT",
        "Count",
        """
        M N0 1/6 354 Lines
        O R 1/10 347 Hash total
        O R 1/10 81 Weight
        O ID 2/2 355 Unit
        O R 1/8 183 Volume
        O ID 2/2 355 Unit
        O AN 1/80 352 Text""",
        "P0304 P0506",
    ),
    _segment(
        "HL",
        "Level",
        """
        M AN 1/12 628 Level id
        O AN 1/12 734 Parent
        M ID 1/2 735 Level
        O ID 1/1 736 Has children""",
    ),
    _segment(
        "PRF",
        "Order reference",
        """
        M AN 1/22 324 Purchase order number
        O AN 1/30 328 Release number
        O AN 1/8 327 Change sequence number
        O DT 8/8 373 Order date
        O AN 1/20 350 Line
        O AN 1/30 367 Contract number
        O ID 2/2 92 Order type""",
    ),
    _segment(
        "MAN",
        "Marks",
        """
        M ID 1/2 88 Qualifier
        M AN 1/48 87 Mark
        O AN 1/48 87 Last mark
        O ID 1/2 88 Qualifier
        O AN 1/48 87 Mark
        O AN 1/48 87 Last mark""",
        "P0405 C0605",
    ),
    _segment(
        "N9",
        "Reference of a text",
        """
        M ID 2/3 128 Qualifier
        O AN 1/30 127 Reference
        O AN 1/45 369 Text
        O DT 8/8 373 Date
        O TM 4/8 337 Time
        O ID 2/2 623 Time code
        O C040 2/99 C040 Further references""",
        "R0203 C0605",
    ),
    _segment(
        "MSG", "Text", "M AN 1/264 933 Text\nO ID 2/2 934 Carriage control\nO N0 1/9 1470 Number", "C0302"
    ),
    _segment(
        "MTX",
        "Text",
        """
        O ID 3/3 363 Kind
        O AN 1/4096 1551 Text
        O AN 1/4096 1551 Text
        O ID 2/2 934 Carriage control""",
        "C0102 C0302",
    ),
    _segment("NTE", "Note", "O ID 3/3 363 Kind\nM AN 1/80 352 Text"),
    _segment(
        "RCD",
        "Received quantity",
        """
        O AN 1/20 350 Line
        O R 1/9 663 Received
        O C001 2/99 C001 Unit
        O R 1/9 664 Returned
        O C001 2/99 C001 Unit"""
        + _QUESTIONED * 5
        + "\n        O R 1/15 380 Received to date",
        "R020406 P0203 P0405 C060708 C091011 C121314 C151617 C181920",
    ),
    _segment("AK1", "Acknowledged group", "M ID 2/2 479 Functional id\nM N0 1/9 28 Group control number"),
    _segment("AK2", "Acknowledged set", "M ID 3/3 143 Transaction set\nM AN 4/9 329 Set control number"),
    _segment(
        "AK3",
        "Segment in error",
        """
        M ID 2/3 721 Segment
        M N0 1/6 719 Position in the set
        O AN 1/6 447 Loop
        O ID 1/3 720 Error""",
    ),
    _segment(
        "AK4",
        "Element in error",
        """
        M C030 1/9 C030 Position in the segment
        O N0 1/4 725 Element number
        M ID 1/3 723 Error
        O AN 1/99 724 Bad data""",
    ),
    _segment("AK5", "Set's acknowledgment", "M ID 1/1 717 Status" + "\nO ID 1/3 718 Error" * 5),
    _segment(
        "AK9",
        "Group's acknowledgment",
        """
        M ID 1/1 715 Status
        M N0 1/6 97 Sets declared
        M N0 1/6 123 Sets received
        M N0 1/6 2 Sets accepted"""
        + "\nO ID 1/3 716 Error" * 5,
    ),
)

# What 005010 changes (sheet, section 11): the row that stands at a position instead of 004010's, or behind
# its last.
_005010: Mapping[str, Mapping[int, str]] = {
    "ST": {3: "O AN 1/35 1705 Implementation reference"},
    "BCH": {9: "O AN 1/50 127 Reference"},
    "BIG": {11: "O ID 4/4 1005 Structure"},
    "BRA": {1: "M AN 1/50 127 Receipt number"},
    "REF": {2: "O AN 1/50 127 Reference", 4: "O C040 2/99 C040-5010 Further references"},
    "PER": dict.fromkeys((4, 6, 8), "O AN 1/256 364 Number"),
    "N4": {7: "O ID 1/3 1715 Subdivision"},
    "TD3": {3: "O AN 1/15 207 Number"},
    "IT1": {2: "O R 1/15 358 Quantity"},
    "SAC": {13: "O AN 1/50 127 Reference"},
    "N9": {2: "O AN 1/50 127 Reference", 7: "O C040 2/99 C040-5010 Further references"},
    "MTX": {5: "O N0 1/9 1470 Number", 6: "O ID 2/3 819 Language"},
    "AK1": {3: "O AN 1/12 480 Version"},
    "AK2": {3: "O AN 1/35 1705 Implementation reference"},
    "AK3": {2: "M N0 1/10 719 Position in the set", 3: "O AN 1/4 447 Loop"},
    "AK4": {1: "M C030 1/14 C030-5010 Position in the segment"},
}
