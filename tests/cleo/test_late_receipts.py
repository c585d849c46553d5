"""A receipt that the ERP makes when everybody has heard of a failure is waited for, and made once."""

from datetime import timedelta

import pytest

from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.inbound import mailbox
from mlc_dagster.inbound.mailbox import VismaErp
from mlc_dagster.transport.errors import InDoubt
from tests.cleo.dock import Dock


def late(dock: Dock) -> None:
    """The ERP makes the next receipt when everybody has heard of a failure."""
    dock.sandbox.faults.arm("visma", "late_commit", match="POST .*PurchaseReceipt", seconds=60)


def test_a_receipt_that_the_erp_makes_late_is_waited_for_and_not_made_twice(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    late(dock)
    for _ in range(2):
        with pytest.raises(InDoubt):
            dock.receive()
    assert dock.files() == notice.files
    dock.sandbox.clock.advance(timedelta(seconds=60))
    assert dock.receive().worked == {Worked.POSTED: 1}
    assert len(dock.receipts(notice.number)) == 1


def test_a_receipt_that_never_came_is_made_when_it_cannot_come_any_more(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "drop_connection", match="POST .*PurchaseReceipt", when="before")
    with pytest.raises(InDoubt):
        dock.receive()
    dock.sandbox.clock.advance(VismaErp.quiet)
    assert dock.receive().worked == {Worked.POSTED: 1}
    assert len(dock.receipts(notice.number)) == 1


def test_a_cancellation_waits_for_a_receipt_that_may_still_come(dock: Dock) -> None:
    order = dock.order()
    notice = dock.ship(order)
    late(dock)
    with pytest.raises(InDoubt):
        dock.receive()
    dock.ship(order, "cancel")
    with pytest.raises(InDoubt):
        dock.receive()
    dock.sandbox.clock.advance(timedelta(seconds=60))
    assert dock.receive().worked == {Worked.POSTED: 1, Worked.CANCELLED: 1}
    assert dock.received(notice.number) == {}


def test_what_a_person_decided_is_waited_for_as_well(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "over")
    dock.receive()
    late(dock)
    for _ in range(2):
        with pytest.raises(InDoubt):
            mailbox.release(dock.suite(), notice.number, run_id="run r")
    dock.sandbox.clock.advance(timedelta(seconds=60))
    [done] = mailbox.release(dock.suite(), notice.number, run_id="run r")
    assert (done.reason, len(dock.receipts(notice.number))) == ("", 1)


def test_what_the_erp_has_refused_is_not_waited_for(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "server_error", match="POST .*PurchaseReceipt", status=400)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "The ERP refuses the receipt" in dock.reasons(notice.number)
    [done] = mailbox.release(dock.suite(), notice.number, run_id="run r")
    assert (done.reason, len(dock.receipts(notice.number))) == ("", 1)
