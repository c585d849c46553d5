"""Notices in forms the sandbox never writes: packages, several orders, other kinds, TA1s asked for."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from mlc_dagster.cleo.shipments import Announced, Worked, kind_and_number
from mlc_dagster.inbound import mailbox
from mlc_dagster.inbound.mailbox import VismaErp
from mlc_dagster.x12.dialect import Address, Dialect, Envelope
from mlc_dagster.x12.documents import (
    Document,
    Item,
    OrderLine,
    Party,
    PurchaseOrder,
    Purpose,
    Role,
    ShipNotice,
    ShippedItem,
)
from mlc_dagster.x12.writer import write
from tests.cleo.dock import COMPANY, Dock

NOW = datetime(2026, 11, 20, 12, 0)  # noqa: DTZ001 - X12's times have no zone
UNITS = {"STK": "EA", "KG": "KG", "M": "MR", "TIMER": "HR", "ESK": "BX"}
numbers = count(900_000)


def item(dock: Dock, order: str, quantity: str, **changes: Any) -> ShippedItem:
    """Some of an order's first open line."""
    number = min(dock.open(order))
    line = next(line for line in dock.lines(order) if line["lineNbr"] == number)
    words = {
        "order_number": order,
        "line": str(number),
        "quantity": Decimal(quantity),
        "unit": UNITS[line["uom"]],
        "item": Item(buyer_number=line["inventory"]["number"]),
    }
    return ShippedItem(**{**words, **changes})


def notice(dock: Dock, *items: ShippedItem, number: str = "", **changes: Any) -> ShipNotice:
    supplier = dock.row("purchaseorder", f"RegularOrder|{items[0].order_number}")["supplier"] if items else {}
    parties = (Party(Role.SHIP_FROM, name="X", number=supplier.get("number", "50000")),)
    return ShipNotice(
        **{
            "number": number or f"N{next(numbers)}",
            "issued_at": NOW,
            "items": items,
            "parties": parties,
            **changes,
        }
    )


def send(dock: Dock, document: Document, *, acknowledge: bool = False) -> int:
    """A partner's file with one document; its control number."""
    control = next(numbers)
    envelope = Envelope(
        sender=Address("NORDEDI"),
        receiver=Address("MLCNO01"),
        created=NOW,
        control=control,
        group_control=control,
        acknowledge=acknowledge,
    )
    dock.drop(f"x_{control}.edi", write([document], envelope, Dialect()).content)
    return control


def answers(dock: Dock, control: int) -> list[tuple[str, str]]:
    """What the partner has of us about an interchange: kind and status."""
    found = []
    for one in dock.world.shipping.acknowledgments:
        if "ta1" in one and int(one["isa13"]) == control:
            found.append(("TA1", one["status"]))
        if "group" in one and int(one["group"][1]) == control:
            found.append(("997", one["group_status"]))
    return found


def test_quantities_of_one_line_in_several_packages_are_one(dock: Dock) -> None:
    order = dock.order()
    packed = [
        item(dock, order, quantity, marks=(mark,))
        for quantity, mark in (("0.25", "00370712345600000015"), ("0.5", "00370712345600000022"))
    ]
    asn = notice(dock, *packed)
    send(dock, asn)
    assert dock.receive().worked == {Worked.POSTED: 1}
    assert dock.received(asn.number) == {min(dock.open(order)): Decimal("0.75")}


def test_a_line_is_found_by_our_item_number_where_no_number_is_given(dock: Dock) -> None:
    order = dock.order()
    shipped = item(dock, order, "0.5", line="")
    said = Announced.of(COMPANY, "nordedi", notice(dock, shipped))
    shipments = mailbox._shipments(dock.suite(), "run s")
    assert shipments.take(said) is Worked.POSTED
    assert dock.received(said.number) == {min(dock.open(order)): Decimal("0.5")}


def test_an_item_that_is_not_the_lines_is_held(dock: Dock) -> None:
    asn = notice(dock, item(dock, dock.order(), "0.5", item=Item(buyer_number="OTHER")))
    send(dock, asn)
    dock.receive()
    assert "Item OTHER shipped" in dock.reasons(asn.number)


