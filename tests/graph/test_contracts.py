"""A contract's tests stand between the rows and the destination; an edited model takes effect at once."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from mlc_dagster import flow
from mlc_dagster.settings import REPOSITORY
from tests.graph.conftest import MakeHouse
from tests.support.house import House, failure, tries
from tests.support.planning import expected

MODULE = "DAT01 Suppliers"
MODEL = "anaplan/suppliers"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the shipped models that a test may edit."""
    return Path(shutil.copytree(REPOSITORY / "dbt_like_mappings", tmp_path / "models"))


@pytest.fixture
def house(make_house: MakeHouse, models: Path) -> House:
    return make_house(destinations=["suppliers"], mappings=str(models))


def sql_test(name: str, query: str, **options: Any) -> dict[str, Any]:
    return {"sql": {"name": name, "query": query, **options}}


def edit_contract(models: Path, tests: list[dict[str, Any]]) -> None:
    file = models / "anaplan" / "suppliers.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "tests": tests}, sort_keys=False))


NO_FOREIGNERS = sql_test("no_foreigners", "select code from {{ rows }} where country <> 'NO'")


@pytest.fixture
def strict_house(make_house: MakeHouse, models: Path) -> House:
    """A test that fails and blocks is part of the contract when the code is loaded."""
    edit_contract(models, [NO_FOREIGNERS])
    return make_house(destinations=["suppliers"], mappings=str(models))


def all_of_it(house: House) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": f"NO01|{house.days[0]}",
        "dagster/asset_partition_range_end": f"NO01|{house.today}",
    }


def evaluation(result: dg.ExecuteInProcessResult, check: str) -> dg.AssetCheckEvaluation:
    return next(found for found in result.get_asset_check_evaluations() if found.check_name == check)


def test_a_failing_blocking_test_stops_the_delivery_and_says_which_rows(strict_house: House) -> None:
    house = strict_house
    result = house.materialize("visma/suppliers", "anaplan/rows/suppliers", MODEL, tags=all_of_it(house))
    assert not result.success
    found = evaluation(result, "no_foreigners")
    assert not found.passed
    assert found.blocking
    assert found.metadata["failing_rows"].value > 0
    assert "NO01: " in str(found.description)
    assert "rows fail no_foreigners, such as NO01|" in str(found.description)
    assert house.sandbox.log.count("anaplan") == 0
    assert house.partitions("anaplan/rows/suppliers") != set(), "the rows are there to be looked at"


def test_it_stops_a_delivery_that_is_started_alone_and_nobody_tries_again(strict_house: House) -> None:
    house = strict_house
    assert house.read("suppliers").success
    result = house.materialize(MODEL, tags=all_of_it(house))
    message = failure(result, MODEL)
    assert "nothing was sent, because a blocking test fails. no_foreigners:" in message
    assert "Correct the records in the ERP or the model, then run again." in message
    assert tries(result, MODEL) == 1


def test_it_stops_every_other_way_to_send(strict_house: House) -> None:
    house = strict_house
    assert house.read("suppliers").success
    with pytest.raises(flow.ContractBroken, match="no_foreigners"):
        flow.send(house.suite(), MODEL, "NO01", house.days, run_id="by hand")
    assert house.sandbox.log.count("anaplan") == 0


def test_a_failing_test_that_only_warns_stops_nothing(house: House, models: Path) -> None:
    assert house.read("suppliers").success
    edit_contract(models, [sql_test("named", "select code from {{ rows }}", severity="warn")])
    assert house.run().success
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def test_after_the_model_is_corrected_everything_held_back_is_sent(strict_house: House, models: Path) -> None:
    house = strict_house
    assert not house.run().success
    edit_contract(models, [])
    assert house.run(first=house.today).success
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def test_an_edited_model_reaches_every_row_with_the_next_run_of_any_day(house: House, models: Path) -> None:
    assert house.run().success
    file = models / "anaplan" / "suppliers.sql"
    file.write_text(file.read_text().replace("supplier.name,", "upper(supplier.name) as name,"))
    assert house.run(first=house.today).success
    wanted = expected(house.sandbox, ["NO01"])[MODULE]
    assert {code: row["name"] for code, row in house.modules()[MODULE].items()} == {
        code: row["name"].upper() for code, row in wanted.items()
    }


def test_an_edited_contract_that_lost_a_test_says_so_until_the_code_is_loaded_again(
    strict_house: House, models: Path
) -> None:
    house = strict_house
    edit_contract(models, [])
    result = house.materialize("visma/suppliers", "anaplan/rows/suppliers", tags=all_of_it(house))
    assert result.success
    assert "no longer has this test" in str(evaluation(result, "no_foreigners").description)


def test_a_model_edited_into_a_mistake_fails_with_file_and_line_and_without_retries(
    house: House, models: Path
) -> None:
    assert house.read("suppliers").success
    file = models / "anaplan" / "suppliers.sql"
    file.write_text(file.read_text().replace("supplier.status,", "supplier.state,"))
    result = house.materialize("anaplan/rows/suppliers", tags=all_of_it(house))
    message = failure(result, "anaplan/rows/suppliers")
    assert "anaplan/suppliers.sql:7" in message
    assert "state" in message
    assert tries(result, "anaplan/rows/suppliers") == 1
