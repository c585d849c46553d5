"""The ERP's records beside what each destination holds of them, row by row: here the main documents.

What should be there is computed here from the ERP's records, by no code of the product.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import chain
from typing import Any

from tests.prove.erp import BOARDS, Office, key_of
from tests.prove.further import Rows, further
from tests.prove.partners import partners
from tests.prove.readers import Anaplan, Asana, Facts, Held, PowerBi, Tableau, Twice, by_key, money
from tests.prove.world import World

# Nobody has to do anything about such a document any more: its task is completed.
ENDED = ("Closed", "Completed", "Cancelled", "Canceled", "Voided")
# What shows of a record that the ERP no longer has, where its row stays (docs/deletions.md).
GONE = {"status": "Deleted"}
GONE_ORDER = {**GONE, "amount": money(0)}
GONE_INVOICE = {**GONE_ORDER, "balance": money(0)}
GONE_TASK = {**GONE, "completed": True}
# A task keeps the amount: people see what it was about.
GONE_INVOICE_TASK = {**GONE_TASK, "balance": money(0)}


class Erp:
    """What the ERP holds now."""

    def __init__(self, world: World) -> None:
        self.invoices: Held = {}
        self.orders: Held = {}
        self.order_lines: Held = {}
        self.suppliers: Held = {}
        for company in world.companies:
            names = {row["number"]: row["name"] for row in world.truth(company, "supplier")}
            for row in world.truth(company, "supplier"):
                street = (row.get("mainAddress") or {}).get("addressLine1")
                facts = {"name": row["name"], "status": row["status"], "street": street}
                self.suppliers[f"{company}|{row['number']}"] = facts
            for row in world.truth(company, "supplierInvoice"):
                self._invoice(company, row, names)
            for row in world.truth(company, "purchaseorder"):
                self._order(company, row, names)

    def _invoice(self, company: str, row: Facts, names: dict[str, str]) -> None:
        key = f"{company}|{key_of('supplierInvoice', row)}"
        self.invoices[key] = {
            "amount": money(row["amount"]),
            "balance": money(row["balanceInCurrency"]),
            "status": row["status"],
            "completed": row["status"] in ENDED,
            "supplier": names[row["supplier"]["number"]],
        }

    def _order(self, company: str, row: Facts, names: dict[str, str]) -> None:
        key = f"{company}|{key_of('purchaseorder', row)}"
        self.orders[key] = {
            "amount": money(row["orderTotal"]),
            "status": row["status"],
            "completed": row["status"] in ENDED,
            "supplier": names[row["supplier"]["number"]],
        }
        for line in row.get("lines") or []:
            self.order_lines[f"{key}|{line['lineNbr']}"] = {
                "amount": money(line["amount"]),
                "status": row["status"],
            }


def differences(
    world: World,
    refused: Mapping[str, str],
    *,
    known: Set[str],
    asked: Set[tuple[str, str]],
    office: Office,
) -> tuple[int, list[str]]:
    """How many rows were compared, and every difference.

    refused: the quarantine, with its reasons by `<destination> <key>`; known: what our database knows as told
    to partners, by the same; asked: company and number of what partners sent and a person is asked about.
    """
    erp = Erp(world)
    found = [*unexcused(refused)]
    count = 0
    for table in chain(_tables(world, erp), further(world) if world.whole else ()):
        count += len(table[1])
        found += compared(*table)
    if "cleo" in world.pairs:
        for compare in (
            partners(world, refused, office, known),
            other_side(world, erp),
            mailbox(world, erp, asked, office),
        ):
            count += compare[0]
            found += compare[1]
    if "asana" in world.pairs:
        remarks = comments(world, office)
        count += remarks[0]
        found += remarks[1]
    return count, found


Table = tuple[str, Held, Rows, Facts | None]


def _tables(world: World, erp: Erp) -> Iterator[Table]:
    readers = {"anaplan": _in_anaplan, "asana": _in_asana, "powerbi": _in_powerbi, "tableau": _in_tableau}
    for pair in world.pairs:
        if pair in readers:
            yield from readers[pair](world, erp)


def _in_anaplan(world: World, erp: Erp) -> Iterator[Table]:
    anaplan = Anaplan(world)
    yield "anaplan/suppliers", erp.suppliers, _shown(anaplan.rows("DAT01 Suppliers.All"), name="name"), GONE
    invoices = {"amount": "amount", "balance": "balance", "supplier": "supplier_name"}
    view = anaplan.rows("DAT01 Supplier Invoices.All")
    yield "anaplan/supplier_invoices", erp.invoices, _shown(view, **invoices), GONE_INVOICE
    orders = {"amount": "order_total", "supplier": "supplier_name"}
    yield (
        "anaplan/purchase_orders",
        erp.orders,
        _shown(anaplan.rows("DAT01 Purchase Orders.All"), **orders),
        GONE_ORDER,
    )


def _in_asana(world: World, erp: Erp) -> Iterator[Table]:
    asana = Asana(world)
    yield (
        "asana/supplier_invoices",
        erp.invoices,
        _tasks(asana.tasks("supplier_invoices"), "SupplierInvoiceId", "Amount", "Balance"),
        GONE_INVOICE_TASK,
    )
    yield (
        "asana/purchase_orders",
        erp.orders,
        _tasks(asana.tasks("purchase_orders"), "PurchaseOrderId", "Amount"),
        GONE_TASK,
    )


def _in_tableau(world: World, erp: Erp) -> Iterator[Table]:
    tableau = Tableau(world)
    yield (
        "tableau/suppliers",
        erp.suppliers,
        ((row["Code"], {"name": row["Name"], "status": row["Status"]}) for row in tableau.rows("Suppliers")),
        None,
    )
    yield (
        "tableau/supplier_invoices",
        erp.invoices,
        (
            (
                row["Code"],
                {
                    "amount": money(row["Amount"]),
                    "balance": money(row["Balance"]),
                    "status": row["Status"],
                    "supplier": row["Supplier name"],
                },
            )
            for row in tableau.rows("Supplier invoices")
        ),
        None,
    )
    yield (
        "tableau/purchase_orders",
        erp.order_lines,
        (
            (row["Code"], {"amount": money(row["Amount"]), "status": row["Status"]})
            for row in tableau.rows("Purchase orders")
        ),
        None,
    )


def _in_powerbi(world: World, erp: Erp) -> Iterator[Table]:
    power = PowerBi(world)
    yield (
        "powerbi/suppliers",
        erp.suppliers,
        (
            (row["Code"], {"name": row["Supplier"], "status": row["Supplier status"]})
            for row in power.table("Suppliers")
        ),
        None,
    )
    yield (
        "powerbi/supplier_invoices",
        erp.invoices,
        (
            (
                row["Code"],
                {
                    "amount": money(row["Amount"]),
                    "balance": money(row["Balance"]),
                    "status": row["Kind"].rpartition("|")[2],
                },
            )
            for row in power.fact("Supplier invoices")
        ),
        None,
    )


def _shown(view: Iterable[dict[str, str]], **columns: str) -> Iterator[tuple[str, Facts]]:
    """Rows of an Anaplan view: the wanted facts by the name of their line item."""
    for row in view:
        facts: Facts = {"status": row["status"]}
        for name, column in columns.items():
            facts[name] = money(row[column]) if name in ("amount", "balance") else row[column]
        yield row["Code"], facts


def _tasks(tasks: Iterable[dict[str, Any]], key: str, *amounts: str) -> Iterator[tuple[str, Facts]]:
    """Tasks by the field that carries their key; a task of a person has none."""
    for task in tasks:
        fields = {field["name"]: field["display_value"] for field in task["custom_fields"]}
        if fields.get(key):
            facts: Facts = {amount.lower(): money(fields[amount]) for amount in amounts}
            facts |= {"status": fields["ERP status"], "supplier": fields["Vendor"]}
            yield fields[key], {**facts, "completed": task["completed"]}


def compared(name: str, should: Held, shown: Rows, gone: Facts | None) -> Iterator[str]:
    """Each difference. gone: what a row shows whose record is no more; None: no such row may be there."""
    try:
        held = by_key(shown)
    except Twice as twice:
        yield f"{name}: {twice}"
        return
    for key, wanted in should.items():
        if key not in held:
            yield f"{name} {key}: missing"
            continue
        for fact, value in held[key].items():
            if value != wanted[fact]:
                yield f"{name} {key}: {fact} is {value!r} in place of {wanted[fact]!r}"
    for key, facts in held.items():
        if key not in should and (gone is None or facts != {**facts, **gone}):
            yield f"{name} {key}: is no record of the ERP ({facts})"


def unexcused(refused: Mapping[str, str]) -> Iterator[str]:
    """What is in quarantine, though nothing happens here that its destination could not take."""
    for place, reason in refused.items():
        if not place.startswith("cleo/"):
            yield f"{place}: is in quarantine: {reason}"


def other_side(world: World, erp: Erp) -> tuple[int, list[str]]:
    """The names of suppliers on the other side of the mailbox."""
    names = {f"{row['company']}|{row['number']}": row["name"] for row in _suppliers(world)["held"]}
    return len(erp.suppliers), [
        f"cleo/suppliers {key}: {names.get(key)!r} in place of {facts['name']!r}"
        for key, facts in erp.suppliers.items()
        if names.get(key) != facts["name"]
    ]


def mailbox(world: World, erp: Erp, asked: Set[tuple[str, str]], office: Office) -> tuple[int, list[str]]:
    """What partners sent: every ship notice is one receipt with its goods, or waits for a person, and is
    answered; the last address stands.
    """
    wrong: list[str] = []
    notices = world.control("GET", "/cleo/control/notices")
    cancelled = {notice["number"] for notice in notices if notice["how"] == "cancel"}
    shipped = {
        (notice["company"], notice["number"]): _goods(notice["order"], notice["lines"]) for notice in notices
    }
    receipts: Counter[tuple[str, str]] = Counter()
    goods: dict[tuple[str, str], Goods] = {place: Counter() for place in shipped}
    for company in world.companies:
        for row in world.truth(company, "purchaseReceipt"):
            place = company, row.get("supplierRef") or ""
            receipts[place] += 1
            for line in row["lines"] if place in goods else ():
                goods[place][line["poOrderNbr"], line["poOrderLineNbr"]] += line["receiptQty"]
    for company, number in sorted(shipped):
        place = company, number
        count, waits = receipts[place], place in asked
        # What was held since a copy of the database was made is gone with it.
        lost = office.known_notices is not None and number not in office.known_notices
        if count > 1:
            wrong.append(f"cleo/inbox {company} {number}: {count} receipts")
        elif number in cancelled:
            if goods[place] and not waits and not lost:
                wrong.append(f"cleo/inbox {company} {number}: was cancelled, and its receipt has lines")
        elif count and goods[place] != shipped[place]:
            goods_differ = f"{dict(goods[place])} in place of {dict(shipped[place])}"
            wrong.append(f"cleo/inbox {company} {number}: {goods_differ}")
        elif not count and not waits and not lost:
            wrong.append(f"cleo/inbox {company} {number}: no receipt, and nobody is asked")
    wrong += [
        f"cleo/inbox {notice['company']} {notice['number']}: was never answered"
        for notice in notices
        if notice["state"] == "sent"
    ]
    last = {
        (change["row"]["company"], change["row"]["number"]): change["row"]["address_line1"]
        for change in _suppliers(world)["changes"]
        if not change["invalid"]
    }
    for (company, number), street in last.items():
        facts = erp.suppliers.get(f"{company}|{number}")
        if facts is not None and facts["street"] != street and (company, number) not in asked:
            wrong.append(f"cleo/inbox {company} supplier {number}: {facts['street']} in place of {street}")
    return len(shipped) + len(last), wrong


# Quantities by order and line.
Goods = Counter[tuple[str, int]]


def _goods(order: str, lines: Iterable[dict[str, Any]]) -> Goods:
    """The goods of a notice, by the number of the order in the ERP: our 850 puts a kind before it."""
    number, found = order.rpartition("-")[2], Counter[tuple[str, int]]()
    for line in lines:
        found[number, int(line["line"])] += line["quantity"]
    return found


def comments(world: World, office: Office) -> tuple[int, list[str]]:
    """What people said at tasks: once in the note of its document. What was thrown away with its task, or
    whose document is gone, need not be there, nor what has no address: orders other than regular ones.
    """
    destinations = world.settings["pairs"]["asana"]["destinations"]
    alive = {
        task["gid"]
        for name in BOARDS
        for task in world.control("GET", f"/asana/control/projects/{destinations[name]['project']}/tasks")
    }
    notes = {
        (company, entity, key_of(entity, row)): str(row.get("note") or "").splitlines()
        for company in world.companies
        for _, entity in BOARDS.values()
        for row in world.truth(company, entity)
    }
    wrong: list[str] = []
    for comment in office.comments:
        place = comment.company, comment.entity, comment.key
        count = sum(line.endswith(f": {comment.text}") for line in notes.get(place, ()))
        reached = comment.entity != "purchaseorder" or comment.key.startswith("RegularOrder|")
        if count > 1 or (not count and reached and comment.task in alive and place in notes):
            wrong.append(f"asana/way back {' '.join(place)}: {comment.text!r} is there {count} times")
    return len(office.comments), wrong


def _suppliers(world: World) -> dict[str, list[dict[str, Any]]]:
    """What the other side holds of suppliers, and what it sent."""
    found: dict[str, list[dict[str, Any]]] = world.control("GET", "/cleo/control/suppliers")
    return found
