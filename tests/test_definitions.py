"""What the UI shows before anything ran: assets, partitions, pools, checks, schedules and sensors by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from mlc_dagster.definitions import defs
from mlc_dagster.graph.partitions import company_day
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.visma.entities import ENTITIES
from tests.support.house import House, open_house, running_sandbox

DESTINATIONS = [
    "cost_centres",
    "dimensions",
    "gl_accounts",
    "gl_actuals",
    "purchase_order_lines",
    "purchase_orders",
    "segment_values",
    "supplier_invoice_lines",
    "supplier_invoices",
    "suppliers",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Definitions only need the settings: the sandbox is gone before the tests begin."""
    with running_sandbox() as sandbox, open_house(sandbox, tmp_path_factory.mktemp("house")) as house:
        return house


@pytest.fixture(scope="module")
def graph(house: House) -> AssetGraph:
    return house.definitions.resolve_asset_graph()


def keys(graph: AssetGraph, group: str) -> list[str]:
    selected = dg.AssetSelection.groups(group).resolve(graph)
    return sorted(key.to_user_string() for key in selected)


def test_every_definition_loads(house: House) -> None:
    dg.Definitions.validate_loadable(house.definitions)


def test_the_source_has_an_asset_for_each_entity(graph: AssetGraph) -> None:
    assert keys(graph, "visma") == sorted(f"visma/{entity}" for entity in ENTITIES)


def test_a_pair_has_rows_and_a_destination_for_each_model(graph: AssetGraph) -> None:
    wanted = [f"anaplan/{name}" for name in DESTINATIONS]
    assert keys(graph, "visma_anaplan") == sorted(
        [*wanted, *(f"anaplan/rows/{name}" for name in DESTINATIONS)]
    )


def test_lineage_leads_from_the_entities_over_the_rows_to_the_destination(
    graph: AssetGraph,
) -> None:
    def parents(asset: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(dg.AssetKey(asset.split("/"))).parent_keys}

    assert parents("anaplan/rows/supplier_invoices") == {"visma/supplier_invoices", "visma/suppliers"}
    assert parents("anaplan/supplier_invoices") == {"anaplan/rows/supplier_invoices", "anaplan/suppliers"}


