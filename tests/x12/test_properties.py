"""What holds for every document, text and number, and for any bytes at all."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlc_dagster.x12.acknowledgments import acknowledge, acknowledge_interchange
from mlc_dagster.x12.charset import Charset, encode, fit
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import (
    Charge,
    Contact,
    Document,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    Item,
    LineChange,
    Mode,
    OrderLine,
    Packaging,
    Party,
    PaymentTerms,
    PurchaseOrder,
    Purpose,
    Reason,
    ReceivedLine,
    ReceivingAdvice,
    Role,
    ShipNotice,
    ShippedItem,
    Tax,
    TaxCategory,
    Transport,
)
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.syntax import Delimiters
from mlc_dagster.x12.validate import SetResult, validate
from mlc_dagster.x12.values import read_decimal, read_implied, write_decimal, write_implied
from mlc_dagster.x12.writer import serialise, write, write_interchange_acknowledgment
from tests.x12.cases import local
from tests.x12.examples import ENVELOPE, SHEET, content

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CHARSETS: tuple[Charset, ...] = ("basic", "latin1", "utf8")

# Numbers


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_a_number_is_the_same_number_when_read_again(value: Decimal) -> None:
    text = write_decimal(value)
    assert read_decimal(text) == value
    assert not text.startswith(("0", "-0")) or text == "0"
    assert not ("." in text and text.endswith("0"))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**13), max_value=10**13))
def test_an_amount_of_cents_is_the_same_amount_when_read_again(value: Decimal) -> None:
    assert read_implied(write_implied(value)) == value


@given(st.integers(1, 10**9), st.sampled_from([3, 4, 7]))
def test_an_amount_with_more_decimals_is_never_rounded(units: int, places: int) -> None:
    value = Decimal(units).scaleb(-places)
    assume(value != value.quantize(Decimal("0.01")))
    with pytest.raises(ValueError, match="more than two decimals"):
        write_implied(value)


@given(st.text(max_size=12))
def test_what_is_read_as_a_number_has_only_a_numbers_signs(text: str) -> None:
    try:
        read_decimal(text)
    except ValueError:
        return
    assert set(text) <= set("0123456789.-E")


# Texts


@given(
    st.text(max_size=300),
    st.sampled_from(CHARSETS),
    st.sampled_from(["*>~", "|^\n", "*>~^"]),
)
def test_any_text_can_be_made_to_fit_and_then_stays(text: str, charset: Charset, delimiters: str) -> None:
    fitted = fit(text, charset, delimiters)
    assert not set(fitted) & set(delimiters)
    assert fitted == fitted.strip()
    assert fit(fitted, charset, delimiters) == fitted
    encode(fitted, charset)


# Documents

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=2, max_size=90).filter(
    lambda text: min(len(fit(text, charset, "*>~|<^")) for charset in CHARSETS) >= 2
)
ids = st.text("ABCDEFGHIJ0123456789-/.", min_size=2, max_size=20)
quantities = st.decimals(min_value="0.001", max_value="99999.999", places=3)
prices = st.decimals(min_value="0", max_value="999999.9999", places=4)
cents = st.decimals(min_value="0", max_value="99999.99", places=2)
units = st.sampled_from(["EA", "KG", "MR", "LT", "BX"])
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
moments = st.datetimes(local(2000, 1, 1), local(2099, 12, 31)).map(lambda one: one.replace(microsecond=0))
rates = st.sampled_from([Decimal(text) for text in ("0", "5", "12", "14", "15", "24", "25", "25.5")])

items = st.builds(
    Item, ids, ids, st.sampled_from(["", "123456789012", "1234567890123", "12345678901234"]), texts
)
contacts = st.builds(
    Contact, texts, st.sampled_from(["", "+4755001122"]), st.sampled_from(["", "a@b.example"])
)


def parties(*roles: Role) -> st.SearchStrategy[tuple[Party, ...]]:
    built = (
        st.builds(
            Party,
            st.just(role),
            texts,
            ids,
            more_names=st.lists(texts, max_size=4).map(tuple),
            streets=st.lists(texts, max_size=4).map(tuple),
            city=texts,
            postal_code=st.sampled_from(["", "5013", "41117", "SW1A 1AA"]),
            country=st.sampled_from(["", "NO", "SE", "IS"]),
            vat_number=st.sampled_from(["", "NO987654321MVA"]),
            contact=st.none() | contacts,
        )
        for role in roles
    )
    return st.tuples(*built)


charges = st.lists(
    st.builds(Charge, cents, st.sampled_from(Reason), st.booleans(), st.none() | rates, texts), max_size=2
).map(tuple)
terms = st.none() | st.builds(PaymentTerms, st.integers(0, 120), st.none() | days, text=texts)
transports = st.none() | st.builds(Transport, ids, mode=st.none() | st.sampled_from(Mode), routing=texts)
notes = st.lists(st.text("ABC ÆØÅ*~", min_size=1, max_size=600), max_size=3).map(tuple)
order_lines = st.lists(
    st.builds(
        OrderLine,
        ids,
        quantities,
        units,
        items,
        st.none() | prices,
        st.sampled_from([1, 100]),
        st.none() | days,
        charges,
        notes,
        st.none() | st.sampled_from(LineChange),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
orders = st.builds(
    PurchaseOrder,
    ids,
    days,
    st.sampled_from(["NOK", "ISK"]),
    order_lines,
    parties(Role.BUYER, Role.SHIP_TO, Role.SELLER),
    st.sampled_from(Purpose),
    contract=ids,
    delivery_date=st.none() | days,
    terms=terms,
    transport=transports,
    charges=charges,
    notes=notes,
    total=st.none() | cents,
)


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    """An invoice that adds up: a total that does not is refused, which another test shows."""
    built = [_invoice_line(draw) for _ in range(draw(st.integers(1, 3)))]
    lines = tuple(line for line, _ in built)
    above = draw(charges)
    tax = _tax(draw)
    total = sum((amount for _, amount in built), tax.amount) + _sum(above)
    assume(total >= 0)
    return Invoice(
        number=draw(ids),
        issued_on=draw(days),
        currency="NOK",
        total=total.quantize(Decimal("0.01")),
        lines=lines,
        parties=draw(parties(Role.SELLER, Role.BUYER)),
        kind=draw(st.sampled_from(InvoiceKind)),
        purpose=draw(st.sampled_from(Purpose)),
        order_number=draw(ids),
        order_date=draw(st.none() | days),
        original_invoice=draw(st.just("") | ids),
        shipped_on=draw(st.none() | days),
        terms=draw(terms),
        taxes=(tax,),
        charges=above,
        notes=draw(notes),
    )


def _tax(draw: st.DrawFn) -> Tax:
    rate, base = draw(rates), draw(cents)
    amount = (base * rate / 100).quantize(Decimal("0.01"))
    return Tax(rate, amount, draw(st.sampled_from([None, base])), draw(st.sampled_from(TaxCategory)))


def _invoice_line(draw: st.DrawFn) -> tuple[InvoiceLine, Decimal]:
    quantity, price, own = draw(quantities), draw(cents), draw(charges)
    line = InvoiceLine(
        draw(ids), quantity, draw(units), price, draw(items), charges=own, order_number=draw(ids)
    )
    return line, quantity * price + _sum(own)


def _sum(of: tuple[Charge, ...]) -> Decimal:
    return sum((-one.amount if one.allowance else one.amount for one in of), Decimal(0))


marks = st.lists(
    st.sampled_from(["00370712345600000015", "00370712345600000022", "PAK-1"]), max_size=2, unique=True
)
shipped = st.builds(
    ShippedItem,
    st.sampled_from(["PO1", "PO2"]),
    ids,
    quantities,
    units,
    items,
    st.none() | days,
    seller_order=ids,
    ordered_quantity=st.none() | quantities,
    lot=ids,
    marks=marks.map(tuple),
)
notices = st.builds(
    ShipNotice,
    ids,
    moments,
    st.lists(shipped, min_size=1, max_size=5).map(tuple),
    parties(Role.SHIP_FROM, Role.SHIP_TO),
    st.sampled_from(Purpose),
    st.none() | moments,
    st.none() | days,
    transport=transports,
    packaging=st.sampled_from(Packaging),
    packages=st.integers(1, 9999),
    tracking=ids,
)
received = st.builds(
    ReceivedLine, ids, ids, quantities, units, items, st.none() | days, st.none() | quantities
)
receipts = st.builds(
    ReceivingAdvice,
    ids,
    moments,
    days,
    st.lists(received, min_size=1, max_size=4).map(tuple),
    parties(Role.SHIP_FROM, Role.SHIP_TO),
)
dialects = st.builds(
    Dialect,
    st.sampled_from(["004010", "005010"]),
    st.sampled_from([Delimiters(), Delimiters("|", "<", "\n"), Delimiters(line_end="\r\n")]),
    st.sampled_from(CHARSETS),
    st.sampled_from(["fraction", "percent"]),
    st.sampled_from(["positive", "negative"]),
    st.sampled_from(["none", "literal", "plain"]),
    change_as=st.sampled_from(["860", "850-04", "850-05"]),
)


def the_same_when_read_and_written_again(told: Document, dialect: Dialect) -> Document:
    first = write([told], ENVELOPE, dialect)
    (interchange,) = read(first.content, dialect.charset)
    assert serialise(interchange) == serialise(first.interchange)
    (one,) = validate(interchange).groups[0].sets
    again = document(one, dialect)
    assert write([again], ENVELOPE, dialect).content == first.content
    return again


@few
@given(orders, dialects)
def test_an_order_is_the_same_bytes_when_read_and_written_again(
    told: PurchaseOrder, dialect: Dialect
) -> None:
    again = the_same_when_read_and_written_again(told, dialect)
    assert isinstance(again, PurchaseOrder)
    assert [(line.quantity, line.price, line.unit) for line in again.lines] == [
        (line.quantity, line.price, line.unit) for line in told.lines
    ]


@few
@given(invoices(), dialects)
def test_an_invoice_is_the_same_bytes_when_read_and_written_again(told: Invoice, dialect: Dialect) -> None:
    again = the_same_when_read_and_written_again(told, dialect)
    assert isinstance(again, Invoice)
    assert (again.total, again.charges and again.charges[0].amount) == (
        told.total,
        told.charges and told.charges[0].amount,
    )


@few
@given(notices, dialects)
def test_a_ship_notice_is_the_same_bytes_when_read_and_written_again(
    told: ShipNotice, dialect: Dialect
) -> None:
    again = the_same_when_read_and_written_again(told, dialect)
    assert isinstance(again, ShipNotice)
    assert again.totals() == told.totals()


@few
@given(receipts, dialects)
def test_a_receipt_is_the_same_bytes_when_read_and_written_again(
    told: ReceivingAdvice, dialect: Dialect
) -> None:
    again = the_same_when_read_and_written_again(told, dialect)
    assert isinstance(again, ReceivingAdvice)
    assert [line.quantity for line in again.lines] == [line.quantity for line in told.lines]


# Bytes


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_to_a_file_is_more_than_a_finding_or_a_refusal(data: st.DataObject) -> None:
    raw = bytearray(content(data.draw(st.sampled_from(SHEET))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"~", b"*", b">"])
        )
    try:
        interchanges = read(bytes(raw))
    except UnreadableError:
        return
    for interchange in interchanges:
        result = validate(interchange)
        assert all(str(finding) for finding in result.everything())
        write_interchange_acknowledgment(acknowledge_interchange(result), ENVELOPE, Dialect())
        for group in result.groups:
            answer = acknowledge(group)
            if answer:
                write([answer], ENVELOPE, Dialect())
            for one in group.sets:
                if one.accepted:
                    _understood_or_refused(one)


def _understood_or_refused(one: SetResult) -> None:
    with suppress(UnreadableError):
        document(one, Dialect())
