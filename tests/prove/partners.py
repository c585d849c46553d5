"""What partners hold of the documents that go out, beside the ERP's records, and what they refused.

What should be there is computed here from the ERP's records, by no code of the product.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.prove.erp import Office, key_of
from tests.prove.readers import Facts, money
from tests.prove.world import World

# Company, who the document is from or to, and the number it goes by.
Name = tuple[str, str, str]
# An 810 is not taken back: only what is released goes to a partner (docs/cleo.md).
UNRELEASED = ("Hold", "Balanced", "PendingApproval", "Rejected", "Scheduled", "Voided")
OPEN_ORDERS = ("Open", "PendingPrint", "PendingEmail", "Printed", "Closed")
# Goods that came in whole end an order; its partner keeps what it has.
ENDED_ORDERS = ("Completed",)
CALLED_OFF = ("Cancelled", "Voided")
CREDIT_NOTE = "DebitAdj"
# A file without an answer is filed again, and told by its number (docs/cleo.md, section 6).
SAME_BYTES = "with the same bytes"
# A restored database does not know what it told since, and tells it again (docs/cleo.md, section 6). Its
# numbers were raised, so other bytes under a number that came before stay a difference.
CAME_BEFORE, CALLED_OFF_BEFORE = "was received before", "was cancelled before"
# What else needs a person: a record is gone, or has another number or type, and its document the name that
# the former one has at its partner; or it changed, and its supplier has another number.
GONE, TAKEN, RENAMED = "is gone from the ERP", "for a repetition", "tells documents apart by these"


@dataclass(frozen=True)
class Told:
    """A record as its partner should know it. must: it has to be there; else it may.

    names: by the number its supplier has now, and by those it had before.
    """

    place: str
    names: Set[Name]
    facts: Facts
    must: bool


Made = tuple[Facts, bool]


@dataclass(frozen=True)
class Kind:
    """A kind of document: the model and the entity it is made of, and who it goes by at a partner.

    number: as a partner reads it. made: what it should say, and whether it has to be there; None: nothing is
    agreed, or final, that a partner may know.
    """

    code: str
    model: str
    entity: str
    party: str
    number: Callable[[str, Facts], str]
    made: Callable[[Facts], Made | None]

    def place(self, company: str, row: Facts) -> str:
        """Destination and key, as quarantine names them."""
        return f"cleo/{self.model} {company}|{key_of(self.entity, row)}"

    def names(self, company: str, row: Facts, office: Office) -> Set[Name]:
        """All the names a partner may know a record by."""
        ours = self.party == "buyer"
        parties = {company} if ours else office.numbers(company, row["supplier"]["number"])
        return {(company, party, self.number(company, row)) for party in parties}

    def told(self, company: str, row: Facts, office: Office) -> Told | None:
        """What a partner should know of a record, or may."""
        if (made := self.made(row)) is None:
            return None
        return Told(self.place(company, row), self.names(company, row, office), *made)


# Whoever has no use for a ship notice gets an 861 in its place, and no partner of the campaign asked for it.
UNUSED = "861"


def partners(
    world: World, refused: Mapping[str, str], office: Office, known: Set[str]
) -> tuple[int, list[str]]:
    """How many documents were compared, and every difference: each is there once, as the ERP has it, nothing
    besides, and none was refused. refused: what is in quarantine, with its reason; known: the records that
    our database knows as told, both by place.
    """
    received = world.control("GET", "/cleo/control/received")
    wrong = [*refusals(received["refused"], restored=office.restored)]
    wrong += [f"cleo: a partner has an {UNUSED}: {each['number']}" for each in received["documents"][UNUSED]]
    wrong += unexcused(refused, office)
    # What a restored database told again stays at its partner as it was: a person settles that.
    told_again = {each.get("number") for each in received["refused"] if CAME_BEFORE in each["why"]}
    count = 0
    for kind in KINDS:
        told, gone = list(_told(world, kind, office)), _gone(kind, refused, office)
        arrived = {
            (each["company"], each[kind.party], each["number"]): each
            for each in received["documents"][kind.code]
        }
        besides = sorted(arrived.keys() - gone - {name for each in told for name in each.names})
        count += len(told)
        wrong += [
            line
            for each in told
            if each.place not in refused  # a person is asked, and until then its partner keeps what it has
            and not _forgotten(each, known, office)
            for line in _judged(kind, each, _of(kind, each, arrived, gone), office, told_again)
        ]
        wrong += [f"cleo/{kind.model} {name}: is no record of the ERP" for name in besides]
    return count, wrong


def _told(world: World, kind: Kind, office: Office) -> Iterator[Told]:
    for company in world.companies:
        for row in world.truth(company, kind.entity):
            if (told := kind.told(company, row, office)) is not None:
                yield told


def refusals(refused: Iterable[Mapping[str, Any]], *, restored: bool) -> Iterator[str]:
    """What partners refused and should not have had to."""
    forgiven = (SAME_BYTES, CAME_BEFORE, CALLED_OFF_BEFORE) if restored else (SAME_BYTES,)
    for each in refused:
        if not any(words in each["why"] for words in forgiven):
            yield f"cleo: a partner refused {each}"


def unexcused(refused: Mapping[str, str], office: Office) -> Iterator[str]:
    """What waits for a person for no reason."""
    gone = {
        kind.place(company, row)
        for kind in KINDS
        for company, entity, row in office.gone
        if entity == kind.entity
    }
    renamed = {
        f"cleo/{kind.model} {company}|{key}"
        for kind in KINDS
        for company, entity, key in office.renamed
        if entity == kind.entity
    }
    for place, reason in refused.items():
        excused = (
            (GONE in reason and place in gone)
            or (TAKEN in reason and place in renamed)
            or (RENAMED in reason and bool(office.former))
        )
        if place.startswith("cleo/") and not excused:
            yield f"{place}: is in quarantine: {reason}"


def _forgotten(told: Told, known: Set[str], office: Office) -> bool:
    """Whether it was told after the backup that the database was restored from, and cancelled since: nothing
    is left that knows that it was told. An operator has to look for those (docs/cleo.md, section 6).
    """
    return office.restored and told.facts["status"] == "cancelled" and told.place not in known


def _of(kind: Kind, told: Told, arrived: Mapping[Name, Facts], gone: Set[Name]) -> list[Facts]:
    """The documents of a record, by all its names. A record of another type goes by the number of the gone
    one that it was: where there are several, one that says something else is what that one left, or one of
    those that say the same.
    """
    found = [arrived[name] for name in sorted(told.names & arrived.keys())]
    alike = [document for document in found if not any(_unlike(kind, told, document))]
    if not told.names & gone or not alike:
        return found
    return alike if len(alike) < len(found) else alike[1:] or alike


def _judged(
    kind: Kind, told: Told, documents: Sequence[Facts], office: Office, told_again: Set[str]
) -> Iterator[str]:
    """What is wrong with one document. A restored database tells it again, and where its supplier got another
    number meanwhile, the partner has it by both and cannot know.
    """
    if len(documents) > 1 and not office.restored:
        yield f"{told.place}: is there {len(documents)} times, by its supplier's numbers"
    if not documents and told.must:
        yield f"{told.place}: no {kind.code} arrived"
    for document in documents:
        if document["number"] not in told_again:
            yield from _unlike(kind, told, document)


def _unlike(kind: Kind, told: Told, document: Facts) -> Iterator[str]:
    shown = _shown(kind, document)
    for fact, value in told.facts.items():
        if fact in shown and shown[fact] != value:
            yield f"{told.place}: {fact} is {shown[fact]!r} in place of {value!r}"


def _gone(kind: Kind, refused: Mapping[str, str], office: Office) -> Set[Name]:
    """What a partner may have though the ERP deleted it since: a person is asked about that, unless the
    database was restored and does not know that it was told.
    """
    return {
        name
        for company, entity, row in office.gone
        if entity == kind.entity and (office.restored or kind.place(company, row) in refused)
        for name in kind.names(company, row, office)
    }


def _order_number(row: Facts) -> str:
    """Kinds of orders count for themselves; the plain number is the regular order's."""
    before = "" if row["orderType"] == "RegularOrder" else f"{row['orderType'].upper()}-"
    return f"{before}{row['orderNbr']}"


