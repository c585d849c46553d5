"""The way in from Cleo: ship notices become receipts in the ERP, and changes of suppliers are taken.

Here the mailbox and the ERP meet: neither knows the other. What cannot be carried out as it is waits for a
person, who carries it out, or settles it in the ERP and says so.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from mlc_dagster.cleo.destination import EdiFeed
from mlc_dagster.cleo.held import PLACE, Held, Review
from mlc_dagster.cleo.inbox import Received
from mlc_dagster.cleo.shipments import Agreement, Announced, Record, Shipments, Worked
from mlc_dagster.cleo.suppliers import SupplierChanges, Values
from mlc_dagster.delivery.leases import PATIENCE_SECONDS
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.quarantine import Entry
from mlc_dagster.mappings.lookups import read_lookup
from mlc_dagster.outlook import today
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.suite import Suite
from mlc_dagster.transport.retry import quiet_time
from mlc_dagster.visma.client import TIMEOUT, VismaClient
from mlc_dagster.visma.payables import PURCHASE_ORDERS, PURCHASE_RECEIPTS, SUPPLIERS
from mlc_dagster.visma.writes import create, update
from mlc_dagster.x12.documents import Document, ShipNotice

UNITS, PARTNERS = "lookups/edi_units.csv", "lookups/edi_partners.csv"
RECEIPTS = "/v1/PurchaseReceipt"  # POST stays there (vendors/visma.md section 5)
UNRELEASED = frozenset({"Hold", "Balanced"})
# The fields of the file -> the fields of the ERP's main address, as they are read.
ADDRESS = {
    "address_line1": "addressLine1",
    "address_line2": "addressLine2",
    "postal_code": "postalCode",
    "city": "city",
}
OTHERS = {"name": "name", "vat_number": "vatRegistrationId"}


class NothingWaits(Exception):
    """Nothing of this number is held."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Nothing of number {number} is held. `mlc cleo held` lists what is.")


@dataclass(frozen=True)
class Released:
    """What became of one thing that waited. `reason`: why it goes on waiting, else empty."""

    held: Held
    reason: str


def receive(suite: Suite, *, run_id: str) -> Received:
    """Take in everything that lies in the mailbox, and let what waits for a partner's answer go on.

    Raises:
        CallFailed: the mailbox or the ERP cannot be asked now; the next look goes on where this one ended.
        LeaseHeld: somebody else is taking it in.
    """
    with _turn(suite, run_id):
        shipments = _shipments(suite, run_id)

        def notice(partner: str, company: str, found: Document) -> Worked:
            assert isinstance(found, ShipNotice)  # noqa: S101 - the only set of a group SH that we read
            return shipments.take(Announced.of(company, partner, found))

        suppliers = _suppliers(suite, run_id)
        try:
            done = suite.cleo.inbox_for({"SH": notice}, suppliers.take).receive(run_id)
            if suite.cleo.connections is not None:
                done.add(suppliers.take_in(suite.cleo.connections.rows()))
        finally:
            _go_on(suite)
        return done


def held(suite: Suite) -> list[Entry]:
    """What waits for a person: files nobody could read, refused suppliers, and what is held; oldest first."""
    return suite.quarantine.open(PLACE)


def release(suite: Suite, number: str, *, run_id: str) -> list[Released]:
    """Carry out what is held of a number, as a person has decided. The ERP of now may still be against it.

    Raises:
        NothingWaits: nothing of this number is held.
        CallFailed, LeaseHeld: as `receive`.
    """
    with _turn(suite, run_id):
        review = Review(suite.engine, suite.clock, run_id)
        waiting = review.waiting(number)
        if not waiting:
            raise NothingWaits(number)
        for each in waiting:
            if each.kind == "notice":
                _shipments(suite, run_id).take(Announced.from_json(each.said), decided=True)
                continue
            said = each.said
            doubts = _suppliers(suite, run_id).carry_out(said["company"], said["number"], said["values"])
            if doubts:
                review.hold(each, doubts)
            else:
                review.done(each.company, [each.key])
        reasons = {each.key: each.reason for each in review.waiting(number)}
        return [Released(each, reasons.get(each.key, "")) for each in waiting]


def settled(suite: Suite, name: str, *, run_id: str) -> int:
    """Take everything of a number, or of a file's name, off the list: it was settled by hand. How many.

    Raises NothingWaits.
    """
    found = [each for each in held(suite) if name in (each.number, each.key)]
    if not found:
        raise NothingWaits(name)
    for each in found:
        suite.quarantine.settle(
            stage=each.stage,
            place=PLACE,
            company=each.company,
            refused=(),
            passed=[each.key],
            run_id=run_id,
        )
    return len(found)


