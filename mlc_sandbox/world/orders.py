"""Purchase orders and receipts: what was ordered, what arrived, and statuses that agree with both."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

from mlc_sandbox.world.company import BUILDERS, Company, cents, fine, post_period, times
from mlc_sandbox.world.countries import COUNTRY_NAMES
from mlc_sandbox.world.documents import (
    Line,
    due,
    make_line,
    project_ref,
    tax_rows,
    vat_index,
    vat_of,
)
from mlc_sandbox.world.master import ITEMS, account_ref, branch, subaccount_row
from mlc_sandbox.world.parties import Party, supplier_parties, vat_zone
from mlc_sandbox.world.store import Row, Table

ORDER_LINE_STATUS = {"Closed", "Cancelled"}


@dataclass(slots=True)
class OrderLine:
    """One line of a purchase order; `received` counts released receipts only, in hundredths."""

    line: Line
    received: int = 0
    canceled: bool = False


@dataclass(slots=True)
class Order:
    """A purchase order."""

    type: str
    number: str
    party: Party
    day: date
    currency: str
    status: str
    lines: list[OrderLine]
    branch: str
    receipts: list[Receipt]
    draw: int

    @property
    def key(self) -> str:
        """Type and number; the path of the API takes the number only."""
        return f"{self.type}|{self.number}"


@dataclass(slots=True)
class Receipt:
    """What arrived of an order: (order line index, quantity in hundredths)."""

    number: str
    type: str
    status: str
    order: Order
    day: date
    lines: list[tuple[int, int]]


def _fill_orders(company: Company, table: Table) -> None:
    """Orders and their receipts are made together; the receipts wait for their own table."""
    rng = company.rng("purchaseorder")
    suppliers = supplier_parties(company)
    for _ in range(company.count(220)):
        age = rng.uniform(0, 729)
        order = make_order(company, rng, rng.choice(suppliers), age)
        table.add(order.key, order, company.touched(rng, age))


def make_order(company: Company, rng: random.Random, party: Party, age: float) -> Order:
    """One order with what has been received of it so far."""
    kind = "RegularOrder" if rng.random() < 0.93 else rng.choice(("Blanket", "DropShip"))
    draw = rng.random()
    status = (
        "Hold"
        if draw < (0.3 if age < 10 else 0.02)
        else "Open"
        if draw < (0.9 if age < 40 else 0.12)
        else "Closed"
    )
    if status == "Closed" and rng.random() < 0.05:
        status = "Cancelled"
    account = company.account[rng.choice(("goods", "inventory", "tools", "office"))]
    vat = vat_index(company, rng, party)
    lines = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 5, 6))):
        line = make_line(company, rng, party, currency=party.currency, account=account, vat=vat)
        line.item = line.item or rng.choice(ITEMS)
        lines.append(OrderLine(line, canceled=status == "Cancelled"))
    order = Order(
        kind,
        company.number(f"order/{kind}", 500_001),
        party,
        company.day(age),
        party.currency,
        status,
        lines,
        rng.choice(("1", "1", "1", "2")),
        [],
        rng.randrange(1000),
    )
    if status in {"Open", "Closed"}:
        _receive(company, rng, order, age)
    return order


def _receive(company: Company, rng: random.Random, order: Order, age: float) -> None:
    """Receipts of an order. A few closed lines stay short, as measured live (vendors/visma.md section 6)."""
    deliveries = rng.choice((1, 1, 1, 2)) if order.status == "Closed" else rng.choice((0, 0, 1))
    for delivery in range(deliveries):
        arrived: list[tuple[int, int]] = []
        released = order.status == "Closed" or rng.random() < 0.7
        for index, item in enumerate(order.lines):
            left = item.line.quantity - item.received
            last = delivery == deliveries - 1 and order.status == "Closed"
            quantity = left if last and rng.random() < 0.93 else left // 2
            if quantity > 0:
                arrived.append((index, quantity))
                item.received += quantity if released else 0
        if arrived:
            day = company.day(max(min(0.0, age), age - rng.uniform(3, 25) * (delivery + 1)))
            status = "Released" if released else rng.choice(("Balanced", "Hold"))
            order.receipts.append(
                Receipt(company.number("receipt", 600_001), "PoReceipt", status, order, day, arrived)
            )


def _order_row(company: Company, order: Order) -> Row:
    lines = [
        _order_line_row(company, order, number, item) for number, item in enumerate(order.lines, start=1)
    ]
    details = vat_of(company, [item.line for item in order.lines])
    net, base = (sum(getattr(item.line, name) for item in order.lines) for name in ("amount", "base"))
    vat, base_vat = sum(part.tax for part in details), sum(part.base_tax for part in details)
    exempt = sum(part.taxable for part in details if part.percent == 0)
    base_exempt = sum(part.base_taxable for part in details if part.percent == 0)
    is_open = order.status in {"Open", "Hold"}
    open_quantity = sum(item.line.quantity - item.received for item in order.lines) if is_open else 0
    open_balance = sum(item.line.amount - part(item, item.received) for item in order.lines) if is_open else 0
    address = {
        "overrideAddress": False,
        "addressId": 9000 + order.party.index,
        "addressLine1": order.party.street,
        "postalCode": order.party.postal_code,
        "city": order.party.city,
        "country": {"id": order.party.country, "name": COUNTRY_NAMES[order.party.country]},
    }
    row: Row = {
        "orderType": order.type,
        "orderNbr": order.number,
        "status": order.status,
        "hold": order.status == "Hold",
        "date": order.day,
        "promisedOn": order.day + timedelta(days=21),
        "supplier": {
            "internalId": 3000 + order.party.index,
            "number": order.party.number,
            "name": order.party.name,
        },
        "location": {"id": 100 + order.party.index, "name": "Primary Location"},
        "currency": order.currency,
        "exchangeRate": fine(company.rate(order.currency) // 100),
        "branch": branch(company, order.branch),
        "lineTotal": cents(net),
        "lineTotalInBaseCurrency": cents(base),
        "taxTotal": cents(vat),
        "taxTotalInBaseCurrency": cents(base_vat),
        "orderTotal": cents(net + vat),
        "orderTotalInBaseCurrency": cents(base + base_vat),
        "vatExemptTotal": cents(exempt),
        "vatExemptTotalInBaseCurrency": cents(base_exempt),
        "controlTotal": cents(net + vat),
        "controlTotalInBaseCurrency": cents(base + base_vat),
        "openQuantity": cents(open_quantity),
        "openBalance": cents(open_balance),
        "shippingDestinationType": "CompanyLocation",
        "warehouse": {"id": "1", "description": "Hovedlager"},
        "remitAddress": address,
        "supplierVatZone": vat_zone(company, order.party.country),
        "discountDetails": [],
        "dontPrint": False,
        "printed": order.status != "Hold",
        "dontEmail": True,
        "emailed": False,
        "taxDetails": tax_rows(details),
        "purchaseReceipts": [_receipt_of_order(receipt) for receipt in order.receipts],
        "lines": lines,
        "customStr1": "Rammeavtale" if order.draw % 4 == 0 else "",
        "customDec1": cents(order.draw),
    }
    if order.draw % 3:
        row["terms"] = {"id": order.party.terms[1], "description": order.party.terms[2]}
    if order.draw % 4 == 1:
        row["description"] = f"Bestilling til {company.country.places[order.draw % 10].split('/')[1]}"
    if order.draw % 10 == 3:
        row["note"] = "Leveres på døren før kl. 10."
    return row


def _order_line_row(company: Company, order: Order, number: int, item: OrderLine) -> Row:
    line = item.line
    return {
        "lineNbr": number,
        "branch": branch(company, order.branch),
        "inventory": {"number": line.item, "description": line.text},
        "lineType": "GoodsForInventory" if line.account.role in {"goods", "inventory"} else "NonStock",
        "warehouse": {"id": "1", "description": "Hovedlager"},
        "lineDescription": line.text,
        "uom": line.uom,
        "orderQty": cents(line.quantity),
        "baseOrderQty": cents(line.quantity),
        "qtyOnReceipts": cents(item.received),
        "unitCost": fine(line.unit),
        "unitCostInBaseCurrency": fine(times(line.unit, company.rate(order.currency), 1_000_000)),
        "extCost": cents(line.amount),
        "discountPercent": 0,
        "discountAmount": 0,
        "manualDiscount": False,
        "amount": cents(line.amount),
        "receivedAmt": cents(part(item, item.received)),
        "minReceipt": 0,
        "maxReceipt": 100,
        "completeOn": 100,
        "receiptAction": "AcceptButWarn",
        "taxCategory": {
            "number": company.country.vat[line.vat][0],
            "description": company.country.vat[line.vat][1],
        },
        "account": account_ref(line.account),
        "sub": subaccount_row(company, line.sub),
        "project": project_ref(company, line.project),
        "requested": order.day + timedelta(days=14),
        "promised": order.day + timedelta(days=21),
        "completed": order.status in ORDER_LINE_STATUS,
        "canceled": item.canceled,
        "orderType": order.type,
        "orderNumber": order.number,
        "customStr1": "",
    }


def part(item: OrderLine, quantity: int) -> int:
    """The amount of a part of the line's quantity."""
    return times(item.line.amount, quantity, item.line.quantity) if item.line.quantity else 0


