"""One more company or pair is a change of mlc.yaml: no code, nothing built again, the others go on."""

from dataclasses import replace

import dagster as dg
import pytest
import yaml

from mlc_dagster.definitions import defs
from mlc_dagster.graph.automation import polling_sensor, run_request
from mlc_dagster.graph.partitions import RANGE_START, key, range_tags, split
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG
from mlc_dagster.settings import load_settings
from mlc_sandbox.config import write_config
from tests.graph.conftest import MakeHouse
from tests.support.house import House


@pytest.fixture
def alone(make_house: MakeHouse) -> House:
    """An installation with one of the ERP's two companies, up to date."""
    house = make_house(destinations=["suppliers"])
    companies = yaml.safe_load(house.settings.file.read_text())["companies"]
    house.set("companies", value={"NO01": companies["NO01"]})
    house = reloaded(house)
    assert house.run("NO01").success
    house.set("companies", value=companies)
    return house


def reloaded(house: House) -> House:
    """The code location as it is after a reload."""
    return replace(house, settings=load_settings(house.settings.file), definitions=defs())


def items(house: House, company: str) -> int:
    """The rows of a company in the model."""
    return sum(code.startswith(f"{company}|") for code in house.modules()["DAT01 Suppliers"])


def partitions(house: House) -> set[str]:
    asset = house.definitions.resolve_asset_graph().get(dg.AssetKey(["anaplan", "suppliers"]))
    assert asset.partitions_def is not None
    return set(asset.partitions_def.get_partition_keys(current_time=house.clock.now()))


def tick(house: House, definitions: dg.Definitions) -> dg.SensorResult | dg.SkipReason:
    """One tick of the polling sensor, in a code location that has loaded these definitions."""
    sensor = polling_sensor("anaplan", house.settings.pairs.on()["anaplan"])
    suite = SuiteResource(settings_file=str(house.settings.file))
    with dg.build_sensor_context(
        instance=house.instance,
        resources={"suite": suite},
        repository_def=definitions.get_repository_def(),
    ) as context:
        return sensor(context)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["visma_anaplan", "reconcile_anaplan"])
def test_until_the_reload_a_schedule_leaves_it_out_so_that_all_others_get_their_runs(
    alone: House, name: str
) -> None:
    """Dagster does not create a run of a partition it does not know, nor those asked for after it."""
    before = yaml.safe_load(alone.settings.file.read_text())["companies"]
    alone.set("companies", value={"SE01": before["SE01"], "NO01": before["NO01"]})
    context = dg.build_schedule_context(
        instance=alone.instance,
        scheduled_execution_time=alone.clock.now(),
        resources={"suite": SuiteResource(settings_file=str(alone.settings.file))},
        repository_def=alone.definitions.get_repository_def(),
    )
    asked = alone.definitions.resolve_schedule_def(name).evaluate_tick(context).run_requests or []
    assert [split(request.tags[RANGE_START])[0] for request in asked] == ["NO01"]


def test_until_the_reload_the_sensor_says_what_to_do(alone: House) -> None:
    found = tick(alone, alone.definitions)
    assert isinstance(found, dg.SkipReason)
    assert "SE01 is new in mlc.yaml: reload the code location" in str(found.skip_message)


def test_the_next_tick_after_the_reload_starts_the_new_companys_first_run(alone: House) -> None:
    result = tick(alone, reloaded(alone).definitions)
    assert isinstance(result, dg.SensorResult)
    [request] = result.run_requests or []
    assert request.tags[COMPANY_TAG] == "SE01"
    history = range_tags("SE01", alone.settings.start_day, alone.today)
    assert request.tags.items() >= history.items(), "from the first day, which holds everything older"


def test_its_first_run_loads_the_whole_history_and_the_other_company_stays_as_it_is(alone: House) -> None:
    assert partitions(alone).isdisjoint({key("SE01", alone.today)})
    house, before = reloaded(alone), items(alone, "NO01")
    assert {key("SE01", day) for day in house.days} <= partitions(house)
    assert (
        run_request(house.suite(), "anaplan", "NO01").tags.items()
        >= range_tags("NO01", house.days[-2], house.today).items()
    ), "no history again"
    assert house.run("SE01").success
    assert items(house, "SE01") == len(house.sandbox.visma.truth("SE01", "supplier")) > 0
    assert items(house, "NO01") == before


def test_a_pair_that_is_switched_on_has_its_assets_schedule_and_sensors_after_a_reload(
    alone: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, _ = write_config(tmp_path_factory.mktemp("all"), alone.sandbox.url, alone.sandbox.vendors.values())
    alone.set("pairs", "tableau", value=yaml.safe_load(file.read_text())["pairs"]["tableau"])
    repository = reloaded(alone).definitions.get_repository_def()
    assert dg.AssetKey(["tableau", "suppliers"]) in repository.assets_defs_by_key
    assert {"visma_anaplan", "visma_tableau"} <= {each.name for each in repository.schedule_defs}
    assert {"visma_anaplan_changes", "visma_tableau_changes"} <= {
        each.name for each in repository.sensor_defs
    }
