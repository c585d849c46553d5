"""`mlc powerbi`: what an integrator reads before and after the set-up."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox

Run = Callable[..., Result]


@pytest.fixture
def mlc(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in a folder whose mlc.yaml names a company and the Power BI pair."""
    file, credentials = write_config(tmp_path, sandbox.url, [sandbox.powerbi])
    settings = yaml.safe_load(file.read_text())
    visma = {"client_id": "${POWERBI_CLIENT_ID}", "client_secret": "${POWERBI_CLIENT_SECRET}"}
    tenant = "00000000-0000-0000-0000-000000000001"
    settings |= {
        "visma": {**settings.get("visma", {}), **visma},
        "companies": {"NO01": {"name": "Norge", "tenant_id": tenant, "company_id": "1"}},
    }
    file.write_text(yaml.safe_dump({"start_day": "2026-11-14", **settings}))
    for line in credentials.read_text().splitlines():
        name, value = line.split("=", 1)
        monkeypatch.setenv(name, value.strip("'"))
    monkeypatch.setenv("MLC_CONFIG", str(file))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, answer: str = "") -> Result:
        return CliRunner().invoke(app, ["powerbi", *words], input=answer)

    return run


def test_the_model_is_shown_as_report_authors_see_it(mlc: Run):
    shown = mlc("model").output
    assert "Supplier invoices (fact, hidden: Supplier invoices A and Supplier invoices B)" in shown
    assert "Suppliers (dimension)" in shown
    assert shown.count("Supplier invoices[Supplier]") == 1
    assert "_load_id" not in shown.split("Their DAX")[0]
    assert "Totals in the document's currency" in shown


def test_the_model_as_json_is_the_body_of_the_create_call(mlc: Run):
    body = yaml.safe_load(mlc("model", "--json").output)
    assert (body["name"], body["defaultMode"]) == ("Visma ERP", "Push")
    assert {"Supplier invoices A", "Supplier invoices B"} <= {table["name"] for table in body["tables"]}


def test_the_set_up_asks_first_and_says_what_comes_next(mlc: Run, sandbox: Sandbox):
    before = len(sandbox.powerbi.world.datasets)
    refused = mlc("setup", answer="n\n")
    assert (refused.exit_code, len(sandbox.powerbi.world.datasets)) == (1, before)
    done = mlc("setup", answer="y\n").output
    assert len(sandbox.powerbi.world.datasets) == before + 1
    assert "Queries work" in done
    assert "mlc check" in done
    assert "nothing to change" in mlc("setup").output
    assert len(sandbox.powerbi.world.datasets) == before + 1


def test_a_set_up_without_queries_says_what_to_switch_on(mlc: Run, sandbox: Sandbox):
    sandbox.powerbi.switches["execute_queries"] = "tenant_off"
    assert "Dataset Execute Queries REST API" in mlc("setup", "--yes").output.replace("\n", " ")
