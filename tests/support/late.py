"""What an ERP does late or silently: deleted, renumbered, merged, another type, stamped into the past."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from mlc_sandbox.server import Sandbox

COMPANY, NEW_SUPPLIER, NEW_ORDER, NEW_ACCOUNT = "NO01", "99001", "599001", "9901"
DESCRIPTION = "Changed by a batch with an old stamp"
LEFT = Decimal("1.5")
LINES = {
    "supplierInvoice": "invoiceLines",
    "purchaseorder": "lines",
    "journaltransaction": "journalTransactionLines",
}
RELEASED = {"Open", "Closed"}


@dataclass(frozen=True)
class Happened:
    """What happened in the ERP: suppliers by number, documents by the ERP's own key."""

    renumbered: str
    merged: str
    other: str
    vanished: str
    retyped: str
    backdated: str
    order_vanished: str
    order_renumbered: str
    account: str

    @property
    def retyped_now(self) -> str:
        """The key of the invoice that is a credit note now."""
        return f"CreditAdj|{self.retyped.split('|')[1]}"


def happen(sandbox: Sandbox) -> Happened:
    """All of it at once, with no stamp that a daily run would look at but those of new numbers."""
    renumbered, merged, other = _suppliers(sandbox)
    vanished, retyped, backdated = _invoices(sandbox)
    order_vanished, order_renumbered = _orders(sandbox)
    return Happened(
        renumbered,
        merged,
        other,
        vanished,
        retyped,
        backdated,
        order_vanished,
        order_renumbered,
        account=_account(sandbox),
    )


def _suppliers(sandbox: Sandbox) -> list[str]:
    """One gets another number, one is taken into another; the documents follow without a new stamp."""
    vendor = sandbox.visma
    suppliers = vendor.table(COMPANY, "supplier")
    documents = [vendor.table(COMPANY, entity) for entity in ("supplierInvoice", "purchaseorder")]
    rows = [(table, record, table.row(record)) for table in documents for record in table]
    renumbered, merged, other = sorted({row["supplier"]["number"] for _, _, row in rows})[:3]
    vendor.renumber(COMPANY, "supplier", renumbered, NEW_SUPPLIER)
    vendor.delete(COMPANY, "supplier", merged)
    now = {renumbered: NEW_SUPPLIER, merged: other}
    for table, record, row in rows:
        if number := now.get(row["supplier"]["number"]):
            name = suppliers.row(vendor.record(COMPANY, "supplier", number))["name"]
            party = {**row["supplier"], "number": number, "name": name}
            table.change(record, {"supplier": party}, record.stamp)
    return [renumbered, merged, other]


def _invoices(sandbox: Sandbox) -> list[str]:
    """A released one is deleted, one becomes a credit note, one is changed with a stamp of long ago."""
    table = sandbox.visma.table(COMPANY, "supplierInvoice")
    past = sandbox.clock.wire() - timedelta(days=3)
    released = [record.key for record in table if table.row(record)["status"] in RELEASED]
    vanished, retyped, backdated = [key for key in released if key.startswith("Invoice|")][:3]
    table.delete(vanished)
    old = table.get(retyped)
    row = {**table.row(old), "documentType": "CreditAdj"}
    table.delete(retyped)
    table.add(f"CreditAdj|{retyped.split('|')[1]}", old.facts, past, old.created, row=row)
    record = table.get(backdated)
    record.stamp = past - timedelta(days=30)
    table.change(record, {"description": DESCRIPTION, "balance": LEFT, "balanceInCurrency": LEFT}, past)
    return [vanished, retyped, backdated]


def _orders(sandbox: Sandbox) -> list[str]:
    """An order that was sent is deleted, another gets a new number."""
    table = sandbox.visma.table(COMPANY, "purchaseorder")
    keys = [record.key for record in table if table.row(record)["status"] in RELEASED]
    vanished, renumbered = [key for key in keys if key.startswith("RegularOrder|")][:2]
    table.delete(vanished)
    old = table.get(renumbered)
    row = {**table.row(old), "orderNbr": NEW_ORDER}
    table.delete(renumbered)
    table.add(f"RegularOrder|{NEW_ORDER}", old.facts, sandbox.clock.wire(), old.created, row=row)
    return [vanished, renumbered]


def _account(sandbox: Sandbox) -> str:
    """The account of some lines gets another number. Documents show it without a new stamp."""
    vendor = sandbox.visma
    invoices = vendor.table(COMPANY, "supplierInvoice")
    old = str(min(invoices.row(record)["invoiceLines"][0]["account"]["number"] for record in invoices))
    vendor.renumber(COMPANY, "account", old, NEW_ACCOUNT)
    for entity, lines in LINES.items():
        table = vendor.table(COMPANY, entity)
        for record in table:
            shown = [_named_anew(line, old) for line in table.row(record)[lines]]
            table.change(record, {lines: shown}, record.stamp)
    return old


def account_of(line: dict[str, Any]) -> str | None:
    """The account that a line names."""
    return line.get("accountNumber") or (line.get("account") or {}).get("number")


def _named_anew(line: dict[str, Any], old: str) -> dict[str, Any]:
    if account_of(line) != old:
        return line
    if "accountNumber" in line:
        return {**line, "accountNumber": NEW_ACCOUNT}
    return {**line, "account": {**line["account"], "number": NEW_ACCOUNT}}
