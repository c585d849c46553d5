"""No credential, token or key is in anything that runs, commands and failures leave behind."""

import base64
import io
import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import yaml
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_dagster.definitions import defs
from mlc_dagster.graph.automation import chain
from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.graph.steps import PAIR_TAG
from mlc_dagster.outlook import today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.vault import Credentials
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.support.house import QUICK_RETRY, running_sandbox
from tests.support.leaks import contents, leaks
from tests.support.sandbox_time import SandboxTime

COMPANY = "NO01"
# One cheap destination of each target.
DESTINATIONS: Mapping[str, Any] = {
    "anaplan": ("gl_accounts",),
    "powerbi": ("companies",),
    "cleo": ("suppliers",),
    "tableau": ("gl_accounts",),
    "asana": ("purchase_orders",),
}
SECRETS = (
    "VISMA_CLIENT_SECRET",
    "ANAPLAN_PASSWORD",
    "POWERBI_CLIENT_SECRET",
    "CLEO_PASSWORD",
    "TABLEAU_PAT_SECRET",
    "ASANA_TOKEN",
)
IN_THE_VAULT = ("VISMA_CLIENT_SECRET", "ANAPLAN_PASSWORD", "TABLEAU_PAT_SECRET")
DEBUG = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}
# Where secrets may be: the sandbox's own list of them, and the vault's key.
OWN = {"credentials.env", "activate", "vault.key"}


@dataclass
class Installation:
    """All pairs at one sandbox, some credentials in the vault; everything said and sent is kept."""

    sandbox: Sandbox
    folder: Path
    instance: dg.DagsterInstance
    clock: SandboxTime
    secrets: dict[str, str]
    said: io.StringIO = field(default_factory=io.StringIO)
    outcomes: dict[str, bool] = field(default_factory=dict)

    def run(self, what: str, pair: str) -> None:
        """A pair's chain over all days, as Dagster runs it, with all its logs."""
        definitions, settings = defs(), load_settings()
        last = today(Suite(settings, self.clock))
        job = definitions.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=self.instance,
            asset_selection=list(chain(pair).resolve(definitions.resolve_asset_graph())),
            tags={**range_tags(COMPANY, settings.start_day, last), PAIR_TAG: pair},
            raise_on_error=False,
            run_config=DEBUG,
        )
        self.outcomes[f"{what}: {pair}"] = result.success

    def mlc(self, what: str, *arguments: str, given: str | None = None) -> str:
        """A command of the operator, in this process."""
        done = CliRunner().invoke(app, list(arguments), input=given)
        self.outcomes[f"{what}: mlc {' '.join(arguments)}"] = done.exit_code == 0
        self.said.write(done.output + str(done.exception or ""))
        return done.output

    def leaks(self) -> list[str]:
        kept = [(place, content) for place, content in contents(self.folder) if Path(place).name not in OWN]
        assert len(kept) > 100
        return leaks([*kept, ("what was said", self.said.getvalue().encode())], self.secrets)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("leaks")
    with (
        running_sandbox(seed=3, scale=0.02, companies=(COMPANY,)) as sandbox,
        _installed(sandbox, folder) as installation,
    ):
        # Before anything is delivered, so that there is something to send.
        _repeat(installation)
        for pair in DESTINATIONS:
            installation.run("well", pair)
        installation.mlc("well", "check")
        _refuse(installation)
        yield installation


def _repeat(installation: Installation) -> None:
    """Answers repeat what they were sent: those to calls with a token, then those to logins."""
    faults = installation.sandbox.faults
    for pair in DESTINATIONS:
        faults.arm(pair, "echo", times=None, after=1, status=500, form="text")
        installation.run("repeated", pair)
    faults.clear()
    for vendor in ("visma", *DESTINATIONS):
        faults.arm(vendor, "echo", times=None, status=400, form="json")
    installation.mlc("repeated", "check")
    faults.clear()


def _refuse(installation: Installation) -> None:
    """No secret is the right one."""
    for name in SECRETS:
        wrong = f"{installation.secrets[name][::-1]}%wrong"
        installation.secrets[f"wrong {name}"] = wrong
        installation.mlc("set", "credentials", "set", name, "-", given=wrong)
    with patch.dict(os.environ):
        for name in SECRETS:
            os.environ.pop(name, None)
        installation.mlc("refused", "credentials", "test")
        installation.mlc("listed", "credentials", "list")
        installation.mlc("changed", "credentials", "rotate")
        installation.run("refused", "anaplan")


