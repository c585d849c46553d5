"""What the campaign counts as a difference, in a mailbox and in a table: it has to see what it looks for."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import requests

from mlc_sandbox.server import Sandbox
from tests.prove.equal import Erp, compared, mailbox, partners
from tests.prove.erp import Office
from tests.prove.further import PLACES, Place, actuals
from tests.prove.readers import Facts, Held
from tests.prove.world import World
from tests.support.house import running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Nobody reads its mailbox."""
    with running_sandbox(companies=("NO01",), scale=0.1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def held(sandbox: Sandbox) -> World:
    return World(sandbox.url, Path(), ("NO01",), ("cleo",), {}, None)


@pytest.fixture(scope="module")
def notice(sandbox: Sandbox, held: World) -> str:
    """The number of a ship notice that lies in the mailbox, and counts as answered."""
    for order in held.truth("NO01", "purchaseorder"):
        body = {"order": order["orderNbr"], "company": "NO01"}
        answer = requests.post(f"{held.url}/cleo/control/ship", json=body, timeout=10)
        if answer.ok:
            sandbox.cleo.world.shipping.notices[0].state = "accepted"
            return str(answer.json()["number"])
    raise AssertionError("the sandbox has no order that can be shipped")


def _wrong(held: World, asked: set[tuple[str, str]] = frozenset(), **office: object) -> list[str]:
    at_work = Office(held, Random(1))
    vars(at_work).update(office)
    return mailbox(held, Erp(held), asked, at_work)[1]


def test_a_refused_file_is_a_difference_unless_it_is_the_same_once_more(
    sandbox: Sandbox, held: World
) -> None:
    receiver = sandbox.cleo.world.receiver
    for which in ("the same", "other"):
        receiver._refuse("850.edi", f"Interchange 1 was here before, with {which} bytes.", isa13="1")
    wrong = partners(held, Erp(held), set(), Office(held, Random(1)))[1]
    assert ["other bytes" in line for line in wrong if "refused" in line] == [True]


def test_a_suppliers_file_that_somebody_took_away_unread_is_said_again_once(
    sandbox: Sandbox, held: World
) -> None:
    row, box = held.truth("NO01", "supplier")[0], sandbox.cleo.world.mailbox
    body = {"company": "NO01", "number": row["number"]}
    first = held.control("POST", "/cleo/control/supplier-change", body)
    office = Office(held, Random(1))
    assert (office.unread(), office.suppliers_say_again()) == (True, False)
    box.remove("download", first["file"], "portal")
    assert [office.suppliers_say_again(), office.suppliers_say_again()] == [True, False]
    [again] = [file for file in box.files("download") if file.name.startswith("suppliers_")]
    assert first["row"]["address_line1"] in again.content.decode()
    box.remove("download", again.name, "client")
    assert not office.unread()
    sandbox.cleo.world.suppliers.changes.clear()


def test_a_ship_notice_without_a_receipt_is_a_difference(held: World, notice: str) -> None:
    assert _wrong(held) == [f"cleo/inbox NO01 {notice}: no receipt, and nobody is asked"]


def test_a_ship_notice_that_nobody_answered_is_a_difference(
    sandbox: Sandbox, held: World, notice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.cleo.world.shipping.notices[0], "state", "sent")
    assert _wrong(held, {("NO01", notice)}) == [f"cleo/inbox NO01 {notice}: was never answered"]


def test_a_receipt_of_other_goods_than_were_shipped_is_a_difference(held: World, notice: str) -> None:
    receipt = held.truth("NO01", "purchaseReceipt")[0]
    [shipped] = held.control("GET", "/cleo/control/notices")
    goods = [
        {**receipt["lines"][0], "poOrderNbr": shipped["order"], "poOrderLineNbr": int(line["line"])}
        | {"receiptQty": line["quantity"]}
        for line in shipped["lines"]
    ]
    short = [{**goods[0], "receiptQty": goods[0]["receiptQty"] / 2}, *goods[1:]]
    try:
        assert _received(held, receipt, supplierRef=notice, lines=goods) == []
        assert ["in place of" in line for line in _received(held, receipt, lines=short)] == [True]
        assert ["in place of" in line for line in _received(held, receipt, lines=goods[1:])] == [True]
    finally:
        _received(held, receipt, supplierRef=receipt.get("supplierRef"), lines=receipt["lines"])


def _received(held: World, receipt: Facts, **fields: object) -> list[str]:
    """What is wrong once the receipt says this."""
    body = {"key": receipt["receiptNbr"], "fields": fields}
    text = json.dumps(body, default=float)
    path = f"{held.url}/control/visma/NO01/purchaseReceipt/change"
    requests.post(path, data=text, timeout=10).raise_for_status()
    return _wrong(held)


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


@pytest.fixture(scope="module")
def kept(sandbox: Sandbox, held: World) -> dict[str, Held]:
    """A few rows of what each place should hold."""
    for entity in ("customerCreditNote", "supplierPayment", "customerPayment"):
        held.control("POST", f"/control/visma/NO01/{entity}/add", {})
    return {place.destination: dict(islice(place.kind.held(held).items(), 5)) for place in PLACES}


def _as_shown(place: Place, should: Held) -> list[Facts]:
    captions = place.captions_of_columns()
    return [
        {"Code": code, **{captions[name]: value for name, value in facts.items()}}
        for code, facts in should.items()
    ]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.destination)
