"""What the campaign counts as a difference in a mailbox: it has to see what it looks for."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import requests

from tests.prove.equal import Erp, mailbox
from tests.prove.erp import Office
from tests.prove.world import World
from tests.support.house import running_sandbox


@pytest.fixture(scope="module")
def held() -> Iterator[World]:
    """A sandbox whose mailbox nobody reads."""
    with running_sandbox(companies=("NO01",), scale=0.1) as sandbox:
        yield World(sandbox.url, Path(), ("NO01",), ("cleo",), {}, None)


@pytest.fixture(scope="module")
def notice(held: World) -> str:
    """The number of a ship notice that lies in the mailbox."""
    for order in held.truth("NO01", "purchaseorder"):
        body = {"order": order["orderNbr"], "company": "NO01"}
        answer = requests.post(f"{held.url}/cleo/control/ship", json=body, timeout=10)
        if answer.ok:
            return str(answer.json()["number"])
    raise AssertionError("the sandbox has no order that can be shipped")


def _wrong(held: World, asked: set[tuple[str, str]] = frozenset(), **office: object) -> list[str]:
    at_work = Office(held, Random(1))
    vars(at_work).update(office)
    return mailbox(held, Erp(held), asked, at_work)[1]


def test_a_ship_notice_without_a_receipt_is_a_difference(held: World, notice: str) -> None:
    assert _wrong(held) == [f"cleo/inbox NO01 {notice}: no receipt, and nobody is asked"]


def test_a_ship_notice_that_waits_for_a_person_is_none(held: World, notice: str) -> None:
    assert _wrong(held, {("NO01", notice)}) == []


def test_what_was_held_since_the_database_was_copied_is_gone_with_it(held: World, notice: str) -> None:
    assert _wrong(held, known_notices=set()) == []
    assert _wrong(held, known_notices={notice})


def test_an_address_that_was_sent_and_is_not_in_the_erp_is_a_difference(held: World, notice: str) -> None:
    number = held.truth("NO01", "supplier")[0]["number"]
    held.control("POST", "/cleo/control/supplier-change", {"company": "NO01", "number": number})
    waiting = {("NO01", notice)}
    assert [line.partition(":")[0] for line in _wrong(held, waiting)] == [
        f"cleo/inbox NO01 supplier {number}"
    ]
    assert _wrong(held, {*waiting, ("NO01", number)}) == []
