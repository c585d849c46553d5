"""Documents on their way out: what each partner gets, when, and what it holds then."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.cleo.outbox import Outbox, Place, State
from mlc_dagster.cleo.replies import Replies
from mlc_dagster.database.schema import interchange_documents
from mlc_dagster.delivery import Audit, Change, Kind, Op, Row, distrust
from mlc_sandbox.cleo.mailbox import UPLOAD
from mlc_sandbox.cleo.switches import CHOICES
from mlc_sandbox.cleo.world import World
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import (
    DAY,
    INVOICES,
    ORDERS,
    RECEIPTS,
    Installation,
    invoice,
    line,
    order,
    receipt,
)
from tests.support.manual_clock import ManualClock
from tests.x12.examples import content, judged

Install = Callable[..., Installation]
UPLOADS = "/files/upload"


def held(world: World, kind: str = "850") -> dict[str, dict[str, Any]]:
    """What partners hold of a kind, by number; nothing was refused."""
    received = world.received()
    assert received["refused"] == []
    return {document["number"]: document for document in received["documents"][kind]}


def uploads(sandbox: Sandbox) -> int:
    return int(sandbox.log.count("cleo", method="POST", match=UPLOADS))


def quantities(document: dict[str, Any]) -> dict[str, Decimal]:
    return {each["line"]: each["quantity"] for each in document["lines"]}


def test_a_new_order_is_at_its_partner_with_lines_total_and_places(ours: Installation, world: World) -> None:
    assert ours.deliver(order("500001")).created == 1
    found = held(world)["500001"]
    assert [(each["line"], each["quantity"], each["unit"], each["price"]) for each in found["lines"]] == [
        ("1", Decimal(10), "EA", Decimal("125.5")),
        ("2", Decimal("2.5"), "EA", Decimal(399)),
    ]
    assert (found["total"], found["currency"], found["to"]) == (Decimal("2252.5"), "NOK", "NORDEDI")
    assert found["parties"]["SE"]["id"] == "50000"
    assert found["parties"]["ST"]["city"] == "LILLESTROEM"


def test_documents_of_a_delivery_share_a_file_for_each_partner(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver(order("1"), order("2"), order("3", partner="kontinent"))
    assert uploads(sandbox) == 2
    assert {number: found["to"] for number, found in held(world).items()} == {
        "1": "NORDEDI",
        "2": "NORDEDI",
        "3": "KONTINENT",
    }


@pytest.fixture(params=CHOICES["same_name"])
def at_a_stroke(ours: Installation, world: World, request: pytest.FixtureRequest) -> Installation:
    """Everything happens in one second, and the mailbox keeps one file of a name: the first or the last."""
    world.switches.update(same_name=request.param, after_pickup="kept")
    return replace(ours, clock=ManualClock(ours.clock.now()))


def test_companies_that_count_alike_file_under_names_of_their_own(
    at_a_stroke: Installation, world: World
) -> None:
    at_a_stroke.deliver(order("1"))
    at_a_stroke.deliver(order("2", company="SE01", code="SE01|2"), company="SE01")
    assert [stored.control for stored in at_a_stroke.cleo.outbox.find()] == [1, 1]
    assert len(world.mailbox.files(UPLOAD)) == 2
    assert held(world).keys() == {"1", "2"}


def test_companies_that_count_alike_answer_under_names_of_their_own(
    at_a_stroke: Installation, world: World
) -> None:
    cleo = at_a_stroke.cleo
    replies = Replies(cleo.mailbox, cleo.outbox, cleo.settings, at_a_stroke.clock)
    for company in ("NO01", "SE01"):
        replies.build("nordedi", company, judged(content("856_ship_notice")), digest=company)
    replies.send()
    assert [stored.control for stored in cleo.outbox.find()] == [1, 1]
    assert len(world.mailbox.files(UPLOAD)) == 2


def test_what_did_not_change_is_not_sent(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(order("1"))
    sandbox.log.reset()
    assert ours.deliver(order("1")).unchanged == 1
    assert sandbox.log.count("cleo") == 0


@pytest.mark.parametrize("form", ["860", "850-04", "850-05"])
def test_a_changed_order_ends_as_it_is_in_the_erp(install: Install, world: World, form: str) -> None:
    ours = install(nordedi={"order_change": form})
    ours.deliver(order("1", line(1, "10"), line(2, "5"), line(3, "1")))
    ours.receive()
    ours.deliver(order("1", line(1, "10"), line(2, "7"), line(4, "2")))
    assert quantities(held(world)["1"]) == {"1": Decimal(10), "2": Decimal(7), "4": Decimal(2)}


def test_a_change_tells_of_each_line_what_is_left_to_receive(ours: Installation, world: World) -> None:
    ours.deliver(order("1", line(1, "10", open="10"), line(2, "5", open="5"), line(3, "1", open="1")))
    ours.receive()
    ours.deliver(order("1", line(1, "10", open="4"), line(2, "7", open="7"), line(4, "2", open="2")))
    left = {each["line"]: each["open"] for each in held(world)["1"]["lines"] if "open" in each}
    assert left == {"1": Decimal(4), "2": Decimal(7), "4": Decimal(2)}


def test_goods_that_came_are_no_change_of_their_order(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(order("1", line(1, "10", open="10")))
    sandbox.log.reset()
    ours.deliver(order("1", line(1, "10", open="4")))
    assert uploads(sandbox) == 0


@pytest.mark.parametrize("form", ["860", "850-04", "850-05"])
def test_a_cancelled_order_is_cancelled_once(
    install: Install, sandbox: Sandbox, world: World, form: str
) -> None:
    ours = install(nordedi={"order_change": form})
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", standing="cancelled", lines="[]", line_total=None))
    assert held(world)["1"]["status"] == "cancelled"
    sandbox.log.reset()
    ours.deliver(order("1", standing="cancelled", lines="[]", line_total=None, description="Never mind"))
    assert uploads(sandbox) == 0


def test_an_order_that_is_cancelled_before_it_was_told_is_never_told(
    ours: Installation, sandbox: Sandbox
) -> None:
    ours.deliver(order("1", standing="cancelled"))
    assert uploads(sandbox) == 0


def test_an_order_on_hold_waits_and_then_goes_as_it_is(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver(order("1", line(1, "3"), standing="held"))
    assert uploads(sandbox) == 0
    ours.deliver(order("1", line(1, "4")))
    assert quantities(held(world)["1"]) == {"1": Decimal(4)}


def test_who_puts_an_order_on_hold_to_edit_it_cancels_nothing(ours: Installation, world: World) -> None:
    ours.deliver(order("1", line(1, "10"), line(2, "5")))
    ours.receive()
    ours.deliver(order("1", line(1, "10"), line(2, "6"), standing="held"))
    assert held(world)["1"]["status"] == "open"
    # Against what the partner has, not against what stood in the ERP meanwhile.
    ours.deliver(order("1", line(1, "11"), line(2, "6")))
    assert quantities(held(world)["1"]) == {"1": Decimal(11), "2": Decimal(6)}


def test_a_supplier_that_moved_changes_none_of_its_documents(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(order("1"))
    ours.deliver(invoice("7"), name=INVOICES)
    sandbox.log.reset()
    ours.deliver(order("1", supplier_city="Oslo", supplier_name="Blåbær AS"))
    report = ours.deliver(invoice("7", supplier_city="Oslo"), name=INVOICES)
    assert uploads(sandbox) == 0
    assert report.quarantined == 0


def test_a_place_to_ship_to_that_changed_is_told(ours: Installation, world: World) -> None:
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", ship_to="NO01-2", ship_to_city="Oslo"))
    assert len(held(world)["1"]["files"]) == 2


def test_an_order_that_vanishes_from_the_rows_is_left_to_a_person(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """A line taken out of lookups/edi_partners.csv must not cancel a supplier's orders."""
    ours.deliver(order("1"))
    sandbox.log.reset()
    report = ours.deliver(gone=[order("1")])
    assert report.undeletable == 1
    assert held(world)["1"]["status"] == "open"
    assert uploads(sandbox) == 0


