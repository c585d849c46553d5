"""Transaction sets: which segments, in which order, how often, in which loops.

Written as the open grammars have them (vendor sheet x12.md, sections 5 to 8 and 11), in a short form:

    BEG!        mandatory, once          REF*     any number
    CUR         optional, once           DTM*10   up to ten
    N1*200(N2*2 N3*2)    a loop: begins with N1, up to 200 times; the rest is what may follow inside

ST and SE are left out: every set begins and ends with them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mlc_dagster.x12.segments import Version

_TOKEN = re.compile(
    r"(?P<id>[A-Z][A-Z0-9]{1,2})(?P<mandatory>!?)(?P<many>\*(?P<most>\d*))?(?P<opens>\()?|(?P<closes>\))"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A segment at its place. With `inside` it begins a loop named after it. `most` None: any number."""

    id: str
    mandatory: bool
    most: int | None
    inside: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class SetDef:
    """One transaction set of one version.

    `heading` is its first segment, `number` the element of it that holds the document's number (997: none,
    0). `counted` is the segment CTT01 counts, "" when the set has no CTT.
    """

    id: str
    name: str
    group: str
    nodes: tuple[Node, ...]
    heading: str
    number: int
    counted: str

    @property
    def segment_ids(self) -> frozenset[str]:
        """Every segment that may stand somewhere in the set."""
        return frozenset(_ids(self.nodes))


def _ids(nodes: tuple[Node, ...]) -> set[str]:
    return {node.id for node in nodes}.union(*(_ids(node.inside) for node in nodes))


@cache
def set_defs(version: Version) -> Mapping[str, SetDef]:
    """All sets of a version, by their number (ST01)."""
    spelled = _IN_VERSION[version]
    return {
        row[0]: SetDef(*row[:3], _parse(" ".join(spelled.get(word, word) for word in body.split())), *row[3:])
        for row, body in _SETS.items()
    }


def _parse(text: str) -> tuple[Node, ...]:
    levels: list[list[Node]] = [[]]
    opened: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text):
        if token["closes"]:
            inside = tuple(levels.pop())
            levels[-1].append(_node(opened.pop(), inside))
        elif token["opens"]:
            opened.append(token)
            levels.append([])
        else:
            levels[-1].append(_node(token))
    (nodes,) = levels
    return tuple(nodes)


def _node(token: re.Match[str], inside: tuple[Node, ...] = ()) -> Node:
    most = 1 if token["many"] is None else int(token["most"]) if token["most"] else None
    return Node(token["id"], bool(token["mandatory"]), most, inside)


# Words of the bodies below that the versions spell differently (sheet, section 11, and the grammars).
_IN_VERSION: Mapping[Version, Mapping[str, str]] = {
    "004010": {
        "<schedule>": "LDT*12",
        "<schedules>": "",
        "<routes>": "TD5*12",
        "<text>": "MSG*",
        "<texts>": "MSG*1000",
        "<names>": "",
        "<crc>": "",
        "<tax>": "TXI*10",
        "<charges>": "SAC*25(TXI*10)",
        "<subcharges>": "SAC*25",
        "<totalcharges>": "SAC*25(TXI*10)",
        "<equipment>": "TD3*12",
        "<accounts>": "",
        "<measures>": "",
    },
    "005010": {
        "<schedule>": "",
        "<schedules>": "LDT*(QTY* MTX* REF*)",
        "<routes>": "TD5*",
        "<text>": "MTX*",
        "<texts>": "MTX* PWK* EFI*",
        "<names>": "IN2*",
        "<crc>": "CRC",
        "<tax>": "TXI*",
        "<charges>": "SAC*(TXI*(DTM))",
        "<subcharges>": "SAC*",
        "<totalcharges>": "SAC*(DTM* TXI*(DTM))",
        "<equipment>": "TD3*12(AT9)",
        "<accounts>": "FA1*(FA2!*)",
        "<measures>": "MEA*",
    },
}

