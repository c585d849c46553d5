"""`mlc asana login`, `mlc asana webhooks` and `mlc receiver serve` at the sandbox."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_sandbox.asana.store import Webhook
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.cli.conftest import MLC
from tests.support.serving import free_port

OAUTH = {
    "method": "oauth",
    "client_id": "${ASANA_CLIENT_ID}",
    "client_secret": "${ASANA_CLIENT_SECRET}",
    "redirect_uri": "https://integration.nordfjell.example/asana",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as running:
        yield running


class Installation:
    """An mlc.yaml with Asana alone, and the environment its commands get."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
        lines = credentials.read_text().splitlines()
        own = {"MLC_CONFIG": str(self.file), **dict(line.split("=", 1) for line in lines)}
        self.environment = {**os.environ, **own}

    def use(self, *, receiver: str | None = None, way_back: bool = True, **asana: Any) -> None:
        settings = yaml.safe_load(self.file.read_text())
        settings["pairs"] = {"asana": {**settings["pairs"]["asana"], **asana}}
        if receiver:
            settings["receiver"] = {"url": receiver}
        for part in settings["pairs"]["asana"]["destinations"].values():
            part.update({"way_back": {"comments": True}} if way_back else {})
        self.file.write_text(yaml.safe_dump(settings))

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*MLC, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*MLC, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            start_new_session=True,
        )


@pytest.fixture
def installation(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    for name in ("MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Installation(sandbox, tmp_path)


def test_the_login_takes_the_pasted_address_and_shows_no_secret(installation: Installation) -> None:
    installation.use(auth=OAUTH)
    with installation.start("asana", "login") as login:
        assert login.stdout is not None
        address = next(line for line in login.stdout if line.startswith("http")).strip()
        back = requests.get(address, allow_redirects=False, timeout=30).headers["Location"]
        said, _ = login.communicate(back + "\n", timeout=60)
    assert login.returncode == 0, said
    assert "It opens the workspace Nordfjell" in said
    assert back not in said
    assert installation.environment["ASANA_CLIENT_SECRET"] not in said + address


def test_webhooks_are_made_listed_and_deleted_by_commands_beside_the_receiver(
    installation: Installation, sandbox: Sandbox, receiver_port: int
) -> None:
    installation.use(receiver=f"http://127.0.0.1:{receiver_port}")
    with installation.start("receiver", "serve", "--port", str(receiver_port)) as door:
        try:
            assert door.stdout is not None
            assert f"http://127.0.0.1:{receiver_port}/hooks" in door.stdout.readline()
            made = installation.run("asana", "webhooks", "create")
            assert made.stdout.count("made the webhook of project") == 2, made.stdout + made.stderr
            assert installation.run("asana", "webhooks", "list").stdout.count("active") == 2
            assert installation.run("asana", "webhooks", "delete").stdout == "deleted 2 webhooks\n"
        finally:
            door.send_signal(signal.SIGTERM)
    assert sandbox.asana.world.all(Webhook) == []


def test_without_a_way_back_there_is_no_webhook_to_make_or_list(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.use(receiver="http://127.0.0.1:1", way_back=False)
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    for command in ("create", "list"):
        told = CliRunner().invoke(app, ["asana", "webhooks", command])
        assert "`pairs: asana` in mlc.yaml names no `way_back`" in told.output
        assert "every project has" not in told.output


def test_webhooks_without_an_address_are_refused_with_the_setting(installation: Installation) -> None:
    installation.use()
    told = installation.run("asana", "webhooks", "create")
    assert told.returncode == 1
    assert told.stderr.startswith("`receiver: url:` is missing in mlc.yaml")


@pytest.fixture
def receiver_port() -> int:
    return free_port()