def _receipt_of_order(receipt: Receipt) -> Row:
    return {
        "type": receipt.type,
        "receiptNumber": receipt.number,
        "status": receipt.status,
        "supplierName": receipt.order.party.name,
        "currency": receipt.order.currency,
        "totalQty": cents(sum(quantity for _, quantity in receipt.lines)),
        "totalAmt": cents(
            sum(part(receipt.order.lines[index], quantity) for index, quantity in receipt.lines)
        ),
    }


def _fill_receipts(company: Company, table: Table) -> None:
    rng = company.rng("purchaseReceipt")
    for record in company.table("purchaseorder"):
        for receipt in record.facts.receipts:
            age = (company.base.date() - receipt.day).days
            table.add(receipt.number, receipt, company.touched(rng, age))


def _receipt_row(company: Company, receipt: Receipt) -> Row:
    order = receipt.order
    amounts = [part(order.lines[index], quantity) for index, quantity in receipt.lines]
    quantity = sum(amount for _, amount in receipt.lines)
    row: Row = {
        "receiptType": receipt.type,
        "receiptNbr": receipt.number,
        "status": receipt.status,
        "hold": receipt.status == "Hold",
        "date": receipt.day,
        "dueDate": due(receipt.day, order.party),
        "postPeriod": post_period(receipt.day),
        "warehouse": {"id": "1", "description": "Hovedlager"},
        "supplier": {
            "internalId": 3000 + order.party.index,
            "number": order.party.number,
            "name": order.party.name,
        },
        "location": {"countryId": order.party.country, "id": "MAIN", "name": "Primary Location"},
        "currency": order.currency,
        "exchangeRate": fine(company.rate(order.currency) // 100),
        "createBill": False,
        "totalQty": cents(quantity),
        "controlQty": cents(quantity),
        "vatExemptTotal": 0,
        "vatTaxableTotal": cents(sum(amounts)),
        "totalAmt": cents(sum(amounts)),
        "controlTotal": cents(sum(amounts)),
        "branchNumber": branch(company, order.branch),
        "landedCost": [],
        "lines": [
            _receipt_line_row(company, receipt, number, index, amount)
            for number, (index, amount) in enumerate(receipt.lines, start=1)
        ],
        "customStr1": "",
    }
    if int(receipt.number) % 3:
        row["supplierRef"] = f"F{int(receipt.number) * 37 % 99_991:05d}"
    if int(receipt.number) % 11 == 0:
        row["note"] = "Én kolli skadet ved mottak."
    return row


def _receipt_line_row(company: Company, receipt: Receipt, number: int, index: int, quantity: int) -> Row:
    order = receipt.order
    item = order.lines[index]
    line = item.line
    return {
        "lineNbr": number,
        "branchNumber": branch(company, order.branch),
        "inventory": {"number": line.item, "description": line.text},
        "lineType": "GoodsForInventory" if line.account.role in {"goods", "inventory"} else "NonStock",
        "warehouse": {"id": "1", "description": "Hovedlager"},
        "location": {"id": "MAIN", "name": "Hovedlokasjon"},
        "transactionDescription": line.text,
        "uom": line.uom,
        "orderQty": cents(line.quantity),
        "openQty": cents(line.quantity - quantity),
        "receiptQty": cents(quantity),
        "baseReceiptQty": cents(quantity),
        "unitCost": fine(line.unit),
        "extCost": cents(part(item, quantity)),
        "discountPercent": 0,
        "discountAmount": 0,
        "manualDiscount": False,
        "amount": cents(part(item, quantity)),
        "taxCategory": {
            "number": company.country.vat[line.vat][0],
            "description": company.country.vat[line.vat][1],
        },
        "account": account_ref(line.account),
        "accountDescription": line.account.name,
        "sub": {
            "active": True,
            "id": line.sub.number,
            "description": company.country.projects[line.sub.project],
        },
        "project": project_ref(company, line.project),
        "poOrderType": order.type,
        "poOrderNbr": order.number,
        "poOrderLineNbr": index + 1,
        "completePoLine": order.status == "Closed",
        "allocations": [],
    }


BUILDERS.update(purchaseorder=(_fill_orders, _order_row), purchaseReceipt=(_fill_receipts, _receipt_row))
