"""What a whole installation carries besides the main documents, row by row: keys, amounts, and a word or two.

One table says where each kind of record is shown. What should be there is computed here from the ERP's
records, by no code of the product.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tests.prove.erp import KEYS, at
from tests.prove.readers import Anaplan, Facts, Held, PowerBi, Tableau, by_key, money
from tests.prove.world import World

Rows = Iterable[tuple[str, Facts]]
# A code begins with the company; journals leave out what the ERP puts before the name of a module.
MODULE = "Module"
COST_CENTRE_SEGMENT, NO_COST_CENTRE = 1, "none"
YEARLY = ("Income", "Expense")


@dataclass(frozen=True)
class Kind:
    """Records of an entity of the ERP, or the items of their arrays, as rows.

    amounts, words, codes: the contracts' columns, each with its field in the ERP; a code has the company
    before it. items: the array whose items are the rows, or an array in an array. within: what tells an item
    from the others of its record.
    """

    entity: str
    amounts: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    items: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    def held(self, world: World) -> Held:
        """What the ERP holds. Raises Twice."""
        return by_key(
            (_code(company, row, (*KEYS[self.entity], *self.within)), self._facts(company, row))
            for company in world.companies
            for record in world.truth(company, self.entity)
            for row in _items(record, self.items)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """What is compared."""
        return *self.amounts, *self.words, *self.codes

    def shown(self, rows: Iterable[Facts], captions: Mapping[str, str]) -> Rows:
        """Rows of a destination, by code, with the same facts. captions: of its columns."""
        for row in rows:
            facts = {name: row[captions[name]] for name in self.columns}
            as_compared = {
                name: money(value) if name in self.amounts else _word(value) for name, value in facts.items()
            }
            yield row["Code"], as_compared

    def _facts(self, company: str, row: Facts) -> Facts:
        amounts = {name: money(at(row, path)) for name, path in self.amounts.items()}
        words = {name: _word(at(row, path)) for name, path in self.words.items()}
        return amounts | words | {name: _code(company, row, (path,)) for name, path in self.codes.items()}


@dataclass(frozen=True)
class Place:
    """Where a destination shows a kind: the view, table or data source.

    captions: of columns that are not simply called after the contract's. gone: what a row shows whose record
    is no more; without it no such row may be there.
    """

    destination: str
    name: str
    kind: Kind
    captions: Mapping[str, str] = field(default_factory=dict)
    gone: Facts | None = None

    @property
    def pair(self) -> str:
        """The pair it belongs to."""
        return self.destination.partition("/")[0]

    def captions_of_columns(self) -> dict[str, str]:
        """Contract's column -> what it is called here."""
        as_written = {name: name if self.pair == "anaplan" else _caption(name) for name in self.kind.columns}
        return {**as_written, **self.captions}

    def shown(self, rows: Iterable[Facts]) -> Rows:
        """What it shows, by code."""
        return self.kind.shown(rows, self.captions_of_columns())