def test_a_cancelled_order_is_not_brought_back_under_its_number(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", standing="cancelled"))
    sandbox.log.reset()
    assert ours.deliver(order("1")).quarantined == 1
    assert uploads(sandbox) == 0


def test_a_document_stays_with_the_partner_that_has_it(ours: Installation, world: World) -> None:
    ours.deliver(order("1", line(1, "1")))
    ours.receive()
    ours.deliver(order("1", line(1, "2"), partner="kontinent"))
    found = held(world)["1"]
    assert (found["to"], quantities(found)) == ("NORDEDI", {"1": Decimal(2)})


def test_an_invoice_says_what_is_to_be_paid_and_its_taxes(ours: Installation, world: World) -> None:
    ours.deliver(invoice("7", line(1, "10", "125.5"), line(2, "1", "0.3333")), name=INVOICES)
    found = held(world, "810")["F-7"]
    assert found["total"] == Decimal("1569.16")
    assert found["currency"] == "NOK"


@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_a_credit_note_is_one(install: Install, world: World, sign: str) -> None:
    ours = install(nordedi={"credit_sign": sign})
    ours.deliver(invoice("8", credit=True, original_invoice="F-7"), name=INVOICES)
    assert abs(held(world, "810")["F-8"]["total"]) == Decimal("1568.75")


def credit_note(number: str, **changes: Any) -> Row:
    """A credit note of a number that an invoice may have too: the ERP tells them apart by type."""
    code = f"NO01|DebitAdj|{number}"
    row = invoice(number, **{"code": code, "credit": True, **changes})
    return replace(row, key=code, source_key=f"DebitAdj|{number}")


@pytest.mark.parametrize("at_once", [True, False])
def test_an_invoice_that_became_a_credit_note_is_not_sent_under_the_number_its_partner_knows(
    ours: Installation, world: World, at_once: bool
) -> None:
    rows = invoice("7"), credit_note("7")
    for some in [rows] if at_once else [rows[:1], rows[1:]]:
        report = ours.deliver(*some, name=INVOICES)
    assert (report.created, report.quarantined) == (int(at_once), 1)
    [waiting] = ours.quarantine.open(INVOICES)
    assert "nordedi has NO01|Invoice|7 under the number F-7 of the same seller" in waiting.reason
    assert list(held(world, "810")) == ["F-7"]


def test_a_credit_note_with_a_reference_of_its_own_goes_out_beside_the_invoice(
    ours: Installation, world: World
) -> None:
    ours.deliver(invoice("7"), name=INVOICES)
    ours.deliver(credit_note("7"), name=INVOICES)
    assert ours.deliver(credit_note("7", supplier_reference="C-7"), name=INVOICES).created == 1
    assert sorted(held(world, "810")) == ["C-7", "F-7"]
    assert not ours.quarantine.open(INVOICES)


def second(**changes: Any) -> Row:
    """Another document of the same seller, into which somebody entered the reference of invoice 7."""
    return invoice("205", **{"supplier_reference": "F-7", **changes})


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("credit", [False, True])
def test_a_reference_that_its_partner_knows_waits_until_it_is_another_one(
    install: Install, world: World, credit: bool, changed: bool
) -> None:
    ours = install(nordedi={"invoice_change": "replace"})
    ours.deliver(invoice("7"), name=INVOICES)
    if changed:
        ours.deliver(invoice("7", line(1, "11")), name=INVOICES)
    assert ours.deliver(second(credit=credit), name=INVOICES).quarantined == 1
    [waiting] = ours.quarantine.open(INVOICES)
    assert "nordedi has NO01|Invoice|7 under the number F-7 of the same seller" in waiting.reason
    assert list(held(world, "810")) == ["F-7"]
    ours.deliver(second(credit=credit, supplier_reference="F-205"), name=INVOICES)
    assert sorted(held(world, "810")) == ["F-205", "F-7"]
    assert not ours.quarantine.open(INVOICES)


def test_a_reference_is_free_again_once_its_partner_rejected_what_had_it(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE IN", answer="reject_group")
    ours.deliver(invoice("7"), name=INVOICES)
    assert ours.deliver(second(), name=INVOICES).quarantined == 1
    ours.receive()
    assert ours.deliver(second(), name=INVOICES).created == 1
    [found] = world.received()["documents"]["810"]
    assert (found["number"], len(found["files"])) == ("F-7", 1)


def test_a_reference_is_free_again_also_where_a_change_followed_what_was_rejected(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    ours = install(nordedi={"invoice_change": "replace"})
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE IN", answer="reject_group")
    ours.deliver(invoice("7"), name=INVOICES)
    ours.deliver(invoice("7", line(1, "2")), name=INVOICES)
    ours.receive()
    assert ours.deliver(second(), name=INVOICES).created == 1


def test_companies_share_no_reference_of_one_seller(ours: Installation, world: World) -> None:
    ours.deliver(invoice("7"), name=INVOICES)
    other = second(company="SE01", code="SE01|Invoice|205")
    assert ours.deliver(other, name=INVOICES, company="SE01").quarantined == 1
    assert list(held(world, "810")) == ["F-7"]


def test_companies_may_share_the_number_of_an_order(ours: Installation, world: World) -> None:
    """A partner knows an order by its buyer."""
    other = replace(order("1", company="SE01", code="SE01|RegularOrder|1"), key="SE01|RegularOrder|1")
    ours.deliver(order("1"))
    assert ours.deliver(other, company="SE01").created == 1
    assert held(world).keys() == {"1"}
    assert len(world.received()["documents"]["850"]) == 2


def test_what_an_earlier_version_sent_is_known_by_the_number_it_has_in_the_erp(
    ours: Installation, world: World
) -> None:
    ours.deliver(invoice("7"), name=INVOICES)
    with ours.engine.begin() as connection:
        connection.execute(interchange_documents.update().values(name=None))
    assert ours.deliver(credit_note("7"), name=INVOICES).quarantined == 1
    assert list(held(world, "810")) == ["F-7"]


def test_sellers_may_share_a_number(ours: Installation, world: World) -> None:
    other = credit_note("7", supplier_number="50001")
    assert ours.deliver(invoice("7"), other, name=INVOICES).created == 2
    assert len(world.received()["documents"]["810"]) == 2


@pytest.mark.parametrize("form", ["856", "861"])
def test_a_seller_with_another_number_changes_none_of_its_receipts(
    install: Install, world: World, sandbox: Sandbox, form: str
) -> None:
    ours = install(nordedi={"receipt": form})
    ours.deliver(receipt("100200"), name=RECEIPTS)
    report = ours.deliver(receipt("100200", supplier_number="60009"), name=RECEIPTS)
    assert (report.updated, report.quarantined) == (1, 0)
    assert list(held(world, form)) == ["NO01-100200"]
    assert uploads(sandbox) == 1


@pytest.mark.parametrize(
    "changes", [{"supplier_number": "60009", "amount": Decimal(9)}, {"supplier_reference": "F-7B"}]
)
def test_an_invoice_its_partner_knows_by_another_name_waits_for_a_person(
    install: Install, world: World, changes: dict[str, Any]
) -> None:
    ours = install(nordedi={"invoice_change": "replace"})
    ours.deliver(invoice("7"), name=INVOICES)
    assert ours.deliver(invoice("7", **changes), name=INVOICES).quarantined == 1
    [waiting] = ours.quarantine.open(INVOICES)
    assert "nordedi has 7 as F-7 of seller" in waiting.reason
    assert "run `mlc cleo settle 7`" in waiting.reason
    assert list(held(world, "810")) == ["F-7"]


def test_an_invoice_that_changed_is_refused_in_words_and_nothing_loops(
    ours: Installation, sandbox: Sandbox
) -> None:
    ours.deliver(invoice("7"), name=INVOICES)
    sandbox.log.reset()
    for _ in range(3):
        report = ours.deliver(invoice("7", line(1, "11")), name=INVOICES)
        assert (report.quarantined, report.failed, report.stopped) == (1, 0, None)
    assert uploads(sandbox) == 0
    assert ours.deliver(invoice("7"), name=INVOICES).quarantined == 0


def test_a_partner_that_takes_changed_invoices_gets_the_whole_invoice_again(
    install: Install, world: World
) -> None:
    ours = install(nordedi={"invoice_change": "replace"})
    ours.deliver(invoice("7"), name=INVOICES)
    ours.receive()
    ours.deliver(invoice("7", line(1, "11")), name=INVOICES)
    found = held(world, "810")["F-7"]
    assert (found["purpose"], found["total"]) == ("replace", Decimal("1725.62"))
    ours.receive()
    assert ours.states(INVOICES) == {"7": "acknowledged"}


@pytest.mark.parametrize(
    ("row", "name"),
    [(order("1"), ORDERS), (invoice("7"), INVOICES), (receipt("700001"), RECEIPTS)],
    ids=["order", "invoice", "receipt"],
)
def test_documents_from_before_the_partner_s_first_date_are_not_sent(
    install: Install, sandbox: Sandbox, row: Row, name: str
) -> None:
    ours = install(nordedi={"documents_from": DAY + timedelta(days=1)})
    destination = ours.destination(name)
    advice = destination.advice([Change.of(Op.CREATE, row)])
    assert advice.startswith("1 of these documents are older than their partners' `documents_from`")
    ours.deliver(row, name=name)
    assert uploads(sandbox) == 0
    story = Audit(ours.engine).history(row.number)
    assert [event.kind.value for event in story] == ["intended", "nothing to tell", "landed"]
    assert (
        story[1].detail["reason"].startswith("It is dated 2026-11-20, before the first documents of nordedi")
    )


def test_documents_of_the_first_date_itself_are_sent(install: Install, world: World) -> None:
    ours = install(nordedi={"documents_from": DAY})
    assert ours.destination().advice([Change.of(Op.CREATE, order("1"))]) == ""
    ours.deliver(order("1"))
    assert set(held(world)) == {"1"}


def test_a_later_change_of_an_order_from_before_the_first_date_is_not_sent_either(
    install: Install, sandbox: Sandbox
) -> None:
    ours = install(nordedi={"documents_from": DAY + timedelta(days=1)})
    ours.deliver(order("1"))
    ours.deliver(order("1", line(1, "7")))
    assert uploads(sandbox) == 0


def test_an_earlier_first_date_and_a_resend_send_what_was_left_out_and_nothing_else(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    later = install(nordedi={"documents_from": DAY + timedelta(days=1)})
    new = order("2", date=DAY + timedelta(days=1))
    later.deliver(order("1"), new)
    assert set(held(world)) == {"2"}
    ours = install(nordedi={"documents_from": DAY})
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="r", reason="asked")
    ours.deliver(order("1"), new)
    assert set(held(world)) == {"1", "2"}
    assert uploads(sandbox) == 2


@pytest.mark.parametrize("form", ["856", "861"])
def test_a_receipt_goes_in_the_form_the_partner_asks_for(install: Install, world: World, form: str) -> None:
    ours = install(nordedi={"receipt": form})
    ours.deliver(receipt("700001"), name=RECEIPTS)
    (found,) = held(world, form).values()
    assert [(each["order"], each["quantity"]) for each in found["lines"]] == [("500001", Decimal(10))]
    ours.receive()
    ours.deliver(receipt("700001", standing="cancelled"), name=RECEIPTS)
    assert held(world, form)["NO01-700001"]["status"] == "cancelled"


def test_a_unit_without_a_code_keeps_only_its_own_document_back(ours: Installation, world: World) -> None:
    report = ours.deliver(order("1"), order("2", line(1, uom="BUNT", unit=None)), order("3"))
    assert (report.created, report.quarantined) == (2, 1)
    assert set(held(world)) == {"1", "3"}


def test_a_partner_nobody_configured_keeps_its_documents_back(ours: Installation, world: World) -> None:
    report = ours.deliver(order("1"), order("2", partner="nobody"))
    assert (report.created, report.quarantined) == (1, 1)
    assert set(held(world)) == {"1"}


def test_an_order_number_that_does_not_fit_is_not_cut(ours: Installation, world: World) -> None:
    assert ours.deliver(order("9" * 30)).quarantined == 1
    assert held(world) == {}


def test_a_file_carries_the_business_fields_beside_the_interchange(ours: Installation, world: World) -> None:
    ours.deliver(order("1"))
    told = held(world)["1"]["fields"]
    assert (told["company"], told["partner"]) == ("NO01", "nordedi")
    assert told["documents"] == [
        {
            "type": "PurchaseOrder",
            "number": "1",
            "date": "2026-11-20",
            "currency": "NOK",
            "total": "2252.50",
            "purpose": "original",
            "supplier": "50000",
            "supplier_name": "Blåbær & Sønn AS",
        }
    ]


def test_a_raw_file_is_the_interchange_and_nothing_else(install: Install, world: World) -> None:
    world.switches["after_pickup"] = "kept"
    ours = install(nordedi={"file": "raw"})
    ours.deliver(order("1"))
    (file,) = world.mailbox.files(UPLOAD)
    assert file.name.endswith(".edi")
    assert (file.content[:4], file.content[-1:]) == (b"ISA*", b"~")
    assert held(world)["1"]["fields"] is None


@pytest.mark.parametrize("file", ["json", "raw"])
def test_letters_beyond_ascii_arrive_in_the_charset_agreed(install: Install, world: World, file: str) -> None:
    ours = install(kontinent={"file": file})
    ours.deliver(order("1", partner="kontinent"))
    assert held(world)["1"]["parties"]["SE"]["name"] == "Blåbær & Sønn AS"


@pytest.mark.parametrize(
    ("agreed", "name", "row", "said"),
    [
        ({}, INVOICES, invoice("7"), b"~TXI*VA*313.75*.25*****1255"),
        ({"tax_rate": "percent"}, INVOICES, invoice("7"), b"~TXI*VA*313.75*25*****1255"),
        ({"credit_sign": "positive"}, INVOICES, invoice("8", credit=True), b"~TDS*156875~"),
        ({"credit_sign": "negative"}, INVOICES, invoice("8", credit=True), b"~TDS*-156875~"),
        ({"hash_total": "none"}, ORDERS, order("1"), b"~CTT*2~"),
        ({"hash_total": "plain"}, ORDERS, order("1"), b"~CTT*2*12.5~"),
        ({"hash_total": "literal"}, ORDERS, order("1"), b"~CTT*2*35~"),
        ({"element": "|", "component": "^"}, ORDERS, order("1"), b"~ST|850|0001~BEG|00|SA|1|"),
        ({"segment": "'"}, ORDERS, order("1"), b"'ST*850*0001'"),
        ({"version": "005010"}, ORDERS, order("1"), b"*X*005010~"),
        ({"usage": "production"}, ORDERS, order("1"), b"*0*P*>~"),
        ({"acknowledge": True}, ORDERS, order("1"), b"*1*T*>~"),
        ({"group_id": "NORDGROUP"}, ORDERS, order("1"), b"~GS*PO*MLCNO01*NORDGROUP*"),
        ({"receipt": "861"}, RECEIPTS, receipt("700001"), b"~ST*861*0001~BRA*NO01-700001*"),
        ({"receipt": "856"}, RECEIPTS, receipt("700001"), b"~ST*856*0001~BSN*00*NO01-700001*"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_agreed_with_a_partner_stands_in_its_interchange(
    install: Install, agreed: dict[str, Any], name: str, row: Row, said: bytes
) -> None:
    ours = install(nordedi={"file": "raw", **agreed})
    ours.deliver(row, name=name)
    (stored,) = ours.cleo.outbox.find()
    assert said in stored.content


@pytest.mark.parametrize("version", ["004010", "005010"])
def test_both_versions_are_accepted(install: Install, world: World, version: str) -> None:
    ours = install(nordedi={"version": version})
    ours.deliver(order("1"))
    ours.deliver(order("1", line(1, "7")))
    ours.deliver(invoice("7"), name=INVOICES)
    ours.deliver(receipt("700001"), name=RECEIPTS)
    assert (len(held(world)), len(held(world, "810")), len(held(world, "856"))) == (1, 1, 1)
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}


def test_a_rejected_document_goes_again_as_an_original(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1", line(1, "3")))
    ours.receive()
    assert ours.states() == {"1": "rejected"}
    ours.deliver(order("1", line(1, "4")))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}
    (found,) = world.received()["documents"]["850"]
    assert quantities(found) == {"1": Decimal(4)}


def test_after_a_rejected_change_the_next_tells_everything_the_partner_lacks(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver(order("1", line(1, "1"), line(2, "1")))
    ours.receive()
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PC", answer="reject_group")
    ours.deliver(order("1", line(1, "2"), line(2, "1")))
    ours.receive()
    ours.deliver(order("1", line(1, "2"), line(2, "3")))
    (found,) = world.received()["documents"]["850"]
    assert quantities(found) == {"1": Decimal(2), "2": Decimal(3)}


def again(ours: Installation, row: Row) -> None:
    """What an operator does with `mlc resend`, and a look into the mailbox after it."""
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="r", reason="asked")
    ours.deliver(row)
    ours.receive()


def test_a_rejected_order_whose_change_waits_is_named_and_goes_again_whole(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """The partner has nothing to be changed."""
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1", line(1, "3")))
    changed = order("1", line(1, "4"))
    assert ours.deliver(changed).waiting == 1
    ours.receive()
    [(state, found)] = ours.standing()
    assert (state, found.file.split("_")[0], found.said) == ("rejected", "850", "group 1")
    again(ours, changed)
    assert ours.states() == {"1": "acknowledged"}
    [order_there] = world.received()["documents"]["850"]
    assert quantities(order_there) == {"1": Decimal(4)}


@pytest.mark.parametrize("form", ["860", "850-04", "850-05"])
def test_a_change_waits_for_the_answer_to_what_it_changes(
    install: Install, sandbox: Sandbox, world: World, form: str
) -> None:
    ours = install(nordedi={"order_change": form})
    ours.deliver(order("1", line(1, "1")))
    sandbox.log.reset()
    report = ours.deliver(order("1", line(1, "2")), order("2"))
    assert (report.waiting, report.created, report.complete, uploads(sandbox)) == (1, 1, True, 1)
    (why,) = (event for event in Audit(ours.engine).history("1") if event.kind is Kind.PENDING)
    assert "has not answered 850_nordedi_NO01_000000001" in why.detail["reason"]
    ours.receive()
    assert ours.deliver(order("1", line(1, "2")), order("2")).updated == 1
    assert quantities(held(world)["1"]) == {"1": Decimal(2)}


def test_a_change_that_waits_is_told_with_what_came_after_it(ours: Installation, world: World) -> None:
    ours.deliver(order("1", line(1, "1")))
    ours.deliver(order("1", line(1, "2")))
    ours.deliver(order("1", line(1, "3")))
    ours.receive()
    ours.deliver(order("1", line(1, "3")))
    assert quantities(held(world)["1"]) == {"1": Decimal(3)}
    assert len(held(world)["1"]["files"]) == 2


def test_a_change_of_what_its_partner_rejected_is_told_with_the_whole(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1", line(1, "1")))
    assert ours.deliver(order("1", line(1, "2"))).waiting == 1
    ours.receive()
    ours.deliver(order("1", line(1, "2")))
    (found,) = world.received()["documents"]["850"]
    assert (found["purpose"], quantities(found)) == ("original", {"1": Decimal(2)})


@pytest.mark.parametrize(
    ("how", "news"), [("accept", True), ("accept_errors", True), ("reject_group", True), ("silent", False)]
)
def test_any_answer_is_news_for_a_change_that_waits(
    ours: Installation, sandbox: Sandbox, how: str, news: bool
) -> None:
    sandbox.cleo.switches["partner_answer"] = how
    ours.deliver(order("1", line(1, "1")), order("2"))
    ours.deliver(order("1", line(1, "2")))
    feed = ours.destination()
    assert not feed.answered(ours.ledger.pending(ORDERS, "NO01"))
    ours.receive()
    assert bool(feed.answered(ours.ledger.pending(ORDERS, "NO01"))) is news
    assert not feed.answered({"NO01|RegularOrder|2": "The mailbox is closed until 12:00."})


def test_an_order_that_was_lost_and_then_cancelled_is_cancelled_once_it_is_there(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "flow_fails")
    ours.deliver(order("1"))
    cancelled = order("1", standing="cancelled")
    assert ours.deliver(cancelled).waiting == 1
    sandbox.clock.advance(timedelta(hours=25))
    assert (ours.deliver(cancelled).waiting, ours.states()) == (1, {"1": "overdue"})
    ours.file_overdue()
    assert ours.deliver(cancelled).waiting == 1
    ours.receive()
    ours.deliver(cancelled)
    assert held(world)["1"]["status"] == "cancelled"
    assert world.received()["refused"] == []


def test_a_change_goes_where_the_partner_says_that_the_file_came_before(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """TA1 025: it had the order, and only its 997 was lost."""
    sandbox.faults.arm("cleo", "partner_answer", answer="silent", times=1)
    ours.deliver(order("1", line(1, "1")))
    sandbox.clock.advance(timedelta(hours=25))
    ours.file_overdue()
    assert ours.deliver(order("1", line(1, "2"))).waiting == 1
    ours.receive()
    assert ours.deliver(order("1", line(1, "2"))).updated == 1
    (found,) = world.received()["documents"]["850"]
    assert quantities(found) == {"1": Decimal(2)}


def test_a_partner_that_sends_no_997_gets_changes_without_one(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    sandbox.cleo.switches["partner_answer"] = "silent"
    ours = install(nordedi={"sends_997": False})
    ours.deliver(order("1", line(1, "1")))
    report = ours.deliver(order("1", line(1, "2")))
    assert (report.waiting, report.updated, report.complete) == (0, 1, True)
    assert quantities(held(world)["1"]) == {"1": Decimal(2)}
    ours.deliver(order("1", line(1, "2"), standing="cancelled"))
    assert held(world)["1"]["status"] == "cancelled"


def test_a_rejected_order_that_was_cancelled_is_not_told(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1"))
    assert ours.deliver(order("1", standing="cancelled")).waiting == 1
    ours.receive()
    sandbox.log.reset()
    assert ours.deliver(order("1", standing="cancelled")).waiting == 0
    assert uploads(sandbox) == 0
    assert ours.states() == {"1": "withdrawn"}


def test_a_rejected_order_that_is_put_on_hold_is_withdrawn_until_it_is_released(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", standing="held"))
    assert ours.states() == {"1": "withdrawn"}
    ours.deliver(order("1"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}
    assert [found["purpose"] for found in world.received()["documents"]["850"]] == ["original"]


def test_a_rejection_that_comes_while_a_delivery_is_under_way_is_not_withdrawn(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery found that the partner has the order as it is; it knew of no rejection."""
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1"))
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="r", reason="asked")
    withdraw = Outbox.withdraw

    def late(outbox: Outbox, places: Collection[Place]) -> None:
        ours.receive()
        withdraw(outbox, places)

    monkeypatch.setattr(Outbox, "withdraw", late)
    ours.deliver(order("1"))
    assert ours.states() == {"1": "rejected"}


@pytest.mark.parametrize("answered", [State.SENT, State.ACKNOWLEDGED])
@pytest.mark.parametrize("told_without_a_997", [{"sends_997": False}, {}])
def test_a_change_of_what_is_rejected_after_it_is_none(
    install: Install, sandbox: Sandbox, world: World, told_without_a_997: dict[str, Any], answered: State
) -> None:
    """A partner that sends no 997 rejected an order all the same; another said that it came before."""
    sandbox.cleo.switches["partner_answer"] = "silent"
    ours = install(nordedi=told_without_a_997)
    ours.deliver(order("1", line(1, "1")))
    [first] = ours.cleo.outbox.find()
    ours.cleo.outbox.remark(first, {"ta1": "025"})
    assert ours.deliver(order("1", line(1, "2"))).updated == 1
    [first, change] = ours.cleo.outbox.find()
    ours.cleo.outbox.answer(first, State.REJECTED, {"0001": (State.REJECTED, {})}, "r")
    ours.cleo.outbox.answer(change, answered, {"0001": (answered, {})}, "r")
    [(state, found)] = ours.standing()
    assert (state, found.entry.purpose) == ("rejected", "original")
    ours.deliver(order("1", line(1, "3")))
    [(state, found)] = ours.standing()
    assert (state, found.entry.purpose) == ("sent", "original")
    ours.deliver(order("1", line(1, "3")))
    ours.cleo.outbox.remark(list(ours.cleo.outbox.find())[-1], {"ta1": "025"})
    ours.deliver(order("1", line(1, "4")))
    [(state, found)] = ours.standing()
    assert (state, found.entry.purpose) == ("sent", "change")


def test_a_rejected_change_that_the_erp_takes_back_is_withdrawn(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver(order("1", line(1, "1")))
    ours.receive()
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PC", answer="reject_group")
    ours.deliver(order("1", line(1, "2")))
    ours.receive()
    assert ours.states() == {"1": "rejected"}
    sandbox.log.reset()
    ours.deliver(order("1", line(1, "1")))
    assert (uploads(sandbox), ours.states()) == (0, {"1": "withdrawn"})
    ours.deliver(order("1", line(1, "3")))
    (found,) = world.received()["documents"]["850"]
    assert quantities(found) == {"1": Decimal(3)}


def test_sending_all_again_tells_only_what_the_partner_lacks(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO 850 2", answer="reject_group")
    ours.deliver(order("1"))
    ours.deliver(order("2"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged", "2": "rejected"}
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="r", reason="asked")
    sandbox.log.reset()
    ours.deliver(order("1"), order("2"))
    ours.receive()
    assert uploads(sandbox) == 1
    assert ours.states() == {"1": "acknowledged", "2": "acknowledged"}
    assert len(world.received()["documents"]["850"]) == 2


def test_the_audit_trail_tells_what_became_of_a_document(ours: Installation) -> None:
    ours.deliver(order("1"))
    ours.receive()
    history = Audit(ours.engine).history("1")
    assert [event.kind.value for event in history] == ["intended", "created", "landed", "acknowledged"]
    assert history[-1].run_id == "run of the mailbox"
    assert json.dumps(dict(history[-1].detail)).count("850_nordedi_NO01_000000001") == 1
