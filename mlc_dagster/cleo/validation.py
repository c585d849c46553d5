"""The form of what a partner says of a supplier: country, postal code, VAT number, what may not be missing.

Forms only, no check digits: a number of the right form may still be wrong, and a person at the partner has
answered for it. ISO 3166 for countries, the postal unions' forms for codes, the VIES forms for VAT numbers.
"""

import re
from collections.abc import Collection, Iterator, Mapping

REQUIRED = ("name", "address_line1", "city", "country")
# Longest texts the ERP takes without cutting are not published; these are far above any real address.
LONGEST = 255

POSTAL_CODES = {
    "NO": re.compile(r"\d{4}"),
    "SE": re.compile(r"\d{3} ?\d{2}"),
    "DK": re.compile(r"\d{4}"),
    "FI": re.compile(r"\d{5}"),
    "DE": re.compile(r"\d{5}"),
    "NL": re.compile(r"\d{4} ?[A-Z]{2}"),
    "GB": re.compile(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"),
}
# Elsewhere: letters and digits, and at least one digit; some countries have no codes at all.
ANY_POSTAL_CODE = re.compile(r"(?=.*\d)[A-Z\d][A-Z\d -]{1,9}")

VAT_NUMBERS = {
    "NO": re.compile(r"(NO)?\d{9}(MVA)?"),
    "SE": re.compile(r"SE\d{10}01"),
    "DK": re.compile(r"DK\d{8}"),
    "FI": re.compile(r"FI\d{8}"),
    "DE": re.compile(r"DE\d{9}"),
    "NL": re.compile(r"NL\d{9}B\d{2}"),
    "GB": re.compile(r"GB(\d{9}|\d{12}|GD\d{3}|HA\d{3})"),
}
# Elsewhere: the country, then 2 to 12 letters and digits. Greece says EL.
ANY_VAT_NUMBER = re.compile(r"[A-Z]{2}[\dA-Z+*]{2,12}")
VAT_PREFIXES = {"GR": "EL"}

COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
    YT ZA ZM ZW
    """.split()  # noqa: SIM905 - 249 codes read best as text
)


def faults(supplier: Mapping[str, str], changed: Collection[str]) -> Iterator[str]:
    """What is wrong with a supplier's new values, a sentence each.

    Only what changed is judged: what stood there before was not brought by this change. A postal code or VAT
    number is judged again when its country changes.
    """
    for name in REQUIRED:
        if name in changed and not supplier[name].strip():
            yield f"`{name}` is empty, and a supplier needs one."
    for name in changed:
        if len(supplier[name]) > LONGEST or not supplier[name].isprintable():
            yield f"`{name}` is longer than {LONGEST} characters, or holds signs nobody can print."
    country = supplier["country"]
    if country not in COUNTRIES:
        if "country" in changed and country.strip():
            yield f"Country {country!r} is no ISO 3166 code of two letters, such as NO."
        return
    if not {"postal_code", "country"}.isdisjoint(changed) and not _postal_code(
        supplier["postal_code"], country
    ):
        yield f"Postal code {supplier['postal_code']!r} has not the form of {country}."
    if not {"vat_number", "country"}.isdisjoint(changed) and not _vat_number(supplier["vat_number"], country):
        yield f"VAT number {supplier['vat_number']!r} has not the form of {country}."


def _postal_code(code: str, country: str) -> bool:
    """Where we know the country's form a code is needed; elsewhere it may be missing."""
    if country in POSTAL_CODES:
        return POSTAL_CODES[country].fullmatch(code) is not None
    return not code or ANY_POSTAL_CODE.fullmatch(code) is not None


def _vat_number(number: str, country: str) -> bool:
    """Not every supplier has one. One that is registered abroad begins with another country's letters."""
    if not number:
        return True
    text = number.replace(" ", "").replace(".", "")
    prefix = text[:2] if text[:2].isalpha() else VAT_PREFIXES.get(country, country)
    if prefix in VAT_NUMBERS:
        return VAT_NUMBERS[prefix].fullmatch(text) is not None
    return prefix in COUNTRIES | {"EL", "XI", "EU"} and ANY_VAT_NUMBER.fullmatch(text) is not None
