"""A supplier's ship notice is one receipt in the ERP, or waits for a person with every reason."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.inbound import mailbox
from tests.cleo.dock import COMPANY, Dock, open_dock
from tests.support.house import running_sandbox


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    with (
        running_sandbox(seed=3, scale=1, companies=(COMPANY,)) as sandbox,
        open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
    ):
        yield dock


@pytest.fixture
def dock(opened: Dock) -> Dock:
    opened.sandbox.faults.clear()
    opened.receive()
    opened.sandbox.log.reset()
    return opened


def test_a_full_shipment_becomes_a_receipt_on_hold_with_every_line(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    done = dock.receive()
    assert done.worked == {Worked.POSTED: 1}
    assert dock.received(notice.number) == dock.open(order)
    [receipt] = dock.receipts(notice.number)
    supplier = dock.row("purchaseorder", f"RegularOrder|{order}")["supplier"]["number"]
    assert (receipt["status"], receipt["supplier"]["number"]) == ("Hold", supplier)
    assert receipt["totalQty"] == sum(dock.open(order).values())
    assert notice.state == "accepted"
    assert dock.files() == []


def test_partial_shipments_are_a_receipt_each(dock: Dock) -> None:
    order = dock.order()
    first = dock.ship(order, "partial")
    dock.receive()
    [receipt] = dock.receipts(first.number)
    assert receipt["controlQty"] == sum((line["quantity"] for line in first.lines), Decimal(0))
    second = dock.ship(order)
    dock.receive()
    assert dock.held(second.number) == []
    together = {
        line: dock.received(first.number)[line] + dock.received(second.number)[line]
        for line in dock.open(order)
    }
    assert together == dock.open(order)


def test_more_than_is_open_is_held_until_a_person_says_so(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order, "over")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "More than is open" in dock.reasons(notice.number)
    assert dock.receipts(notice.number) == []
    assert notice.state == "accepted"  # of its form: what it says is between people
    [done] = mailbox.release(dock.suite(), notice.number, run_id="run r")
    assert done.reason == ""
    assert dock.received(notice.number) == {int(line["line"]): line["quantity"] for line in notice.lines}
    assert dock.held(notice.number) == []


def test_what_waits_on_unreleased_receipts_is_not_open_any_more(dock: Dock) -> None:
    order = dock.order()
    dock.ship(order)
    dock.receive()
    dock.world.shipping.shipped.clear()
    again = dock.ship(order)
    dock.receive()
    assert "0 open" in dock.reasons(again.number)
    assert dock.receipts(again.number) == []


def test_another_unit_is_never_converted_by_guess(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "unit")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "Shipped in" in dock.reasons(notice.number)
    [still] = mailbox.release(dock.suite(), notice.number, run_id="run r")
    assert "Shipped in" in still.reason
    assert dock.receipts(notice.number) == []


def test_an_order_nobody_placed_is_held(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "poison", poison="order")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "is not in the ERP" in dock.reasons(notice.number)


def test_what_was_settled_by_hand_leaves_the_list(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "unit")
    dock.receive()
    assert mailbox.settled(dock.suite(), notice.number, run_id="run r") == 1
    assert dock.held(notice.number) == []
    with pytest.raises(mailbox.NothingWaits):
        mailbox.release(dock.suite(), notice.number, run_id="run r")


def test_one_notice_in_two_interchanges_is_one_receipt(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "twice")
    assert dock.receive().worked == {Worked.POSTED: 1, Worked.REPEATED: 1}
    assert len(dock.receipts(notice.number)) == 1


def test_the_same_number_with_other_lines_is_held(dock: Dock) -> None:
    order = dock.order()
    first = dock.ship(order, "partial")
    dock.receive()
    with dock.world.lock:
        lines = [{**line, "quantity": line["quantity"] / 2} for line in first.lines]
        found = dock.world.shipping._order(order, COMPANY)
        dock.world.shipping._send(found, first.number, lines, "00", "")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "came before with other lines" in dock.reasons(first.number)
    assert len(dock.receipts(first.number)) == 1


def test_a_cancelled_notice_takes_the_lines_out_of_its_receipt(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    dock.receive()
    dock.ship(order, "cancel")
    assert dock.receive().worked == {Worked.CANCELLED: 1}
    assert dock.received(notice.number) == {}
    assert "Cancelled by nordedi" in dock.receipts(notice.number)[0]["note"]


def test_what_was_cancelled_is_not_received_again_though_our_database_forgot_it(dock: Dock) -> None:
    """The partner heard no 997 of the database that is gone, and repeats the original."""
    order, before = dock.order(), dock.copy()
    notice = dock.ship(order)
    dock.receive()
    [receipt] = dock.receipts(notice.number)
    dock.ship(order, "cancel")
    dock.receive()
    dock.restore(before)
    dock.drop("again.edi", notice.text.encode())
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "was cancelled before, or somebody has taken them out" in dock.reasons(notice.number)
    assert dock.received(notice.number) == {}
    # The goods come after all, and somebody enters them again.
    lines = {"lines": receipt["lines"]}
    dock.sandbox.visma.change(COMPANY, "purchaseReceipt", receipt["receiptNbr"], lines)
    mailbox.release(dock.suite(), notice.number, run_id="run r")
    assert (len(dock.receipts(notice.number)), dock.held(notice.number)) == (1, [])


def test_a_cancellation_that_was_carried_out_and_not_noted_is_known_when_it_comes_again(dock: Dock) -> None:
    order, before = dock.order(), dock.copy()
    notice = dock.ship(order)
    dock.receive()
    [receipt] = dock.receipts(notice.number)
    # Somebody has taken it off hold.
    dock.sandbox.visma.change(COMPANY, "purchaseReceipt", receipt["receiptNbr"], {"status": "Balanced"})
    cancelled = dock.ship(order, "cancel")
    dock.receive()
    dock.restore(before)
    dock.drop("again.edi", cancelled.text.encode())
    assert dock.receive().worked == {Worked.CANCELLED: 1}
    assert (dock.received(notice.number), dock.held(notice.number)) == ({}, [])


def test_a_receipt_that_was_emptied_stands_for_its_own_notice_only(dock: Dock) -> None:
    order = dock.order()
    dock.ship(order)
    dock.receive()
    dock.ship(order, "cancel")
    dock.receive()
    dock.world.shipping.shipped.clear()
    again = dock.ship(order)
    assert dock.receive().worked == {Worked.POSTED: 1}
    assert dock.received(again.number) == dock.open(order)


def test_a_released_receipt_is_not_touched_by_a_cancellation(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    dock.receive()
    [receipt] = dock.receipts(notice.number)
    dock.sandbox.visma.change(COMPANY, "purchaseReceipt", receipt["receiptNbr"], {"status": "Released"})
    before = dock.received(notice.number)
    dock.ship(order, "cancel")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "reverse it in the ERP" in dock.reasons(notice.number)
    assert dock.received(notice.number) == before


def test_a_notice_that_is_held_may_be_cancelled(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order, "over")
    dock.receive()
    dock.ship(order, "cancel")
    assert dock.receive().worked == {Worked.CANCELLED: 1}
    assert dock.held(notice.number) == []


def test_a_lost_answer_of_the_erp_makes_no_second_receipt(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "drop_connection", times=1, match="POST .*PurchaseReceipt", when="after")
    dock.receive()
    assert len(dock.receipts(notice.number)) == 1


def test_a_notice_of_another_supplier_than_the_orders_is_held(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    supplier = dock.row("purchaseorder", f"RegularOrder|{order}")["supplier"]
    gone = {**supplier, "number": "99999"}
    dock.sandbox.visma.change(COMPANY, "purchaseorder", f"RegularOrder|{order}", {"supplier": gone})
    dock.receive()
    assert f"is of supplier 99999, the notice of {supplier['number']}" in dock.reasons(notice.number)


def test_a_partner_ships_for_its_own_suppliers_only(dock: Dock) -> None:
    with dock.world.lock:
        shipping = dock.world.shipping
        order = shipping._order(dock.order(), COMPANY)
        order.partner = next(each for each in dock.world.partners.values() if each.id == "KONTINENT")
        lines = shipping._quantities(order, "full")
        shipping._send(order, "FOREIGN1", lines, "00", "")
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "trades through nordedi" in dock.reasons("FOREIGN1")


def test_the_audit_trail_tells_what_became_of_a_notice(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    dock.receive()
    dock.ship(order, "cancel")
    dock.receive()
    told = [event.detail["line"] for event in dock.suite().audit.history(notice.number)]
    [receipt] = dock.receipts(notice.number)
    assert told == [
        f"Ship notice {notice.number} of nordedi is receipt {receipt['receiptNbr']}.",
        f"Cancelled by nordedi with ship notice {notice.number}.",
    ]