def test_a_row_that_is_missing_doubled_changed_or_too_many_is_a_difference(
    kept: dict[str, Held], place: Place
) -> None:
    def wrong(rows: list[Facts]) -> list[str]:
        return list(compared("there", should, place.shown(rows), place.gone))

    should = kept[place.destination]
    rows = _as_shown(place, should)
    one, *others = rows
    extra = {**one, "Code": "NO01|none"}
    assert wrong(rows) == []
    assert wrong(others) == [f"there {one['Code']}: missing"]
    assert wrong([one, *rows]) == [f"there: there more than once: {one['Code']}"]
    assert [line.split(": ")[0] for line in wrong([extra, *rows])] == ["there NO01|none"]
    for name, caption in place.captions_of_columns().items():
        other = one[caption] + 1 if name in place.kind.amounts else "another"
        [line] = wrong([{**one, caption: other}, *others])
        assert line.startswith(f"there {one['Code']}: {name} is ")


@pytest.mark.parametrize("place", [each for each in PLACES if each.gone], ids=lambda place: place.destination)
def test_a_row_whose_record_is_gone_may_stay_as_what_it_is(kept: dict[str, Held], place: Place) -> None:
    should = kept[place.destination]
    rows = _as_shown(place, should)
    captions = place.captions_of_columns()
    closed = {captions[name]: value for name, value in place.gone.items()}
    gone = {**rows[0], "Code": "NO01|gone", **closed}
    assert list(compared("there", should, place.shown([*rows, gone]), place.gone)) == []


def test_a_month_of_an_account_holds_all_that_was_posted_up_to_then(held: World) -> None:
    """Income and expense from the first of January; what is owned and owed from the beginning."""
    accounts = {row["accountCD"]: row["type"] for row in held.truth("NO01", "account")}
    posted: dict[str, Decimal] = defaultdict(Decimal)
    cells = actuals(held)
    for key in sorted(cells, key=lambda key: time.strptime(key.rpartition("|")[2], "%b %y")):
        _, account, _, centre, month = key.split("|")
        run = f"{account} {centre} {month[-2:] if accounts[account] in ('Income', 'Expense') else ''}"
        posted[run] += cells[key]["debit"] - cells[key]["credit"]
        assert cells[key]["balance"] == posted[run], key


def test_goods_that_come_in_meanwhile_are_noticed_where_they_are_carried(held: World) -> None:
    """What the mailbox wrote while the pairs ran is at their targets after the next run only."""
    whole = Office(replace(held, whole=True), Random(1))
    before = whole.receipts()
    held.control("POST", "/control/visma/NO01/purchaseorder/add", {})
    held.control("POST", "/control/visma/NO01/purchaseReceipt/add", {})
    assert len(whole.receipts()) > len(before)
    assert Office(held, Random(1)).receipts() == []
