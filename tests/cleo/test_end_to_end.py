"""The whole way through Dagster: what the ERP has released is at its partner once, as it is in the ERP, and
acknowledged.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_dagster.graph.answers import NAME
from mlc_dagster.graph.automation import chain
from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key
from mlc_dagster.graph.steps import PAIR_TAG
from mlc_dagster.outlook import open_days
from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox

COMPANY = "NO01"
OPEN = {"Open", "Closed", "Printed", "PendingPrint", "PendingEmail"}
ORDERS = "cleo/purchase_orders"
UNRELEASED = {"Hold", "Balanced", "PendingApproval", "Rejected", "Scheduled", "Voided"}
Lines = Counter[tuple[str, Decimal, Decimal]]


@dataclass(frozen=True)
class Chapter:
    """One run of the pair: what the ERP held, and what partners hold by kind and number. `open`: what is left
    to receive of orders and their lines, as they were last told.
    """

    run: dg.ExecuteInProcessResult
    erp: Mapping[str, list[dict[str, Any]]]
    documents: Mapping[str, Mapping[str, dict[str, Any]]]
    refused: list[dict[str, Any]]
    states: Mapping[str, Counter[str]]
    open: Mapping[str, dict[str, Decimal]]
    uploads: int
    waiting: list[str]


def chapter(house: House, first: date | None = None) -> Chapter:
    """Run the pair over the days that are open, then take in what partners answered."""
    sandbox, suite = house.sandbox, house.suite()
    sandbox.log.reset()
    keys = chain("cleo").resolve(house.definitions.resolve_asset_graph())
    days = {RANGE_START: key(COMPANY, first or house.days[0]), RANGE_END: key(COMPANY, house.today)}
    tags = {**days, PAIR_TAG: "cleo"}
    run = house.materialize(*(found.to_user_string() for found in keys), tags=tags)
    uploads = sandbox.log.count("cleo", method="POST", match="/files/upload")
    erp = {name: rows(sandbox, name) for name in ("purchaseorder", "supplierInvoice", "purchaseReceipt")}
    received = sandbox.cleo.world.received()
    documents = {
        kind: {found["number"]: found for found in held} for kind, held in received["documents"].items()
    }
    for kind, held in documents.items():
        assert len(held) == len(received["documents"][kind]), f"two {kind} of one number"
    suite.cleo.inbox_for({}, None).receive("a look into the mailbox")
    states = {
        name: Counter(state for state, _ in suite.cleo.answers.standing(name, COMPANY, house.clock.now()))
        for name in suite.destinations()
    }
    told = {found.entry.number: found.entry.payload for found in suite.cleo.outbox.standing(ORDERS)}
    left = {
        number: {line["number"]: Decimal(line["open"]) for line in loads(payload["lines"])}
        for number, payload in told.items()
    }
    waiting = [entry.reason for name in states for entry in suite.quarantine.open(name, COMPANY)]
    return Chapter(run, erp, documents, received["refused"], states, left, uploads, waiting)


def rows(sandbox: Sandbox, entity: str) -> list[dict[str, Any]]:
    """What the ERP holds now."""
    table = sandbox.visma.table(COMPANY, entity)
    return [table.row(record) for record in table]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Chapter]]:
    folder: Path = tmp_path_factory.mktemp("cleo house")
    with running_sandbox(companies=(COMPANY,), seed=4) as sandbox:
        section = sandbox.cleo.config_section(sandbox.url)
        with open_house(sandbox, folder, pairs=section) as house:
            receive_half(sandbox)
            chapters = {"first load": chapter(house)}
            sandbox.pass_day()
            still_open, _ = open_days(house.suite(), "cleo", COMPANY)
            chapters["a day later"] = chapter(house, still_open)
            chapters["nothing new"] = chapter(house, still_open)
            yield chapters


def receive_half(sandbox: Sandbox) -> None:
    """Half of the first line of one open order has come."""
    order = next(row for row in rows(sandbox, "purchaseorder") if row["status"] == "Open")
    first, *others = order["lines"]
    lines = [first | {"qtyOnReceipts": Decimal(str(first["orderQty"])) / 2, "completed": False}, *others]
    order_key = f"{order['orderType']}|{order['orderNbr']}"
    sandbox.visma.change(COMPANY, "purchaseorder", order_key, {"lines": lines})


TOLD = ("first load", "a day later")


def number(order: Mapping[str, Any]) -> str:
    return numbered(order["orderType"], order["orderNbr"])


def numbered(kind: str, number: str) -> str:
    """Kinds of orders count for themselves, and the basic charset has capitals only."""
    return number if kind == "RegularOrder" else f"{kind.upper()}-{number}"


def ordered(order: Mapping[str, Any]) -> Lines:
    """Line, quantity and price of what is ordered."""
    return Counter(
        (str(line["lineNbr"]), Decimal(str(line["orderQty"])), Decimal(str(line["unitCost"])))
        for line in order["lines"]
        if not line["canceled"]
    )


@pytest.mark.parametrize("name", TOLD)
def test_each_order_the_house_has_agreed_on_is_at_its_partner_as_it_is(
    story: dict[str, Chapter], name: str
) -> None:
    told = story[name].documents["850"]
    agreed = {number(row): row for row in story[name].erp["purchaseorder"] if row["status"] in OPEN}
    assert len(agreed) > 5
    assert "DROPSHIP" in {wanted.partition("-")[0] for wanted in agreed}
    assert agreed.keys() <= told.keys()
    for wanted, row in agreed.items():
        held = Counter((line["line"], line["quantity"], line["price"]) for line in told[wanted]["lines"])
        assert held == ordered(row), wanted
    # What partners have besides was agreed once.
    assert {told[other]["status"] for other in told.keys() - agreed.keys()} <= {"open", "cancelled"}


def test_totals_of_orders_are_the_erp_s(story: dict[str, Chapter]) -> None:
    told = story["first load"].documents["850"]
    for row in story["first load"].erp["purchaseorder"]:
        if row["status"] in OPEN:
            net = sum(Decimal(str(line["amount"])) for line in row["lines"] if not line["canceled"])
            assert told[number(row)]["total"] == net


def test_what_is_left_to_receive_is_ordered_less_received(story: dict[str, Chapter]) -> None:
    partly = 0
    for row in story["first load"].erp["purchaseorder"]:
        if row["status"] in OPEN:
            left = {
                str(line["lineNbr"]): Decimal(0)
                if line["completed"]
                else Decimal(str(line["orderQty"])) - Decimal(str(line["qtyOnReceipts"]))
                for line in row["lines"]
                if not line["canceled"]
            }
            assert story["first load"].open[number(row)] == left
            partly += any(0 < left.get(str(line["lineNbr"]), 0) < line["orderQty"] for line in row["lines"])
    assert partly


@pytest.mark.parametrize("name", TOLD)
def test_each_released_invoice_is_at_its_partner_with_its_total(story: dict[str, Chapter], name: str) -> None:
    told = story[name].documents["810"]
    released = {
        row["supplierReference"] or row["referenceNumber"]: Decimal(str(row["amount"]))
        for row in story[name].erp["supplierInvoice"]
        if row["status"] not in UNRELEASED
    }
    assert len(released) > 10
    assert {wanted: told[wanted]["total"] for wanted in released} == released


@pytest.mark.parametrize("name", TOLD)
def test_each_released_receipt_is_at_its_partner_with_its_quantities(
    story: dict[str, Chapter], name: str
) -> None:
    told = story[name].documents["856"]
    released = {
        f"{COMPANY}-{row['receiptNbr']}": Counter(
            (numbered(line["poOrderType"], line["poOrderNbr"]), Decimal(str(line["receiptQty"])))
            for line in row["lines"]
        )
        for row in story[name].erp["purchaseReceipt"]
        if row["status"] == "Released" and row["receiptType"] == "PoReceipt"
    }
    assert len(released) > 5
    for wanted, lines in released.items():
        assert Counter((line["order"], line["quantity"]) for line in told[wanted]["lines"]) == lines


@pytest.mark.parametrize("name", ["first load", "a day later", "nothing new"])
def test_every_document_is_acknowledged_and_none_was_refused(story: dict[str, Chapter], name: str) -> None:
    assert story[name].run.success
    assert story[name].refused == []
    assert story[name].waiting == []
    assert {state for states in story[name].states.values() for state in states} == {"acknowledged"}


@pytest.mark.parametrize("name", ["first load", "a day later"])
def test_the_check_sees_every_answer_that_came_before_the_run(story: dict[str, Chapter], name: str) -> None:
    """Answers are taken in after a run: the first one sees documents that are sent, which is no fault."""
    verdicts = {
        verdict.asset_key.to_user_string(): verdict
        for verdict in story[name].run.get_asset_check_evaluations()
        if verdict.check_name == NAME
    }
    assert set(verdicts) == {"cleo/purchase_orders", "cleo/purchase_receipts", "cleo/supplier_invoices"}
    assert all(verdict.passed for verdict in verdicts.values())


def test_a_day_without_changes_sends_nothing(story: dict[str, Chapter]) -> None:
    assert story["first load"].uploads > 0
    assert story["nothing new"].uploads == 0


def test_the_ledger_is_equal_to_the_lake_where_only_acknowledgments_tell_the_rest(
    story: dict[str, Chapter],
) -> None:
    told = CliRunner().invoke(app, ["reconcile", ORDERS])
    count = sum(story["nothing new"].states[ORDERS].values())
    assert (
        f"{ORDERS} cannot be read back: the ledger is compared with the lake, and not with what the target "
        f"holds. Its documents by what partners said of them: {count} acknowledged ("
    ) in told.output
    assert CliRunner().invoke(app, ["reconcile", "cleo"]).exit_code == 0
