"""Code lists (vendor sheet x12.md, sections 1, 8 and 10), by the number of their element in the data
dictionary.

A closed list is complete for us: another code is an error, because the document cannot be understood. An open
list names the codes we know; the standard has more, and a partner may use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeList:
    """Codes with their names for people."""

    names: Mapping[str, str]
    closed: bool = False

    def allows(self, code: str) -> bool:
        """Is it in the list, or might it be?"""
        return not self.closed or code in self.names


# Units the project can name. `M` does not exist; `KM` is kilograms per square metre, `MT` a long ton, `SE` a
# section.
UNITS: Mapping[str, str] = {
    "EA": "each",
    "PC": "piece",
    "UN": "unit",
    "PK": "package",
    "BX": "box",
    "CT": "carton",
    "CA": "case",
    "PL": "pallet",
    "BG": "bag",
    "BO": "bottle",
    "CN": "can",
    "JR": "jar",
    "TB": "tube",
    "DR": "drum",
    "PA": "pail",
    "RL": "roll",
    "RO": "roll",
    "SP": "spool",
    "SH": "sheet",
    "ST": "set",
    "KT": "kit",
    "PR": "pair",
    "DZ": "dozen",
    "GS": "gross",
    "BD": "bundle",
    "KG": "kilogram",
    "GR": "gram",
    "ME": "milligram",
    "MP": "metric ton",
    "LB": "pound",
    "OZ": "ounce",
    "TN": "net ton",
    "MR": "metre",
    "LM": "linear metre",
    "DK": "kilometre",
    "CM": "centimetre",
    "MM": "millimetre",
    "FT": "foot",
    "IN": "inch",
    "YD": "yard",
    "SM": "square metre",
    "SF": "square foot",
    "CR": "cubic metre",
    "CF": "cubic foot",
    "LT": "litre",
    "DL": "decilitre",
    "CL": "centilitre",
    "ML": "millilitre",
    "GA": "gallon",
    "QT": "quart",
    "HR": "hour",
    "MJ": "minute",
    "DA": "day",
    "WK": "week",
    "MO": "month",
    "YR": "year",
    "KH": "kilowatt hour",
    "LO": "lot",
    "JB": "job",
    "P1": "percent",
    "TH": "thousand",
    "HU": "hundred",
}

_ITEM_NUMBERS = {
    "BP": "buyer's part",
    "IN": "buyer's item",
    "VP": "vendor's part",
    "VN": "vendor's item",
    "UP": "GTIN-12",
    "EN": "GTIN-13",
    "UK": "GTIN-14",
    "MG": "maker's part",
}

_ROLES = {
    "BY": "buyer",
    "ST": "ship to",
    "SF": "ship from",
    "SE": "seller",
    "VN": "vendor",
    "SU": "supplier",
    "BT": "bill to",
    "RI": "remit to",
    "RE": "remit to",
    "II": "invoice issuer",
    "PE": "payee",
    "PR": "payer",
    "CA": "carrier",
}

_DATES = {
    "002": "delivery requested",
    "010": "ship requested",
    "037": "ship not before",
    "038": "ship not after",
    "063": "deliver not after",
    "064": "deliver not before",
    "067": "current schedule",
    "011": "shipped",
    "017": "estimated delivery",
    "035": "delivered",
    "050": "received",
    "003": "invoice",
    "004": "purchase order",
    "013": "net due",
}

_REFERENCES = {
    "PO": "purchase order",
    "VN": "vendor order",
    "IV": "invoice",
    "OI": "original invoice",
    "CR": "customer reference",
    "CO": "customer order",
    "IA": "our vendor number",
    "VX": "VAT number",
    "GT": "GST number",
    "TJ": "tax id",
    "BM": "bill of lading",
    "CN": "carrier reference",
    "2I": "tracking",
    "SI": "shipment",
    "PK": "packing list",
    "LT": "lot",
    "SE": "serial",
    "ZZ": "mutual",
}

_PURPOSES = {
    "00": "original",
    "01": "cancellation",
    "02": "add",
    "03": "delete",
    "04": "change",
    "05": "replace",
    "06": "confirmation",
    "07": "duplicate",
    "18": "reissue",
    "22": "information copy",
}

_CONDITIONS = {
    "01": "damaged",
    "02": "short",
    "03": "over",
    "04": "quality problem",
    "05": "incorrect product",
    "06": "non-standard container",
    "07": "good",
    "08": "rejected",
    "09": "hold",
    "10": "scrapped",
}

_SET_ERRORS = {
    "1": "set not supported",
    "2": "no trailer",
    "3": "control numbers differ",
    "4": "count differs",
    "5": "segments in error",
    "6": "bad set id",
    "7": "bad control number",
    "23": "control number not unique",
}

_INTERCHANGE_NOTES = {
    "000": "no error",
    "001": "control numbers differ",
    "009": "unknown receiver",
    "018": "bad control number",
    "021": "group count differs",
    "022": "invalid structure",
    "024": "invalid content",
    "025": "duplicate control number",
    "026": "bad element separator",
    "027": "bad component separator",
}

CODES: Mapping[str, CodeList] = {
    "I05": CodeList(
        {
            "ZZ": "mutual",
            "01": "DUNS",
            "07": "GLN",
            "08": "UCC",
            "12": "phone",
            "14": "DUNS+suffix",
            "16": "DUNS+4",
        }
    ),
    "I13": CodeList({"0": "no", "1": "yes"}, closed=True),
    "I14": CodeList({"T": "test", "P": "production"}, closed=True),
    "I17": CodeList({"A": "accepted", "E": "accepted with errors", "R": "rejected"}, closed=True),
    "I18": CodeList(_INTERCHANGE_NOTES),
    "66": CodeList(
        {
            "92": "assigned by buyer",
            "91": "assigned by seller",
            "1": "DUNS",
            "9": "DUNS+4",
            "UL": "GLN",
            "FI": "tax id",
            "2": "SCAC",
        }
    ),
    "88": CodeList({"GM": "SSCC with AI", "AA": "SSCC", "CP": "carrier package", "SM": "shipper"}),
    "91": CodeList({"M": "motor", "A": "air", "S": "ocean", "R": "rail"}),
    "92": CodeList({"SA": "stand-alone", "NE": "new", "RL": "release", "DS": "drop ship"}),
    "98": CodeList(_ROLES),
    "128": CodeList(_REFERENCES),
    "235": CodeList(_ITEM_NUMBERS),
    "248": CodeList(
        {
            "A": "allowance",
            "C": "charge",
            "N": "no allowance or charge",
            "P": "promotion",
            "Q": "charge request",
            "R": "allowance request",
            "S": "service",
        },
        closed=True,
    ),
    "333": CodeList({"3": "invoice date", "2": "delivery", "5": "invoice receipt"}),
    "336": CodeList({"01": "basic", "05": "no discount", "08": "discount", "14": "previously agreed"}),
    "349": CodeList({"F": "free form", "S": "structured", "X": "semi-structured"}, closed=True),
    "353": CodeList(_PURPOSES),
    "355": CodeList(UNITS, closed=True),
    "365": CodeList({"TE": "telephone", "EM": "e-mail", "FX": "fax"}),
    "366": CodeList({"BD": "buyer", "IC": "information", "DC": "delivery"}),
    "374": CodeList(_DATES),
    "412": CodeList(_CONDITIONS),
    "441": CodeList({"0": "export", "1": "exempt", "C": "not taxable"}),
    "522": CodeList({"TT": "total"}),
    "639": CodeList(
        {"PE": "per each", "UM": "per unit", "HP": "per hundred", "CT": "contract", "QT": "quoted"}
    ),
    "640": CodeList({"DI": "debit invoice", "PR": "product", "CN": "credit invoice", "CR": "credit memo"}),
    "670": CodeList(
        {
            "AI": "added",
            "DI": "deleted",
            "CA": "changed",
            "QI": "quantity up",
            "QD": "quantity down",
            "PC": "price changed",
            "NC": "unchanged",
        }
    ),
    "715": CodeList(
        {
            "A": "accepted",
            "E": "accepted with errors",
            "P": "partly accepted",
            "R": "rejected",
            "M": "message authentication failed",
            "W": "assurance failed",
            "X": "cannot be decrypted",
        },
        closed=True,
    ),
    "716": CodeList(
        {
            "1": "group not supported",
            "2": "version not supported",
            "3": "no trailer",
            "4": "control numbers differ",
            "5": "count differs",
            "6": "bad control number",
        }
    ),
    "717": CodeList(
        {
            "A": "accepted",
            "E": "accepted with errors",
            "R": "rejected",
            "M": "message authentication failed",
            "W": "assurance failed",
            "X": "cannot be decrypted",
        },
        closed=True,
    ),
    "718": CodeList(_SET_ERRORS),
    "720": CodeList(
        {
            "1": "unknown segment",
            "2": "unexpected",
            "3": "mandatory segment missing",
            "4": "loop too often",
            "5": "segment too often",
            "6": "not in this set",
            "7": "out of order",
            "8": "element errors",
        }
    ),
    "723": CodeList(
        {
            "1": "mandatory element missing",
            "2": "conditional element missing",
            "3": "too many elements",
            "4": "too short",
            "5": "too long",
            "6": "bad character",
            "7": "bad code",
            "8": "bad date",
            "9": "bad time",
            "10": "exclusion violated",
        }
    ),
    "735": CodeList({"S": "shipment", "O": "order", "T": "tare", "P": "pack", "I": "item"}),
    "736": CodeList({"0": "no children", "1": "children"}, closed=True),
    "962": CodeList({"1": "receiving dock advice", "2": "post receipt advice"}),
    "963": CodeList({"VA": "value added tax"}),
    "1005": CodeList(
        {
            "0001": "shipment, order, pack, item",
            "0002": "shipment, order, item, pack",
            "0003": "shipment, pack, order, item",
            "0004": "shipment, order, item",
        }
    ),
    "1300": CodeList({"D240": "freight", "C310": "discount", "D500": "handling", "F050": "other"}),
}


def name_of(number: str, code: str) -> str:
    """The name of a code of an element, "" when we know none."""
    known = CODES.get(number)
    return known.names.get(code, "") if known else ""
