"""A data import without a list, which asks for a version at run time: GL actuals in cells of other lists."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Change, Op, Row
from mlc_dagster.settings.anaplan import AnaplanDestination
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.rows import batch, change

MONTH = f"Nov {datetime.now(UTC):%y}"
ZERO = dict.fromkeys(("debit", "credit", "amount", "balance"), 0)
COLUMNS = ("code", "account", "cost_centre", "month", *ZERO)
ACTUAL = {"Version": "Actual"}
WAYS: list[Mapping[str, Any]] = [{"data_import": "GL Actuals data"}, {"process": "GL Actuals load"}]


def actuals(client: AnaplanClient, **settings: Any) -> AnaplanFeed:
    destination = AnaplanDestination(**{"parameters": ACTUAL} | settings)
    return AnaplanFeed("anaplan/gl_actuals", client, destination, columns=COLUMNS, tombstone=ZERO)


def balance(account: str, debit: str, op: Op = Op.CREATE, **values: Any) -> Change:
    code = f"NO01|{account}|100|{MONTH}"
    amount = Decimal(debit)
    payload = {
        "code": code,
        "account": f"NO01|{account}",
        "cost_centre": "NO01|100",
        "month": MONTH,
        "debit": amount,
        "credit": Decimal(0),
        "amount": amount,
        "balance": amount,
    } | values
    row = Row(code, code, account, payload)
    return replace(change(account), op=op, row=row)


def fill(client: AnaplanClient, world: World, list_name: str, *codes: str) -> None:
    """Items that other feeds deliver."""
    by_list = world.model.named("lists", list_name)
    for code in codes:
        item = {"code": code} if by_list.numbered else {"code": code, "name": code}
        assert client.cells.add_items(by_list.id, [item]).refused == {}


@pytest.fixture(autouse=True)
def items(client: AnaplanClient, world: World, sandbox: Sandbox) -> None:
    fill(client, world, "GL Accounts", "NO01|4000", "NO01|5000")
    fill(client, world, "Cost Centres", "NO01|100")
    sandbox.log.reset()


@pytest.mark.parametrize("way", WAYS)
def test_cells_are_loaded_into_the_version_the_settings_name(
    client: AnaplanClient, world: World, way: Mapping[str, Any]
) -> None:
    feed, rows = actuals(client, **way), [balance("4000", "1234.56"), balance("5000", "-0.10")]
    assert feed.preflight(rows) == {}
    assert feed.send(batch(*rows)).refused == {}
    cells = world.module_rows(hub.ACTUALS.module_name)
    assert {name: values["debit"] for name, values in cells.items()} == {
        f"NO01|{account} / NO01|100 / {MONTH} / Actual": Decimal(debit)
        for account, debit in (("4000", "1234.56"), ("5000", "-0.10"))
    }


@pytest.mark.parametrize("way", WAYS)
def test_an_import_that_asks_and_gets_no_answer_names_the_setting(
    client: AnaplanClient, way: Mapping[str, Any]
) -> None:
    with pytest.raises(errors.Stop, match=r"Version.*`parameters` of the destination"):
        actuals(client, parameters={}, **way).send(batch(balance("4000", "1")))


def test_another_version_is_another_target(client: AnaplanClient) -> None:
    budget = actuals(client, data_import="GL Actuals data", parameters={"Version": "Budget"})
    assert budget.target != actuals(client, data_import="GL Actuals data").target


def test_a_refused_row_without_an_item_leaves_nothing_behind(client: AnaplanClient) -> None:
    feed = actuals(client, data_import="GL Actuals data")
    outcome = feed.send(batch(balance("4000", "1"), balance("9999", "2")))
    assert "Item not located in GL Accounts list" in outcome.refused[f"NO01|9999|100|{MONTH}"]
    assert outcome.partial == {}


def test_what_may_be_left_of_a_row_is_found_again_by_all_its_columns(
    client: AnaplanClient, sandbox: Sandbox, world: World
) -> None:
    feed, row = actuals(client, data_import="GL Actuals data"), balance("4000", "7")
    sandbox.faults.arm("anaplan", "dump_missing", times=None)
    with pytest.raises(errors.NotLanded) as failed:
        feed.send(batch(row, balance("9999", "2")))
    left = failed.value.partial[row.row.key]
    gone = replace(row, op=Op.DELETE, row=replace(row.row, payload={**left, **ZERO}))
    assert feed.send(batch(gone)).refused == {}
    assert next(iter(world.module_rows(hub.ACTUALS.module_name).values()))["debit"] == 0


def test_codes_that_are_no_items_may_be_long_but_not_alike(client: AnaplanClient) -> None:
    feed = actuals(client, data_import="GL Actuals data")
    assert feed.preflight([balance("4000", "1", code="x" * 80)]) == {}
    alike = [balance("4000", "1", code="a"), balance("5000", "1", code="A")]
    assert len(feed.preflight(alike)) == 2