@contextmanager
def _installed(sandbox: Sandbox, folder: Path) -> Iterator[Installation]:
    sandbox.anaplan.switches["rate_per_minute"] = 0
    file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
    settings = yaml.safe_load(file.read_text())
    for pair, names in DESTINATIONS.items():
        every = settings["pairs"][pair]["destinations"]
        kept = [*names] if isinstance(every, list) else {name: every[name] for name in names}
        settings["pairs"][pair]["destinations"] = kept
    # The first day also holds everything older: two partitions are quicker than seven.
    settings["start_day"] = (sandbox.clock.now() - timedelta(days=1)).date()
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    values = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    clock = SandboxTime(sandbox.clock)
    with ExitStack() as stack:
        outside = {name: value for name, value in values.items() if name not in IN_THE_VAULT}
        stack.enter_context(patch.dict(os.environ, {**outside, "MLC_CONFIG": str(file)}))
        for name in ("MLC_DATABASE_URL", "MLC_LAKE_URL", "MLC_VAULT_KEY", *IN_THE_VAULT):
            os.environ.pop(name, None)
        for room in ("graph.resource", "cli.check", "cli.vault"):
            stack.enter_context(patch(f"mlc_dagster.{room}.Suite", lambda settings: Suite(settings, clock)))
        for room in ("source", "rows", "destinations"):
            stack.enter_context(patch(f"mlc_dagster.graph.{room}.RETRY", QUICK_RETRY))
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(folder / "dagster")))
        suite = Suite(load_settings(), clock)
        for name in IN_THE_VAULT:
            Credentials(suite.vault).set(name, values[name])
        for setup in (suite.powerbi.setup, suite.asana.setup):
            setup.apply(setup.plan())
        secrets = {name: values[name] for name in SECRETS}
        secrets["the vault's key"] = (folder / ".mlc" / "vault.key").read_text()
        installation = Installation(sandbox, folder, instance, clock, secrets)
        stack.enter_context(_everything_kept(installation))
        yield installation


@contextmanager
def _everything_kept(installation: Installation) -> Iterator[None]:
    """Output and all loggers go into `said`, tokens that are sent into `secrets`."""
    said, root, send = installation.said, logging.getLogger(), requests.Session.send
    handler = logging.StreamHandler(said)

    def noting(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        for name in ("Authorization", "X-Tableau-Auth"):
            if name in request.headers:
                token = str(request.headers[name]).split()[-1]
                if token not in installation.secrets.values():
                    installation.secrets[f"{name} {len(installation.secrets)}"] = token
        return send(session, request, **options)

    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with patch.object(requests.Session, "send", noting), redirect_stdout(said), redirect_stderr(said):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_no_secret_is_in_a_log_an_event_a_database_run_config_the_lake_or_the_output(
    installation: Installation,
) -> None:
    assert {name for name in installation.secrets if not name.startswith(("wrong", "Auth", "X-"))} == {
        *SECRETS,
        "the vault's key",
    }
    assert installation.leaks() == []


def test_what_was_looked_through_is_what_went_well_and_what_failed(installation: Installation) -> None:
    """A search through runs that never came to a login would find nothing."""
    outcomes = installation.outcomes.items()
    assert {
        what for what, success in outcomes if success == what.startswith(("repeated", "refused"))
    } == set()
    said = installation.said.getvalue()
    assert "status 500" in said
    assert said.count("fails ") == 2 * len(SECRETS), (
        "each login fails in `mlc check` and in `credentials test`"
    )
    tokens = [name for name in installation.secrets if name.startswith(("Authorization", "X-Tableau"))]
    assert len(tokens) > 2 * len(DESTINATIONS)


SECRET = "Mlc+eb748e3e9329&0659E121%"
Hide = Callable[[Path], object]


def _in_sqlite(folder: Path, value: object) -> None:
    with sqlite3.connect(folder / "any.db") as connection:
        connection.execute("CREATE TABLE kept (value)")
        connection.execute("INSERT INTO kept VALUES (?)", (value,))


@pytest.mark.parametrize(
    "hide",
    [
        lambda folder: (folder / "log").write_text(f"said {SECRET} once"),
        lambda folder: (folder / "log").write_text(quote(SECRET)),
        lambda folder: (folder / "log").write_bytes(base64.b64encode(f"user:{SECRET}".encode())),
        lambda folder: (folder / "log").write_bytes(base64.urlsafe_b64encode(f"a user:{SECRET}".encode())),
        lambda folder: (folder / "log").write_text(
            json.dumps({"x": f"<a b='{SECRET}'/>"}).replace("&", "&amp;")
        ),
        lambda folder: _in_sqlite(folder, f'{{"password": "{SECRET}"}}'),
        lambda folder: _in_sqlite(folder, zlib.compress(SECRET.encode() * 5)),
        lambda folder: pq.write_table(
            pa.table({"x": [SECRET] * 9}), folder / "x.parquet", compression="zstd"
        ),
    ],
)
def test_a_secret_is_found_in_any_spelling_and_any_kind_of_file(tmp_path: Path, hide: Hide) -> None:
    hide(tmp_path)
    assert leaks(contents(tmp_path), {"one": "another-secret", "two": SECRET})[0].startswith("two in ")


def test_other_words_are_no_secret(tmp_path: Path) -> None:
    _in_sqlite(tmp_path, "nothing of it")
    assert leaks(contents(tmp_path), {"one": SECRET}) == []
