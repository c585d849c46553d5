"""Mistakes put into the sheet's examples, each with what the validator has to say about it."""

import re
from dataclasses import dataclass

from mlc_dagster.x12.findings import Finding, Level, Severity
from tests.x12.examples import content

ORDER, INVOICE, NOTICE, ANSWER = (
    "850_purchase_order",
    "810_invoice",
    "856_ship_notice",
    "997_one_set_rejected",
)

AK3, AK4, AK5, AK9, TA1 = Level.SEGMENT, Level.ELEMENT, Level.SET, Level.GROUP, Level.INTERCHANGE


@dataclass(frozen=True)
class Fault:
    """`old` becomes `new` in an example; SE01 is counted again unless the fault is in SE."""

    name: str
    example: str
    old: str
    new: str
    level: Level
    code: str
    place: tuple[str, int, int] = ("", 0, 0)  # segment, position in the set, element
    severity: Severity = Severity.ERROR

    def content(self) -> bytes:
        text = content(self.example).decode()
        assert text.count(self.old) >= 1, f"{self.name}: {self.old!r} is not in the example"
        text = text.replace(self.old, self.new, 1)
        if not self.old.startswith("SE*"):
            text = _counted(text)
        return text.encode()

    def is_found_in(self, findings: list[Finding]) -> bool:
        wanted = (self.severity, self.level, self.code, *self.place)
        return wanted in [
            (one.severity, one.level, one.code, one.segment, one.position, one.element) for one in findings
        ]


def _counted(text: str) -> str:
    segments = text.split("~")
    start = next(at for at, segment in enumerate(segments) if segment.startswith("ST*"))
    end = next((at for at, segment in enumerate(segments) if segment.startswith("SE*")), None)
    return text if end is None else re.sub(r"~SE\*\d+\*", f"~SE*{end - start + 1}*", text)


