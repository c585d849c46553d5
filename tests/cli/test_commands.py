"""What an operator sees: the demo's report and the commands it points to."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml

from mlc_dagster.graph.run import end_orphans
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.suite import Suite
from tests.cli.conftest import MLC, Demo, Mlc
from tests.support.processes import processes_of


def numbers(output: str, company: str, pair: str, model: str) -> list[list[int]]:
    """The numbers of a line of the report, one list a load."""
    section = re.compile(rf"^{company}, read for {pair} .*\n(?:  .*\n)*?  {model} (.*)", re.MULTILINE)
    return [[int(number) for number in re.findall(r"\d+(?= )", line)] for line in section.findall(output)]


def test_the_demo_creates_everything_once_and_then_only_what_changed(demo: Demo) -> None:
    first, second = numbers(demo.output, "NO01", "asana", "supplier_invoices")
    read, created, updated, deleted, unchanged, failed, quarantined, calls = first[:8]
    assert created == read > 0
    assert (updated, deleted, unchanged, failed, quarantined) == (0, 0, 0, 0, 0)
    assert calls > 0
    assert second[1] + second[2] < created


def test_the_demo_leaves_a_database_and_a_lake_of_a_real_installation_alone(demo: Demo) -> None:
    assert [path.name for path in demo.folder.parent.iterdir() if path.name.startswith("real")] == []
    assert (demo.folder / ".mlc" / "mlc.db").exists()


def test_the_demo_ends_with_what_to_do_next(demo: Demo) -> None:
    assert f"mlc ui --folder {demo.folder}" in demo.output
    assert re.search(r"mlc audit \S+", demo.output)


def test_audit_tells_the_life_of_the_invoice_the_demo_names(demo: Demo, mlc: Mlc) -> None:
    number = re.search(r"mlc audit (\S+)", demo.output)[1]  # type: ignore[index]
    told = mlc("audit", number)
    assert told.returncode == 0, told.stderr
    assert f"supplier_invoices Invoice|{number} changed" in told.stdout
    for kind in ("intended", "created", "landed"):
        assert kind in told.stdout


def test_audit_of_an_unknown_number_says_so_and_fails(mlc: Mlc) -> None:
    told = mlc("audit", "no-such-number")
    assert told.returncode == 1
    assert "Nothing is known of no-such-number" in told.stdout


def test_plan_after_the_demo_has_nothing_to_send_and_counts_what_the_proof_costs(mlc: Mlc) -> None:
    """Of two companies, two calls for each of Asana's two destinations; a mailbox is asked nothing."""
    told = mlc("plan")
    assert told.returncode == 0, told.stderr
    assert "Budget asana: the plan needs about 8 calls;" in told.stdout
    assert "Budget cleo: the plan needs about 0 calls;" in told.stdout


def test_plan_of_an_unknown_destination_names_the_known_ones(mlc: Mlc) -> None:
    told = mlc("plan", "asana/nothing")
    assert told.returncode == 1
    assert "asana/supplier_invoices" in told.stderr
    assert "Traceback" not in told.stderr


def test_check_is_content_with_the_demo(mlc: Mlc) -> None:
    told = mlc("check")
    assert told.returncode == 0, told.stdout
    assert "fails" not in told.stdout


def test_mappings_compile_test_and_docs_work_on_the_demo(mlc: Mlc) -> None:
    compiled = mlc("mappings", "compile", "cleo/suppliers")
    assert "select" in compiled.stdout.lower()
    tested = mlc("mappings", "test", "cleo/suppliers")
    assert tested.returncode == 0
    assert re.search(r"cleo/suppliers NO01: \d+ rows", tested.stdout)
    assert "supplier_number" in mlc("mappings", "docs").stdout