_ROUTING = "TD1*2 TD5*12 TD3*12 TD4*5"
_PLACE = "N2*2 <names> N3*2 N4* NX2* REF*12 PER* SI* FOB " + _ROUTING + " PKG*200"
_MILESTONES = """
    SPI*( REF*5 DTM*5 <text> N1*20(N2*2 N3*2 N4 REF*20 G61 <text> ) CB1*( REF*20 DTM*5 LDT <text> ) )
    ADV*(DTM* MTX*)"""
_AMOUNTS = "AMT*(REF* DTM PCT* FA1*(FA2!*))"
_LINE_PLACE = f"""
    N1*200( N2*2 <names> N3*2 N4 QTY* NX2* REF*12 PER*3 SI* DTM FOB SCH*200 {_ROUTING} PKG*200
        LDT*( MAN*10 QTY*5 <text> REF*3 ) )"""
_SUBLINE_PLACE = "N1*10( N2*2 <names> N3*2 N4 NX2* REF*12 PER*3 SI* )"
_SUBLINE_TEXT = "N9*( DTM* <text> )"
_SCHEDULED = "LS( LDT!*( QTY* <text> REF*3 LM*(LQ!*) ) LE! )"
_ADDRESS = "N2*2 N3*2 N4 REF*12 PER*3"

_850 = f"""
    BEG! CUR REF* PER*3 TAX* FOB* CTP* PAM*10 CSH*5 TC2* SAC*25(CUR) ITD* DIS*20 INC DTM*10 <schedule>
    LIN*5 SI* PID*200 MEA*40 PWK*25 PKG*200 TD1*2 <routes> TD3*12 TD4*5 MAN*10 PCT* CTB*5 TXI* <schedules>
    {_AMOUNTS}
    N9*1000( DTM* <texts> )
    N1*200( {_PLACE} ) LM*(LQ!*)
    {_MILESTONES}
    PO1!*100000( LIN* SI* CUR CN1 PO3*25 CTP*(CUR) PAM*10 MEA*40 PID*1000(MEA*10) PWK*25 PO4* REF* PER*3
        SAC*25(CUR CTP) IT8 CSH* ITD*2 DIS*20 INC TAX* FOB* SDQ*500 IT3*5 DTM*10 TC2* TD1 TD5*12 TD3*12
        TD4*5 PCT* MAN*10 <text> SPI* TXI* CTB* QTY*(SI*) SCH*200( {_ROUTING} REF* ) PKG*200(MEA*)
        {_SCHEDULED}
        N9*1000( DTM* MEA*40 <texts> )
        {_LINE_PLACE}
        SLN*1000( <text> SI* PID*1000 PO3*104 <measures> TC2* ADV* DTM*10 CTP*25 PAM*10 PO4 TAX*3
            {_SUBLINE_TEXT} SAC*25(CUR CTP) QTY*(SI*) {_SUBLINE_PLACE} ) AMT*(REF* PCT*) LM*(LQ!*) )
    CTT(AMT)"""

_860 = f"""
    BCH! CUR REF* PER*3 TAX* FOB* CTP* PAM*10 CSH*5 SAC*25(CUR) ITD*5 DIS*20 INC DTM*10 <schedule> LIN*5
    SI* PID*200 MEA*40 PWK*25 PKG*200 TD1*2 TD5*12 TD3*12 TD4*5 CTB* MAN*10 G53* TXI* PCT* <schedules>
    {_AMOUNTS}
    N9*1000( DTM* <texts> )
    N1*200( {_PLACE} ) LM*(LQ!*)
    {_MILESTONES}
    POC*( LIN* SI* CUR CN1 PO3*25 CTP* PAM*10 MEA*40 PID*1000(MEA*10) PWK*25 PKG*200 PO4* REF* PER*3
        SAC*25(CUR) IT8 CSH* ITD*2 DIS*20 INC TAX* FOB* SDQ*500 DTM*10 TD1 TD5*12 TD3*12 TD4*5 MAN*10 PCT*
        TC2*2 CTB* TXI* SPI* <text> QTY*(SI*) SCH*200( {_ROUTING} REF* )
        N9*1000( DTM* <texts> ) {_SCHEDULED}
        {_LINE_PLACE}
        SLN*1000( <text> SI* PID*1000 PO3*104 <measures> TC2*2 SAC*10(CUR) DTM*10 CTP*25 PAM*10 PO4 TAX*3
            ADV* QTY*(SI*) {_SUBLINE_TEXT} {_SUBLINE_PLACE} ) AMT*(REF* PCT*) LM*(LQ!*) )
    CTT(AMT*5)"""

