"""What happens in the ERP, and what people and partners do meanwhile: through the sandbox's control API."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mlc_sandbox.visma.entities import ENTITIES
from tests.prove.world import World

DRAFTS = ("Hold", "Balanced")
# A stamp that no daily run looks at any more.
LONG_AGO_DAYS = 40
CENT = Decimal("0.01")
# Orders a company has besides, so that partners have goods to ship: about half of them are open.
MORE_ORDERS = 6
INVOICES = ("Invoice", "CreditAdj", "DebitAdj")
BOUGHT = ("supplierInvoice", "purchaseorder")
# A company keeps some, so that there is something to happen to.
FEWEST_SUPPLIERS = 5
# The models with tasks: the field of a task that holds the key, and the ERP's entity.
BOARDS = {
    "supplier_invoices": ("SupplierInvoiceId", "supplierInvoice"),
    "purchase_orders": ("PurchaseOrderId", "purchaseorder"),
}
# Where an interchange has its number, and numbers that no partner has come to.
ISA13, OTHER_NUMBERS = slice(90, 99), 900_000_000
Doing = Callable[["Office"], str]


@dataclass(frozen=True)
class Comment:
    """What somebody wrote at a task, in words nobody else uses: of which document, by the ERP's key."""

    task: str
    company: str
    entity: str
    key: str
    text: str


