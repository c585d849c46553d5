"""The control API, and the sandbox as a process of its own: configuration, state over restarts, refusals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlc_sandbox import __main__ as command
from mlc_sandbox import state
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox, build, listen
from tests.sandbox.conftest import Erp

ROOT = Path(__file__).resolve().parents[2]


def control(url: str, method: str, path: str, **options: Any) -> Any:
    answer = requests.request(method, f"{url}/control/{path}", timeout=10, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestOverHttp:
    def test_state_counts_rows_calls_and_faults(self, sandbox: Sandbox, erp: Erp) -> None:
        erp.get("v1/branch")
        told = control(sandbox.url, "GET", "state")
        assert told["vendors"]["visma"]["NO01"]["supplierInvoice"] == len(erp.records("supplierInvoice"))
        assert set(told["vendors"]) == {"visma", "anaplan", "powerbi", "cleo", "tableau", "asana"}
        assert (told["faults_armed"], told["calls"]) == (0, 2)

    def test_calls_can_be_read_counted_and_forgotten(self, sandbox: Sandbox, erp: Erp) -> None:
        erp.get("v1/supplier/nobody", expandNote="true")
        calls = control(sandbox.url, "GET", "calls", params={"vendor": "visma", "status": 404})["calls"]
        assert [(call["method"], call["path"]) for call in calls] == [
            ("GET", "/visma/api/v1/supplier/nobody?expandNote=true")
        ]
        assert control(sandbox.url, "GET", "calls/counts") == {
            "visma": {"POST /visma/connect/token": 1, "GET /visma/api/v1/supplier/nobody": 1}
        }
        control(sandbox.url, "DELETE", "calls")
        assert control(sandbox.url, "GET", "calls/counts") == {}

    def test_faults_are_armed_listed_and_cleared(self, sandbox: Sandbox, erp: Erp) -> None:
        wanted = {
            "vendor": "visma",
            "name": "server_error",
            "times": 1,
            "match": "branch",
            "params": {"status": 502},
        }
        assert control(sandbox.url, "POST", "faults", json=wanted)["left"] == 1
        assert [fault["name"] for fault in control(sandbox.url, "GET", "faults")] == ["server_error"]
        assert erp.get("v1/branch").status_code == 502
        control(sandbox.url, "POST", "faults", json=wanted | {"times": None})
        assert control(sandbox.url, "DELETE", "faults", params={"vendor": "visma"}) == []
        assert erp.get("v1/branch").status_code == 200

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"vendor": "visma", "name": "rate_limt"}, 400, "rate_limit_lockout"),
            ({"vendor": "sap", "name": "slow"}, 404, "sap"),
            ({"vendor": "visma", "name": "slow", "seconds": 3}, 400, "params"),
            ({"vendor": "visma", "name": "slow", "match": "("}, 400, ""),
            ({"name": "slow"}, 404, "vendor"),
        ],
    )
    def test_mistakes_in_arming_are_told(
        self, sandbox: Sandbox, body: dict[str, Any], status: int, words: str
    ) -> None:
        answer = requests.post(f"{sandbox.url}/control/faults", json=body, timeout=30)
        assert answer.status_code == status
        assert words in answer.json()["error"]

    def test_switches_are_set_and_checked(self, sandbox: Sandbox, erp: Erp) -> None:
        assert control(sandbox.url, "PATCH", "switches/visma", json={"page_cap": 7})["page_cap"] == 7
        assert len(erp.rows("v1/supplier")) == 7
        assert control(sandbox.url, "GET", "switches")["visma"]["page_cap"] == 7
        for body in ({"pagecap": 7}, {"order": "random"}, {"rate_limit": "many"}):
            refused = requests.patch(f"{sandbox.url}/control/switches/visma", json=body, timeout=30)
            assert refused.status_code == 400
            assert next(iter(body)) in refused.json()["error"]

    def test_the_world_can_be_moved(self, sandbox: Sandbox, erp: Erp) -> None:
        keys = [record.key for record in erp.records("supplierInvoice")]
        path = "visma/NO01/supplierInvoice"
        now = control(sandbox.url, "POST", "clock", json={"advance_seconds": 60})["now"]
        assert control(sandbox.url, "POST", f"{path}/restamp", json={"keys": keys[:2]}) == {"restamped": 2}
        assert control(sandbox.url, "POST", f"{path}/restamp") == {"restamped": len(keys)}
        change = {"key": keys[0], "fields": {"amount": "abc"}}
        assert control(sandbox.url, "POST", f"{path}/change", json=change)["stamp"] >= now[:19]
        assert erp.rows("v1/supplierInvoice")[0]["amount"] == "abc"
        control(sandbox.url, "POST", f"{path}/delete", json={"key": keys[1]})
        added = control(sandbox.url, "POST", f"{path}/add")["key"]
        assert {row["referenceNumber"] for row in control(sandbox.url, "GET", path)} >= {added.split("|")[1]}
        assert [record.key for record in erp.records("supplierInvoice")] == sorted({*keys, added} - {keys[1]})
        happened = control(sandbox.url, "POST", "pass-day")["happened"]["visma"]
        assert happened["NO01"]["changed"] > 0

    def test_a_document_takes_another_type_and_a_change_may_have_an_old_stamp(
        self, sandbox: Sandbox, erp: Erp
    ) -> None:
        (key, *_) = [record.key for record in erp.records("supplierInvoice")]
        path = "visma/NO01/supplierInvoice"
        wanted = {"key": key, "number": "777777", "type": "DebitAdj"}
        assert control(sandbox.url, "POST", f"{path}/renumber", json=wanted) == {"key": "DebitAdj|777777"}
        keys = {record.key for record in erp.records("supplierInvoice")}
        assert "DebitAdj|777777" in keys
        assert key not in keys
        change = {"key": "DebitAdj|777777", "fields": {"description": "late"}, "days_ago": 40}
        now = control(sandbox.url, "GET", "clock")["now"]
        assert control(sandbox.url, "POST", f"{path}/change", json=change)["stamp"] < now[:10]
        (other, *_) = sorted(keys - {"DebitAdj|777777"})
        taken = requests.post(
            f"{sandbox.url}/control/{path}/renumber", json={**wanted, "key": other}, timeout=30
        )
        assert taken.status_code == 404
        assert "exists already" in taken.json()["error"]

    def test_truth_is_every_row_with_every_section(self, sandbox: Sandbox, erp: Erp) -> None:
        truth = control(sandbox.url, "GET", "visma/NO01/SUPPLIER")
        assert [row["number"] for row in truth] == [row["number"] for row in erp.rows("v1/supplier")]
        assert all("glAccounts" in row for row in truth)

    @pytest.mark.parametrize("path", ["visma/XX01/supplier", "visma/NO01/order"])
    def test_unknown_places_are_404(self, sandbox: Sandbox, path: str) -> None:
        assert requests.get(f"{sandbox.url}/control/{path}", timeout=30).status_code == 404

    def test_saving_needs_a_folder(self, sandbox: Sandbox) -> None:
        answer = requests.post(f"{sandbox.url}/control/save", timeout=30)
        assert answer.status_code == 400
        assert "--state" in answer.json()["error"]


class TestState:
    def test_everything_survives(self, tmp_path: Path) -> None:
        first = build(seed=3, scale=0.2, companies=("NO01",))
        first.pass_day()
        first.visma.switches["page_cap"] = 9
        first.visma.change("NO01", "supplier", "50000", {"name": "Nytt navn æøå"})
        state.save(first, tmp_path)
        second = build(seed=3, scale=0.2, companies=("NO01",))
        assert state.load(second, tmp_path)
        for entity in (
            "supplier",
            "supplierInvoice",
            "journaltransaction",
            "generalLedgerBalance",
            "employee",
        ):
            assert second.visma.truth("NO01", entity) == first.visma.truth("NO01", entity)
        assert second.visma.switches["page_cap"] == 9
        assert second.clock.offset == first.clock.offset
        numbers = [
            sandbox.visma.add("NO01", "supplierInvoice", sandbox.rng).key for sandbox in (first, second)
        ]
        assert numbers[0] == numbers[1]

    def test_no_state_is_no_mistake_and_another_seed_is(self, tmp_path: Path) -> None:
        sandbox = build(seed=3, scale=0.2, companies=("NO01",))
        assert not state.load(sandbox, tmp_path)
        state.save(sandbox, tmp_path)
        with pytest.raises(state.StateUnusable, match="seed 3, not 4"):
            state.load(build(seed=4, scale=0.2, companies=("NO01",)), tmp_path)

    def test_a_broken_file_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / state.FILE).write_bytes(b"no pickle")
        with pytest.raises(state.StateUnusable, match="start afresh"):
            state.load(build(scale=0.2, companies=("NO01",)), tmp_path)


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The sandbox as its own process; ends it with SIGTERM and waits."""
    line = [sys.executable, "-m", "mlc_sandbox", "serve", "--port", "0", "--scale", "0.2", *arguments]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            text = ""
            while not (found := re.search(r"Sandbox.* (http://127\.0\.0\.1:\d+)", text)):
                text = process.stdout.readline()
                assert text, "the sandbox ended before it listened"
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
    assert process.returncode == 0


