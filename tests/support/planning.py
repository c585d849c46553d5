"""What the Anaplan model must hold: plain Python over the ERP's own rows, no SQL and none of our code."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from mlc_sandbox.server import Sandbox

Row = dict[str, Any]
# Module name -> code -> line item -> value.
Hub = dict[str, dict[str, Row]]

DOCUMENT_TYPES = {
    "Invoice": "Invoice",
    "CreditAdj": "Credit adjustment",
    "DebitAdj": "Purchase credit note",
    "Prepayment": "Prepayment",
    "QuickCheck": "Cash purchase",
    "VoidQuickCheck": "Voided cash purchase",
}
GONE_LINE: Row = {"quantity": Decimal(0), "unit_cost": Decimal(0), "amount": Decimal(0)}
# What a deleted row still says.
GONE: dict[str, Row] = {
    "DAT01 Suppliers": {"status": "Deleted"},
    "DAT01 GL Accounts": {"active": False},
    "DAT01 Dimensions": {"description": "Deleted"},
    "DAT01 Segment Values": {"active": False},
    "DAT01 Cost Centres": {"active": False},
    "DAT01 Supplier Invoices": {
        "status": "Deleted",
        "amount": Decimal(0),
        "vat_amount": Decimal(0),
        "balance": Decimal(0),
    },
    "DAT01 Supplier Invoice Lines": {**GONE_LINE, "description": "Deleted"},
    "DAT01 Purchase Orders": {"status": "Deleted", "order_total": Decimal(0), "tax_total": Decimal(0)},
    "DAT01 Purchase Order Lines": {
        **GONE_LINE,
        "received_quantity": Decimal(0),
        "canceled": True,
        "description": "Deleted",
    },
    "ACT01 GL Actuals": dict.fromkeys(("debit", "credit", "amount", "balance"), Decimal(0)),
}


def expected(sandbox: Sandbox, companies: Sequence[str], before: Mapping[str, Any] | None = None) -> Hub:
    """Every module by code. Rows of `before` that the ERP no longer has are there, marked as deleted."""
    hub: Hub = {module: {} for module in GONE}
    for company in companies:
        for module, row in _rows(sandbox, company):
            code = row.pop("code")
            assert code not in hub[module], f"the ERP has {code} twice"
            hub[module][code] = {name: value for name, value in row.items() if value not in ("", None)}
    for module, rows in (before or {}).items():
        for code, row in rows.items():
            hub[module].setdefault(code, {**row, **GONE[module]})
    return hub


def _rows(sandbox: Sandbox, company: str) -> Iterator[tuple[str, Row]]:
    def truth(entity: str) -> list[Row]:
        rows: list[Row] = sandbox.visma.truth(company, entity)
        return rows

    names = {supplier["number"]: supplier["name"] for supplier in truth("supplier")}
    for supplier in truth("supplier"):
        yield "DAT01 Suppliers", _supplier(company, supplier)
    for account in truth("account"):
        yield "DAT01 GL Accounts", _account(company, account)
    for dimension in truth("dimension"):
        yield from _dimension(company, dimension)
    for invoice in truth("supplierInvoice"):
        yield from _invoice(company, invoice, names)
    for order in truth("purchaseorder"):
        yield from _order(company, order, names)
    yield from _actuals(company, truth("generalLedgerBalance"))


def _supplier(company: str, supplier: Row) -> Row:
    return {
        "code": f"{company}|{supplier['number']}",
        "company": company,
        "supplier_number": supplier["number"],
        "name": supplier["name"],
        "status": supplier["status"],
        "supplier_class": _at(supplier, "supplierClass", "id"),
        "currency": supplier.get("currencyId"),
        "country": _at(supplier, "mainAddress", "country", "id"),
        "vat_registration_id": supplier.get("vatRegistrationId"),
    }


def _account(company: str, account: Row) -> Row:
    return {
        "code": f"{company}|{account['accountCD']}",
        "company": company,
        "account": account["accountCD"],
        "description": account.get("description"),
        "type": account.get("type"),
        "active": account.get("active"),
    }


def _dimension(company: str, dimension: Row) -> Iterator[tuple[str, Row]]:
    code = f"{company}|{dimension['id']}"
    yield (
        "DAT01 Dimensions",
        {
            "code": code,
            "company": company,
            "dimension": dimension["id"],
            "description": dimension.get("description"),
        },
    )
    for segment in dimension["segments"]:
        if dimension["id"] == "SUBACCOUNT" and segment["segmentId"] == 1:
            yield from _cost_centres(company, segment)
        for value in segment["segmentValues"]:
            yield (
                "DAT01 Segment Values",
                {
                    "code": f"{code}|{segment['segmentId']}|{value['valueId']}",
                    "company": company,
                    "dimension": code,
                    "segment_id": str(segment["segmentId"]),
                    "segment": segment.get("description"),
                    "value_id": value["valueId"],
                    "description": value.get("description"),
                    "active": value.get("active"),
                },
            )


def _cost_centres(company: str, segment: Row) -> Iterator[tuple[str, Row]]:
    none = {"valueId": "none", "description": "No cost centre", "active": True}
    for value in [none, *segment["segmentValues"]]:
        yield (
            "DAT01 Cost Centres",
            {
                "code": f"{company}|{value['valueId']}",
                "company": company,
                "cost_centre": value["valueId"],
                "description": value.get("description"),
                "active": value.get("active"),
            },
        )


def _invoice(company: str, invoice: Row, names: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    code = f"{company}|{invoice['documentType']}|{invoice['referenceNumber']}"
    supplier = invoice["supplier"]["number"]
    yield (
        "DAT01 Supplier Invoices",
        {
            "code": code,
            "company": company,
            "document_type": DOCUMENT_TYPES[invoice["documentType"]],
            "reference_number": invoice["referenceNumber"],
            "status": invoice["status"],
            "supplier": f"{company}|{supplier}",
            "supplier_name": names.get(supplier, invoice["supplier"]["name"]),
            "supplier_reference": invoice.get("supplierReference"),
            "date": invoice["date"],
            "due_date": invoice.get("dueDate"),
            "financial_period": invoice.get("financialPeriod"),
            "currency": invoice["currencyId"],
            "amount": Decimal(invoice["amount"]),
            "vat_amount": Decimal(invoice["vatAmount"]),
            "balance": Decimal(invoice["balanceInCurrency"]),
            "description": invoice.get("description"),
        },
    )
    for line in invoice["invoiceLines"]:
        yield (
            "DAT01 Supplier Invoice Lines",
            {
                "code": f"{code}|{line['lineNumber']}",
                "invoice": code,
                "company": company,
                "line_number": str(line["lineNumber"]),
                "description": line.get("transactionDescription"),
                "account": f"{company}|{line['account']['number']}",
                "subaccount": _at(line, "subaccount", "subaccountNumber"),
                "quantity": Decimal(line["quantity"]),
                "unit_cost": Decimal(line["unitCostInCurrency"]),
                "amount": Decimal(line["costInCurrency"]),
                "vat_code": _at(line, "vatCode", "id"),
                "po_number": line.get("poNumber"),
                "po_line": None if line.get("poLineNr") is None else str(line["poLineNr"]),
            },
        )


def _order(company: str, order: Row, names: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    code = f"{company}|{order['orderType']}|{order['orderNbr']}"
    supplier = order["supplier"]["number"]
    yield (
        "DAT01 Purchase Orders",
        {
            "code": code,
            "company": company,
            "order_type": order["orderType"],
            "order_number": order["orderNbr"],
            "status": order["status"],
            "supplier": f"{company}|{supplier}",
            "supplier_name": names.get(supplier, order["supplier"]["name"]),
            "date": order["date"],
            "promised_on": order.get("promisedOn"),
            "currency": order["currency"],
            "order_total": Decimal(order["orderTotal"]),
            "tax_total": Decimal(order["taxTotal"]),
            "description": order.get("description"),
        },
    )
    for line in order["lines"]:
        yield (
            "DAT01 Purchase Order Lines",
            {
                "code": f"{code}|{line['lineNbr']}",
                "purchase_order": code,
                "company": company,
                "line_number": str(line["lineNbr"]),
                "inventory": _at(line, "inventory", "number"),
                "description": line.get("lineDescription"),
                "account": f"{company}|{line['account']['number']}",
                "subaccount": _at(line, "sub", "subaccountNumber"),
                "uom": line.get("uom"),
                "quantity": Decimal(line["orderQty"]),
                "received_quantity": Decimal(line["qtyOnReceipts"]),
                "unit_cost": Decimal(line["unitCost"]),
                "amount": Decimal(line["amount"]),
                "completed": line.get("completed"),
                "canceled": line.get("canceled"),
            },
        )


def _actuals(company: str, balances: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Cells by account, cost centre and month. The balance is that of every branch and subaccount there is,
    also of those without a posting in the month; income and expense only know their own year's.
    """
    sums: dict[tuple[str, str, str], list[Decimal]] = {}
    closing: dict[tuple[str, str], dict[tuple[str, ...], dict[str, Decimal]]] = {}
    for found in balances:
        account, period = found["account"], found["financialPeriod"]
        sub = found["subaccount"]["subaccountNumber"]
        place = (account["number"], sub.split("-")[0])
        held = sums.setdefault((*place, period), [Decimal(0), Decimal(0)])
        held[0] += Decimal(found["periodToDateDebit"])
        held[1] += Decimal(found["periodToDateCredit"])
        year = period[:4] if account["type"] in ("Income", "Expense") else ""
        member = (year, found["branch"]["number"], sub)
        closing.setdefault(place, {}).setdefault(member, {})[period] = Decimal(found["yearToDateBalance"])
    for (number, centre, period), (debit, credit) in sums.items():
        balance = Decimal(0)
        for (year, *_), by_period in closing[number, centre].items():
            known = [earlier for earlier in by_period if earlier <= period]
            if known and year in ("", period[:4]):
                balance += by_period[max(known)]
        month = date(int(period[:4]), int(period[4:]), 1)
        code = f"{company}|{number} / {company}|{centre} / {month:%b %y} / Actual"
        numbers = {"debit": debit, "credit": credit, "amount": debit - credit, "balance": balance}
        yield "ACT01 GL Actuals", {"code": code, **numbers}


def _at(row: Row, *path: str) -> Any:
    for step in path:
        row = (row or {}).get(step)  # type: ignore[assignment]
    return row
