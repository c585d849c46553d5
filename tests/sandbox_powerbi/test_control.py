"""Looking into the tenant, its switches, and its state over a restart."""

from __future__ import annotations

import pickle
import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlc_sandbox import state
from mlc_sandbox.config import write_config
from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.powerbi import PowerBIVendor
from mlc_sandbox.powerbi.dax.calculate import MODIFIERS
from mlc_sandbox.powerbi.dax.compiler import SCALARS, TABLES
from mlc_sandbox.powerbi.http import FAULTS
from mlc_sandbox.powerbi.switches import DEFAULTS, Switches
from mlc_sandbox.server import build

from .conftest import ERP, Tenant, exact, order


def control(tenant: Tenant, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, f"{tenant.root}/control{path}", timeout=30, **options)


@pytest.fixture
def erp(tenant: Tenant) -> str:
    dataset = tenant.create()
    tenant.group(
        "POST", f"/datasets/{dataset}/tables/Orders/rows", data='{"rows":[{"order_key":1,"amount":0.10}]}'
    )
    return dataset


@pytest.mark.parametrize("by_name", [True, False])
def test_rows_and_history_of_a_table(tenant: Tenant, erp: str, by_name: bool) -> None:
    path = f"/datasets/{'ERP' if by_name else erp}/tables/Orders"
    (row,) = exact(control(tenant, "GET", f"{path}/rows"))
    assert (row["order_key"], row["amount"]) == (1, Decimal("0.1"))
    tenant.clear(erp, "Orders")
    events = control(tenant, "GET", f"{path}/history").json()
    assert [(event["operation"], event["rows"]) for event in events] == [("POST", 1), ("DELETE", 1)]


def test_it_tells_a_datasets_definition_and_the_rows_of_each_table(tenant: Tenant, erp: str) -> None:
    told = control(tenant, "GET", "/datasets/ERP").json()
    assert told == ERP | {"id": erp, "retention": "None"}
    counts = control(tenant, "GET", "/datasets").json()
    assert counts["workspace_id"] == tenant.world.workspace_id
    assert counts["datasets"][erp] == {"name": "ERP", "Orders": 1, "Customers": 0}


def test_queries_without_token_or_lag(tenant: Tenant, erp: str) -> None:
    body = {"query": 'EVALUATE ROW("t", SUM(Orders[amount]))'}
    assert exact(control(tenant, "POST", f"/datasets/{erp}/query", json=body)) == [{"[t]": Decimal("0.1")}]
    assert control(tenant, "POST", f"/datasets/{erp}/query", json={"query": "x"}).status_code == 400


@pytest.mark.parametrize("path", ["/datasets/nothing", "/datasets/ERP/tables/Nothing/rows"])
def test_what_is_not_there_is_404_and_says_what_there_is(tenant: Tenant, erp: str, path: str) -> None:
    reply = control(tenant, "GET", path)
    assert reply.status_code == 404
    assert "Orders" in reply.json()["error"] or "ERP" in reply.json()["error"]


class TestSwitches:
    def test_wrong_names_and_values_change_nothing(self) -> None:
        switches = Switches()
        for wrong in ({"nothing": 1}, {"create_status": 200}, {"limits": "off"}, {"post_rows": 1.5}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                switches.update({"posts_per_minute": 1, **wrong})
            assert dict(switches) == DEFAULTS

    def test_they_are_reached_over_the_control_api(self, tenant: Tenant) -> None:
        url = f"{tenant.sandbox.url}/control/switches/powerbi"
        assert requests.patch(url, json={"create_status": 202}, timeout=30).json()["create_status"] == 202
        assert tenant.switches["create_status"] == 202


def test_the_guide_names_every_switch_fault_and_function() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "sandbox-powerbi.md").read_text("utf-8")
    named = [*DEFAULTS, *FAULTS, *SCALARS, *TABLES, *MODIFIERS]
    assert [name for name in named if f"`{name}`" not in guide] == []


class TestState:
    def test_everything_survives_a_restart(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "late_post", answer=504)
        tenant.post(erp, "Orders", [order(2)])
        tenant.world.grant(tenant.world.workspace_id, "Admin", lag=False)
        tenant.switches["posts_per_minute"] = 2
        held = pickle.loads(pickle.dumps(tenant.sandbox.powerbi.dump()))
        clock = SandboxClock()
        clock.advanced = tenant.clock.advanced
        restarted = PowerBIVendor(clock, Faults(), seed=7)
        restarted.load(held)
        world = restarted.world
        assert world.rows(erp, "Orders") == tenant.world.rows(erp, "Orders")
        assert restarted.secrets() == tenant.sandbox.powerbi.secrets()
        assert world.role(world.workspace_id) == "Admin"
        assert world.login.check(f"Bearer {tenant.token}").client_id == world.principal.client_id
        assert restarted.switches["posts_per_minute"] == 2
        assert world.release() == 1
        assert len(world.rows(erp, "Orders")) == 2
        assert len(tenant.world.rows(erp, "Orders")) == 1, "a dump is a copy"

    def test_time_does_not_go_back_at_a_restart(self, tmp_path: Path) -> None:
        """Roles, tokens and windows are noted by it."""
        first, second = (build(seed=1, scale=0.02, companies=["NO01"]) for _ in range(2))
        first.clock.advance(timedelta(hours=5))
        first.powerbi.world.grant(first.powerbi.world.workspace_id, "Member", lag=False)
        before = first.clock.wire()
        state.save(first, tmp_path)
        state.load(second, tmp_path)
        assert second.clock.wire() >= before
        assert second.powerbi.world.role(second.powerbi.world.workspace_id) == "Member"

    def test_while_a_day_passes_late_calls_happen(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "late_post", answer=504)
        tenant.post(erp, "Orders", [order(2)])
        assert tenant.sandbox.powerbi.pass_day(random.Random(1)) == {"late": 1}
        assert len(tenant.world.rows(erp, "Orders")) == 2


def test_the_same_seed_gives_the_same_principal_and_workspace() -> None:
    one, same, other = (PowerBIVendor(SandboxClock(), Faults(), seed) for seed in (1, 1, 2))
    assert one.secrets() == same.secrets() != other.secrets()
    assert one.world.workspace_id == same.world.workspace_id


def test_the_sandbox_has_the_tenant_and_writes_its_credentials(tmp_path: Path) -> None:
    sandbox = build(seed=1, scale=0.02, companies=["NO01"])
    config, credentials = write_config(tmp_path, "http://127.0.0.1:1", sandbox.vendors.values())
    secrets = dict(line.split("=", 1) for line in credentials.read_text("utf-8").splitlines())
    assert secrets["POWERBI_CLIENT_ID"] == sandbox.powerbi.world.principal.client_id
    assert {"POWERBI_TENANT_ID", "POWERBI_CLIENT_SECRET"} <= set(secrets)
    assert secrets["POWERBI_CLIENT_SECRET"] not in config.read_text("utf-8")
    assert yaml.safe_load(config.read_text("utf-8"))
