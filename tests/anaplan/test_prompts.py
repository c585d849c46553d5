"""A data import without a list, which asks for a version at run time: GL actuals in cells of other lists."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Op
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.balances import IMPORT, MONTH, PROCESS, ZERO, actuals, balance, debits, fill_dimensions
from tests.anaplan.rows import batch

WAYS = [IMPORT, PROCESS]


@pytest.fixture(autouse=True)
def items(client: AnaplanClient, world: World, sandbox: Sandbox) -> None:
    fill_dimensions(client, world)
    sandbox.log.reset()


@pytest.mark.parametrize("way", WAYS)
def test_cells_are_loaded_into_the_version_the_settings_name(
    client: AnaplanClient, world: World, way: Mapping[str, Any]
) -> None:
    feed, rows = actuals(client, **way), [balance("4000", "1234.56"), balance("5000", "-0.10")]
    assert feed.preflight(rows) == {}
    assert feed.send(batch(*rows)).refused == {}
    assert debits(world) == {
        f"4000 100 {MONTH} Actual": Decimal("1234.56"),
        f"5000 100 {MONTH} Actual": Decimal("-0.10"),
    }


@pytest.mark.parametrize("way", WAYS)
def test_an_import_that_asks_and_gets_no_answer_names_the_setting(
    client: AnaplanClient, way: Mapping[str, Any]
) -> None:
    with pytest.raises(errors.Stop, match=r"Version.*`parameters` of the destination"):
        actuals(client, parameters={}, **way).send(batch(balance("4000", "1")))


def test_another_version_is_another_target(client: AnaplanClient) -> None:
    budget = actuals(client, **IMPORT, parameters={"Version": "Budget"})
    assert budget.target != actuals(client, **IMPORT).target


def test_a_refused_row_without_an_item_leaves_nothing_behind(client: AnaplanClient) -> None:
    feed = actuals(client, **IMPORT)
    outcome = feed.send(batch(balance("4000", "1"), balance("9999", "2")))
    assert "Item not located in GL Accounts list" in outcome.refused[f"NO01|9999|NO01|100|{MONTH}"]
    assert outcome.partial == {}


def test_what_may_be_left_of_a_row_is_found_again_by_all_its_columns(
    client: AnaplanClient, sandbox: Sandbox, world: World
) -> None:
    feed, row = actuals(client, **IMPORT), balance("4000", "7")
    sandbox.faults.arm("anaplan", "dump_missing", times=None)
    with pytest.raises(errors.NotLanded) as failed:
        feed.send(batch(row, balance("9999", "2")))
    left = failed.value.partial[row.row.key]
    gone = replace(row, op=Op.DELETE, row=replace(row.row, payload={**left, **ZERO}))
    assert feed.send(batch(gone)).refused == {}
    assert debits(world) == {f"4000 100 {MONTH} Actual": 0}


def test_codes_that_are_no_items_may_be_long_but_not_alike(client: AnaplanClient) -> None:
    feed = actuals(client, **IMPORT)
    assert feed.preflight([balance("4" * 80, "1")]) == {}
    assert len(feed.preflight([balance("a", "1"), balance("A", "1")])) == 2


def test_rows_that_stand_by_several_dimensions_are_no_items_of_a_list(client: AnaplanClient) -> None:
    listed = actuals(client, list_import="GL Accounts list", **IMPORT)
    with pytest.raises(errors.Stop, match=r"account, cost_centre, month.*no items of a list"):
        listed.preflight([balance("4000", "1")])
