"""Balances as delivery would make them: cells by account, cost centre, month and version."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery.rows import Change, Op, Row
from mlc_dagster.settings.anaplan import AnaplanDestination
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import World
from tests.anaplan.rows import change

NAME, MODULE, VIEW = "anaplan/gl_actuals", hub.ACTUALS.module_name, f"{hub.ACTUALS.module_name}.Filled"
MONTH, EARLIER = f"Nov {datetime.now(UTC):%y}", f"Oct {datetime.now(UTC):%y}"
ZERO = dict.fromkeys(hub.ACTUALS.numbers, 0)
KEY = tuple(hub.ACTUALS.by)
KINDS = {**dict.fromkeys(KEY, "text"), **dict.fromkeys(ZERO, "decimal")}
ACTUAL = {"Version": "Actual"}
IMPORT: Mapping[str, Any] = {"data_import": "GL Actuals data"}
PROCESS: Mapping[str, Any] = {"process": "GL Actuals load"}


def actuals(client: AnaplanClient, pace: Pace | None = None, **settings: Any) -> AnaplanFeed:
    destination = AnaplanDestination(**{"parameters": ACTUAL} | settings)
    return AnaplanFeed(NAME, client, destination, columns=tuple(KINDS), key=KEY, tombstone=ZERO, pace=pace)


def balance(account: str, debit: str, op: Op = Op.CREATE, **values: Any) -> Change:
    amount = Decimal(debit)
    payload = {
        "account": f"NO01|{account}",
        "cost_centre": "NO01|100",
        "month": MONTH,
        "debit": amount,
        "credit": Decimal(0),
        "amount": amount,
        "balance": amount,
    } | values
    code = "|".join(str(payload[name]) for name in KEY)
    return replace(change(account), op=op, row=Row(code, code, account, payload))


def fill(client: AnaplanClient, world: World, list_name: str, *codes: str) -> None:
    """Items that other feeds deliver."""
    by_list = world.model.named("lists", list_name)
    for code in codes:
        item = {"code": code} if by_list.numbered else {"code": code, "name": code}
        assert client.cells.add_items(by_list.id, [item]).refused == {}


def fill_dimensions(client: AnaplanClient, world: World) -> None:
    """Two accounts and two cost centres."""
    fill(client, world, "GL Accounts", "NO01|4000", "NO01|5000")
    fill(client, world, "Cost Centres", "NO01|100", "NO01|200")


def debits(world: World) -> dict[str, Any]:
    """What the module holds, by `account cost-centre month version` without company."""
    return {
        place.replace("NO01|", "").replace(" / ", " "): values["debit"]
        for place, values in world.module_rows(MODULE).items()
    }
