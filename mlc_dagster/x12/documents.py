"""The documents, as a buyer and a seller speak of them: free of X12's codes, so that another writer can be
added.

Money and quantities are Decimal; rates and percents are plain percents (25 is 25 %). Texts are as they are,
in any letters and length: a writer makes them fit. `unit` is the one code in here: the partner's own, as
agreed with the partner.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum


class Purpose(Enum):
    """What a document does to what was sent before under its number. A change carries the whole document."""

    ORIGINAL = "original"
    CHANGE = "change"
    CANCEL = "cancel"


class Role(Enum):
    """What a party is in a document."""

    BUYER = "buyer"
    SELLER = "seller"
    SHIP_TO = "ship to"
    SHIP_FROM = "ship from"
    BILL_TO = "bill to"
    REMIT_TO = "remit to"
    INVOICE_ISSUER = "invoice issuer"
    PAYEE = "payee"
    PAYER = "payer"
    CARRIER = "carrier"


class Scheme(Enum):
    """Who gave a party its number."""

    BUYER = "assigned by buyer"
    SELLER = "assigned by seller"
    GLN = "GLN"
    DUNS = "DUNS"
    DUNS4 = "DUNS+4"
    TAX = "tax id"
    SCAC = "SCAC"
    MUTUAL = "mutually agreed"


class Mode(Enum):
    """How goods travel."""

    ROAD = "road"
    AIR = "air"
    SEA = "sea"
    RAIL = "rail"


class Packaging(Enum):
    """What goods travel in."""

    CARTON = "carton"
    PALLET = "pallet"
    BAG = "bag"
    DRUM = "drum"
    ROLL = "roll"


class TaxCategory(Enum):
    """Why a tax is what it is. Only STANDARD has a rate above zero."""

    STANDARD = "standard"
    EXPORT = "export"
    EXEMPT = "exempt"
    NOT_TAXABLE = "not taxable"
    REVERSE_CHARGE = "reverse charge"


class Reason(Enum):
    """What an allowance or a charge is for."""

    FREIGHT = "freight"
    DISCOUNT = "discount"
    HANDLING = "handling"
    OTHER = "other"


class LineChange(Enum):
    """What a change does to an order line."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Condition(Enum):
    """What is the matter with goods that came."""

    DAMAGED = "damaged"
    SHORT = "short"
    OVER = "over"
    QUALITY = "quality problem"
    INCORRECT = "incorrect product"
    REJECTED = "rejected"