class Office:
    """Somebody works: in the ERP, at Asana's board, at a partner."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance
        # Company and number of a supplier -> the numbers it had before.
        self.former: dict[tuple[str, str], list[str]] = {}
        # What was deleted, voided or is another record now, as it was: company, entity and row.
        self.gone: list[tuple[str, str, dict[str, Any]]] = []
        # The records that have another number or type now: company, entity and key.
        self.renamed: set[tuple[str, str, str]] = set()
        # The ship notices that were taken in when the database was copied; None: it never was.
        self.known_notices: set[str] | None = None
        self.comments: list[Comment] = []
        self._again = self._count = 0
        # Drafts with another amount than their lines have: company and key.
        self._unbalanced: set[tuple[str, str]] = set()
        self._asked_again: set[str] = set()

    def work(self) -> str:
        """Do something; its name, or empty when there was nothing to do it to."""
        further = self._world.whole and self._chance.random() < FURTHER_SHARE
        return self._chance.choice(FURTHER_DOINGS if further else DOINGS)(self)

    def orders_come(self) -> None:
        """Much is ordered before anything else happens."""
        for company in self._world.companies:
            for _ in range(MORE_ORDERS):
                self._world.control("POST", f"/control/visma/{company}/purchaseorder/add", {})

    def new_document(self) -> str:
        company, entity = self._company(), self._chance.choice(["supplierInvoice", "purchaseorder"])
        self._world.control("POST", f"/control/visma/{company}/{entity}/add", {})
        return f"new {entity}"

    def changed_amount(self) -> str:
        company, row = self._a("supplierInvoice", DRAFTS)
        if row is not None:
            self._unbalanced.add((company, key_of("supplierInvoice", row)))
        fields = {"amount": self._chance.randint(1, 10**7) / 100}
        return self._change(company, "supplierInvoice", row, "changed amount", fields)

    def back_dated(self) -> str:
        return self._change_draft("back-dated", {"date": "2026-01-15T00:00:00", "financialPeriod": "202601"})

    def described(self) -> str:
        company, row = self._a("supplierInvoice")
        return self._change(company, "supplierInvoice", row, "changed text", {"description": self._text()})

    def renamed_supplier(self) -> str:
        company, row = self._a("supplier")
        return self._change(company, "supplier", row, "renamed supplier", {"name": self._text()})

    def released_draft(self) -> str:
        """From now on it may go to a partner. The ERP releases none whose amount is not that of its lines."""
        company, row = self._a("supplierInvoice", DRAFTS)
        if row is None or (company, key_of("supplierInvoice", row)) in self._unbalanced:
            return ""
        fields = {"status": "Open", "hold": False, "approvalStatus": "ApprovedInApproval"}
        return self._change(company, "supplierInvoice", row, "released draft", fields)

    def paid_invoice(self) -> str:
        """All of it, or half."""
        company, row = self._a("supplierInvoice", ("Open",))
        if row is None:
            return ""
        whole = self._chance.random() < 0.5
        fields = {
            name: Decimal(0) if whole else (row[name] / 2).quantize(CENT)
            for name in ("balance", "balanceInCurrency")
        }
        status = {"status": "Closed"} if whole else {}
        return self._change(company, "supplierInvoice", row, "paid invoice", {**fields, **status})

    def voided_invoice(self) -> str:
        """Its partner keeps it, and a person is asked."""
        company, row = self._a("supplierInvoice", ("Open",))
        if row is not None:
            self.gone.append((company, "supplierInvoice", row))
        fields = {"status": "Voided", "balance": 0, "balanceInCurrency": 0}
        return self._change(company, "supplierInvoice", row, "voided invoice", fields)

    def changed_order(self) -> str:
        """More or less of its first line, or another price, or all of it: its partner is to hear of that."""
        company, row = self._a("purchaseorder", ("Open", "Hold"))
        if row is None or not row["lines"]:
            return ""
        line, *rest = row["lines"]
        name = self._chance.choice(["orderQty", "unitCost"])
        least = line["qtyOnReceipts"] if name == "orderQty" else 0
        line = {**line, name: Decimal(least) + self._chance.randint(1, 500)}
        amount = (line["orderQty"] * line["unitCost"]).quantize(CENT, ROUND_HALF_UP)
        line |= {"baseOrderQty": line["orderQty"], "extCost": amount, "amount": amount}
        more = amount - row["lines"][0]["amount"]
        totals = {name: row[name] + more for name in ("lineTotal", "orderTotal", "controlTotal")}
        fields = {"lines": [line, *rest], **totals}
        return self._change(company, "purchaseorder", row, f"changed order: {name}", fields)

    def cancelled_order(self) -> str:
        """One of which nothing came yet."""
        company = self._company()
        rows = [
            row
            for row in self._world.truth(company, "purchaseorder")
            if row["status"] == "Open" and not any(line["qtyOnReceipts"] for line in row["lines"])
        ]
        if not rows:
            return ""
        row = self._chance.choice(rows)
        lines = [{**line, "canceled": True, "completed": True} for line in row["lines"]]
        fields = {"status": "Cancelled", "lines": lines, "openQuantity": 0, "openBalance": 0}
        return self._change(company, "purchaseorder", row, "cancelled order", fields)

    def retyped_document(self) -> str:
        """An invoice is a credit note from now on, or the like, under the same number."""
        company, row = self._a("supplierInvoice", ("Open", "Closed"))
        if row is None:
            return ""
        other = self._chance.choice([kind for kind in INVOICES if kind != row["documentType"]])
        wanted = {"number": row["referenceNumber"], "type": other}
        if self._there(company, "supplierInvoice", f"{wanted['type']}|{wanted['number']}"):
            return ""
        self._number_anew(company, "supplierInvoice", row, wanted)
        return "retyped document"

    def renumbered_document(self) -> str:
        entity = self._chance.choice(["supplierInvoice", "purchaseorder"])
        company, row = self._a(entity)
        if row is None:
            return ""
        self._count += 1
        self._number_anew(company, entity, row, {"number": str(900_000 + self._count)})
        return f"renumbered {entity}"

    def merged_suppliers(self) -> str:
        """One is taken into another, and its documents with it; they have stamps of long ago."""
        company, other = self._a("supplier")
        documents = [row for entity in BOUGHT for row in self._world.truth(company, entity)]
        named = {row["supplier"]["number"] for row in documents} - {(other or {}).get("number")}
        rows = [row for row in self._world.truth(company, "supplier") if row["number"] in named]
        if other is None or len(rows) < FEWEST_SUPPLIERS:
            return ""
        merged = self._chance.choice(rows)
        now = {"number": other["number"], "name": other["name"]}
        self._name_anew(company, "supplier", merged["number"], now, days_ago=LONG_AGO_DAYS)
        self._delete(company, "supplier", merged)
        former = self.former.pop((company, merged["number"]), [])
        self.former.setdefault((company, other["number"]), []).extend([merged["number"], *former])
        return "merged suppliers"

    def stamped_long_ago(self) -> str:
        """A change with a stamp that no daily run looks at: the key sweep finds it."""
        company, row = self._a("supplierInvoice")
        fields = {"description": self._text()}
        name = "changed with an old stamp"
        return self._change(company, "supplierInvoice", row, name, fields, days_ago=LONG_AGO_DAYS)

    def restamped(self) -> str:
        company, entity = self._company(), self._chance.choice(["supplierInvoice", "supplier"])
        self._world.control("POST", f"/control/visma/{company}/{entity}/restamp", {})
        return f"re-stamped {entity}"

    def deleted_draft(self) -> str:
        company, row = self._a("supplierInvoice", DRAFTS)
        if row is None:
            return ""
        self._delete(company, "supplierInvoice", row)
        return "deleted draft"

    def deleted_document(self) -> str:
        """Released long ago, so only the key sweep finds out; or the repair, where a restored database has
        never seen it.
        """
        entity = self._chance.choice(["supplierInvoice", "purchaseorder"])
        company, row = self._a(entity)
        if row is None or row["status"] in DRAFTS:
            return ""
        return self._delete(company, entity, row)

    def renumbered_supplier(self) -> str:
        """Its documents show the new number."""
        return self._renumbered("supplier")

    def renumbered_party(self) -> str:
        """The same for who buys, and who works."""
        return self._renumbered(self._chance.choice(["customer", "employee"]))

    def deleted_party(self) -> str:
        """A supplier or customer that no document names: the ERP lets no other go."""
        company, party = self._company(), self._chance.choice(["supplier", "customer"])
        named = {
            row[party]["number"]
            for entity in KEYS
            for row in self._world.truth(company, entity)
            if row.get(party)
        }
        free = [row for row in self._world.truth(company, party) if row["number"] not in named]
        if not free:
            return ""
        return self._delete(company, party, self._chance.choice(free))

    def _renumbered(self, party: str) -> str:
        company, row = self._a(party)
        if row is None:
            return ""
        old = key_of(party, row)
        self._count += 1
        new = str(80_000 + self._count)
        self._number_anew(company, party, row, {"number": new})
        self._name_anew(company, party, old, {"number": new})
        self.former[company, new] = [*self.former.pop((company, old), []), old]
        return f"renumbered {party}"

    def _number_anew(self, company: str, entity: str, row: dict[str, Any], wanted: dict[str, str]) -> None:
        path = f"/control/visma/{company}/{entity}/renumber"
        new = self._world.control("POST", path, {"key": key_of(entity, row), **wanted})["key"]
        self.gone.append((company, entity, row))
        self.renamed.add((company, entity, new))
        if (company, key_of(entity, row)) in self._unbalanced:
            self._unbalanced.add((company, new))

    def _name_anew(
        self, company: str, party: str, old: str, now: dict[str, str], *, days_ago: int = 0
    ) -> None:
        """Every document of a party shows another one, or the same by its new number."""
        for entity in KEYS:
            for document in self._world.truth(company, entity):
                named = document.get(party)
                if named is not None and named["number"] == old:
                    fields = {party: {**named, **now}}
                    self._change(company, entity, document, "", fields, days_ago=days_ago)

    def further_arrives(self) -> str:
        """A payment, a receipt, a sale, hours worked; what is released is posted, and moves balances."""
        company, entity = self._company(), self._chance.choice(ARRIVING)
        added = self._world.control("POST", f"/control/visma/{company}/{entity}/add", {})
        return f"new {entity}" if added["key"] else ""

    def further_amount(self) -> str:
        """Another amount in a record, or in the first of its lines."""
        entity, (lines, field) = self._chance.choice(list(AMOUNTS.items()))
        company, row = self._a(entity)
        if row is None or (lines and not row[lines]):
            return ""
        changed: dict[str, Any] = {field: self._chance.randint(1, 10**7) / 100}
        if lines:
            changed = {lines: [{**row[lines][0], **changed}, *row[lines][1:]]}
        return self._change(company, entity, row, f"changed amount of {entity}", changed)

    def further_text(self) -> str:
        """Another name or description."""
        entity, field = self._chance.choice(list(TEXTS.items()))
        company, row = self._a(entity)
        return self._change(company, entity, row, f"changed text of {entity}", {field: self._text()})

    def further_back_dated(self) -> str:
        """A sale that is not released yet goes to a month long ago."""
        company, row = self._a("customerinvoice", DRAFTS)
        fields = {"documentDate": "2026-01-15T00:00:00", "financialPeriod": "202601"}
        return self._change(company, "customerinvoice", row, "back-dated customerinvoice", fields)

    def further_restamped(self) -> str:
        """Nothing changed, but the stamps of all."""
        company, entity = self._company(), self._chance.choice(list(TEXTS))
        self._world.control("POST", f"/control/visma/{company}/{entity}/restamp", {})
        return f"re-stamped {entity}"

    def further_deleted(self) -> str:
        """As deleted_document. Never the last one: an empty list is asked about, not believed."""
        entity = self._chance.choice(VANISHING)
        company, row = self._a(entity)
        if row is None or len(self._world.truth(company, entity)) < 2:
            return ""
        return self._delete(company, entity, row)

    def dimension_changes(self) -> str:
        """A value of a dimension arrives, has another name, or goes, unless it may be in use."""
        company, dimension = self._company(), self._chance.choice(DIMENSIONS)
        row = next(row for row in self._world.truth(company, "dimension") if row["id"] == dimension)
        *others, segment = row["segments"]
        first, *rest = segment["segmentValues"]
        how = self._chance.choice(["new", "renamed", "deleted"])
        values = {
            "new": [first, *rest, {**first, "valueId": f"N{self._chance.randint(1, 9999)}"}],
            "renamed": [{**first, "description": self._text()}, *rest],
            "deleted": [first, *rest[:-1]] if dimension != "SUBACCOUNT" else [first, *rest],
        }[how]
        fields = {"segments": [*others, {**segment, "segmentValues": values}]}
        return self._change(company, "dimension", row, f"{how} value of a dimension", fields)

    def supplier_moves(self) -> str:
        """The other side of the mailbox changes an address; now and then one that cannot be right."""
        if "cleo" not in self._world.pairs:
            return ""
        company, row = self._a("supplier")
        if row is None:
            return ""
        body = {"company": company, "number": row["number"], "form": self._chance.choice(["json", "csv"])}
        if self._chance.random() < 0.2:
            body["invalid"] = self._chance.choice(["postcode", "country", "malformed", "encoding"])
        self._world.control("POST", "/cleo/control/supplier-change", body)
        return "wrong change of a supplier" if "invalid" in body else "supplier moves"

    def partners_ask_again(self) -> bool:
        """Whoever heard nothing of a notice sends the same bytes in another file, and then with another
        number, as its own may have been used before; whether anybody did.
        """
        notices = self._world.control("GET", "/cleo/control/notices")
        silent = [notice for notice in notices if notice["state"] == "sent"]
        for notice in silent:
            text = notice["text"]
            if notice["number"] in self._asked_again:
                text = text.replace(text[ISA13], f"{OTHER_NUMBERS + self._again}")
            self._asked_again.add(notice["number"])
            self._again += 1
            body = {"name": f"again_{self._again:03d}.edi", "text": text}
            self._world.control("POST", "/cleo/control/files", body)
        return bool(silent)

    def unread(self) -> bool:
        """Whether a supplier's file lies in the mailbox: one that may still grow is for the next look."""
        box = self._world.control("GET", "/cleo/control/mailbox")
        return any(file["name"].startswith("suppliers_") for file in box["download"])

    def suppliers_say_again(self) -> bool:
        """Somebody took a supplier's file out of the mailbox before it was read. The log names the file, and
        its sender is asked for it: what is not out of date is said once more. Whether anything was.
        """
        removed = self._world.control("GET", "/cleo/control/mailbox")["removed"]
        taken = {each["name"] for each in removed if each["by"] == "portal"}
        changes = self._world.control("GET", "/cleo/control/suppliers")["changes"]
        newest = {
            (change["row"]["company"], change["row"]["number"]): change
            for change in changes
            if not change["invalid"]
        }
        lost = [place for place, change in newest.items() if change["file"] in taken]
        for company, number in lost:
            fields = {"address_line1": newest[company, number]["row"]["address_line1"]}
            body = {"company": company, "number": number, "fields": fields}
            self._world.control("POST", "/cleo/control/supplier-change", body)
        return bool(lost)

    def receipts(self) -> list[tuple[str, str]]:
        """The goods received by now, in a world that carries them: what comes from the mailbox while pairs
        run is carried by the run after.
        """
        companies = self._world.companies if self._world.whole else ()
        return [
            (company, row["timeStamp"])
            for company in companies
            for row in self._world.truth(company, "purchaseReceipt")
        ]

    def numbers(self, company: str, number: str) -> set[str]:
        """All the numbers of a party that has this one, or had it."""
        every = {number}
        for (place, now), before in self.former.items():
            if place == company and number in (now, *before):
                every |= {now, *before}
        return every

    @property
    def restored(self) -> bool:
        """Whether the database was put back to an earlier copy."""
        return self.known_notices is not None

    def note_backup(self) -> None:
        """The database is copied now."""
        notices = self._world.control("GET", "/cleo/control/notices")
        self.known_notices = {notice["number"] for notice in notices if notice["state"] != "sent"}

    def board(self) -> str:
        task = self._task()
        if task is None:
            return ""
        path = f"/asana/control/tasks/{task['gid']}"
        if self._chance.random() < 0.2:
            self._world.control("POST", f"{path}/trash", {})
            return "task put into the trash"
        edits: list[dict[str, Any]] = [
            {"custom_fields": {"Amount": 1}},
            {"assignee": "controller@nordfjell.example"},
        ]
        self._world.control("POST", f"{path}/edit", self._chance.choice(edits))
        return "task edited by people"

    def comments_on_a_task(self) -> str:
        """Its words are to stand in the note of the document."""
        task = self._task()
        if task is None:
            return ""
        for field, entity in BOARDS.values():
            if named := task["custom_fields"].get(field):
                company, _, key = named.partition("|")
                text = f"Seen, {len(self.comments)}: {self._text()}"
                self._world.control("POST", f"/asana/control/tasks/{task['gid']}/edit", {"comment": text})
                self.comments.append(Comment(task["gid"], company, entity, key, text))
                return "comment at a task"
        return ""

    def _task(self) -> dict[str, Any] | None:
        """Any task of a board."""
        if "asana" not in self._world.pairs:
            return None
        destination = self._chance.choice(list(BOARDS))
        project = self._world.settings["pairs"]["asana"]["destinations"][destination]["project"]
        tasks = self._world.control("GET", f"/asana/control/projects/{project}/tasks")
        return self._chance.choice(tasks) if tasks else None

    def partner_ships(self) -> str:
        """Mostly what was ordered; sometimes twice, too much, or taken back."""
        if "cleo" not in self._world.pairs:
            return ""
        orders = self._world.control("GET", "/cleo/control/received")["documents"]["850"]
        how = self._chance.choice(["full", "partial", "partial", "twice", "over", "unit", "cancel"])
        for order in self._chance.sample(orders, len(orders)):
            body = {"order": order["number"], "company": order["company"], "how": how}
            try:
                self._world.control("POST", "/cleo/control/ship", body)
            except OSError:
                continue  # it is shipped already, or cannot be
            return f"ship notice: {how}"
        return ""

    def _delete(self, company: str, entity: str, row: dict[str, Any]) -> str:
        path = f"/control/visma/{company}/{entity}/delete"
        self._world.control("POST", path, {"key": key_of(entity, row)})
        self.gone.append((company, entity, row))
        return f"deleted {entity}"

    def _change_draft(self, name: str, fields: dict[str, Any]) -> str:
        company, row = self._a("supplierInvoice", DRAFTS)
        return self._change(company, "supplierInvoice", row, name, fields)

    def _change(
        self,
        company: str,
        entity: str,
        row: dict[str, Any] | None,
        name: str,
        fields: dict[str, Any],
        *,
        days_ago: int = 0,
    ) -> str:
        if row is None:
            return ""
        path, key = f"/control/visma/{company}/{entity}/change", key_of(entity, row)
        self._world.control("POST", path, {"key": key, "fields": fields, "days_ago": days_ago})
        return name

    def _there(self, company: str, entity: str, key: str) -> bool:
        return any(key_of(entity, row) == key for row in self._world.truth(company, entity))

    def _a(self, entity: str, statuses: tuple[str, ...] = ()) -> tuple[str, dict[str, Any] | None]:
        company = self._company()
        rows = [
            row for row in self._world.truth(company, entity) if not statuses or row["status"] in statuses
        ]
        return company, self._chance.choice(rows) if rows else None

    def _company(self) -> str:
        return self._chance.choice(self._world.companies)

    def _text(self) -> str:
        return f'Blåbær & "Sønner", {self._chance.randint(1, 9999)}'