def test_a_notice_that_ships_nothing_is_held(dock: Dock) -> None:
    asn = notice(dock, item(dock, dock.order(), "0"))
    send(dock, asn)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "It ships nothing" in dock.reasons(asn.number)


def test_a_replacement_of_what_never_came_is_held(dock: Dock) -> None:
    asn = notice(dock, item(dock, dock.order(), "0.5"), purpose=Purpose.CHANGE)
    send(dock, asn)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "replaces notice" in dock.reasons(asn.number)


def test_a_cancellation_of_what_never_came_is_held(dock: Dock) -> None:
    asn = notice(dock, item(dock, dock.order(), "0.5"), purpose=Purpose.CANCEL)
    send(dock, asn)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "which never came" in dock.reasons(asn.number)


def test_a_cancelled_notice_that_names_no_supplier_is_known_by_that_of_its_order(dock: Dock) -> None:
    shipped, before = item(dock, dock.order(), "0.5"), dock.copy()
    asn = notice(dock, shipped, parties=())
    send(dock, asn)
    dock.receive()
    send(dock, replace(asn, purpose=Purpose.CANCEL))
    dock.receive()
    dock.restore(before)
    send(dock, asn)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "was cancelled before" in dock.reasons(asn.number)
    assert dock.received(asn.number) == {}


def test_orders_of_two_suppliers_are_no_one_receipt(dock: Dock) -> None:
    first, second = dock.order(), dock.order()
    while (
        len(
            {
                dock.row("purchaseorder", f"RegularOrder|{each}")["supplier"]["number"]
                for each in (first, second)
            }
        )
        < 2
    ):
        second = dock.order()
    asn = notice(dock, item(dock, first, "0.5"), item(dock, second, "0.5"), parties=())
    send(dock, asn)
    assert dock.receive().worked == {Worked.HELD: 1}
    assert "of several suppliers" in dock.reasons(asn.number)
    assert dock.receipts(asn.number) == []


def test_a_ta1_goes_back_where_it_is_asked_for(dock: Dock) -> None:
    control = send(dock, notice(dock, item(dock, dock.order(), "0.5")), acknowledge=True)
    dock.receive()
    assert sorted(answers(dock, control)) == [("997", "A"), ("TA1", "A")]


def test_a_group_nobody_takes_in_is_answered_and_told(dock: Dock) -> None:
    line = OrderLine("1", Decimal(1), "EA", Item(buyer_number="A"))
    order = PurchaseOrder("P1", NOW.date(), "NOK", (line,), (Party(Role.BUYER, name="X", number="10"),))
    control = send(dock, order)
    assert dock.receive().refused == 1
    assert "Nobody here takes in a group of PO" in dock.reasons(f"x_{control}.edi")
    assert answers(dock, control) == [("997", "A")]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("500012", ("RegularOrder", "500012")),
        ("DROPSHIP-500012", ("DropShip", "500012")),
        ("STANDARDBLANKET-7", ("StandardBlanket", "7")),
        ("PO-12", ("RegularOrder", "PO-12")),
    ],
)
def test_an_order_is_named_as_our_850_named_it(sent: str, meant: tuple[str, str]) -> None:
    assert kind_and_number(sent) == meant


def test_an_order_of_another_kind_is_found_behind_its_namesake(dock: Dock) -> None:
    table = dock.sandbox.visma.companies[COMPANY].table("purchaseorder")
    keys = {record.key for record in table}
    kind, number = next(
        key.split("|")
        for key in sorted(keys)
        if not key.startswith("RegularOrder") and f"RegularOrder|{key.split('|')[1]}" in keys
    )
    found = VismaErp(dock.suite()).order(COMPANY, kind, number)
    assert found is not None
    assert (found["orderType"], found["orderNbr"]) == (kind, number)
    assert VismaErp(dock.suite()).order(COMPANY, "DropShip", "1") is None


def test_what_is_held_reads_back_as_it_was(dock: Dock) -> None:
    said = Announced.of(COMPANY, "nordedi", notice(dock, item(dock, dock.orders[0], "1.25")))
    assert Announced.from_json(said.as_json()) == said
