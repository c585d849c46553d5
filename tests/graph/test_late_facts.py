"""What an ERP does late or silently, at Anaplan; the other targets: tests/operations/test_late_facts.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from mlc_dagster.delivery import Kind
from mlc_dagster.graph.keysweep import visma_keys_resume
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.server import Sandbox
from tests.support.house import QUIET, House, open_house, running_sandbox
from tests.support.late import NEW_SUPPLIER, Happened, happen
from tests.support.planning import Hub, expected

SUPPLIERS, INVOICES = "DAT01 Suppliers", "DAT01 Supplier Invoices"
DESTINATIONS = ["suppliers", "supplier_invoices"]


@dataclass
class Facts:
    """What happened in the ERP, and what Anaplan held before."""

    house: House
    before: Hub
    happened: Happened


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Its own: what happens here would disturb others."""
    with running_sandbox(companies=("NO01",)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def facts(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """One house: it is loaded, the ERP does it all, the keys are swept, and one day is run."""
    with open_house(sandbox, tmp_path_factory.mktemp("late"), destinations=DESTINATIONS) as house:
        assert house.run().success
        before = house.modules()
        facts = Facts(house, before, happen(sandbox))
        assert sweep(house).success
        assert house.run(first=house.today).success
        yield facts


def sweep(house: House, **config: Any) -> dg.ExecuteInProcessResult:
    """The job as its schedule starts it."""
    config = {"company": "NO01", **config}
    return house.definitions.resolve_job_def("visma_keys").execute_in_process(
        instance=house.instance,
        run_config={**QUIET, "ops": {"compare_keys": {"config": config}}},
        raise_on_error=False,
    )


def test_anaplan_equals_the_erp_whatever_happened_there(facts: Facts) -> None:
    wanted, found = expected(facts.house.sandbox, ["NO01"], facts.before), facts.house.modules()
    for module in (SUPPLIERS, INVOICES):
        assert found[module] == wanted[module], module


def test_of_a_renumbered_supplier_only_the_new_number_lives(facts: Facts) -> None:
    suppliers = facts.house.modules()[SUPPLIERS]
    assert suppliers[f"NO01|{facts.happened.renumbered}"]["status"] == "Deleted"
    assert suppliers[f"NO01|{NEW_SUPPLIER}"]["status"] != "Deleted"


@pytest.mark.parametrize("which", ["old", "new"])
def test_the_audit_trail_tells_both_numbers(facts: Facts, which: str) -> None:
    number = facts.happened.renumbered if which == "old" else NEW_SUPPLIER
    [event] = [e for e in facts.house.suite().audit.history(number) if e.kind is Kind.RENUMBERED]
    assert (event.detail["from"], event.detail["to"]) == (facts.happened.renumbered, NEW_SUPPLIER)


def test_a_supplier_taken_into_another_is_told_as_gone(facts: Facts) -> None:
    kinds = [event.kind for event in facts.house.suite().audit.history(facts.happened.merged)]
    assert Kind.VANISHED in kinds
    assert Kind.DELETED in kinds
    assert Kind.RENUMBERED not in kinds


def test_a_second_sweep_finds_nothing_and_changes_nothing(facts: Facts) -> None:
    house = facts.house
    modules, imports = house.modules(), house.imports()
    result = sweep(house)
    assert result.success
    told = result.get_step_success_events()
    assert told
    assert house.run(first=house.today).success
    assert (house.modules(), house.imports()) == (modules, imports)


def test_when_all_are_gone_a_person_is_asked_and_told_how_to_confirm(facts: Facts) -> None:
    house = facts.house
    vendor = house.sandbox.visma
    keys = [record.key for record in vendor.table("NO01", "supplierInvoice")]
    for key in keys:
        vendor.delete("NO01", "supplierInvoice", key)
    asked = sweep(house, entities=["supplier_invoices"])
    assert not asked.success
    [failed] = [event for event in asked.all_events if event.is_step_failure]
    message = str(failed.step_failure_data.error)
    assert f"mlc sweep --company NO01 --entity supplier_invoices --confirm {len(keys)}" in message
    held = house.suite().lake.latest("supplier_invoices", "NO01", keys)
    assert held is not None
    assert not any(held.column("_deleted").to_pylist())
    assert sweep(house, entities=["supplier_invoices"], confirmed={"supplier_invoices": len(keys)}).success
    held = house.suite().lake.latest("supplier_invoices", "NO01", keys)
    assert held is not None
    assert all(held.column("_deleted").to_pylist())


def test_a_sweep_uses_no_more_than_its_share_of_the_hour_and_goes_on_in_the_next(facts: Facts) -> None:
    house = facts.house
    limits, switches = house.sandbox.visma.limits, house.sandbox.visma.switches
    house.set("visma", "key_sweep", value={"percent_of_calls": 5})
    house.set("visma", "patience_seconds", value=0)
    [gone, *_] = [record.key for record in house.sandbox.visma.table("NO01", "supplier")]
    house.sandbox.visma.delete("NO01", "supplier", gone)
    before = dict(switches)
    switches["rate_limit"], switches["page_cap"] = 100, 3
    client = house.suite().visma("NO01")
    client.page(ENTITIES["branches"])  # The ERP tells its limit with any answer.
    assert client.http.budget.left() is not None
    house.clock.sleep(3700)
    suite = SuiteResource(settings_file=str(house.settings.file))
    try:
        result, rounds = sweep(house), 0
        while house.suite().deferrals.waiting("visma_keys"):
            assert result.success
            [window] = limits.windows.values()
            assert window.used <= 5
            house.clock.sleep(3700)
            with dg.build_sensor_context(instance=house.instance, resources={"suite": suite}) as context:
                tick = visma_keys_resume(context)
            assert isinstance(tick, dg.SensorResult)
            [request] = tick.run_requests or []
            [item] = house.suite().deferrals.due("visma_keys")
            house.suite().deferrals.taken(item)
            result = house.definitions.resolve_job_def("visma_keys").execute_in_process(
                instance=house.instance, run_config={**QUIET, **request.run_config}
            )
            rounds += 1
            assert rounds < 20
    finally:
        for name, value in before.items():
            switches[name] = value
    assert rounds > 1
    latest = house.suite().lake.latest("suppliers", "NO01", [gone])
    assert latest is not None
    assert latest.column("_deleted").to_pylist() == [True]