def _invoice_number(row: Facts) -> str:
    return str(row.get("supplierReference") or row["referenceNumber"])


def _order(row: Facts) -> Made | None:
    if row["status"] in CALLED_OFF:
        return {"status": "cancelled"}, False
    lines = [line for line in row.get("lines") or () if not line.get("canceled")]
    facts = {
        "status": "open",
        "total": sum((money(line["amount"]) for line in lines), Decimal(0)),
        "lines": Counter(
            (str(line["lineNbr"]), money(line["orderQty"]), money(line["unitCost"])) for line in lines
        ),
    }
    known = row["status"] in (*OPEN_ORDERS, *ENDED_ORDERS)
    return (facts, row["status"] in OPEN_ORDERS) if known else None


def _invoice(row: Facts) -> Made | None:
    lines = row.get("invoiceLines")
    if row["status"] in UNRELEASED or not lines:
        return None
    return {
        "status": "open",
        "type": "CR" if row["documentType"] == CREDIT_NOTE else "DI",
        # A credit note's amounts are positive at this partner: it is told by its type.
        "total": money(row["amount"]),
        "lines": Counter(
            (str(line["lineNumber"]), money(line["quantity"]), money(line["unitCostInCurrency"]))
            for line in lines
        ),
    }, True


def _receipt(row: Facts) -> Made | None:
    if (
        row["receiptType"] != "PoReceipt"
        or not row["lines"]
        or row["status"] not in ("Released", "Cancelled")
    ):
        return None
    facts = {
        "status": "cancelled" if row["status"] == "Cancelled" else "open",
        "lines": Counter(
            (_ordered_as(line), str(line["poOrderLineNbr"]), money(line["receiptQty"]))
            for line in row["lines"]
        ),
    }
    return facts, row["status"] == "Released"


def _ordered_as(line: Facts) -> str:
    return _order_number(
        {"orderType": line.get("poOrderType") or "RegularOrder", "orderNbr": line["poOrderNbr"]}
    )


def _shown(kind: Kind, document: Facts) -> Facts:
    """A document with the same facts."""
    told = {name: document[name] for name in ("status", "type") if name in document}
    if kind.code == "856":
        lines = ((line["order"], line["line"], money(line["quantity"])) for line in document["lines"])
        return {**told, "lines": Counter(lines)}
    lines = ((line["line"], money(line["quantity"]), money(line["price"])) for line in document["lines"])
    # An 860 tells lines and no total.
    total = {"total": money(document["total"])} if len(document.get("isa13", ())) < 2 else {}
    return {**told, **total, "lines": Counter(lines)}


KINDS = (
    Kind("850", "purchase_orders", "purchaseorder", "buyer", lambda _, row: _order_number(row), _order),
    Kind(
        "810", "supplier_invoices", "supplierInvoice", "seller", lambda _, row: _invoice_number(row), _invoice
    ),
    Kind(
        "856",
        "purchase_receipts",
        "purchaseReceipt",
        "shipper",
        # Companies may share numbers.
        lambda company, row: f"{company}-{row['receiptNbr']}",
        _receipt,
    ),
)