def test_a_served_sandbox_writes_a_configuration_that_works_and_keeps_its_state(tmp_path: Path) -> None:
    options = (
        "--companies",
        "no01",
        "--config",
        str(tmp_path / "config"),
        "--state",
        str(tmp_path / "state"),
    )
    with served(*options) as url:
        told = control(url, "POST", "visma/NO01/supplierInvoice/add")["key"]
        config = yaml.safe_load((tmp_path / "config" / "mlc.yaml").read_text(encoding="utf-8"))
        secrets = dict(
            line.split("=", 1) for line in (tmp_path / "config" / "credentials.env").read_text().splitlines()
        )
        assert (tmp_path / "config" / "credentials.env").stat().st_mode & 0o077 == 0
        answer = requests.post(
            config["visma"]["token_url"],
            data={
                "grant_type": "client_credentials",
                "client_id": secrets["VISMA_CLIENT_ID"],
                "client_secret": secrets["VISMA_CLIENT_SECRET"],
                "tenant_id": config["companies"]["NO01"]["tenant_id"],
                "scope": "vismanet_erp_service_api:read",
            },
            timeout=30,
        )
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        base = config["visma"]["base_url"]
        assert requests.get(f"{base}/v1/supplier", headers=headers, timeout=30).json()
        assert set(config["pairs"]) >= {"anaplan", "asana", "cleo", "powerbi"}
    with served(*options) as url:
        numbers = {
            f"{row['documentType']}|{row['referenceNumber']}"
            for row in control(url, "GET", "visma/NO01/supplierInvoice")
        }
        assert told in numbers