class VismaErp:
    """The ERP as the mailbox needs it."""

    quiet = quiet_time(TIMEOUT)

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def order(self, company: str, kind: str, number: str) -> Record | None:
        """A purchase order. The path takes the number only: where that is another kind's, by a list."""
        client, key = self._suite.visma(company), f"{kind}|{number}"
        found = client.single(PURCHASE_ORDERS, key)
        if found is not None:
            return found
        pages = client.pages(PURCHASE_ORDERS, lambda page: page.records, extra={"orderType": kind})
        orders = (order for page in pages for order in page)
        return next((order for order in orders if f"{order['orderType']}|{order['orderNbr']}" == key), None)

    def receipts(self, company: str, kind: str, number: str) -> list[Record]:
        """The receipts that have lines of an order."""
        return _receipts(self._suite.visma(company), kind, number)

    def emptied(self, company: str, supplier: str, reference: str) -> str:
        """The receipt of a supplier and supplierRef that has no lines and is not released; else empty."""
        client = self._suite.visma(company)
        for status in sorted(UNRELEASED):
            asked = {"supplier": supplier, "status": status}
            pages = client.pages(PURCHASE_RECEIPTS, lambda page: page.records, extra=asked)
            for receipt in (receipt for page in pages for receipt in page):
                same = (receipt["supplier"]["number"], receipt.get("supplierRef")) == (supplier, reference)
                if same and not receipt.get("lines"):
                    return str(receipt["receiptNbr"])
        return ""

    def receive(
        self, company: str, values: Record, order: tuple[str, str], leaving: Callable[[], None]
    ) -> str:
        """Create a receipt, unless the order has one with its supplier and supplierRef; its number."""
        client = self._suite.visma(company)

        def look_up() -> str | None:
            same = (values["supplierId"], values["supplierRef"])
            for receipt in _receipts(client, *order):
                if (receipt["supplier"]["number"], receipt.get("supplierRef")) == same:
                    return str(receipt["receiptNbr"])
            return None

        return create(client, RECEIPTS, values, look_up=look_up, leaving=leaving)

    def empty(self, company: str, receipt: str, note: str) -> bool:
        """Take all lines out of a receipt. False: it is released, and was left as it is.

        Nothing deletes a receipt over the API (section 8); one without lines receives nothing.
        """
        released = False

        def change(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
            nonlocal released
            released = record["status"] not in UNRELEASED
            if released or not record.get("lines"):
                return None
            lines = [{"operation": "Delete", "lineNbr": line["lineNbr"]} for line in record["lines"]]
            return {"hold": True, "controlQty": 0, "note": note, "lines": lines}

        update(self._suite.visma(company), PURCHASE_RECEIPTS, receipt, change)
        return not released

    def supplier(self, company: str, number: str) -> Values | None:
        """All fields of a supplier; None when there is none."""
        found = self._suite.visma(company).single(SUPPLIERS, number)
        return None if found is None else _supplier(found)

    def change_supplier(self, company: str, number: str, values: Values) -> None:
        """Set fields, under the record's version: what others write in between is kept."""

        def change(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
            now = _supplier(record)
            new = {name: text for name, text in values.items() if text != now[name]}
            return _supplier_body(new) if new else None

        update(self._suite.visma(company), SUPPLIERS, number, change)


def _go_on(suite: Suite) -> None:
    """Let the pair run, as soon as its sensor looks, where partners have answered what changes wait for.

    Once for each answer: the change may be one that nobody can be told. Today is enough for what waits.
    """
    memory, day = Memory(suite.engine, suite.clock, "cleo answers"), today(suite)
    deferred = {item.company for item in suite.deferrals.waiting("cleo")}
    for company in suite.settings.companies_of("cleo"):
        if company in deferred:
            continue  # that run brings what waits
        known, answered = memory.read(company), sorted(_answered(suite, company))
        before = known.value.get("answered", [])
        if set(answered) - set(before):
            suite.deferrals.store(
                pair="cleo",
                company=company,
                first_day=day,
                last_day=day,
                opens_at=suite.clock.now(),
                reason="Partners have answered what changes wait for.",
            )
        if answered != before:
            memory.write(company, known, {"answered": answered})


def _answered(suite: Suite, company: str) -> Iterator[str]:
    for name in suite.destinations("cleo"):
        feed = suite.destination(name)
        if isinstance(feed, EdiFeed):
            yield from feed.answered(suite.ledger.pending(name, company))


def _receipts(client: VismaClient, kind: str, number: str) -> list[Record]:
    pages = client.pages(PURCHASE_RECEIPTS, lambda page: page.records, extra={"poOrderNbr": number})
    return [
        receipt
        for page in pages
        for receipt in page
        if any(
            (line.get("poOrderType"), line.get("poOrderNbr")) == (kind, number) for line in receipt["lines"]
        )
    ]


def _supplier(record: Mapping[str, Any]) -> dict[str, str]:
    address = record.get("mainAddress") or {}
    found = {name: address.get(field) for name, field in ADDRESS.items()}
    found["country"] = (address.get("country") or {}).get("id")
    found |= {name: record.get(field) for name, field in OTHERS.items()}
    return {name: str(text or "") for name, text in found.items()}


def _supplier_body(values: Values) -> dict[str, Any]:
    """Only what changes: what is left out stays as it is (section 8)."""
    address = {ADDRESS[name]: text for name, text in values.items() if name in ADDRESS}
    if "country" in values:
        address["countryId"] = values["country"]
    body: dict[str, Any] = {OTHERS[name]: text for name, text in values.items() if name in OTHERS}
    return {**body, "mainAddress": address} if address else body


def _turn(suite: Suite, run_id: str) -> AbstractContextManager[object]:
    return suite.leases.hold(["cleo-mailbox"], run_id, patience=PATIENCE_SECONDS)


def _shipments(suite: Suite, run_id: str) -> Shipments:
    agreed = Agreement(lookup(suite, UNITS), lookup(suite, PARTNERS))
    return Shipments(VismaErp(suite), agreed, engine=suite.engine, clock=suite.clock, run_id=run_id)


def _suppliers(suite: Suite, run_id: str) -> SupplierChanges:
    cleo = suite.cleo
    return SupplierChanges(
        VismaErp(suite),
        cleo.settings,
        side=cleo.supplier_side,
        ledger=suite.ledger,
        engine=suite.engine,
        clock=suite.clock,
        run_id=run_id,
    )


def lookup(suite: Suite, file: str) -> Mapping[str, str]:
    """A lookup's first column -> its second. Raises ProblemsFound: it cannot be read."""
    found, problems = read_lookup(suite.settings.mappings_folder / file, file)
    if found is None:
        raise ProblemsFound(problems)
    names, values = (found.table.column(index).to_pylist() for index in range(2))
    return dict(zip(names, values, strict=True))