_810 = f"""
    BIG! NTE*100 CUR REF*12 YNQ*10 PER*3
    N1*200( {_ADDRESS} DMG ) ITD* DTM*10 FOB PID*200 MEA*40 PWK*25 PKG*25 L7 BAL* INC PAM* <crc>
    LM*10(LQ!*100) N9(MSG!*10) V1*(R4* DTM*) FA1*(FA2!*)
    IT1*200000( CRC QTY*5 CUR IT3*5 <tax> CTP*25 PAM*10 MEA*40 PID*1000(MEA*10) PWK*25 PKG*25 PO4 ITD*2
        REF* YNQ*10 PER*5 SDQ*500 DTM*10 CAD* L7* SR <charges>
        SLN*1000( DTM REF* PID*1000 <subcharges> TC2*2 <tax> )
        N1*200( {_ADDRESS} DMG ) LM*10(LQ!*100) V1*(R4* DTM*) FA1*(FA2!*) )
    TDS! <tax> CAD AMT* <totalcharges> ISS*(PID)
    CTT"""

_856 = f"""
    BSN! DTM*10
    HL!*200000( LIN SN1
        SLN*1000 PRF PO4 PID*200 MEA*40 PWK*25 PKG*25 TD1*20 TD5*12 <equipment> TD4*5 TSD REF* PER*3
        LH1*100(LH2*4 LH3*12 LFH*20 LEP* LH4*4 LHT*3 LHR*10 PER*5 LHE) CLD*200(REF*200 DTP) MAN* DTM*10
        FOB PAL
        N1*200( {_ADDRESS} FOB ) SDQ*50 ETD CUR SAC*(CUR) GF YNQ*10 LM*10(LQ!*100) V1*(R4* DTM*) )
    CTT"""

_861 = f"""
    BRA! CUR REF* PER*3 DTM!*10 PRF*25 {_ROUTING} MEA*40
    N1*200(N2*2 N3*2 N4 REF*100 PER*3 FOB) LM*10(LQ!*100) <accounts>
    RCD*200000( SN1 CUR LIN*100 PID*1000 PO4*100 REF*12 PER*3 DTM*10 PRF*25 MEA* FOB TD1*20 TD5*12 TD3*12
        TD4*5 SAC*10 MAN* LM*10(LQ!*100)
        SLN*100( PID*1000 NM1 LM*10(LQ!*100) )
        N1*200(N2*2 N3*2 N4 REF*100 PER*3 FOB) <accounts> )
    CTT"""

_997 = "AK1! AK2*(AK3*(AK4*99) AK5!) AK9!"

_SETS: Mapping[tuple[str, str, str, str, int, str], str] = {
    ("850", "Purchase order", "PO", "BEG", 3, "PO1"): _850,
    ("860", "Purchase order change", "PC", "BCH", 3, "POC"): _860,
    ("810", "Invoice", "IN", "BIG", 2, "IT1"): _810,
    ("856", "Ship notice", "SH", "BSN", 2, "HL"): _856,
    ("861", "Receiving advice", "RC", "BRA", 1, "RCD"): _861,
    ("997", "Functional acknowledgment", "FA", "AK1", 2, ""): _997,
}

# The set a group of this functional id (GS01) carries. A group never mixes sets (sheet, section 1).
GROUPS: Mapping[str, str] = {row[2]: row[0] for row in _SETS}