def test_what_cannot_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["serve", "--companies", "FI01"]) == 2
    assert "FI01" in capsys.readouterr().err
    with listen() as taken:
        assert command.main(["serve", "--port", str(taken.getsockname()[1]), "--companies", "NO01"]) == 2
    assert "in use" in capsys.readouterr().err
    (tmp_path / state.FILE).write_bytes(b"")
    assert command.main(["serve", "--port", "0", "--companies", "NO01", "--state", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_start_day_that_was_written_once_stays(tmp_path: Path) -> None:
    vendors = build(seed=1, scale=0.02, companies=["NO01"]).vendors.values()
    config, _ = write_config(tmp_path, "http://127.0.0.1:1", vendors)
    moved = config.read_text("utf-8").replace(
        f"start_day: {yaml.safe_load(config.read_text('utf-8'))['start_day']}", "start_day: 2026-01-05"
    )
    config.write_text(moved, "utf-8")
    write_config(tmp_path, "http://127.0.0.1:2", vendors)
    again = yaml.safe_load(config.read_text("utf-8"))
    assert str(again["start_day"]) == "2026-01-05"
    assert again["visma"]["base_url"].startswith("http://127.0.0.1:2/")
    assert "export MLC_CONFIG=" in (tmp_path / "activate").read_text("utf-8")


def test_a_shell_that_has_loaded_a_sandbox_has_left_the_real_installation(tmp_path: Path) -> None:
    write_config(
        tmp_path, "http://127.0.0.1:1", build(seed=1, scale=0.02, companies=["NO01"]).vendors.values()
    )
    real = {"PATH": "/usr/bin:/bin", "MLC_DATABASE_URL": "postgresql://real", "MLC_LAKE_URL": "s3://real"}
    shell = subprocess.run(
        ["/bin/sh", "-c", '. "$0" && env', str(tmp_path / "activate")],
        env=real,
        capture_output=True,
        text=True,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in shell.stdout.splitlines())
    assert not variables.keys() & {"MLC_DATABASE_URL", "MLC_LAKE_URL"}
    assert variables["MLC_CONFIG"] == str(tmp_path / "mlc.yaml")
    assert (Path(variables["DAGSTER_HOME"]) / "dagster.yaml").exists()