class InvoiceKind(Enum):
    """Who owes whom."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit note"


@dataclass(frozen=True, slots=True)
class Contact:
    """A person to ask."""

    name: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A company or a place in its role. `country` is ISO 3166 alpha-2, `streets` are its address lines."""

    role: Role
    name: str = ""
    number: str = ""
    scheme: Scheme = Scheme.BUYER
    more_names: tuple[str, ...] = ()
    streets: tuple[str, ...] = ()
    city: str = ""
    postal_code: str = ""
    country: str = ""
    vat_number: str = ""
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """What is bought, by the numbers of both sides. A GTIN has 12, 13 or 14 digits."""

    buyer_number: str = ""
    seller_number: str = ""
    gtin: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax at one rate in percent. `base` is what it was calculated on, None where it is not said."""

    rate: Decimal
    amount: Decimal
    base: Decimal | None = None
    category: TaxCategory = TaxCategory.STANDARD


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge, or with `allowance` something taken off. `amount` is positive in both cases, in the
    document's currency.
    """

    amount: Decimal
    reason: Reason
    allowance: bool = False
    percent: Decimal | None = None
    text: str = ""
    tax: Tax | None = None


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """When to pay, counted from the invoice date, and what early payment is worth."""

    net_days: int | None = None
    due_date: date | None = None
    discount_percent: Decimal | None = None
    discount_days: int | None = None
    discount_date: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Transport:
    """Who carries the goods, and how."""

    carrier: str = ""
    scheme: Scheme = Scheme.BUYER
    mode: Mode | None = None
    routing: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order. `price` is for `price_per` units (1 or 100).

    `change` and `open_quantity` (ordered less received; when None the whole quantity, or nothing of
    a line that is removed) are for changes.
    """

    number: str
    quantity: Decimal
    unit: str
    item: Item
    price: Decimal | None = None
    price_per: int = 1
    delivery_date: date | None = None
    charges: tuple[Charge, ...] = ()
    notes: tuple[str, ...] = ()
    change: LineChange | None = None
    open_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An order by the buyer, or a change of one. `total` is the net total of its lines, None where it is not
    said.
    """

    number: str
    issued_on: date
    currency: str
    lines: tuple[OrderLine, ...]
    parties: tuple[Party, ...]
    purpose: Purpose = Purpose.ORIGINAL
    changed_on: date | None = None
    change_number: str = ""
    contract: str = ""
    delivery_date: date | None = None
    terms: PaymentTerms | None = None
    transport: Transport | None = None
    charges: tuple[Charge, ...] = ()
    notes: tuple[str, ...] = ()
    total: Decimal | None = None


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice. Its net amount is quantity times price, per `price_per` units, with its
    charges.
    """

    number: str
    quantity: Decimal
    unit: str
    price: Decimal
    item: Item
    price_per: int = 1
    taxes: tuple[Tax, ...] = ()
    charges: tuple[Charge, ...] = ()
    order_number: str = ""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or a credit note, whose amounts are positive too. `taxes` are totals, one a rate, charges
    included.

    `total` is what is to be paid: lines, charges less allowances, and taxes.
    """

    number: str
    issued_on: date
    currency: str
    total: Decimal
    lines: tuple[InvoiceLine, ...]
    parties: tuple[Party, ...]
    kind: InvoiceKind = InvoiceKind.INVOICE
    purpose: Purpose = Purpose.ORIGINAL
    order_number: str = ""
    order_date: date | None = None
    original_invoice: str = ""
    shipped_on: date | None = None
    terms: PaymentTerms | None = None
    taxes: tuple[Tax, ...] = ()
    charges: tuple[Charge, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShippedItem:
    """A quantity of one order line on its way. `marks` are the numbers of the packages it is in (SSCC with
    its 00).
    """

    order_number: str
    line: str
    quantity: Decimal
    unit: str
    item: Item
    order_date: date | None = None
    seller_order: str = ""
    ordered_quantity: Decimal | None = None
    ordered_unit: str = ""
    lot: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShipNotice:
    """What a seller says is on its way. Several orders, and one line in many packages, are normal: see
    `totals`.

    Times are local to the sender. `received_on` is set where a buyer reports a receipt in this form.
    """

    number: str
    issued_at: datetime
    items: tuple[ShippedItem, ...]
    parties: tuple[Party, ...]
    purpose: Purpose = Purpose.ORIGINAL
    shipped_at: datetime | None = None
    expected_on: date | None = None
    received_on: date | None = None
    transport: Transport | None = None
    packaging: Packaging | None = None
    packages: int | None = None
    weight: Decimal | None = None
    weight_unit: str = ""
    bill_of_lading: str = ""
    tracking: str = ""
    marks: tuple[str, ...] = ()

    def totals(self) -> dict[tuple[str, str, str], Decimal]:
        """Quantities by order number, line and unit. Without a line number it is ""."""
        sums: dict[tuple[str, str, str], Decimal] = {}
        for item in self.items:
            key = (item.order_number, item.line, item.unit)
            sums[key] = sums.get(key, Decimal(0)) + item.quantity
        return sums


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """A quantity of one order line that came. `questioned` of it, or of what should have come, is not as
    ordered.
    """

    order_number: str
    line: str
    quantity: Decimal
    unit: str
    item: Item
    order_date: date | None = None
    returned: Decimal | None = None
    questioned: Decimal | None = None
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class ReceivingAdvice:
    """What a buyer says has come."""

    number: str
    issued_at: datetime
    received_on: date
    lines: tuple[ReceivedLine, ...]
    parties: tuple[Party, ...]
    purpose: Purpose = Purpose.ORIGINAL
    shipment_number: str = ""


class Status(Enum):
    """What a receiver's system says of the form of what it got. It says nothing of the matter."""

    ACCEPTED = "accepted"
    WITH_ERRORS = "accepted with errors"
    PARTLY = "partly accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ElementError:
    """An element at fault: its position and, in a composite, its component (0 for none); code and value as
    received.
    """

    position: int
    code: str
    component: int = 0
    number: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class SegmentError:
    """A segment at fault. `position` counts from the set's header, which is 1."""

    segment: str
    position: int
    code: str
    loop: str = ""
    elements: tuple[ElementError, ...] = ()


@dataclass(frozen=True, slots=True)
class SetAcknowledgment:
    """What became of one set, by its kind and control number."""

    kind: str
    control: str
    status: Status
    codes: tuple[str, ...] = ()
    errors: tuple[SegmentError, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgment:
    """What became of one group: found again by its kind and control number (as a number: zeros may be
    dropped).
    """

    kind: str
    control: int
    status: Status
    declared: int
    received: int
    accepted: int
    codes: tuple[str, ...] = ()
    sets: tuple[SetAcknowledgment, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class InterchangeAcknowledgment:
    """What became of an interchange's envelope. `note` is 000 when nothing is wrong."""

    control: int
    sent_at: datetime
    status: Status
    note: str


Document = PurchaseOrder | Invoice | ShipNotice | ReceivingAdvice | Acknowledgment
