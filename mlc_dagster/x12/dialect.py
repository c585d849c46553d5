"""What is agreed with one partner, and the envelope of one interchange."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mlc_dagster.x12.charset import Charset
from mlc_dagster.x12.segments import Version
from mlc_dagster.x12.syntax import Delimiters


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a partner wants X12 written. A partner's guideline beats the standard, so this is all that
    guidelines differ in.

    - tax_rate_form: 25 % in TXI03 as `.25` (fraction) or `25` (percent).
    - credit_sign: a credit note's amounts positive or negative; the sheet does not know, so ask the partner.
    - hash_total: CTT02 left out, added as the standard's text says (points removed), or plainly.
    - receipt_as: a receipt as a receiving advice (861) or as a ship notice (856).
    - change_as: a changed order as an 860, or as an 850 that says change (04) or replace (05).
    """

    version: Version = "004010"
    delimiters: Delimiters = field(default_factory=Delimiters)
    charset: Charset = "basic"
    tax_rate_form: Literal["fraction", "percent"] = "fraction"
    credit_sign: Literal["positive", "negative"] = "positive"
    hash_total: Literal["none", "literal", "plain"] = "none"
    receipt_as: Literal["861", "856"] = "861"
    change_as: Literal["860", "850-04", "850-05"] = "860"

    def __post_init__(self) -> None:
        characters = self.separators.characters
        if len(set(characters)) < len(characters) or any(one.isalnum() or one in " .-" for one in characters):
            raise ValueError(
                f"Delimiters {characters!r}: each must be another character, no letter, digit, blank, . or -."
            )

    @property
    def separators(self) -> Delimiters:
        """The delimiters in force: 005010 has a repetition separator, `^` unless another is agreed."""
        marks = self.delimiters
        repetition = (marks.repetition or "^") if self.version == "005010" else ""
        return Delimiters(marks.element, marks.component, marks.segment, repetition, marks.line_end)


@dataclass(frozen=True, slots=True)
class Address:
    """Who sends or receives: qualifier and id of the interchange (ISA), and the id of the group (GS) where it
    differs.
    """

    id: str
    qualifier: str = "ZZ"
    group_id: str = ""

    def __post_init__(self) -> None:
        for one in (self.id, self.group_id or self.id):
            if not (one.isascii() and one.isprintable() and one == one.strip() and 2 <= len(one) <= 15):
                raise ValueError(
                    f"{one!r} is no interchange or group id: 2 to 15 ASCII characters are needed."
                )


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything of an interchange that is not its documents. Control numbers are given, 1 to 999999999: they
    are allocated by whoever stores the bytes (vendor sheet x12.md, section 9). `created` is local time.
    """

    sender: Address
    receiver: Address
    created: datetime
    control: int
    group_control: int
    production: bool = False
    acknowledge: bool = False

    def __post_init__(self) -> None:
        for number in (self.control, self.group_control):
            if not 1 <= number <= 999_999_999:
                raise ValueError(
                    f"Control number {number}: they go from 1 to 999999999, then begin again at 1."
                )