FAULTS = [
    # elements
    Fault("mandatory element empty", ORDER, "BEG*00*SA*", "BEG*00**", AK4, "1", ("BEG", 2, 2)),
    Fault(
        "mandatory last element absent",
        ORDER,
        "BEG*00*SA*PO000123**20261120",
        "BEG*00*SA*PO000123",
        AK4,
        "1",
        ("BEG", 2, 5),
    ),
    Fault(
        "order number too long",
        ORDER,
        "SA*PO000123*",
        "SA*PO0001234567890123456789*",
        AK4,
        "5",
        ("BEG", 2, 3),
    ),
    Fault("city too short", ORDER, "N4*BERGEN", "N4*B", AK4, "4", ("N4", 13, 1)),
    Fault("postal code too short", ORDER, "*5013*", "*50*", AK4, "4", ("N4", 13, 3)),
    Fault("party number too short", ORDER, "*92*WH01", "*92*W", AK4, "4", ("N1", 14, 4)),
    Fault("unit unknown", ORDER, "*10*EA*125.5", "*10*M*125.5", AK4, "4", ("PO1", 20, 3)),
    Fault("unit not in the list", NOTICE, "SN1*1*10*EA", "SN1*1*10*XX", AK4, "7", ("SN1", 20, 3)),
    Fault("quantity with a comma", ORDER, "PO1*2*2.5*", "PO1*2*2,5*", AK4, "6", ("PO1", 23, 2)),
    Fault("quantity with a plus", ORDER, "PO1*2*2.5*", "PO1*2*+2.5*", AK4, "6", ("PO1", 23, 2)),
    Fault(
        "quantity with a thousands separator", ORDER, "PO1*2*2.5*", "PO1*2*2 500*", AK4, "6", ("PO1", 23, 2)
    ),
    Fault("price of a word", ORDER, "*125.5*PE", "*NIL*PE", AK4, "6", ("PO1", 20, 4)),
    Fault(
        "price with too many digits", ORDER, "*125.5*PE", "*123456789012.345678*PE", AK4, "5", ("PO1", 20, 4)
    ),
    Fault(
        "a day the calendar lacks",
        ORDER,
        "DTM*002*20261205~TD5",
        "DTM*002*20261305~TD5",
        AK4,
        "8",
        ("DTM", 7, 2),
    ),
    Fault(
        "a date of seven digits",
        ORDER,
        "DTM*002*20261205~TD5",
        "DTM*002*2026120~TD5",
        AK4,
        "8",
        ("DTM", 7, 2),
    ),
    Fault(
        "a date of six digits in a set",
        ORDER,
        "DTM*002*20261205~TD5",
        "DTM*002*261205~TD5",
        AK4,
        "4",
        ("DTM", 7, 2),
    ),
    Fault(
        "an hour the day lacks", NOTICE, "*20261127*1430*0004", "*20261127*2430*0004", AK4, "9", ("BSN", 2, 4)
    ),
    Fault("shipment number too short", NOTICE, "BSN*00*NK55210", "BSN*00*N", AK4, "4", ("BSN", 2, 2)),
    Fault("a point in an amount of cents", INVOICE, "TDS*300313", "TDS*3003.13", AK4, "6", ("TDS", 20, 1)),
    Fault("a tax base of ten digits", INVOICE, "*****1255~", "*****12550000.55~", AK4, "5", ("TXI", 14, 8)),
    Fault("allowance or charge unsaid", INVOICE, "SAC*C*D240", "SAC*X*D240", AK4, "7", ("SAC", 22, 1)),
    Fault("one element too many", INVOICE, "TDS*300313", "TDS*300313****5", AK4, "3", ("TDS", 20, 5)),
    Fault(
        "component separator in a name",
        ORDER,
        "*BUYING OFFICE*",
        "*BUYING > OFFICE*",
        AK4,
        "6",
        ("PER", 5, 2),
    ),
    Fault("control character in a text", ORDER, "PORT 4", "PORT\x074", AK4, "6", ("MSG", 10, 1)),
    Fault("status of a set unknown", ANSWER, "AK5*R*5", "AK5*Z*5", AK4, "7", ("AK5", 6, 1)),
    Fault("element position of no number", ANSWER, "AK4*3*", "AK4*C*", AK4, "6", ("AK4", 5, 1)),
    # conditions between elements
    Fault("qualifier without number", ORDER, "*TE*+4755001122", "*TE", AK4, "2", ("PER", 5, 4)),
    Fault("reference without a value", ORDER, "REF*VX*NO987654321MVA", "REF*VX", AK4, "2", ("REF", 4, 2)),
    Fault("unit without quantity", ORDER, "PO1*1*10*EA*", "PO1*1**EA*", AK4, "2", ("PO1", 20, 2)),
    Fault("price basis without price", ORDER, "*EA*125.5*PE*", "*EA**PE*", AK4, "2", ("PO1", 20, 4)),
    Fault("date without a date", ORDER, "DTM*002*20261205~TD5", "DTM*002~TD5", AK4, "2", ("DTM", 7, 2)),
    Fault(
        "tax without amount, rate and exemption",
        INVOICE,
        "TXI*VA*313.75*.25*****1255",
        "TXI*VA",
        AK4,
        "2",
        ("TXI", 14, 2),
    ),
    Fault(
        "tax base without rate", INVOICE, "TXI*VA*313.75*.25*", "TXI*VA*313.75**", AK4, "2", ("TXI", 14, 3)
    ),
    Fault(
        "invoice line without price",
        INVOICE,
        "IT1*1*10*EA*125.5*PE",
        "IT1*1*10*EA**PE",
        AK4,
        "2",
        ("IT1", 13, 4),
    ),
    Fault("ordered quantity without unit", NOTICE, "EA**10*EA~", "EA**10~", AK4, "2", ("SN1", 20, 6)),
    Fault(
        "packages without packaging's count", NOTICE, "TD1*CTN25*2*", "TD1*CTN25**", AK4, "2", ("TD1", 5, 2)
    ),
    Fault(
        "item number without qualifier", NOTICE, "*VP*NK-8801~SN1", "**NK-8801~SN1", AK4, "2", ("LIN", 19, 4)
    ),
    # segments
    Fault("heading missing", ORDER, "BEG*00*SA*PO000123**20261120~", "", AK3, "3", ("BEG", 2, 0)),
    Fault("total missing", INVOICE, "TDS*300313~", "", AK3, "3", ("TDS", 23, 0)),
    Fault(
        "no line at all",
        ORDER,
        "PO1*1*10*EA*125.5*PE*BP*SKRUE-M8*VP*NK-8801~PID*F****SKRUE M8 X 40 SYREFAST~"
        "DTM*002*20261205~PO1*2*2.5*MR*399*UM*BP*KABEL-3G*VP*NK-1203~PID*F****KABEL 3G1.5~",
        "",
        AK3,
        "3",
        ("PO1", 20, 0),
    ),
    Fault("date behind the parties", ORDER, "PO1*1*", "DTM*010*20261201~PO1*1*", AK3, "7", ("DTM", 20, 0)),
    Fault(
        "currency behind the reference",
        ORDER,
        "CUR*BY*NOK~REF*VX*NO987654321MVA~",
        "REF*VX*NO987654321MVA~CUR*BY*NOK~",
        AK3,
        "7",
        ("CUR", 4, 0),
    ),
    Fault(
        "tax behind the description",
        INVOICE,
        "TXI*VA*313.75*.25*****1255~PID*F****SKRUE M8 X 40 SYREFAST~",
        "PID*F****SKRUE M8 X 40 SYREFAST~TXI*VA*313.75*.25*****1255~",
        AK3,
        "7",
        ("TXI", 15, 0),
    ),
    Fault("heading twice", ORDER, "CUR*BY", "BEG*00*SA*PO000123**20261120~CUR*BY", AK3, "5", ("BEG", 3, 0)),
    Fault("four contacts", ORDER, "ITD*05", "PER*BD*A~PER*BD*B~PER*BD*C~ITD*05", AK3, "5", ("PER", 8, 0)),
    Fault("a set's acknowledgment missing", ANSWER, "AK5*R*5~", "", AK3, "3", ("AK5", 6, 0)),
    Fault(
        "segment nobody knows", ORDER, "CUR*BY", "QQQ*1~CUR*BY", AK3, "1", ("QQQ", 3, 0), Severity.TOLERATED
    ),
    Fault(
        "segment of another set", ORDER, "CUR*BY", "TDS*1~CUR*BY", AK3, "6", ("TDS", 3, 0), Severity.TOLERATED
    ),
    Fault("packing list line in the header", NOTICE, "CTT*4~", "CTT*4~LIN*1*BP*X~", AK3, "2", ("LIN", 28, 0)),
    # counts and trees
    Fault("line count wrong", ORDER, "CTT*2", "CTT*3", AK4, "7", ("CTT", 25, 1)),
    Fault("level count wrong", NOTICE, "CTT*4", "CTT*2", AK4, "7", ("CTT", 27, 1)),
    Fault("parent unknown", NOTICE, "HL*3*2*I*0", "HL*3*9*I*0", AK4, "7", ("HL", 18, 2)),
    Fault("parent behind its child", NOTICE, "HL*2*1*O*1", "HL*2*3*O*1", AK4, "7", ("HL", 15, 2)),
    Fault("item without parent", NOTICE, "HL*3*2*I*0", "HL*3**I*0", AK4, "7", ("HL", 18, 2)),
    Fault("level id twice", NOTICE, "HL*4*2*I*0", "HL*3*2*I*0", AK4, "7", ("HL", 23, 1)),
    Fault("item under the shipment", NOTICE, "HL*3*2*I*0", "HL*3*1*I*0", AK4, "7", ("HL", 18, 3)),
    Fault(
        "packs that the structure does not have", NOTICE, "HL*3*2*I*0", "HL*3*2*P*0", AK4, "7", ("HL", 18, 3)
    ),
    Fault("children denied", NOTICE, "HL*2*1*O*1", "HL*2*1*O*0", AK4, "7", ("HL", 15, 4)),
    Fault("children promised", NOTICE, "HL*4*2*I*0", "HL*4*2*I*1", AK4, "7", ("HL", 23, 4)),
    Fault(
        "total does not add up",
        INVOICE,
        "TDS*300313",
        "TDS*310313",
        AK4,
        "",
        ("TDS", 20, 1),
        Severity.WARNING,
    ),
    # envelopes
    Fault("segment count wrong", ORDER, "SE*27*", "SE*26*", AK5, "4"),
    Fault("control number of the set differs", ORDER, "SE*27*0001", "SE*27*0002", AK5, "3"),
    Fault("set has no trailer", ORDER, "SE*27*0001~", "", AK5, "2"),
    Fault("set not supported", ORDER, "ST*850*0001", "ST*855*0001", AK5, "1"),
    Fault("set in a foreign group", ORDER, "GS*PO*", "GS*IN*", AK5, "6"),
    Fault("control number of the set too short", ORDER, "ST*850*0001", "ST*850*1", AK5, "7"),
    Fault("group not supported", ORDER, "GS*PO*", "GS*QQ*", AK9, "1"),
    Fault("version not supported", ORDER, "X*004010~", "X*003020~", AK9, "2"),
    Fault("group has no trailer", ORDER, "GE*1*101~", "", AK9, "3"),
    Fault("control number of the group differs", ORDER, "GE*1*101", "GE*1*102", AK9, "4"),
    Fault("set count wrong", ORDER, "GE*1*101", "GE*2*101", AK9, "5"),
    Fault("control number of the group no number", ORDER, "*101*X*", "*1A1*X*", AK9, "6", ("GS", 0, 6)),
    Fault("segment outside of every set", ORDER, "GE*1*101", "REF*ZZ*1~GE*1*101", AK9, ""),
    Fault("interchange has no trailer", ORDER, "IEA*1*000000101~", "", TA1, "022"),
    Fault(
        "control number of the interchange differs", ORDER, "IEA*1*000000101", "IEA*1*000000102", TA1, "001"
    ),
    Fault("group count wrong", ORDER, "IEA*1*", "IEA*2*", TA1, "021"),
    Fault(
        "control number of the interchange no number",
        ORDER,
        "*000000101*0*T",
        "*00000010A*0*T",
        TA1,
        "018",
        ("ISA", 0, 13),
    ),
    Fault("neither test nor production", ORDER, "*0*T*>", "*0*X*>", TA1, "024", ("ISA", 0, 15)),
    Fault("segment outside of every group", ORDER, "IEA*1*", "REF*ZZ*1~IEA*1*", TA1, "022"),
]