DOINGS: list[Doing] = [
    *[Office.new_document] * 3,
    *[Office.changed_amount] * 2,
    *[Office.released_draft] * 2,
    *[Office.paid_invoice] * 2,
    Office.voided_invoice,
    *[Office.changed_order] * 3,
    *[Office.cancelled_order] * 2,
    Office.retyped_document,
    Office.renumbered_document,
    Office.merged_suppliers,
    Office.stamped_long_ago,
    Office.back_dated,
    Office.described,
    Office.renamed_supplier,
    Office.restamped,
    Office.deleted_draft,
    *[Office.deleted_document] * 2,
    Office.renumbered_supplier,
    *[Office.board] * 2,
    *[Office.comments_on_a_task] * 2,
    *[Office.partner_ships] * 3,
    *[Office.supplier_moves] * 2,
]
# In a world with all destinations, how much of what happens is about more than the main documents.
FURTHER_SHARE = 0.6
FURTHER_DOINGS: list[Doing] = [
    *[Office.further_arrives] * 4,
    *[Office.further_amount] * 4,
    *[Office.further_text] * 2,
    Office.further_back_dated,
    Office.further_restamped,
    *[Office.further_deleted] * 3,
    Office.dimension_changes,
    Office.deleted_party,
    Office.renumbered_party,
]
KEYS = {entity.name: entity.key for entity in ENTITIES}
ARRIVING = (
    "supplierPayment",
    "purchaseReceipt",
    "customerinvoice",
    "customerCreditNote",
    "customerPayment",
    "timeCard",
)
VANISHING = (
    "supplierPayment",
    "customerinvoice",
    "customerCreditNote",
    "customerPayment",
    "journaltransaction",
    "timeCard",
)
# The array with the lines, if it is theirs, and the field.
AMOUNTS = {
    "supplierPayment": ("", "paymentAmount"),
    "customerinvoice": ("", "amountInCurrency"),
    "customerCreditNote": ("", "balanceInCurrency"),
    "customerPayment": ("", "paymentAmountInCurrency"),
    "generalLedgerBalance": ("", "yearToDateBalance"),
    "journaltransaction": ("journalTransactionLines", "debitAmount"),
    "purchaseReceipt": ("lines", "amount"),
}
TEXTS = {"customer": "name", "account": "description", "employee": "employeeName"}
# Those with values. What is booked carries those of the subaccount.
DIMENSIONS = ("INVENTORY", "PROJECT", "SUBACCOUNT")


def key_of(entity: str, row: dict[str, Any]) -> str:
    """The key of a record as the control API names it."""
    return "|".join(str(at(row, path)) for path in KEYS[entity])


def at(row: dict[str, Any], path: str) -> Any:
    """A field, or one of an object in it. Raises KeyError: what is not there cannot be compared."""
    found: Any = row
    for name in path.split("."):
        found = found[name]
    return found
