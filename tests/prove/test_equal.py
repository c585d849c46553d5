"""What the campaign counts as a difference, in a mailbox and in a table: it has to see what it looks for."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import requests

from mlc_sandbox.server import Sandbox
from tests.prove.campaign import Round
from tests.prove.equal import (
    GONE_INVOICE,
    GONE_INVOICE_TASK,
    GONE_ORDER,
    GONE_TASK,
    Erp,
    _tasks,
    compared,
    mailbox,
    unexcused,
)
from tests.prove.erp import Office
from tests.prove.further import PLACES, Place, actuals
from tests.prove.partners import KINDS, UNUSED, Kind, Told, partners
from tests.prove.readers import Facts, Held, money
from tests.prove.worker import _left
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


Documents = dict[str, dict[str, Facts]]


@pytest.fixture
def taken(sandbox: Sandbox, held: World, monkeypatch: pytest.MonkeyPatch) -> Documents:
    """What partners hold once they have every document: by kind, then by destination and key."""
    documents: Documents = {UNUSED: {}}
    for kind in KINDS:
        told = [kind.told("NO01", row, Office(held, Random(1))) for row in held.truth("NO01", kind.entity)]
        documents[kind.code] = {each.place: _as_arrived(kind, each) for each in told if each and each.must}
    monkeypatch.setattr(sandbox.cleo.world.receiver, "view", documents)
    monkeypatch.setattr(sandbox.cleo.world.receiver, "refused", [])
    return documents


def _as_arrived(kind: Kind, told: Told) -> Facts:
    [(company, party, number)] = told.names
    parts = ("order", "line", "quantity") if kind.code == "856" else ("line", "quantity", "price")
    lines = [dict(zip(parts, line, strict=True)) for line in told.facts["lines"].elements()]
    return {**told.facts, "company": company, kind.party: party, "number": number, "lines": lines}


def _at_partners(
    held: World, refused: dict[str, str] | None = None, *, known: Set[str] = frozenset(), **office: object
) -> list[str]:
    """What is wrong with what partners hold."""
    at_work = Office(held, Random(1))
    vars(at_work).update(office)
    return partners(held, refused or {}, at_work, known)[1]


OF_EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)


@OF_EACH_KIND
def test_a_document_that_is_missing_or_says_something_else_is_a_difference(
    held: World, taken: Documents, kind: Kind
) -> None:
    assert _at_partners(held) == []
    documents = taken[kind.code]
    place, document = next(iter(documents.items()))
    del documents[place]
    assert _at_partners(held) == [f"{place}: no {kind.code} arrived"]
    first, *others = document["lines"]
    otherwise = {
        "status": "cancelled",
        "total": document.get("total", 0) + 1,
        "type": "CR",
        "lines": [{**first, "quantity": first["quantity"] + 1}, *others],
    }
    for fact in otherwise.keys() & document.keys():
        documents[place] = {**document, fact: otherwise[fact]}
        [line] = _at_partners(held)
        assert line.startswith(f"{place}: {fact} is ")


@OF_EACH_KIND
def test_a_document_that_no_record_justifies_is_a_difference(
    held: World, taken: Documents, kind: Kind
) -> None:
    documents = taken[kind.code]
    one = next(iter(documents.values()))
    documents["besides"] = {**one, "number": "besides"}
    documents["of another company"] = {**one, "company": "SE01"}
    assert [line.partition(": ")[2] for line in _at_partners(held)] == ["is no record of the ERP"] * 2


def test_a_restored_database_may_not_know_that_it_told_what_is_cancelled_now(
    held: World, taken: Documents
) -> None:
    kind = KINDS[0]
    row = next(row for row in held.truth("NO01", kind.entity) if row["status"] == "Cancelled")
    told = kind.told("NO01", {**row, "status": "Open"}, Office(held, Random(1)))
    taken[kind.code]["before"] = _as_arrived(kind, told)
    said = [f"{told.place}: status is 'open' in place of 'cancelled'"]
    assert _at_partners(held) == said
    assert _at_partners(held, known={told.place}, known_notices=set()) == said
    assert _at_partners(held, known_notices=set()) == []


@pytest.mark.parametrize("otherwise", [{"type": "was another"}, {}], ids=["credit note", "adjustment"])
def test_what_a_gone_record_left_is_not_what_came_in_its_place(
    held: World, taken: Documents, otherwise: Facts
) -> None:
    """An invoice became a credit note, or an adjustment, and its supplier got another number."""
    [_, kind, _] = KINDS
    row = next(row for row in held.truth("NO01", kind.entity) if _is_told(kind, row, held))
    seller, place = row["supplier"]["number"], kind.place("NO01", row)
    before = taken[kind.code][place]
    taken[kind.code]["before"] = {**before, "seller": "former", **otherwise}
    former = {("NO01", seller): ["former"]}
    former_row = {**row, "documentType": "Adjustment", "supplier": {**row["supplier"], "number": "former"}}
    gone = [("NO01", kind.entity, former_row)]
    refused = {kind.place("NO01", former_row): "7 is gone from the ERP, or ..."}
    assert _at_partners(held, refused, gone=gone, former=former) == []
    assert f"{place}: is there 2 times, by its supplier's numbers" in _at_partners(held, former=former)
    former["NO01", seller].append("before that")
    taken[kind.code]["once more"] = {**before, "seller": "before that"}
    said = [f"{place}: is there 2 times, by its supplier's numbers"]
    assert _at_partners(held, refused, gone=gone, former=former) == said


def test_a_draft_that_a_partner_has_is_a_difference(held: World, taken: Documents) -> None:
    [_, kind, _] = KINDS
    draft = next(row for row in held.truth("NO01", kind.entity) if row["status"] == "Hold")
    told = kind.told("NO01", {**draft, "status": "Open"}, Office(held, Random(1)))
    taken[kind.code]["draft"] = _as_arrived(kind, told)
    [line] = _at_partners(held)
    assert line.endswith("is no record of the ERP")


def test_a_document_of_a_kind_that_was_not_agreed_on_is_a_difference(held: World, taken: Documents) -> None:
    taken[UNUSED]["one"] = {"number": "NO01-1"}
    assert _at_partners(held) == ["cleo: a partner has an 861: NO01-1"]


@OF_EACH_KIND
def test_a_document_whose_record_was_deleted_is_a_difference_unless_a_person_is_asked(
    held: World, taken: Documents, kind: Kind
) -> None:
    row = next(row for row in held.truth("NO01", kind.entity) if _is_told(kind, row, held))
    number = {"850": "orderNbr", "810": "referenceNumber", "856": "receiptNbr"}[kind.code]
    row = {**row, number: "deleted", "supplierReference": ""}
    told = kind.told("NO01", row, Office(held, Random(1)))
    taken[kind.code]["gone"] = _as_arrived(kind, told)
    gone = [("NO01", kind.entity, row)]
    [line] = _at_partners(held, gone=gone)
    assert line.endswith("is no record of the ERP")
    assert _at_partners(held, {told.place: "7 is gone from the ERP, or ..."}, gone=gone) == []
    assert _at_partners(held, gone=gone, known_notices=set()) == []


def _is_told(kind: Kind, row: Facts, held: World) -> bool:
    told = kind.told("NO01", row, Office(held, Random(1)))
    return told is not None and told.must


@OF_EACH_KIND
def test_what_waits_for_a_person_without_need_is_a_difference(
    held: World, taken: Documents, kind: Kind
) -> None:
    place = next(iter(taken[kind.code]))
    for reason in ("7 is gone from the ERP, or ...", "the unit 'ST' has no X12 code"):
        assert _at_partners(held, {place: reason}) == [f"{place}: is in quarantine: {reason}"]


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.code)
def test_a_document_may_go_by_a_number_its_supplier_had_but_not_by_two(
    held: World, taken: Documents, kind: Kind
) -> None:
    place, document = next(iter(taken[kind.code].items()))
    former = {("NO01", document[kind.party]): ["1"]}
    taken[kind.code][place] = {**document, kind.party: "1"}
    assert _at_partners(held, former=former) == []
    taken[kind.code]["again"] = document
    assert _at_partners(held, former=former) == [f"{place}: is there 2 times, by its supplier's numbers"]


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    ("why", "otherwise", "restored"),
    [
        ("Interchange 1 was here before, with the same bytes.", False, False),
        ("Interchange 1 was here before, with other bytes.", True, True),
        ("850 NO01 1 was received before, with the same content.", True, False),
        ("850 NO01 1 was received before, with other content.", True, False),
        ("850 NO01 1 is not here: nothing to change.", True, True),
        ("group rejected: 1", True, True),
    ],
)
def test_what_a_partner_refuses_is_a_difference_unless_it_had_to_come_again(
    sandbox: Sandbox, held: World, why: str, *, otherwise: bool, restored: bool
) -> None:
    sandbox.cleo.world.receiver._refuse("850.edi", why)
    assert [why in line for line in _at_partners(held)] == [True] * otherwise
    assert [why in line for line in _at_partners(held, known_notices=set())] == [True] * restored


def test_what_is_in_quarantine_elsewhere_is_a_difference() -> None:
    refused = {"asana/purchase_orders NO01|1": "too long", "cleo/purchase_orders NO01|1": "is judged there"}
    assert list(unexcused(refused)) == ["asana/purchase_orders NO01|1: is in quarantine: too long"]


def test_a_row_that_waits_is_left_over_unless_a_person_is_asked_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = {"pending": 2, "failed": 1, "in doubt": 1, "quarantined": 2}
    monkeypatch.setattr("tests.prove.worker.left_behind", lambda *_: counts)
    states = {"asked": "pending", "delivered before": "delivered", "waits": "pending"}
    known = {key: SimpleNamespace(state=state) for key, state in states.items()}
    in_quarantine = [SimpleNamespace(key=key) for key in ("asked", "delivered before", "never sent")]
    suite = SimpleNamespace(
        quarantine=SimpleNamespace(open=lambda *_: in_quarantine),
        ledger=SimpleNamespace(known=lambda *_, **__: known),
    )
    left = _left(suite, "cleo/purchase_orders", "NO01")
    assert left == {"pending": 1, "failed": 1, "in doubt": 1}
    lived = SimpleNamespace(_told={"left": {"cleo/purchase_orders NO01": left}})
    assert Round._left(lived) == [f"cleo/purchase_orders NO01: 1 {state}" for state in sorted(left)]


def test_a_task_of_a_deleted_record_has_to_be_completed_and_what_lives_as_the_erp_says() -> None:
    def wrong(should: Held, gone: Facts, *, completed: bool, balance: str = "0") -> list[str]:
        fields = {"Id": "7", "Amount": "5", "Balance": balance, "ERP status": "Deleted", "Vendor": "A"}
        shown = [{"name": name, "display_value": value} for name, value in fields.items()]
        tasks = _tasks([{"custom_fields": shown, "completed": completed}], "Id", "Amount", "Balance")
        return list(compared("there", should, tasks, gone))

    for gone in (GONE_TASK, GONE_INVOICE_TASK):
        assert wrong({}, gone, completed=True) == []
        assert len(wrong({}, gone, completed=False)) == 1
    assert len(wrong({}, GONE_INVOICE_TASK, completed=True, balance="5")) == 1
    facts = {"amount": money(5), "balance": money(0), "status": "Deleted", "supplier": "A"}
    lives = {"7": {**facts, "completed": False}}
    assert wrong(lives, GONE_TASK, completed=True) == ["there 7: completed is True in place of False"]


@pytest.mark.parametrize("gone", [GONE_ORDER, GONE_INVOICE], ids=["order", "invoice"])
def test_an_amount_of_a_deleted_record_is_a_difference(gone: Facts) -> None:
    assert list(compared("there", {}, [("7", {**gone, "supplier": "A"})], gone)) == []
    assert len(list(compared("there", {}, [("7", {**gone, "amount": money(5)})], gone))) == 1


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
