"""The whole way through Dagster: each document of the ERP is one task of its project, and stays it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlc_dagster.graph.automation import chain
from mlc_dagster.graph.equality import NAME
from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key
from mlc_dagster.graph.steps import PAIR_TAG
from mlc_dagster.outlook import open_days
from mlc_dagster.settings import REPOSITORY
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import Card, cards
from tests.support.house import House, open_house, running_sandbox

COMPANIES = ("NO01", "SE01")
BUYER = "buyer-nordics@nordfjell.example"
INVOICES, ORDERS = "supplier_invoices", "purchase_orders"
ENTITIES = {INVOICES: "supplierInvoice", ORDERS: "purchaseorder"}
FIELDS = {INVOICES: "SupplierInvoiceId", ORDERS: "PurchaseOrderId"}
ASSETS = ("asana/rows/supplier_invoices", "asana/supplier_invoices")
Facts = dict[str, tuple[str, Decimal]]


def in_the_erp(sandbox: Sandbox, model: str) -> Facts:
    """Status and amount by document: the ERP's own rows, none of our code."""
    found = {}
    for company in COMPANIES:
        for row in sandbox.visma.truth(company, ENTITIES[model]):
            if model == INVOICES:
                code = (row["documentType"], row["referenceNumber"])
                amount = row["amount"]
            else:
                code, amount = (row["orderType"], row["orderNbr"]), row["orderTotal"]
            found["|".join((company, *code))] = (row["status"], Decimal(amount).quantize(Decimal("0.01")))
    return found


@dataclass
class Chapter:
    """What a run did, and what Asana showed after it. writes: batches that were not mere looks."""

    run: dg.ExecuteInProcessResult
    erp: dict[str, Facts]
    cards: dict[str, dict[str, Card]]
    writes: int
    erp_calls: int

    def metadata(self, asset: str) -> dict[str, Any]:
        (event,) = [
            each
            for each in self.run.get_asset_materialization_events()
            if each.asset_key == dg.AssetKey(asset.split("/"))
        ][:1]
        shown = event.step_materialization_data.materialization.metadata
        return {name: value.value for name, value in shown.items()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Chapter]]:
    folder: Path = tmp_path_factory.mktemp("asana house")
    mappings = folder / "mappings"
    shutil.copytree(REPOSITORY / "dbt_like_mappings", mappings)
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox())
        section = sandbox.asana.config_section(sandbox.url)
        house = stack.enter_context(open_house(sandbox, folder, pairs=section, mappings=str(mappings)))
        setup = house.suite().asana.setup
        setup.apply(setup.plan())
        everything = [found.to_user_string() for found in _chain(house)]
        chapters = {"first load": _chapter(house, everything)}
        sandbox.pass_day()
        still_open, _ = open_days(house.suite(), "asana", "NO01")
        chapters["a day later"] = _chapter(house, everything, still_open)
        chapters["nothing new"] = _chapter(house, everything, still_open)
        suppliers = mappings / "lookups" / "supplier_members.csv"
        suppliers.write_text(f"supplier_number,email,name_pattern,member\n,,%,{BUYER}\n")
        chapters["a member is named"] = _chapter(house, ASSETS, still_open)
        chapters["a day replayed"] = _chapter(house, ASSETS, house.days[0], house.days[0])
        yield chapters


def _chain(house: House) -> Sequence[dg.AssetKey]:
    return list(chain("asana").resolve(house.definitions.resolve_asset_graph()))


def _chapter(house: House, assets: Sequence[str], first: Any = None, last: Any = None) -> Chapter:
    sandbox = house.sandbox
    sandbox.log.reset()
    # One run for both companies: from the first day of the one to the last of the other.
    days = {
        RANGE_START: key(COMPANIES[0], first or house.days[0]),
        RANGE_END: key(COMPANIES[-1], last or house.today),
    }
    run = house.materialize(*assets, tags={**days, PAIR_TAG: "asana"})
    world = sandbox.asana.world
    return Chapter(
        run,
        {model: in_the_erp(sandbox, model) for model in ENTITIES},
        {model: cards(world, world.members[model], FIELDS[model]) for model in ENTITIES},
        sandbox.log.count("asana", method="POST") + sandbox.log.count("asana", method="PUT"),
        sandbox.log.count("visma"),
    )


@pytest.mark.parametrize("model", ENTITIES)
@pytest.mark.parametrize("chapter", ["first load", "a day later", "nothing new"])
def test_every_document_is_one_task_with_its_amount_and_status(story, chapter, model):
    told = story[chapter]
    assert told.run.success
    shown = {
        code: (card.fields["ERP status"], card.fields["Amount"]) for code, card in told.cards[model].items()
    }
    living = {code: facts for code, facts in shown.items() if facts[0] != "Deleted"}
    assert living == told.erp[model]
    assert living


@pytest.mark.parametrize("chapter", ["first load", "a day later", "nothing new"])
def test_every_destination_is_read_back_and_equals_the_ledger(story, chapter):
    verdicts = [each for each in story[chapter].run.get_asset_check_evaluations() if each.check_name == NAME]
    assert len(verdicts) == 2
    assert [verdict.description for verdict in verdicts if not verdict.passed] == []


def test_something_did_change_in_between(story):
    assert story["a day later"].erp != story["first load"].erp


def test_without_changes_nothing_is_written(story):
    assert story["nothing new"].writes == 0


def test_a_member_that_is_named_gets_the_tasks_and_nothing_is_read_from_the_erp(story):
    before, after = story["nothing new"], story["a member is named"]
    assert {card.assignee for card in before.cards[INVOICES].values()} == {None}
    there = [card for card in after.cards[INVOICES].values() if card.fields["ERP status"] != "Deleted"]
    assert {card.assignee for card in there} == {BUYER}
    assert after.run.success
    assert after.erp_calls == 0


def test_suppliers_without_a_member_stand_in_the_metadata(story):
    asset = f"asana/{INVOICES}"
    shown = story["first load"].metadata(asset)
    assert shown["to_review"] == len(shown["first_to_review"].records)
    first = shown["first_to_review"].records[0].data
    assert first.keys() == {"company", "supplier", "name", "open tasks"}
    assert first["open tasks"] >= 1
    assert "to_review" not in story["a member is named"].metadata(asset)


def test_the_metadata_show_what_a_document_cost(story):
    shown = story["first load"].metadata(f"asana/{INVOICES}")
    assert shown["calls_per_change"] == round(shown["calls"] / shown["created"], 2)
    # A call each, one more with a comment, and the looks around them: fields, sections, options.
    assert shown["calls_per_change"] < 2.5
    assert "calls_per_change" not in story["nothing new"].metadata(f"asana/{INVOICES}")


def test_a_day_replayed_changes_nothing(story):
    before, after = story["a member is named"], story["a day replayed"]
    assert after.run.success
    assert after.cards == before.cards
    assert after.writes == 0
