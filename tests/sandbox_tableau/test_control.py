"""Looking in, keeping the state over a restart, a day, switches, and leaving nothing behind."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import requests

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, build, serving
from mlc_sandbox.tableau import TableauVendor
from mlc_sandbox.tableau.switches import CHOICES, DEFAULTS

from .conftest import Pen, Tenant, action, invoice


def alone() -> Sandbox:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    return Sandbox([TableauVendor(clock, faults)], clock, faults, log, seed=1)


def test_the_state_survives_a_restart(tenant: Tenant, pen: Pen) -> None:
    source = tenant.published(invoice(1, "1.10"))
    upload = tenant.server.fileuploads.initiate()
    tenant.switches["job_seconds"] = 60
    tenant.update(source, [action("upsert")], [invoice(2, "2.20")], "key")
    tenant.faults.arm("tableau", "late_call", match="PATCH", seconds=120)
    with pytest.raises(requests.ConnectionError):
        tenant.update(source, [action("upsert")], [invoice(3, "3.30")], "late")
    saved = pickle.dumps(tenant.sandbox.tableau.dump())

    restarted = alone()
    restarted.tableau.load(pickle.loads(saved))
    with serving(restarted):
        again = Tenant(restarted, pen)
        assert again.server.datasources.get_by_id(source.id).name == "Invoices"
        assert upload in again.world.site().uploads
        assert again.rows("Invoices", "amount") == [("1.10",)]
        first = again.update(source, [action("upsert")], [invoice(2, "9.90")], "key")
        assert first.id in tenant.world.site().jobs
        again.pass_time(seconds=200)
        again.server.projects.get()
        again.pass_time(seconds=61)
        assert again.rows("Invoices", "amount") == [("1.10",), ("2.20",), ("3.30",)]


def test_a_session_survives_a_restart(tenant: Tenant) -> None:
    restarted = alone()
    restarted.tableau.load(tenant.sandbox.tableau.dump())
    with serving(restarted):
        url = f"{restarted.url}/tableau/api/3.29/sites/{tenant.server.site_id}/projects"
        headers = {"X-Tableau-Auth": tenant.server.auth_token}
        assert requests.get(url, headers=headers, timeout=30).status_code == 200


def test_a_day_runs_the_scheduled_refreshes_and_ends_old_uploads(tenant: Tenant) -> None:
    tenant.server.fileuploads.initiate()
    tenant.switches["job_seconds"] = 3600
    source = tenant.published(invoice(1))
    tenant.update(source, [action("insert")], [invoice(2)])
    tenant.pass_time(hours=25)
    happened = tenant.sandbox.pass_day()["tableau"]
    assert happened["scheduled"] == 1
    assert happened["uploads_expired"] == 1
    [refresh] = [job for job in tenant.control("GET", "/jobs") if job["kind"] == "RefreshExtract"]
    assert (refresh["title"], refresh["code"]) == ("Exchange rates", 0)
    assert len(tenant.rows()) == 2


def test_the_history_of_a_data_source_names_jobs_and_keys(tenant: Tenant) -> None:
    source = tenant.published(invoice(1))
    for _ in range(2):
        tenant.update(source, [action("insert")], [invoice(2)], "batch 7")
    tenant.end(tenant.server.datasources.refresh(source))
    history = tenant.control("GET", f"/datasources/{source.id}/history")
    assert [(event["what"], event["note"][:7]) for event in history] == [
        ("create", ""),
        ("update requested", "batch 7"),
        ("UpdateUploadedFile succeeded", ""),
        ("update repeated", ""),
        ("RefreshExtract failed", "The ext"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/datasources/Nothing/rows", 404),
        ("GET", "/datasources/Exchange rates/rows", 404),
        ("GET", "/datasources/Invoices/rows?table=Nothing", 400),
        ("PATCH", "/tokens/nobody", 404),
        ("PATCH", "/users/nobody", 404),
    ],
)
def test_mistakes_are_answered_with_their_reason(tenant: Tenant, method: str, path: str, status: int) -> None:
    tenant.published(invoice(1))
    reply = requests.request(method, f"{tenant.root}/control{path}", json={}, timeout=30)
    assert (reply.status_code, "error" in reply.json()) == (status, True)


def test_switches_take_known_names_and_fitting_values_only(tenant: Tenant) -> None:
    for values in ({"nothing": 1}, {"job_polls": "2"}, {"download_as": "zip"}):
        with pytest.raises(ValueError, match="switch"):
            tenant.switches.update(values)
    assert dict(tenant.switches) == DEFAULTS
    assert set(CHOICES) <= set(DEFAULTS)


def test_the_guide_names_every_switch_and_every_fault() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "sandbox-tableau.md").read_text("utf-8")
    names = [*DEFAULTS, *TableauVendor.fault_names]
    assert [name for name in names if f"`{name}`" not in guide] == []


def test_it_is_one_of_the_sandbox_s_vendors_and_brings_its_credentials() -> None:
    vendor = build(scale=0.1, companies=["NO01"]).tableau
    assert {"TABLEAU_PAT_NAME", "TABLEAU_PAT_SECRET", "TABLEAU_CLIENT_ID"} <= set(vendor.secrets())
    section = vendor.config_section("http://127.0.0.1:1")["tableau"]
    assert section["server_url"] == "http://127.0.0.1:1/tableau"
    assert not any(secret in str(section) for secret in vendor.secrets().values())


def test_the_same_seed_gives_the_same_ids_and_secrets() -> None:
    one, two, other = (TableauVendor(SandboxClock(), Faults(), seed) for seed in (1, 1, 2))
    assert (one.secrets(), one.world.site().id) == (two.secrets(), two.world.site().id)
    assert other.secrets()["TABLEAU_PAT_SECRET"] != one.secrets()["TABLEAU_PAT_SECRET"]


def test_the_heavy_library_is_loaded_when_a_file_is_opened_and_not_before() -> None:
    script = "import sys, mlc_sandbox.server; mlc_sandbox.server.build(scale=0.1, companies=['NO01'])"
    script += "; sys.exit('tableauhyperapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_it_leaves_no_process_and_no_file_behind(
    pen: Pen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sandbox = alone()
    assert list(tmp_path.iterdir()) == []
    with serving(sandbox):
        Tenant(sandbox, pen).published(invoice(1))
        process = sandbox.tableau.world.hyper._process
        assert process.is_open
        assert list(tmp_path.rglob("*.hyper"))
    assert not process.is_open
    del sandbox
    gc.collect()
    assert list(tmp_path.rglob("*")) == []
