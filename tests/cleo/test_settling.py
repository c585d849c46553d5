"""`mlc cleo settle`: a document that cannot be told stays at its partner as it is, until it changes again."""

from collections.abc import Callable

import pytest
from typer.testing import Result

from mlc_dagster.cli.partners import NothingToSettle
from mlc_dagster.delivery import Audit, Row
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import INVOICES, ORDERS, Installation, invoice, line, order

Commands = Callable[..., Result]
TOLD, CHANGED = invoice("7"), invoice("7", line(1, "11"))


@pytest.fixture
def waiting(ours: Installation, sandbox: Sandbox) -> Installation:
    """An invoice changed after its partner got it."""
    ours.deliver(TOLD, name=INVOICES)
    assert ours.deliver(CHANGED, name=INVOICES).quarantined == 1
    sandbox.log.reset()
    return ours


def waits(ours: Installation, row: Row = CHANGED, name: str = INVOICES) -> str:
    """Deliver a row; why it is not told, empty when it does not wait."""
    ours.deliver(row, name=name)
    return " ".join(entry.reason for entry in ours.quarantine.open(name))


def settle(commands: Commands, number: str = "7") -> Result:
    return commands("settle", number, "--reason", "Agreed by phone", "--by", "Controller")


def test_a_document_that_cannot_be_told_is_listed_with_what_its_partner_has(
    waiting: Installation, commands: Commands
) -> None:
    told = commands("status")
    assert told.exit_code == 1
    assert all(words in told.output for words in ("Not told", "nordedi:", "mlc cleo settle"))


def test_a_settled_document_waits_no_longer_and_nothing_is_sent(
    waiting: Installation, commands: Commands, sandbox: Sandbox
) -> None:
    done = settle(commands)
    assert done.exit_code == 0
    assert "7 stays at nordedi as 810_nordedi_NO01_000000001" in done.output
    assert waits(waiting) == ""
    assert sandbox.log.count("cleo", method="POST", match="/files/upload") == 0
    assert commands("status").exit_code == 0
    assert waiting.deliver(CHANGED, name=INVOICES).unchanged == 1


def test_the_next_delivery_looks_at_what_was_settled_whatever_days_it_is_asked_for(
    waiting: Installation, commands: Commands
) -> None:
    settle(commands)
    assert waiting.ledger.outstanding(INVOICES, "NO01") == {CHANGED.source_key}


def test_the_audit_trail_says_who_settled_it_and_why_from_the_start(
    waiting: Installation, commands: Commands
) -> None:
    settle(commands)
    [standing] = Audit(waiting.engine).standing("7")
    assert (standing.state, standing.reason) == ("pending", "Settled by Controller: Agreed by phone")
    waits(waiting)
    said = [event for event in Audit(waiting.engine).history("7") if event.kind == "nothing to tell"]
    assert [event.detail["reason"] for event in said] == ["Settled by Controller: Agreed by phone"]


def test_a_settled_document_that_changes_again_waits_again(waiting: Installation, commands: Commands) -> None:
    settle(commands)
    assert waits(waiting) == ""
    assert "takes no changed invoice" in waits(waiting, invoice("7", line(1, "12")))


def test_what_changed_between_the_look_and_the_delivery_is_not_settled(
    waiting: Installation, commands: Commands
) -> None:
    settle(commands)
    assert "takes no changed invoice" in waits(waiting, invoice("7", line(1, "12")))


def test_a_supplier_that_moves_does_not_bring_a_settled_document_back(
    waiting: Installation, commands: Commands
) -> None:
    settle(commands)
    waits(waiting)
    moved = {**CHANGED.payload, "supplier_city": "Oslo", "supplier_vat_number": "NO923609016MVA"}
    assert waits(waiting, Row(CHANGED.key, CHANGED.source_key, "7", moved)) == ""


def test_an_order_that_is_gone_can_be_settled(ours: Installation, commands: Commands) -> None:
    ours.deliver(order("1"))
    assert ours.deliver(gone=[order("1")]).undeletable == 1
    assert settle(commands, "1").exit_code == 0
    assert ours.deliver(gone=[order("1")]).deleted == 1
    assert ours.quarantine.open(ORDERS) == []


def test_an_order_that_came_back_after_it_was_cancelled_can_be_settled(
    ours: Installation, commands: Commands
) -> None:
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", standing="cancelled"))
    assert "no word to bring a document back" in waits(ours, order("1"), ORDERS)
    settle(commands, "1")
    assert waits(ours, order("1"), ORDERS) == ""


def test_what_its_partner_never_got_has_to_be_corrected(ours: Installation, commands: Commands) -> None:
    ours.deliver(order("1", line(1, uom="BUNT", unit=None)))
    told = commands("status")
    assert (told.exit_code, "nothing" in told.output) == (1, True)
    assert isinstance(settle(commands, "1").exception, NothingToSettle)


def test_a_document_that_waits_for_nothing_cannot_be_settled(ours: Installation, commands: Commands) -> None:
    ours.deliver(order("1"))
    assert isinstance(settle(commands, "1").exception, NothingToSettle)
