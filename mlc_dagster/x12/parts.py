"""What several documents share: parties, items, prices, taxes, charges, terms, transport; both directions.

Codes are those of the vendor sheet x12.md, sections 4 to 7 and 10.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import (
    Charge,
    Contact,
    Item,
    Mode,
    Party,
    PaymentTerms,
    Purpose,
    Reason,
    Role,
    Scheme,
    Tax,
    TaxCategory,
    Transport,
)
from mlc_dagster.x12.draft import Draft, Value
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Segment
from mlc_dagster.x12.values import (
    digits,
    is_whole,
    read_date,
    read_decimal,
    read_implied,
    read_time,
    write_decimal,
)

E = TypeVar("E", bound=Enum)
T = TypeVar("T")

ROLES = {
    Role.BUYER: "BY",
    Role.SELLER: "SE",
    Role.SHIP_TO: "ST",
    Role.SHIP_FROM: "SF",
    Role.BILL_TO: "BT",
    Role.REMIT_TO: "RI",
    Role.INVOICE_ISSUER: "II",
    Role.PAYEE: "PE",
    Role.PAYER: "PR",
    Role.CARRIER: "CA",
}
_ROLES_READ = {code: role for role, code in ROLES.items()} | {
    "VN": Role.SELLER,
    "SU": Role.SELLER,
    "RE": Role.REMIT_TO,
}
SCHEMES = {
    Scheme.BUYER: "92",
    Scheme.SELLER: "91",
    Scheme.GLN: "UL",
    Scheme.DUNS: "1",
    Scheme.DUNS4: "9",
    Scheme.TAX: "FI",
    Scheme.SCAC: "2",
    Scheme.MUTUAL: "ZZ",
}
_SCHEMES_READ = {code: scheme for scheme, code in SCHEMES.items()}
_NUMBER_DIGITS = {Scheme.GLN: 13, Scheme.DUNS: 9}
_MODES = {Mode.ROAD: "M", Mode.AIR: "A", Mode.SEA: "S", Mode.RAIL: "R"}
_REASONS = {Reason.FREIGHT: "D240", Reason.DISCOUNT: "C310", Reason.HANDLING: "D500", Reason.OTHER: "F050"}
_EXEMPTIONS = {
    TaxCategory.EXPORT: "0",
    TaxCategory.EXEMPT: "1",
    TaxCategory.NOT_TAXABLE: "C",
    TaxCategory.REVERSE_CHARGE: "C",
}
_EXEMPTIONS_READ = {
    "0": TaxCategory.EXPORT,
    "1": TaxCategory.EXEMPT,
    "C": TaxCategory.NOT_TAXABLE,
}
_GTINS = {12: "UP", 13: "EN", 14: "UK"}
_PURPOSES_READ = {"00": Purpose.ORIGINAL, "01": Purpose.CANCEL, "04": Purpose.CHANGE, "05": Purpose.CHANGE}
# Units that are counted rather than measured have a price "per each".
_COUNTED = frozenset({"EA", "PC", "UN"})
_TAX_BASE_DIGITS = 9
_ROUNDING = Decimal("0.01")


def reverse(codes: Mapping[E, str], code: str) -> E | None:
    """The meaning of a code, None when it is not among these."""
    return next((meaning for meaning, one in codes.items() if one == code), None)


# Reading values: a set that was accepted has none that fail, so a failure here is our own mistake to hear of.


def decimal(segment: Segment, position: int) -> Decimal | None:
    """A number of type R, None when absent."""
    text = segment.text(position)
    return read_decimal(text) if text else None


def needed(value: T | None, place: str) -> T:
    """A value that must be there.

    Raises:
        UnreadableError: it is absent.
    """
    if value is None:
        raise UnreadableError(f"{place}: a value is needed, but the element is empty.")
    return value


def quantity(segment: Segment, position: int) -> Decimal:
    """As `decimal`, for a number that must be there."""
    return needed(decimal(segment, position), f"{segment.id} {position:02}")


def money(segment: Segment, position: int) -> Decimal | None:
    """An amount of type N2, None when absent."""
    text = segment.text(position)
    return read_implied(text) if text else None


def whole(segment: Segment, position: int) -> int | None:
    """A number of type N0, None when absent."""
    text = segment.text(position)
    return int(text) if text else None


def day(segment: Segment | None, position: int = 2) -> date | None:
    """A date, None when absent."""
    text = segment.text(position) if segment else ""
    return read_date(text) if text else None


def needed_day(segment: Segment, position: int) -> date:
    """As `day`, for a date that must be there."""
    return needed(day(segment, position), f"{segment.id} {position:02}")


def moment(segment: Segment | None, position: int = 2) -> datetime | None:
    """A date with the time behind it (midnight when absent), None without a date."""
    found = day(segment, position)
    if segment is None or found is None:
        return None
    text = segment.text(position + 1)
    return datetime.combine(found, read_time(text) if text else time())


def qualified(segments: Iterable[Segment], *qualifiers: str) -> Segment | None:
    """The first segment whose element 01 is one of these."""
    return next((segment for segment in segments if segment.text(1) in qualifiers), None)


def reference(loop: Loop, qualifier: str) -> str:
    """The value of a REF of this loop, "" when absent."""
    found = qualified(loop.all("REF"), qualifier)
    return found.text(2) if found else ""


def purpose(segment: Segment, position: int) -> Purpose:
    """What the document does to an earlier one.

    Raises:
        UnreadableError: a purpose we cannot carry out, such as a confirmation.
    """
    code = segment.text(position)
    if code not in _PURPOSES_READ:
        raise UnreadableError(f"{segment.id} {position:02}: purpose {code} is none we can carry out.")
    return _PURPOSES_READ[code]


# Parties


def write_parties(draft: Draft, parties: Iterable[Party], *, heading: Role | None = None) -> None:
    """An N1 loop each. Of the party `heading`, VAT number and contact stand in the set's header instead."""
    for party in parties:
        _write_party(draft, party, in_header=party.role is heading)