_SALE = {"amount": "amountInCurrency", "balance": "balanceInCurrency"}
_BUYER = {"customer": "customer.number"}
SUPPLIER_PAYMENT = Kind(
    "supplierPayment",
    {"amount": "paymentAmount", "unapplied": "unappliedBalance"},
    {"description": "description"},
    {"supplier": "supplier.number"},
)
CUSTOMER_INVOICE = Kind("customerinvoice", _SALE, codes=_BUYER)
CREDIT_NOTE = Kind("customerCreditNote", _SALE, codes=_BUYER)
CUSTOMER_PAYMENT = Kind(
    "customerPayment",
    {"amount": "paymentAmountInCurrency", "available": "availableBalanceInCurrency"},
    codes=_BUYER,
)
RECEIPT_LINE = Kind(
    "purchaseReceipt",
    {"amount": "amount", "quantity": "receiptQty"},
    codes={"supplier": "supplier.number"},
    items=("lines",),
    within=("lineNbr",),
)
INVOICE_LINE = Kind(
    "supplierInvoice",
    {"amount": "costInCurrency", "quantity": "quantity"},
    items=("invoiceLines",),
    within=("lineNumber",),
)
ORDER_LINE = Kind(
    "purchaseorder",
    {"amount": "amount", "quantity": "orderQty"},
    items=("lines",),
    within=("lineNbr",),
)
CUSTOMER = Kind("customer", words={"name": "name", "status": "status"})
EMPLOYEE = Kind("employee", words={"name": "employeeName", "department": "department"})
ACCOUNT = Kind("account", words={"description": "description", "active": "active"})
DIMENSION = Kind("dimension", words={"description": "description"})
SEGMENT_VALUE = Kind(
    "dimension",
    words={"description": "description", "active": "active"},
    items=("segments", "segmentValues"),
    within=("segmentId", "valueId"),
)
BALANCE = Kind(
    "generalLedgerBalance",
    {"debit": "periodToDateDebit", "credit": "periodToDateCredit", "year_to_date": "yearToDateBalance"},
    codes={"account": "account.number"},
)
JOURNAL_LINE = Kind(
    "journaltransaction",
    {"debit": "debitAmount", "credit": "creditAmount"},
    {"description": "transactionDescription"},
    {"account": "accountNumber"},
    items=("journalTransactionLines",),
    within=("lineNumber",),
)
TIMECARD_LINE = Kind(
    "timeCard",
    {"minutes": "timeSpent"},
    codes={"employee": "employee.number"},
    items=("summary",),
    within=("lineNumber",),
)

NOTHING = money(0)
PLACES = (
    Place(
        "anaplan/supplier_invoice_lines",
        "DAT01 Supplier Invoice Lines.All",
        INVOICE_LINE,
        gone={"amount": NOTHING, "quantity": NOTHING},
    ),
    Place(
        "anaplan/purchase_order_lines",
        "DAT01 Purchase Order Lines.All",
        ORDER_LINE,
        gone={"amount": NOTHING, "quantity": NOTHING},
    ),
    Place("anaplan/gl_accounts", "DAT01 GL Accounts.All", ACCOUNT, gone={"active": "false"}),
    Place("anaplan/dimensions", "DAT01 Dimensions.All", DIMENSION, gone={"description": "Deleted"}),
    Place("anaplan/segment_values", "DAT01 Segment Values.All", SEGMENT_VALUE, gone={"active": "false"}),
    Place("tableau/supplier_payments", "Supplier payments", SUPPLIER_PAYMENT),
    Place("tableau/supplier_invoice_lines", "Supplier invoice lines", INVOICE_LINE),
    Place("tableau/purchase_receipts", "Purchase receipts", RECEIPT_LINE),
    Place("tableau/customers", "Customers", CUSTOMER),
    Place("tableau/customer_invoices", "Customer invoices", CUSTOMER_INVOICE),
    Place("tableau/customer_credit_notes", "Customer credit notes", CREDIT_NOTE),
    Place("tableau/customer_payments", "Customer payments", CUSTOMER_PAYMENT),
    Place("tableau/gl_accounts", "Accounts", ACCOUNT),
    Place("tableau/dimension_values", "Dimension values", SEGMENT_VALUE),
    Place("tableau/gl_balances", "GL balances", BALANCE),
    Place("tableau/gl_journal_lines", "GL journal lines", JOURNAL_LINE),
    Place("powerbi/supplier_payments", "Supplier payments", SUPPLIER_PAYMENT),
    Place("powerbi/customers", "Customers", CUSTOMER, {"name": "Customer", "status": "Customer status"}),
    Place("powerbi/customer_invoices", "Customer invoices", CUSTOMER_INVOICE),
    Place("powerbi/customer_credit_notes", "Customer credit notes", CREDIT_NOTE),
    Place("powerbi/customer_payments", "Customer payments", CUSTOMER_PAYMENT),
    Place("powerbi/gl_accounts", "Accounts", ACCOUNT, {"description": "Account name"}),
    Place("powerbi/segment_values", "Segment values", SEGMENT_VALUE, {"description": "Segment value name"}),
    Place("powerbi/employees", "Employees", EMPLOYEE, {"name": "Employee"}),
    Place("powerbi/gl_balances", "GL balances", BALANCE),
    Place("powerbi/journal_lines", "Journal lines", JOURNAL_LINE),
    Place("powerbi/timecards", "Timecards", TIMECARD_LINE),
)


