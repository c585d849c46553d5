"""`mlc sweep` and `mlc plan --reading`: what an operator sees before, when it asks, and after."""

import re
import shutil
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from typer.testing import CliRunner, Result

from mlc_dagster import flow
from mlc_dagster.cli.main import app
from mlc_dagster.delivery import Kind
from mlc_dagster.operations.sweeps import NoSuchSweep, owed
from mlc_dagster.settings import UnknownCompany
from mlc_dagster.visma.entities import ENTITIES
from tests.support.house import House, open_house, running_sandbox

DESTINATIONS = ["suppliers", "dimensions"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        running_sandbox(companies=("NO01",)) as sandbox,
        open_house(sandbox, tmp_path_factory.mktemp("sweep"), destinations=DESTINATIONS) as house,
        # The commands live in the house's time: of the real one, another day may have begun.
        patch("mlc_dagster.cli.backlog.Suite", lambda _: house.suite()),
        patch("mlc_dagster.cli.sweep.Suite", lambda _: house.suite()),
    ):
        assert "suppliers" in mlc("plan", "--reading").output
        assert house.run("NO01").success
        yield house


def mlc(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def columns(result: Result, entity: str) -> list[str]:
    """The cells of an entity's line."""
    [line] = [line for line in result.output.splitlines() if f"  {entity}  " in line]
    return re.split("  +", line.strip())


def test_what_is_wholly_read_needs_no_reading(house: House) -> None:
    assert "Every day has been read" in mlc("plan", "--reading").output


def test_a_company_that_there_is_not_is_told(house: House) -> None:
    assert isinstance(mlc("plan", "--reading", "--company", "DK01").exception, UnknownCompany)


def test_the_plan_of_a_sweep_makes_no_call(house: House) -> None:
    house.sandbox.log.reset()
    records = len(house.sandbox.visma.truth("NO01", "supplier"))
    assert columns(mlc("sweep", "--plan"), "suppliers") == [
        "NO01",
        "suppliers",
        str(records),
        "1",
        "0",
        "never",
    ]
    assert house.sandbox.log.count("visma") == 0


@pytest.mark.parametrize("options", [[], ["--plan"]])
def test_what_the_lake_holds_nothing_of_has_no_keys_to_compare(house: House, options: list[str]) -> None:
    told = mlc("sweep", "--entity", "purchase_orders", *options)
    assert told.exit_code == 0
    assert told.output.startswith("The lake holds nothing of it yet")


@pytest.mark.parametrize("wrong", [["--company", "DK01"], ["--entity", "dimensions"], ["--confirm", "3"]])
def test_what_cannot_be_swept_is_told_before_any_call(house: House, wrong: list[str]) -> None:
    house.sandbox.log.reset()
    assert isinstance(mlc("sweep", *wrong).exception, NoSuchSweep | UnknownCompany)
    assert house.sandbox.log.count("visma") == 0


def test_what_the_erp_deleted_before_a_lost_lake_was_read_again_leaves_the_target_too(house: House) -> None:
    name, suite = "anaplan/suppliers", house.suite()
    gone = min(record.key for record in house.sandbox.visma.table("NO01", "supplier"))
    house.sandbox.visma.delete("NO01", "supplier", gone)
    shutil.rmtree(suite.lake.storage.root)
    flow.read(suite, ENTITIES["suppliers"], "NO01", house.days, run_id="again")
    flow.send(suite, name, "NO01", house.days, run_id="again")
    assert gone in suite.ledger.source_keys(name, "NO01"), "nobody knows that it went"
    told = mlc("sweep")
    assert (told.exit_code, columns(told, "suppliers")[4]) == (0, "1"), told.output
    flow.send(suite, name, "NO01", [house.today], run_id="next")
    assert gone not in suite.ledger.source_keys(name, "NO01")
    assert {event.kind for event in suite.audit.history(gone)} >= {Kind.VANISHED, Kind.DELETED}


def test_of_a_list_that_is_always_read_whole_the_next_run_finds_it_without_a_sweep(house: House) -> None:
    name, suite = "anaplan/dimensions", house.suite()
    house.sandbox.visma.delete("NO01", "dimension", "PROJECT")
    shutil.rmtree(suite.lake.storage.root)
    flow.read(suite, ENTITIES["dimensions"], "NO01", house.days, run_id="again")
    assert flow.send(suite, name, "NO01", house.days, run_id="again").deleted == 1
    assert "PROJECT" not in suite.ledger.source_keys(name, "NO01")
    flow.read(suite, ENTITIES["suppliers"], "NO01", house.days, run_id="again")


@pytest.mark.parametrize(("entity", "api"), [("suppliers", "supplier"), ("dimensions", "dimension")])
def test_a_record_that_never_parsed_leaves_the_quarantine_once_the_erp_has_deleted_it(
    house: House, entity: str, api: str
) -> None:
    suite, table = house.suite(), house.sandbox.visma.table("NO01", api)
    number = ENTITIES[entity].number
    broken = {**table.row(next(iter(table))), number: "77777", "paymentLeadTime": "abc", "length": "abc"}
    table.add("77777", None, house.clock.now(), row=broken)
    flow.read(suite, ENTITIES[entity], "NO01", house.days, run_id="read")
    assert [entry.number for entry in suite.quarantine.open(f"visma/{entity}")] == ["77777"]
    table.delete("77777")
    if entity == "suppliers":
        assert mlc("sweep").exit_code == 0
    else:
        flow.read(suite, ENTITIES[entity], "NO01", [house.today], run_id="read")
    assert suite.quarantine.open(f"visma/{entity}") == []


def test_many_that_are_gone_are_asked_about_and_then_believed(house: House) -> None:
    keys = [record.key for record in house.sandbox.visma.table("NO01", "supplier")]
    for key in keys:
        house.sandbox.visma.delete("NO01", "supplier", key)
    asked = mlc("sweep")
    assert asked.exit_code == 1
    assert f"mlc sweep --company NO01 --entity suppliers --confirm {len(keys)}" in asked.output
    told = mlc("sweep", "--company", "NO01", "--entity", "suppliers", "--confirm", str(len(keys)))
    assert told.exit_code == 0, told.output
    assert columns(told, "suppliers")[2:5] == [str(len(keys)), "0", str(len(keys))]
    assert "The next run of each pair carries this" in told.output
    assert owed(house.suite(), "NO01") == {}


def test_a_closed_window_leaves_the_rest_to_the_daemon(house: House) -> None:
    house.set("visma", "patience_seconds", value=0)
    house.sandbox.faults.arm("visma", "rate_limit_lockout", match="supplier", retry_after=1800)
    result = mlc("sweep")
    assert (result.exit_code, "go on by themselves" in result.output) == (1, True)
    assert owed(house.suite(), "NO01") == {"suppliers": 0}
    assert len(house.suite().deferrals.waiting("visma_keys")) == 1
