"""`mlc resend` at Cleo: what nobody has answered goes again at once, and nothing that a partner has."""

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_dagster.graph.run import run_pair
from tests.cleo.tenant import ORDERS
from tests.support.house import House, open_house, running_sandbox

COMPANY = "NO01"


def test_what_was_lost_behind_the_mailbox_is_filed_again_when_an_operator_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(companies=(COMPANY,), scale=0.05) as sandbox:
        section, world = sandbox.cleo.config_section(sandbox.url), sandbox.cleo.world
        with open_house(sandbox, tmp_path, pairs=section, destinations=["purchase_orders"]) as house:
            monkeypatch.setattr("mlc_dagster.cli.resend.Suite", lambda _: house.suite())
            sandbox.faults.arm("cleo", "flow_fails", times=1)
            run(house)
            assert world.received()["documents"]["850"] == []
            sandbox.clock.advance(timedelta(hours=25))
            told = resend()
            assert "to file again at once: 850_nordedi_NO01_000000001_" in told
            assert f"{ORDERS} {COMPANY}: filed 850_nordedi_NO01_000000001_" in told
            orders = len(world.received()["documents"]["850"])
            house.suite().cleo.inbox_for({}, None).receive("a look into the mailbox")
            run(house)
            sandbox.clock.advance(timedelta(hours=25))
            assert "filed" not in resend(), "every order was acknowledged"
            assert len(world.received()["documents"]["850"]) == orders > 0
            assert world.received()["refused"] == []


def run(house: House) -> None:
    days = {"first": house.days[0], "last": house.today}
    assert run_pair(house.definitions, house.instance, pair="cleo", company=COMPANY, **days).success


def resend() -> str:
    told = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["resend", ORDERS, "--yes"])
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())