def further(world: World) -> Iterator[tuple[str, Held, Rows, Facts | None]]:
    """Of each place: the destination, what should be there, what is, and what a row shows that is gone."""
    readers = {"anaplan": Anaplan, "tableau": Tableau, "powerbi": PowerBi}
    opened = {pair: open_(world) for pair, open_ in readers.items() if pair in world.pairs}
    known: dict[tuple[str, ...], Held] = {}
    for place in PLACES:
        if place.pair in opened:
            kind = place.kind.entity, *place.kind.items
            if kind not in known:
                known[kind] = place.kind.held(world)
            rows = opened[place.pair].rows(place.name)
            yield place.destination, known[kind], place.shown(rows), place.gone
    if "anaplan" in opened:
        cells = opened["anaplan"].rows("ACT01 GL Actuals.Filled")
        yield "anaplan/gl_actuals", actuals(world), _cells(cells), None


CELL = ("debit", "credit", "balance")


def actuals(world: World) -> Held:
    """What the ledger says by account, cost centre and month, where something stands in the month or is left.

    A month's balance is what every branch and subaccount last said, up to then; income and expense begin a
    year at nothing. There is a cell for the months with a posting.
    """
    found: Held = {}
    for company in world.companies:
        centres = {row["subaccountNumber"]: _cost_centre(row) for row in world.truth(company, "subaccount")}
        by_cell: defaultdict[tuple[str, str], list[Facts]] = defaultdict(list)
        for row in world.truth(company, "generalLedgerBalance"):
            centre = centres.get(row["subaccount"]["subaccountNumber"], NO_COST_CENTRE)
            by_cell[row["account"]["number"], centre].append(row)
        for (account, centre), rows in by_cell.items():
            for period in {row["financialPeriod"] for row in rows}:
                month = date(int(period[:4]), int(period[4:]), 1).strftime("%b %y")
                cell = {
                    "debit": _sum(rows, period, "periodToDateDebit"),
                    "credit": _sum(rows, period, "periodToDateCredit"),
                    "balance": _left(rows, period),
                }
                # What shows nothing is not shown.
                if any(cell.values()):
                    found[f"{company}|{account}|{company}|{centre}|{month}"] = cell
    return found


def _cost_centre(subaccount: Facts) -> str:
    parts = {part["segmentId"]: part["segmentValue"] for part in subaccount["segments"]}
    return str(parts.get(COST_CENTRE_SEGMENT, NO_COST_CENTRE))


def _sum(rows: Iterable[Facts], period: str, field: str) -> Decimal:
    return money(sum(row[field] for row in rows if row["financialPeriod"] == period))


def _left(rows: Iterable[Facts], period: str) -> Decimal:
    """What is on an account after a period, over all branches and subaccounts."""
    last: dict[str, Facts] = {}
    for row in sorted(rows, key=lambda row: str(row["financialPeriod"])):
        in_year = row["account"]["type"] not in YEARLY or row["financialPeriod"][:4] == period[:4]
        if row["financialPeriod"] <= period and in_year:
            place = row["branch"]["number"], row["ledger"]["id"], row["subaccount"], row["currencyId"]
            last[str(place)] = row
    return money(sum(row["yearToDateBalance"] for row in last.values()))


def _cells(view: Iterable[Facts]) -> Rows:
    for row in view:
        yield f"{row['account']}|{row['cost_centre']}|{row['month']}", {n: money(row[n]) for n in CELL}


def _code(company: str, row: Facts, fields: Iterable[str]) -> str:
    return "|".join([company, *(str(at(row, path)).removeprefix(MODULE) for path in fields)])


def _items(record: Facts, arrays: tuple[str, ...]) -> Iterator[Facts]:
    """The items of an array with what stands around them, which they hide where both have a field."""
    if not arrays:
        yield record
        return
    for item in record.get(arrays[0]) or ():
        yield from _items({**record, **item}, arrays[1:])


def _word(value: Any) -> str:
    """A text as it is compared: nothing is empty, yes and no are written small."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value or "")


def _caption(column: str) -> str:
    return column[0].upper() + column[1:].replace("_", " ")