def write_header_party(draft: Draft, parties: Iterable[Party], role: Role) -> None:
    """VAT number and contact of the party whose they are, before all dates: REF and PER of the header."""
    for party in parties:
        if party.role is role:
            if party.vat_number:
                draft.add("REF", "VX", party.vat_number)
            _write_contact(draft, party.contact, "BD")
            return


def _write_party(draft: Draft, party: Party, *, in_header: bool) -> None:
    _check_party_number(draft, party)
    scheme = SCHEMES[party.scheme] if party.number else ""
    draft.add("N1", ROLES[party.role], party.name, scheme, party.number)
    for names in _pairs(draft, party.more_names):
        draft.add("N2", *names)
    for streets in _pairs(draft, party.streets):
        draft.add("N3", *streets)
    if party.city or party.postal_code or party.country:
        draft.add("N4", party.city, None, party.postal_code, party.country)
    if not in_header:
        if party.vat_number:
            draft.add("REF", "VX", party.vat_number)
        _write_contact(draft, party.contact, "IC")


def _check_party_number(draft: Draft, party: Party) -> None:
    expected = _NUMBER_DIGITS.get(party.scheme)
    if party.number and expected and not (is_whole(party.number) and len(party.number) == expected):
        raise draft.refusal("N1 04", f"{party.number!r} is no {party.scheme.value} of {expected} digits")


