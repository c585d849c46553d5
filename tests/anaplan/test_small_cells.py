"""A few changed actuals by the cell API: the same module as by the import, which judges what is unclear."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Op
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.balances import (
    EARLIER,
    IMPORT,
    MODULE,
    MONTH,
    PROCESS,
    actuals,
    balance,
    debits,
    fill_dimensions,
)
from tests.anaplan.rows import batch

BY = {"account": "GL Accounts", "cost_centre": "Cost Centres", "month": "Time"}
SMALL: dict[str, Any] = {"small_changes": {"up_to": 3, "module": MODULE, "by": BY}}
ROWS = [balance("4000", "1234.56"), balance("5000", "-0.10", cost_centre="NO01|200", month=EARLIER)]


@pytest.fixture(autouse=True)
def items(client: AnaplanClient, world: World, sandbox: Sandbox) -> None:
    fill_dimensions(client, world)
    sandbox.log.reset()


@pytest.fixture
def feed(client: AnaplanClient) -> AnaplanFeed:
    return actuals(client, **IMPORT, **SMALL)


def test_changed_actuals_are_one_call_and_no_task(feed: AnaplanFeed, world: World, sandbox: Sandbox) -> None:
    assert feed.preflight(ROWS) == {}
    outcome = feed.send(batch(*ROWS))
    assert (outcome.refused, outcome.detail) == ({}, {"cells written": 8})
    assert debits(world) == {
        f"4000 100 {MONTH} Actual": Decimal("1234.56"),
        f"5000 200 {EARLIER} Actual": Decimal("-0.10"),
    }
    changing = [call for call in sandbox.log.calls("anaplan", match="/2/0/") if call.method != "GET"]
    assert [call.path.rsplit("/", 1)[-1] for call in changing] == ["data"]
    assert world.tasks.tasks == {}


def test_the_calls_it_takes_are_those_that_were_forecast(feed: AnaplanFeed, sandbox: Sandbox) -> None:
    feed.preflight(ROWS)
    feed.send(batch(*ROWS))
    assert sandbox.log.count("anaplan", match="/2/0/") == feed.calls(ROWS)


@pytest.mark.parametrize("long_way", [IMPORT, PROCESS])
def test_both_ways_leave_the_same_module(
    client: AnaplanClient, sandbox: Sandbox, world: World, long_way: Mapping[str, Any]
) -> None:
    before, ends = sandbox.anaplan.dump(), []
    updates = [
        balance("4000", "99999999999.99", Op.UPDATE, credit=Decimal("1E-4")),
        balance("5000", "0", Op.DELETE, cost_centre="NO01|200", month=EARLIER),
    ]
    for settings in ({}, SMALL):
        sandbox.anaplan.load(before)
        feed = actuals(client, **long_way, **settings)
        for changes in (ROWS, updates):
            assert feed.preflight(changes) == {}
            assert feed.send(batch(*changes)).refused == {}
        ends.append(world.module_rows(MODULE))
    assert world.tasks.tasks == {}
    assert ends[0] == ends[1] != {}


def test_more_changes_than_the_limit_go_by_the_import(feed: AnaplanFeed, world: World) -> None:
    changes = [balance("4000", "1", month=month.name) for month in list(world.model.periods.values())[:4]]
    feed.preflight(changes)
    feed.send(batch(*changes))
    assert (len(world.history), len(debits(world))) == (1, 4)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (balance("9999", "2"), "Item not located in GL Accounts list: NO01|9999"),
        (balance("5000", "2", month="Nov 99"), "Time period not located: Nov 99"),
    ],
)
def test_a_cell_that_has_no_place_lets_the_import_judge(
    feed: AnaplanFeed, world: World, odd: Any, words: str
) -> None:
    outcome = feed.send(batch(ROWS[0], odd))
    assert list(outcome.refused) == [odd.row.key]
    assert words in outcome.refused[odd.row.key]
    assert "a cell was refused" in outcome.detail["small changes"]
    assert list(debits(world)) == [f"4000 100 {MONTH} Actual"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_write_whose_answer_is_lost_is_waited_for_and_then_imported(
    feed: AnaplanFeed, client: AnaplanClient, sandbox: Sandbox, world: World, when: str
) -> None:
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/data", when=when)
    assert feed.send(batch(*ROWS)).refused == {}
    assert sum(client.clock.slept) >= Pace().grace
    assert (len(world.history), len(debits(world))) == (1, 2)


@pytest.mark.parametrize("long_way", [IMPORT, PROCESS])
def test_what_a_stopped_write_may_have_left_is_found_by_all_columns(
    client: AnaplanClient, sandbox: Sandbox, long_way: Mapping[str, Any]
) -> None:
    """A process was not looked up yet, and may hold a list import for all that is known."""
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/data", status=423)
    with pytest.raises(errors.Stop, match="unlock") as stopped:
        actuals(client, **long_way, **SMALL).send(batch(ROWS[0]))
    assert stopped.value.partial == {ROWS[0].row.key: ROWS[0].row.payload}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"by": {"account": "GL Accounts"}}, "key is account, cost_centre, month, and `by` names account"),
        (
            {"by": BY | {"month": "Months"}},
            "no dimension Months. It has GL Accounts, Cost Centres, Time, Versions",
        ),
        ({"module": "BUD01 GL Budget"}, "has no line item debit"),
    ],
)
def test_dimensions_that_do_not_fit_are_explained(
    client: AnaplanClient, wrong: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(errors.Stop, match=words):
        actuals(client, **IMPORT, small_changes=SMALL["small_changes"] | wrong).preflight(ROWS)


def test_a_version_that_is_not_named_is_asked_for(client: AnaplanClient) -> None:
    with pytest.raises(errors.Stop, match="has the dimension 'Versions'"):
        actuals(client, parameters={}, **IMPORT, **SMALL).preflight(ROWS)
