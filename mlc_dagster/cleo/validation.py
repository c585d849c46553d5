"""The form of what a partner says of a supplier: country, postal code, VAT number, what may not be missing.

ISO 3166 for countries, the postal unions' forms for codes, python-stdnum for VAT numbers: form and check
digits in the European Union (VIES), Northern Ireland, Great Britain, Norway, Iceland and Switzerland. What
passes may still belong to nobody: the registers themselves are not asked.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from stdnum.ch import vat as swiss
from stdnum.eu import vat as union
from stdnum.exceptions import InvalidChecksum, InvalidFormat, ValidationError
from stdnum.gb import vat as british
from stdnum.is_ import vsk as icelandic
from stdnum.no import mva as norwegian

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

# Raises ValidationError where a VAT number cannot be one; beside the Union's own list.
VAT_CHECKS = {
    "CH": swiss.validate,
    "GB": british.validate,
    "IS": icelandic.validate,
    "NO": norwegian.validate,
    **{country.upper(): union.validate for country in {*union.MEMBER_STATES, "el", "eu"} - {"gr"}},
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
    if not {"vat_number", "country"}.isdisjoint(changed):
        yield from _vat_faults(supplier["vat_number"], country)


def _postal_code(code: str, country: str) -> bool:
    """Where we know the country's form a code is needed; elsewhere it may be missing."""
    if country in POSTAL_CODES:
        return POSTAL_CODES[country].fullmatch(code) is not None
    return not code or ANY_POSTAL_CODE.fullmatch(code) is not None


def _vat_faults(number: str, country: str) -> Iterator[str]:
    """Not every supplier has one. One that is registered abroad begins with another country's letters."""
    if not number:
        return
    text = number.replace(" ", "").replace(".", "")
    prefix = text[:2] if text[:2].isalpha() else VAT_PREFIXES.get(country, country)
    try:
        _validate(prefix, text)
    except InvalidChecksum:
        yield f"VAT number {number!r} has a wrong check digit by the rule of {prefix}: a digit is mistyped."
    except ValidationError:
        yield f"VAT number {number!r} has not the form of {country}."


def _validate(prefix: str, text: str) -> None:
    """Raises stdnum's ValidationError."""
    if text != text.upper():
        raise InvalidFormat
    if prefix == "NO":
        # The ERP has Norwegian numbers with and without the letters around them.
        text = "NO" + text.removeprefix("NO").removesuffix("MVA") + "MVA"
    elif not text.startswith(prefix):
        raise InvalidFormat
    if prefix in VAT_CHECKS:
        VAT_CHECKS[prefix](text)
    elif prefix not in COUNTRIES or not ANY_VAT_NUMBER.fullmatch(text):
        raise InvalidFormat