def test_all_assets_share_company_and_day_and_a_range_is_one_run(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.partitions_def.partition_dimension_names == ["company", "modified_day"], key
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_partitions_begin_at_the_start_day_and_today_is_one(house: House) -> None:
    partitions = company_day(house.settings).get_partition_keys()
    assert str(partitions[0]) == f"NO01|{house.settings.start_day}"
    assert f"SE01|{house.today}" in {str(key) for key in partitions}


def test_calls_are_shared_out_by_pools(graph: AssetGraph) -> None:
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    assert pools["visma/suppliers"] == {"visma"}
    assert pools["anaplan/suppliers"] == {"anaplan"}
    assert pools["anaplan/rows/suppliers"] == set()


def test_a_destination_is_described_by_the_name_people_call_its_target(graph: AssetGraph) -> None:
    told = graph.get(dg.AssetKey(["anaplan", "suppliers"])).description
    assert told is not None
    assert told.endswith("As Anaplan holds it, according to the ledger.")


def test_every_asset_has_a_kind_a_description_and_a_freshness(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.kinds, key
        assert node.description, key
        assert node.freshness_policy, key


def test_the_contracts_tests_are_checks_and_blocking_where_a_delivery_must_not_start(
    graph: AssetGraph,
) -> None:
    checks = {
        (key.asset_key.to_user_string(), key.name): graph.get(key).blocking for key in graph.asset_check_keys
    }
    rows = "anaplan/rows/supplier_invoice_lines"
    assert {name for asset, name in checks if asset == rows} == {
        "types",
        "key_unique",
        "invoice_not_null",
        "company_not_null",
        "line_number_not_null",
        "account_in_gl_accounts_code",
        "amount_not_null",
        "lines_add_up",
    }
    for name in DESTINATIONS:
        assert (f"anaplan/{name}", "nothing_left_behind") in checks
    assert not any(checks.values()), "the shipped contracts refuse rows or warn; none stops a delivery"


def test_what_runs_by_itself(house: House) -> None:
    repository = house.definitions.get_repository_def()
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert set(schedules) == {"visma_anaplan", "reconcile_anaplan", "visma_keys"}
    unasked = {name for name, schedule in schedules.items() if schedule.default_status.value == "RUNNING"}
    assert unasked == {"reconcile_anaplan", "visma_keys"}, "an operator switches deliveries on"
    assert (schedules["visma_anaplan"].cron_schedule, schedules["visma_anaplan"].execution_timezone) == (
        "0 6 * * *",
        "Europe/Oslo",
    )
    resuming = {"anaplan_resume", "visma_resume", "visma_keys_resume", "replays"}
    assert set(sensors) == {"visma_anaplan_changes", "alerts", *resuming}
    running = {name for name, sensor in sensors.items() if sensor.default_status.value == "RUNNING"}
    assert running == {"alerts", *resuming}, "an operator switches the others on"


def test_the_guide_tells_of_each_schedule_and_sensor_whether_it_is_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    whole["retention"] = {"runs_days": 90}
    whole["receiver"] = {"url": "https://hooks.example.com", "visma": {"secret": "${VISMA_HOOKS}"}}
    whole["pairs"]["asana"]["destinations"]["supplier_invoices"]["way_back"] = {"comments": True}
    (tmp_path / "mlc.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    monkeypatch.setenv("MLC_CONFIG", str(tmp_path / "mlc.yaml"))
    repository = defs().get_repository_def()
    there = {
        each.name: each.default_status.value == "RUNNING"
        for each in [*repository.schedule_defs, *repository.sensor_defs]
    }
    guide = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    told = {
        name.replace("<pair>", pair): on == "yes"
        for names, on in re.findall(
            r"^\| (?:schedule|sensor)s? (`.+?) \|.*\| (yes|no) \|$", guide, re.MULTILINE
        )
        for name in re.findall("`(.+?)`", names)
        for pair in (whole["pairs"] if "<pair>" in name else [""])
    }
    del told["reconcile_cleo"]  # no partner shows what it holds
    assert told == there


def test_a_sensor_waits_for_no_vendor() -> None:
    settings = SuiteResource(settings_file=str(REPOSITORY / "mlc.yaml")).open_for_a_tick().settings
    vendors = {"visma": settings.visma, **settings.pairs.on()}
    assert {name: vendor.patience_seconds for name, vendor in vendors.items()} == dict.fromkeys(
        ["visma", "anaplan", "powerbi", "asana", "tableau", "cleo"], 0
    )


def test_columns_say_what_they_are_and_where_they_come_from(graph: AssetGraph) -> None:
    metadata = graph.get(dg.AssetKey(["anaplan", "rows", "supplier_invoices"])).metadata
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert (columns["amount"].type, columns["amount"].description) == (
        "decimal(28,4)",
        "The total, VAT included.",
    )
    lineage = metadata["dagster/column_lineage"].deps_by_column
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["supplier_name"]} >= {
        ("visma/suppliers", "name")
    }
    files = metadata["dagster/code_references"].code_references
    assert [Path(file.file_path).name for file in files] == ["supplier_invoices.sql", "supplier_invoices.yml"]
    sent = graph.get(dg.AssetKey(["anaplan", "supplier_invoices"])).metadata["dagster/column_lineage"]
    [source] = sent.deps_by_column["amount"]
    assert (source.asset_key.to_user_string(), source.column_name) == (
        "anaplan/rows/supplier_invoices",
        "amount",
    )


def test_no_secret_is_needed_or_shown_by_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLC_CONFIG", str(REPOSITORY / "mlc.yaml"))
    for name in ("VISMA_CLIENT_ID", "VISMA_CLIENT_SECRET", "ANAPLAN_USER", "ANAPLAN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert len(load_settings().companies) == 2
    dg.Definitions.validate_loadable(defs())
    assert list(SuiteResource.model_fields) == ["settings_file"]


def test_dagster_validates_the_definitions_from_the_repository_root() -> None:
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MLC_", "VISMA_"))}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=ours, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
