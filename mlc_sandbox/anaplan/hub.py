"""The data hub model that the sandbox tenant starts with: feeds and columns, declared in one table."""

from __future__ import annotations

from dataclasses import dataclass

WORKSPACE_ID = "8a81b01168d4f7f50169a1b2c3d4e5f6"
WORKSPACE_NAME = "Finance"
MODEL_ID = "5C6E7F8091A2B3C4D5E6F708192A3B4C"
MODEL_NAME = "Data Hub"

CODE_HEADER = "code"
DISPLAY_NAME = "Display Name"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a module import. `kind` is TEXT, NUMBER, DATE, BOOLEAN or LIST; LIST names its list."""

    name: str
    kind: str = "TEXT"
    list_name: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """One kind of ERP record in the hub: a list, a module by that list, two imports and a process.

    An `optional` feed is prepared in the model and not switched on in a new configuration.
    """

    key: str
    title: str
    list_name: str
    columns: tuple[Column, ...]
    optional: bool = False

    @property
    def item_name(self) -> str | None:
        """The column that names the list's items; None where the code does."""
        headers = self.headers
        named = next((name for name in ("name", "description") if name in headers), None)
        return None if self.list_name.startswith("#") else named

    @property
    def module_name(self) -> str:
        """The module that holds the feed's line items."""
        return f"DAT01 {self.list_name.removeprefix('#')}"

    @property
    def headers(self) -> tuple[str, ...]:
        """Header row of the data import's file."""
        return (CODE_HEADER, *(column.name for column in self.columns))


_MARKS = {"n": "NUMBER", "d": "DATE", "b": "BOOLEAN"}


def _columns(text: str) -> tuple[Column, ...]:
    """Read `name`, `name:n|d|b` or `name:@List`, separated by commas."""
    columns = []
    for part in text.split(","):
        name, _, mark = part.strip().partition(":")
        if mark.startswith("@"):
            columns.append(Column(name, "LIST", mark[1:]))
        else:
            columns.append(Column(name, _MARKS.get(mark, "TEXT")))
    return tuple(columns)


def _feed(key: str, title: str, list_name: str, columns: str, *, optional: bool = False) -> Feed:
    return Feed(key, title, list_name, _columns(columns), optional)


@dataclass(frozen=True, slots=True)
class Cube:
    """Numbers by several dimensions and version: a module and one data import that asks for the version.

    `by` is column -> list, or Time; where `shown`, a text line item of each column's name says of a cell by
    which item it stands, so that a view tells what an import would name.
    """

    key: str
    title: str
    module_name: str
    by: dict[str, str]
    numbers: tuple[str, ...]
    shown: bool = False

    @property
    def headers(self) -> tuple[str, ...]:
        """Header row of the data import's file."""
        return (*self.by, *self.numbers)

    @property
    def formulas(self) -> dict[str, str]:
        """Line item -> what calculates it: the code of a list's item, the name of a month."""
        if not self.shown:
            return {}
        return {
            column: "NAME(ITEM(Time))" if name == "Time" else f"CODE(ITEM('{name}'))"
            for column, name in self.by.items()
        }


FEEDS: tuple[Feed, ...] = (
    _feed(
        "suppliers",
        "Suppliers",
        "Suppliers",
        "company, supplier_number, name, status, supplier_class, currency, country, vat_registration_id",
    ),
    _feed("gl_accounts", "GL Accounts", "GL Accounts", "company, account, description, type, active:b"),
    _feed("dimensions", "Dimensions", "Dimensions", "company, dimension, description"),
    _feed(
        "segment_values",
        "Segment Values",
        "Segment Values",
        "company, dimension, segment_id, segment, value_id, description, active:b",
    ),
    _feed("cost_centres", "Cost Centres", "Cost Centres", "company, cost_centre, description, active:b"),
    _feed(
        "supplier_invoices",
        "Supplier Invoices",
        "#Supplier Invoices",
        "company, document_type, reference_number, status, supplier:@Suppliers, supplier_name,"
        "supplier_reference, date:d, due_date:d, financial_period, currency, amount:n, vat_amount:n,"
        "balance:n, description",
    ),
    _feed(
        "supplier_invoice_lines",
        "Supplier Invoice Lines",
        "#Supplier Invoice Lines",
        "invoice:@#Supplier Invoices, company, line_number, description, account:@GL Accounts, subaccount,"
        "quantity:n, unit_cost:n, amount:n, vat_code, po_number, po_line",
    ),
    _feed(
        "purchase_orders",
        "Purchase Orders",
        "#Purchase Orders",
        "company, order_type, order_number, status, supplier:@Suppliers, supplier_name, date:d,"
        "promised_on:d, currency, order_total:n, tax_total:n, description",
    ),
    _feed(
        "purchase_order_lines",
        "Purchase Order Lines",
        "#Purchase Order Lines",
        "purchase_order:@#Purchase Orders, company, line_number, inventory, description,"
        "account:@GL Accounts, subaccount, uom, quantity:n, received_quantity:n, unit_cost:n, amount:n,"
        "completed:b, canceled:b",
    ),
    _feed(
        "journal_lines",
        "Journal Lines",
        "#Journal Lines",
        "company, module, batch_number, line_number, status, ledger, date:d, financial_period,"
        "account:@GL Accounts, cost_centre:@Cost Centres, subaccount, currency, debit:n, credit:n, amount:n,"
        "reference_number, description",
        optional=True,
    ),
)

BUDGET = Cube("gl_budget", "GL Budget", "BUD01 GL Budget", {"code": "GL Accounts"}, ("amount",))
ACTUALS = Cube(
    "gl_actuals",
    "GL Actuals",
    "ACT01 GL Actuals",
    {"account": "GL Accounts", "cost_centre": "Cost Centres", "month": "Time"},
    ("debit", "credit", "amount", "balance"),
    shown=True,
)
