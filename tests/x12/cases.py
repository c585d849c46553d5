"""Documents with something awkward in them, by the name of their file in golden/, and the dialect they are
written in.
"""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import (
    Acknowledgment,
    Charge,
    Condition,
    Contact,
    Document,
    ElementError,
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
    Scheme,
    SegmentError,
    SetAcknowledgment,
    ShipNotice,
    ShippedItem,
    Status,
    Tax,
    TaxCategory,
    Transport,
)
from mlc_dagster.x12.syntax import Delimiters


def local(*parts: int) -> datetime:
    """A time as documents have them: local to the sender, without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def money(text: str) -> Decimal:
    return Decimal(text)


BUYER = Party(
    Role.BUYER,
    "FJORDVIK HANDEL AS",
    "1000",
    streets=("STRANDGATA 12",),
    city="BERGEN",
    postal_code="5013",
    country="NO",
    vat_number="NO987654321MVA",
)
WAREHOUSE = Party(Role.SHIP_TO, "FJORDVIK LAGER OST", "WH01")
SELLER = Party(Role.SELLER, "NORDLYS KOMPONENT AB", "50017", vat_number="SE556677889901")
SHIP_FROM = Party(Role.SHIP_FROM, "NORDLYS KOMPONENT AB", "50017")
SCREW = Item("SKRUE-M8", "NK-8801", description="SKRUE M8 X 40 SYREFAST")
CABLE = Item("KABEL-3G", "NK-1203", "7038010000012", "KABEL 3G1.5")

ORDER = PurchaseOrder(
    number="PO000123",
    issued_on=date(2026, 11, 20),
    currency="NOK",
    lines=(
        OrderLine("1", money("10"), "EA", SCREW, money("125.5"), delivery_date=date(2026, 12, 5)),
        OrderLine("2", money("2.5"), "MR", CABLE, money("399")),
    ),
    parties=(BUYER, WAREHOUSE, SELLER),
    total=money("2252.5"),
)

INVOICE = Invoice(
    number="NK-90211",
    issued_on=date(2026, 11, 28),
    currency="NOK",
    total=money("1568.75"),
    lines=(
        InvoiceLine(
            "1",
            money("10"),
            "EA",
            money("125.5"),
            SCREW,
            taxes=(Tax(money("25"), money("313.75"), money("1255")),),
        ),
    ),
    parties=(SELLER, BUYER),
    order_number="PO000123",
    order_date=date(2026, 11, 20),
    terms=PaymentTerms(net_days=30, due_date=date(2026, 12, 28)),
    taxes=(Tax(money("25"), money("313.75"), money("1255")),),
)

RECEIPT = ReceivingAdvice(
    number="PR004711",
    issued_at=local(2026, 11, 29, 10, 5),
    received_on=date(2026, 11, 29),
    lines=(
        ReceivedLine("PO000123", "1", money("10"), "EA", SCREW, date(2026, 11, 20)),
        ReceivedLine("PO000123", "2", money("2.5"), "MR", CABLE, date(2026, 11, 20)),
    ),
    parties=(SHIP_FROM, WAREHOUSE),
    shipment_number="NK55210",
)

NOTICE = ShipNotice(
    number="NK55210",
    issued_at=local(2026, 11, 27, 14, 30),
    items=(
        ShippedItem("PO000123", "1", money("10"), "EA", SCREW, date(2026, 11, 20), "SO-7781"),
        ShippedItem("PO000124", "1", money("2.5"), "MR", CABLE, date(2026, 11, 21), "SO-7782"),
    ),
    parties=(SHIP_FROM, WAREHOUSE),
    shipped_at=local(2026, 11, 27, 14, 0),
)

BOX_A, BOX_B = "00370712345600000015", "00370712345600000022"


def _invoice_line(number: str, quantity: str, price: str, *taxes: Tax, **more: object) -> InvoiceLine:
    return InvoiceLine(number, money(quantity), "EA", money(price), SCREW, taxes=taxes, **more)  # type: ignore[arg-type]


CASES: dict[str, tuple[Document, Dialect]] = {
    "order": (ORDER, Dialect()),
    "order_with_everything": (
        replace(
            ORDER,
            contract="RA-2026-7",
            delivery_date=date(2026, 12, 5),
            terms=PaymentTerms(
                net_days=30, discount_percent=money("2"), discount_days=10, text="2/10 NETTO 30"
            ),
            transport=Transport("BRNG", Scheme.SCAC, Mode.ROAD, "BRING CARGO"),
            charges=(
                Charge(money("150"), Reason.FREIGHT, text="FRAKT"),
                Charge(money("45.05"), Reason.DISCOUNT, allowance=True, percent=money("2"), text="RABATT"),
            ),
            notes=("LEVER TIL PORT 4", "RING FOR LEVERING"),
            parties=(
                replace(BUYER, contact=Contact("BUYING OFFICE", "+4755001122")),
                replace(
                    WAREHOUSE, number="7080000000012", scheme=Scheme.GLN, more_names=("HALL B", "PORT 4")
                ),
                replace(SELLER, contact=Contact("SVEN SVENSSON", "+46317112233")),
            ),
        ),
        Dialect(),
    ),
    "order_line_discounts_and_notes": (
        replace(
            ORDER,
            lines=(
                replace(
                    ORDER.lines[0],
                    charges=(Charge(money("62.75"), Reason.DISCOUNT, allowance=True, percent=money("5")),),
                    notes=("PAKKES I ESKER A 5",),
                ),
            ),
            total=money("1192.25"),
        ),
        Dialect(),
    ),
    "order_four_decimal_prices": (
        replace(
            ORDER,
            lines=(
                OrderLine("1", money("10000"), "EA", SCREW, money("0.0375")),
                OrderLine("2", money("0.125"), "KG", CABLE, money("1234.5678")),
                OrderLine("3", money("250"), "EA", SCREW, money("12.5"), price_per=100),
                OrderLine("4", money("1"), "EA", SCREW, money("0")),
                OrderLine("5", money("2"), "EA", SCREW),
            ),
            total=None,
        ),
        Dialect(hash_total="plain"),
    ),
    "order_long_nordic_names": (
        replace(
            ORDER,
            parties=(
                replace(
                    BUYER, name="Fjordvik Handel AS", city="Ås", streets=("Ærlighetsveien 1 Ø", "Bakgård")
                ),
                replace(
                    WAREHOUSE, name="Sørøyværingens Kjøle- og Fryselager på Værøy og Røst, Avdeling Østlandet"
                ),
                replace(SELLER, name="Þórður Ðalsson ehf. & Söhne Straße", city="Göteborg", country="SE"),
            ),
        ),
        Dialect(),
    ),
    "order_latin1": (
        replace(ORDER, parties=(replace(BUYER, name="Sørøyværing Łódź “Æ”"), WAREHOUSE, SELLER)),
        Dialect(charset="latin1"),
    ),
    "order_005010_utf8": (
        replace(
            ORDER,
            notes=("Lever til port 4. " * 20, "Ring før levering"),
            parties=(
                replace(BUYER, contact=Contact("Innkjøp Ågård", email="innkjop@fjordvik.example")),
                WAREHOUSE,
                SELLER,
            ),
        ),
        Dialect(version="005010", charset="utf8"),
    ),
    "order_delimiters_inside_text": (
        replace(
            ORDER,
            notes=("MAX 5*3 > 2 ~ OK\r\nNESTE\tLINJE",),
            lines=(replace(ORDER.lines[0], item=replace(SCREW, description="M8*40 ~ A>B")),),
            total=money("1255"),
        ),
        Dialect(),
    ),
    "order_other_delimiters": (
        replace(
            ORDER,
            lines=(replace(ORDER.lines[0], item=replace(SCREW, description="M8*40 ~ A>B")),),
            total=money("1255"),
        ),
        Dialect(delimiters=Delimiters("|", "^", "\\", line_end="\n"), charset="latin1"),
    ),
    "order_changed_860": (
        replace(
            ORDER,
            purpose=Purpose.CHANGE,
            changed_on=date(2026, 11, 23),
            change_number="2",
            lines=(
                replace(
                    ORDER.lines[0], quantity=money("12"), open_quantity=money("8"), change=LineChange.CHANGED
                ),
                replace(ORDER.lines[1], change=LineChange.REMOVED),
                OrderLine("3", money("4"), "EA", SCREW, money("99.9"), change=LineChange.ADDED),
            ),
            total=None,
        ),
        Dialect(),
    ),
    "order_changed_850": (
        replace(ORDER, purpose=Purpose.CHANGE),
        Dialect(change_as="850-05", hash_total="literal"),
    ),
    "order_cancelled_850": (replace(ORDER, purpose=Purpose.CANCEL), Dialect(change_as="850-04")),
    "invoice": (INVOICE, Dialect()),
    "invoice_replaced": (
        replace(
            INVOICE,
            purpose=Purpose.CHANGE,
        ),
        Dialect(),
    ),
    "invoice_several_vat_rates": (
        replace(
            INVOICE,
            total=money("390.10"),
            lines=(
                _invoice_line("1", "1", "100", Tax(money("25"), money("25"), money("100"))),
                _invoice_line("2", "1", "100", Tax(money("15"), money("15"), money("100"))),
                _invoice_line("3", "1", "100", Tax(money("12"), money("12"), money("100"))),
                _invoice_line(
                    "4", "1", "38.1", Tax(money("0"), money("0"), money("38.1"), TaxCategory.EXEMPT)
                ),
            ),
            taxes=(
                Tax(money("25"), money("25"), money("100")),
                Tax(money("15"), money("15"), money("100")),
                Tax(money("12"), money("12"), money("100")),
                Tax(money("0"), money("0"), money("38.1"), TaxCategory.EXEMPT),
            ),
        ),
        Dialect(tax_rate_form="percent"),
    ),
    "invoice_freight_and_discount": (
        replace(
            INVOICE,
            total=money("1677.81"),
            shipped_on=date(2026, 11, 27),
            lines=(
                replace(
                    INVOICE.lines[0],
                    order_number="PO000123",
                    charges=(Charge(money("62.75"), Reason.DISCOUNT, allowance=True, percent=money("5")),),
                    taxes=(Tax(money("25"), money("298.06"), money("1192.25")),),
                ),
            ),
            charges=(
                Charge(
                    money("150"),
                    Reason.FREIGHT,
                    text="FRAKT",
                    tax=Tax(money("25"), money("37.5"), money("150")),
                ),
            ),
            taxes=(Tax(money("25"), money("335.56"), money("1342.25")),),
            notes=("TAKK FOR HANDELEN",),
        ),
        Dialect(),
    ),
    "invoice_zero_rate_export": (
        replace(
            INVOICE,
            total=money("1255"),
            currency="EUR",
            lines=(
                _invoice_line(
                    "1", "10", "125.5", Tax(money("0"), money("0"), money("1255"), TaxCategory.EXPORT)
                ),
            ),
            taxes=(Tax(money("0"), money("0"), money("1255"), TaxCategory.EXPORT),),
        ),
        Dialect(),
    ),
    "invoice_reverse_charge": (
        replace(
            INVOICE,
            total=money("1255"),
            currency="SEK",
            lines=(
                _invoice_line(
                    "1", "10", "125.5", Tax(money("0"), money("0"), None, TaxCategory.REVERSE_CHARGE)
                ),
            ),
            taxes=(Tax(money("0"), money("0"), money("1255"), TaxCategory.REVERSE_CHARGE),),
        ),
        Dialect(),
    ),
    "credit_note_positive": (
        replace(INVOICE, kind=InvoiceKind.CREDIT_NOTE, number="NK-90300", original_invoice="NK-90211"),
        Dialect(credit_sign="positive"),
    ),
    "credit_note_negative": (
        replace(
            INVOICE,
            kind=InvoiceKind.CREDIT_NOTE,
            number="NK-90301",
            original_invoice="NK-90211",
            total=money("1631.25"),
            charges=(Charge(money("62.5"), Reason.OTHER, text="GEBYR TILBAKE"),),
        ),
        Dialect(credit_sign="negative"),
    ),
    "invoice_isk": (
        replace(
            INVOICE,
            currency="ISK",
            total=money("15308642"),
            lines=(_invoice_line("1", "100", "123456.79"),),
            taxes=(Tax(money("24"), money("2962963"), money("12345679")),),
        ),
        Dialect(),
    ),
    "invoice_base_too_long": (
        replace(
            INVOICE,
            total=money("15432098.69"),
            lines=(_invoice_line("1", "1", "12345678.95"),),
            taxes=(Tax(money("25"), money("3086419.74"), money("12345678.95")),),
        ),
        Dialect(),
    ),
    "ship_notice_of_two_orders": (
        replace(
            NOTICE,
            expected_on=date(2026, 11, 29),
            transport=Transport("BRNG", Scheme.SCAC, Mode.ROAD, "BRING CARGO"),
            packaging=Packaging.PALLET,
            packages=1,
            weight=money("38.4"),
            weight_unit="KG",
            bill_of_lading="370712345678",
            tracking="TRK99887766",
            marks=(BOX_A,),
        ),
        Dialect(),
    ),
    "ship_notice_packed": (
        replace(
            NOTICE,
            items=(
                replace(NOTICE.items[0], quantity=money("6"), marks=(BOX_A,), lot="LOT-1"),
                replace(NOTICE.items[0], quantity=money("4"), marks=(BOX_B,), lot="LOT-2"),
                replace(NOTICE.items[1], marks=("PAK-77",), ordered_quantity=money("5"), ordered_unit="MR"),
            ),
        ),
        Dialect(),
    ),
    "ship_notice_line_in_two_boxes": (
        replace(NOTICE, items=(replace(NOTICE.items[0], marks=(BOX_A, BOX_B)), NOTICE.items[1])),
        Dialect(version="005010"),
    ),
    "receipt_861": (
        replace(
            RECEIPT,
            lines=(
                replace(
                    RECEIPT.lines[0],
                    quantity=money("8"),
                    returned=money("1"),
                    questioned=money("2"),
                    condition=Condition.DAMAGED,
                ),
                RECEIPT.lines[1],
            ),
        ),
        Dialect(),
    ),
    "receipt_856": (RECEIPT, Dialect(receipt_as="856")),
    "acknowledgment_with_errors": (
        Acknowledgment(
            kind="SH",
            control=78,
            status=Status.PARTLY,
            declared=2,
            received=2,
            accepted=1,
            sets=(
                SetAcknowledgment(
                    "856",
                    "0001",
                    Status.REJECTED,
                    ("5",),
                    (
                        SegmentError("SN1", 20, "8", "HL", (ElementError(3, "7", number="355", value="XX"),)),
                        SegmentError(
                            "REF", 22, "8", "HL", (ElementError(4, "5", component=2, number="127"),)
                        ),
                    ),
                ),
                SetAcknowledgment(
                    "856", "0002", Status.WITH_ERRORS, ("5",), (SegmentError("ZZZ", 9, "1", "HL"),)
                ),
            ),
        ),
        Dialect(),
    ),
}