def test_the_notebook_of_the_mappings_guide_shows_what_the_target_got(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (REPOSITORY / "docs" / "mappings.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    for name, value in demo.environment().items():
        monkeypatch.setenv(name, value)
    # In this process: like a notebook's it does not end with the last line, while Arrow's threads still work.
    exec(code, {})
    told = capsys.readouterr().out
    sums: Counter[str] = Counter()
    ledger = Suite(load_settings(demo.folder / "mlc.yaml")).ledger
    for held in ledger.held("asana/supplier_invoices", "NO01"):
        sums[held.row.payload["currency"]] += held.row.payload["balance"]
    assert sums
    for currency, balance in sums.items():
        assert re.search(rf"^{currency} +{balance:f}$", told, re.MULTILINE), told


def test_no_credential_of_the_demo_is_in_its_output_its_database_or_dagsters_storage(demo: Demo) -> None:
    secrets = [
        value.encode()
        for name, value in demo.environment().items()
        if name in {"VISMA_CLIENT_SECRET", "ASANA_TOKEN", "CLEO_PASSWORD"}
    ]
    assert len(secrets) == 3
    kept = [
        path
        for path in demo.folder.rglob("*")
        if path.is_file() and path.name not in {"credentials.env", "activate"}
    ]
    own = [path for path in kept if "sandbox" not in path.relative_to(demo.folder).parts[0]]
    assert len(own) > 50
    leaks = [path for path in own for secret in secrets if secret in path.read_bytes()]
    assert leaks == []
    assert not any(secret.decode() in demo.output for secret in secrets)


def test_help_loads_neither_dagster_nor_pandas() -> None:
    code = (
        "import sys\nsys.argv = ['mlc', '--help']\n"
        "from mlc_dagster.cli.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print('loaded:', sorted({'dagster', 'pandas', 'pyarrow', 'duckdb', 'requests'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded: []" in told.stdout


def test_the_command_works_as_a_module() -> None:
    told = subprocess.run([*MLC, "--help"], capture_output=True, text=True, check=True)
    assert "demo" in told.stdout


def test_the_command_tells_its_version() -> None:
    told = subprocess.run([*MLC, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"mlc \d+\.\d+\.\d+\n", told.stdout)


def test_a_replay_that_is_told_to_stop_leaves_no_process_and_no_run_under_way(demo: Demo) -> None:
    with silent_erp() as erp, replaying(demo, erp) as command, erp.accept()[0]:
        command.send_signal(signal.SIGTERM)
        _, complained = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "The replay was interrupted." in complained
    assert "Traceback" not in complained
    assert processes_of(command.pid) == []
    assert newest_run(demo).status is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_command_was_killed_is_ended_by_the_next_command(demo: Demo) -> None:
    with silent_erp() as erp, replaying(demo, erp) as command, erp.accept()[0]:
        os.killpg(command.pid, signal.SIGKILL)
        command.communicate(timeout=60)
    left = newest_run(demo)
    assert left.status is dg.DagsterRunStatus.STARTED
    with instance_of(demo) as instance:
        assert end_orphans(instance) == [left.run_id]
        assert end_orphans(instance) == []
    assert newest_run(demo).status is dg.DagsterRunStatus.FAILURE


@contextmanager
def silent_erp() -> Iterator[socket.socket]:
    """An ERP that is asked and never answers. Where nobody asks it, the test fails instead of waiting."""
    with socket.create_server(("127.0.0.1", 0)) as erp:
        erp.settimeout(300)
        yield erp


@contextmanager
def replaying(demo: Demo, erp: socket.socket) -> Iterator["subprocess.Popen[str]"]:
    """`mlc replay` of yesterday and today on the demo, but with another ERP."""
    settings = yaml.safe_load((demo.folder / "mlc.yaml").read_text("utf-8"))
    url = f"http://127.0.0.1:{erp.getsockname()[1]}"
    settings["visma"] |= {"base_url": url, "token_url": f"{url}/token"}
    file = demo.folder / "another-erp.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    last = datetime.now(UTC).date()
    days = ["--from", str(last - timedelta(days=1)), "--to", str(last)]
    with subprocess.Popen(
        [*MLC, "replay", "--company", "NO01", *days, "--pair", "cleo", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**demo.environment(), "MLC_CONFIG": str(file)},
        start_new_session=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def instance_of(demo: Demo) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(demo.folder / "dagster"))


def newest_run(demo: Demo) -> dg.DagsterRun:
    with instance_of(demo) as instance:
        return instance.get_runs(limit=1)[0]