def _pairs(draft: Draft, texts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    said = tuple(text for text in texts if draft.says(text))
    return (said[at : at + 2] for at in range(0, len(said), 2))


def _write_contact(draft: Draft, contact: Contact | None, function: str) -> None:
    if contact is None:
        return
    numbers: list[Value] = ["TE", contact.phone] if contact.phone else []
    if contact.email and draft.fits(contact.email):
        numbers += ["EM", contact.email]
    elif contact.email:
        draft.note(
            "PER",
            f"the address {contact.email!r} was left out: charset {draft.dialect.charset} cannot say it",
        )
    if contact.name or numbers:
        draft.add("PER", function, contact.name, *numbers)


def read_parties(root: Loop, header: Role | None = None) -> tuple[Party, ...]:
    """The parties of a loop; unknown roles are left out. VAT number and contact of the header go to its
    party.
    """
    parties = []
    for loop in root.inner("N1"):
        role = _ROLES_READ.get(loop.rows[0].segment.text(1))
        if role:
            parties.append(_read_party(loop, role, root if role is header else loop))
    return tuple(parties)


def _read_party(loop: Loop, role: Role, details: Loop) -> Party:
    head = loop.rows[0].segment
    place = loop.first("N4") or Segment("N4")
    return Party(
        role,
        name=head.text(2),
        number=head.text(4),
        scheme=_SCHEMES_READ.get(head.text(3), Scheme.MUTUAL) if head.text(4) else Scheme.BUYER,
        more_names=_texts(loop, "N2"),
        streets=_texts(loop, "N3"),
        city=place.text(1),
        postal_code=place.text(3),
        country=place.text(4),
        vat_number=reference(details, "VX") or reference(loop, "VX"),
        contact=_read_contact(details) or _read_contact(loop),
    )


def _texts(loop: Loop, segment_id: str) -> tuple[str, ...]:
    return tuple(
        text for segment in loop.all(segment_id) for text in (segment.text(1), segment.text(2)) if text
    )


def _read_contact(loop: Loop) -> Contact | None:
    segment = loop.first("PER")
    if segment is None:
        return None
    numbers = {segment.text(at): segment.text(at + 1) for at in (3, 5, 7) if segment.text(at)}
    return Contact(segment.text(2), numbers.get("TE", ""), numbers.get("EM", ""))


# Items and prices


def item_ids(draft: Draft, item: Item) -> list[str]:
    """The pairs of qualifier and number of an item.

    Raises:
        RefusedError: a GTIN with another number of digits.
    """
    pairs = []
    if item.buyer_number:
        pairs += ["BP", item.buyer_number]
    if item.seller_number:
        pairs += ["VP", item.seller_number]
    if item.gtin:
        qualifier = _GTINS.get(len(item.gtin)) if is_whole(item.gtin) else None
        if qualifier is None:
            raise draft.refusal("item number", f"{item.gtin!r} is no GTIN of 12, 13 or 14 digits")
        pairs += [qualifier, item.gtin]
    return pairs


def write_description(draft: Draft, item: Item) -> None:
    """A PID, where there is something to say."""
    if draft.says(item.description):
        draft.add("PID", "F", None, None, None, item.description)


def read_item(segment: Segment | None, first: int, loop: Loop) -> Item:
    """An item from the pairs that begin at a position, and the description beside."""
    numbers: dict[str, str] = {}
    if segment is not None:
        for position in range(first, len(segment.elements), 2):
            numbers.setdefault(segment.text(position), segment.text(position + 1))
    described = loop.first("PID")
    return Item(
        buyer_number=numbers.get("BP") or numbers.get("IN", ""),
        seller_number=numbers.get("VP") or numbers.get("VN", ""),
        gtin=numbers.get("EN") or numbers.get("UP") or numbers.get("UK", ""),
        description=described.text(5) if described else "",
    )


def price_basis(draft: Draft, price: Decimal | None, per: int, unit: str) -> str:
    """PO105 and its like.

    Raises:
        RefusedError: X12 has no basis for a price of so many units.
    """
    if per not in (1, 100):
        raise draft.refusal("price", f"a price for {per} units cannot be said; 1 and 100 can")
    if price is None:
        return ""
    return "HP" if per == 100 else "PE" if unit in _COUNTED else "UM"


def price_per(segment: Segment, position: int) -> int:
    """How many units a price is for."""
    return 100 if segment.text(position) == "HP" else 1


# Taxes and charges


def write_tax(draft: Draft, tax: Tax, sign: int = 1) -> None:
    """A TXI. A base that is too long for TXI08 is left out with a note: it says nothing new."""
    base = None if tax.base is None else tax.base * sign
    if base is not None and digits(write_decimal(base)) > _TAX_BASE_DIGITS:
        draft.note("TXI 08", f"the tax base {base} was left out: it has more than {_TAX_BASE_DIGITS} digits")
        base = None
    rate = tax.rate / 100 if draft.dialect.tax_rate_form == "fraction" else tax.rate
    draft.add("TXI", "VA", tax.amount * sign, rate, None, None, _EXEMPTIONS.get(tax.category), None, base)


def read_tax(segment: Segment, dialect: Dialect, sign: int = 1) -> Tax:
    """A tax. Whether its rate is fraction or percent follows from amount and base, else from the dialect."""
    amount, stated, base = decimal(segment, 2), decimal(segment, 3), decimal(segment, 8)
    rate = Decimal(0) if stated is None else _percent(stated, amount, base, dialect)
    return Tax(
        rate,
        (amount or Decimal(0)) * sign,
        None if base is None else base * sign,
        _EXEMPTIONS_READ.get(segment.text(6), TaxCategory.STANDARD),
    )


def _percent(stated: Decimal, amount: Decimal | None, base: Decimal | None, dialect: Dialect) -> Decimal:
    if not stated:
        return Decimal(0)
    percent, fraction = stated, stated * 100
    if amount is not None and base is not None:
        fitting = [rate for rate in (percent, fraction) if abs(base * rate / 100 - amount) <= _ROUNDING]
        if len(fitting) == 1:
            return fitting[0]
    return fraction if dialect.tax_rate_form == "fraction" else percent


def write_charges(draft: Draft, charges: Iterable[Charge], sign: int = 1, *, taxed: bool = False) -> None:
    """A SAC each, with its own tax behind it where the set allows that."""
    for charge in charges:
        kind = "A" if charge.allowance else "C"
        percent: list[Value] = ["Z", charge.percent] if charge.percent is not None else [None, None]
        amount = charge.amount * sign
        filler: list[Value] = [None] * 7
        draft.add("SAC", kind, _REASONS[charge.reason], None, None, amount, *percent, *filler, charge.text)
        if charge.tax and taxed:
            write_tax(draft, charge.tax, sign)


def read_charges(loop: Loop, dialect: Dialect, sign: int = 1) -> tuple[Charge, ...]:
    """The allowances and charges of a loop; what only requests or names a service is left out."""
    charges = []
    for inner in loop.inner("SAC"):
        head = inner.rows[0].segment
        if head.text(1) in ("A", "C"):
            tax = inner.first("TXI")
            charges.append(
                Charge(
                    amount=(money(head, 5) or Decimal(0)) * sign,
                    reason=reverse(_REASONS, head.text(2)) or Reason.OTHER,
                    allowance=head.text(1) == "A",
                    percent=decimal(head, 7),
                    text=head.text(15),
                    tax=read_tax(tax, dialect, sign) if tax else None,
                )
            )
    return tuple(charges)


# Terms and transport


def write_terms(draft: Draft, terms: PaymentTerms | None) -> None:
    """An ITD that counts from the invoice date."""
    if terms is None:
        return
    discounted = terms.discount_percent is not None
    draft.add(
        "ITD",
        "08" if discounted else "05",
        "3",
        terms.discount_percent,
        terms.discount_date,
        terms.discount_days,
        terms.due_date,
        terms.net_days,
        *[None] * 4,
        terms.text,
    )


def read_terms(loop: Loop) -> PaymentTerms | None:
    """The first ITD."""
    segment = loop.first("ITD")
    if segment is None:
        return None
    return PaymentTerms(
        net_days=whole(segment, 7),
        due_date=day(segment, 6),
        discount_percent=decimal(segment, 3),
        discount_days=whole(segment, 5),
        discount_date=day(segment, 4),
        text=segment.text(12),
    )


def write_transport(draft: Draft, transport: Transport | None) -> None:
    """A TD5."""
    if transport is None:
        return
    scheme = SCHEMES[transport.scheme] if transport.carrier else ""
    mode = _MODES[transport.mode] if transport.mode else ""
    draft.add("TD5", "B", scheme, transport.carrier, mode, transport.routing)


def read_transport(loop: Loop) -> Transport | None:
    """The first TD5."""
    segment = loop.first("TD5")
    if segment is None:
        return None
    return Transport(
        carrier=segment.text(3),
        scheme=_SCHEMES_READ.get(segment.text(2), Scheme.MUTUAL) if segment.text(3) else Scheme.BUYER,
        mode=reverse(_MODES, segment.text(4)),
        routing=segment.text(5),
    )
