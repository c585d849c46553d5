"""What happens in the ERP during a round: all of it can happen, and the ERP agrees with itself afterwards."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tests.prove.equal import Erp
from tests.prove.erp import Office, key_of
from tests.prove.world import World
from tests.support.house import running_sandbox


@pytest.fixture
def world() -> Iterator[World]:
    """No pair delivers anything."""
    with running_sandbox(companies=("NO01",), scale=0.05) as sandbox:
        yield World(sandbox.url, Path(), ("NO01",), (), {}, None)


@pytest.fixture
def office(world: World) -> Office:
    office = Office(world, Random(7))
    office.orders_come()
    return office


def test_a_changed_order_is_the_sum_of_its_lines(world: World, office: Office) -> None:
    before = _orders(world)
    assert office.changed_order().startswith("changed order: ")
    ((key, changed),) = [(key, row) for key, row in _orders(world).items() if row != before[key]]
    line = changed["lines"][0]
    assert line["amount"] == (line["orderQty"] * line["unitCost"]).quantize(Decimal("0.01"))
    more = line["amount"] - before[key]["lines"][0]["amount"]
    assert changed["orderTotal"] == before[key]["orderTotal"] + more


def test_only_an_order_without_goods_is_cancelled(world: World, office: Office) -> None:
    before = _orders(world)
    while office.cancelled_order():
        pass
    for key, row in _orders(world).items():
        arrived = any(line["qtyOnReceipts"] for line in row["lines"])
        cancelled = row["status"] == "Cancelled" and before[key]["status"] == "Open"
        assert cancelled == (before[key]["status"] == "Open" and not arrived)


def test_a_document_of_another_type_or_number_is_another_record(world: World, office: Office) -> None:
    before = _keys(world)
    assert office.retyped_document()
    assert len(_keys(world)) == len(before)
    ((company, entity, row),) = office.gone
    assert (company, entity, key_of(entity, row)) in before - _keys(world)
    assert office.renamed == _keys(world) - before
    assert office.renumbered_document()
    assert len(office.renamed) == 2


def test_a_supplier_that_is_taken_into_another_leaves_no_document_behind(
    world: World, office: Office
) -> None:
    suppliers = {row["number"] for row in world.truth("NO01", "supplier")}
    assert office.merged_suppliers() == "merged suppliers"
    (merged,) = suppliers - {row["number"] for row in world.truth("NO01", "supplier")}
    ((_, other),) = office.former
    assert office.numbers("NO01", other) == {other, merged}
    assert Erp(world).invoices, "every document names a supplier that is there"


def test_no_draft_is_released_whose_amount_is_not_that_of_its_lines(world: World, office: Office) -> None:
    assert {office.changed_amount() for _ in range(60)} == {"changed amount"}, "all of them"
    before = _invoices(world)
    assert {office.released_draft() for _ in range(60)} == {""}
    assert _invoices(world) == before


def test_an_invoice_is_paid_in_part_or_whole(world: World, office: Office) -> None:
    before = _invoices(world)
    assert office.paid_invoice() == "paid invoice"
    ((key, row),) = [(key, row) for key, row in _invoices(world).items() if row != before[key]]
    assert row["balance"] < before[key]["balance"]
    assert (row["status"] == "Closed") == (row["balance"] == 0)


def _orders(world: World) -> dict[str, dict]:
    return {row["orderNbr"]: row for row in world.truth("NO01", "purchaseorder")}


def _invoices(world: World) -> dict[str, dict]:
    return {key_of("supplierInvoice", row): row for row in world.truth("NO01", "supplierInvoice")}


def _keys(world: World) -> set[tuple[str, str, str]]:
    return {
        ("NO01", entity, key_of(entity, row))
        for entity in ("supplierInvoice", "purchaseorder")
        for row in world.truth("NO01", entity)
    }
