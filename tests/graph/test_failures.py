"""What goes wrong says what happened, where, and who has to do what; retries only where they can help."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key, range_tags
from mlc_dagster.operations.sweeps import owed
from tests.support.house import House, failure, tries
from tests.support.planning import expected

SOURCE, MODEL = "visma/suppliers", "anaplan/suppliers"
MODULE = "DAT01 Suppliers"
# The kernel lets no file of this process grow beyond 4 kB while the lake is written: a full disk's OSError.
READ_ON_A_FULL_DISK = """
import resource, sys
import dagster as dg
from mlc_dagster.definitions import defs
from mlc_dagster.graph import source
from mlc_dagster.graph.partitions import RANGE_END, RANGE_START
from mlc_dagster.lake.storage import Storage
source.RETRY = None
replace, unlimited = Storage.replace, resource.RLIM_INFINITY
def replace_on_a_full_disk(self, *place_and_parts):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited))
    try:
        return replace(self, *place_and_parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
Storage.replace = replace_on_a_full_disk
with dg.DagsterInstance.ephemeral() as instance:
    result = defs().resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(["visma", "suppliers"])],
        tags={RANGE_START: sys.argv[1], RANGE_END: sys.argv[2]},
        raise_on_error=False,
    )
[failed] = [event for event in result.all_events if event.is_step_failure]
print(failed.step_failure_data.error.message)
"""


def everything(house: House) -> dict[str, str]:
    return range_tags("NO01", house.days[0], house.today)


def test_an_import_that_lacks_a_column_names_it_and_who_adds_it(house: House) -> None:
    assert house.read("suppliers").success
    model = house.sandbox.anaplan.world.model
    source = model.files[model.named("imports", "Suppliers data").source_id]
    source.headers = tuple(name for name in source.headers if name != "country")
    result = house.materialize(MODEL, tags=everything(house))
    message = failure(result, MODEL)
    assert "NO01: anaplan/suppliers: Import 'Suppliers data'" in message
    assert "the import lacks country. The model builder uploads a file" in message
    assert tries(result, MODEL) == 1
    assert house.modules()[MODULE] == {}


def test_the_wrong_tenant_is_explained(house: House) -> None:
    wrong = house.sandbox.visma.companies["NO01"].customer_tenant_id
    house.set("companies", "NO01", "tenant_id", value=wrong)
    result = house.read("suppliers")
    message = failure(result, SOURCE)
    assert "tenant_id must be the company tenant, not the customer (contract) tenant" in message
    assert tries(result, SOURCE) == 1
    assert house.suite().lake.days("suppliers", "NO01") == []


def test_a_secret_that_is_not_set_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISMA_CLIENT_SECRET")
    result = house.read("suppliers")
    assert "VISMA_CLIENT_SECRET is not set, neither in the environment of this process nor in" in failure(
        result, SOURCE
    )
    assert tries(result, SOURCE) == 1


def test_no_secret_shows_in_a_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISMA_CLIENT_SECRET", "hunter2-hunter2")
    result = house.read("suppliers")
    assert "Check visma.client_id and visma.client_secret" in failure(result, SOURCE)
    assert not any("hunter2" in str(event) for event in result.all_events)


def test_mistakes_in_the_settings_are_listed_with_their_lines(house: House) -> None:
    house.set("visma", "patience_seconds", value="long")
    house.set("timezone", value="Europe/Nowhere")
    result = house.read("suppliers")
    message = failure(result, SOURCE)
    assert "2 problems found:" in message
    assert "mlc.yaml:" in message
    assert "no such time zone" in message
    assert tries(result, SOURCE) == 1


def test_a_company_that_fails_keeps_no_other_from_its_work(house: House) -> None:
    wrong = house.sandbox.visma.companies["NO01"].customer_tenant_id
    house.set("companies", "NO01", "tenant_id", value=wrong)
    days = {RANGE_START: key("NO01", house.today), RANGE_END: key("SE01", house.today)}
    result = house.materialize(SOURCE, tags=days)
    message = failure(result, SOURCE)
    assert "NO01: visma GET /v1/supplier: status 401" in message
    assert "SE01" not in message
    assert house.partitions(SOURCE) == {key("SE01", house.today)}


def test_a_target_that_is_down_for_a_moment_costs_a_retry(house: House) -> None:
    assert house.read("suppliers").success
    # A start has five attempts of its own.
    house.sandbox.faults.arm("anaplan", "server_error", times=5, match=r"GET .*/imports/\d+/tasks")
    result = house.materialize(MODEL, tags=everything(house))
    assert result.success
    assert tries(result, MODEL) == 2
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def test_a_target_that_stays_down_is_red_and_loses_nothing(house: House) -> None:
    house.sandbox.faults.arm("anaplan", "server_error", times=None, match="/imports")
    result = house.materialize(SOURCE, "anaplan/rows/suppliers", MODEL, tags=everything(house))
    message = failure(result, MODEL)
    assert "anaplan/suppliers: not everything arrived (24 pending)." in message
    assert "What is left goes with the next try or the next run." in message
    house.sandbox.faults.clear()
    assert house.run(first=house.today).success
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def test_rows_the_target_refuses_are_shown_by_a_check_that_warns(house: House) -> None:
    house.sandbox.faults.arm(
        "anaplan", "reject_rows", match="Suppliers data", matching=r"NO01\|50001", text="Invalid item"
    )
    result = house.materialize(SOURCE, "anaplan/rows/suppliers", MODEL, tags=everything(house))
    assert result.success
    found = next(
        check for check in result.get_asset_check_evaluations() if check.check_name == "nothing_left_behind"
    )
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert found.description == "NO01 failed: 1"


def test_a_full_disk_leaves_the_partition_as_it_was_and_says_so(house: House) -> None:
    assert house.read("suppliers").success
    lake, [supplier, *_] = house.suite().lake, house.sandbox.visma.truth("NO01", "supplier")
    before = lake.fingerprint("suppliers", "NO01")
    house.sandbox.visma.change("NO01", "supplier", supplier["number"], {"name": "Renamed"})
    ends = (key("NO01", house.days[-2]), key("NO01", house.today))
    command = [sys.executable, "-c", READ_ON_A_FULL_DISK, *ends]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    folder = Path(house.settings.lake_url) / "suppliers" / "NO01"
    assert f"NO01: Writing suppliers of NO01, {house.days[-2]}, to {folder}" in done.stdout, done.stderr
    assert "failed: File too large." in done.stdout
    assert "Free space" in done.stdout
    assert lake.fingerprint("suppliers", "NO01") == before
    assert house.run(first=house.days[-2]).success
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def test_many_missing_records_are_believed_only_when_an_operator_says_so(house: House) -> None:
    def ask(**config: bool) -> dict[str, object]:
        """The launchpad's configuration of one read."""
        return {"ops": {"visma__suppliers": {"config": config}}}

    assert house.read("suppliers").success
    house.sandbox.faults.arm("visma", "empty_list", times=None, match="/supplier")
    result = house.read("suppliers", **ask(whole=True))
    assert "Nothing was deleted or written." in failure(result, SOURCE)
    assert owed(house.suite(), "NO01") == {}
    assert house.read("suppliers", **ask(whole=True, allow_deletes=True)).success
    suppliers = house.sandbox.visma.truth("NO01", "supplier")
    assert owed(house.suite(), "NO01") == {"suppliers": len(suppliers)}, "the key sweep believes as many"
