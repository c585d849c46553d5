"""`mlc anaplan login` at the sandbox, by both flows; and what `mlc check` says when a login is missing."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlc_dagster.cli.login import log_in_to_anaplan
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_sandbox.anaplan.oauth import CODE_CLIENT, CODE_SECRET, DEVICE_CLIENT
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.cli.conftest import MLC
from tests.transport.clocks import ManualClock

BACK = "https://integration.nordfjell.example/callback"
BY_CODE = {
    "method": "oauth_code",
    "client_id": "${ANAPLAN_CLIENT_ID}",
    "client_secret": "${ANAPLAN_CLIENT_SECRET}",
    "redirect_uri": BACK,
}
BY_DEVICE = {"method": "oauth_device", "client_id": "${ANAPLAN_CLIENT_ID}"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as running:
        yield running


class Installation:
    """An mlc.yaml at the sandbox, and the environment its commands get."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
        lines = credentials.read_text().splitlines()
        self.variables = {"MLC_CONFIG": str(self.file), **dict(line.split("=", 1) for line in lines)}

    def use(self, auth: dict[str, str], **anaplan: Any) -> None:
        settings = yaml.safe_load(self.file.read_text())
        section = settings["pairs"]["anaplan"]
        settings["pairs"] = {"anaplan": section}
        root = section["api_url"].removesuffix("/2/0")
        section |= {"auth": auth, "oauth_url": root, **anaplan}
        self.file.write_text(yaml.safe_dump(settings))
        is_code = auth["method"] == "oauth_code"
        self.variables["ANAPLAN_CLIENT_ID"] = CODE_CLIENT if is_code else DEVICE_CLIENT
        self.variables["ANAPLAN_CLIENT_SECRET"] = CODE_SECRET

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*MLC, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def installation(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    for name in ("MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    sandbox.log.reset()
    return Installation(sandbox, tmp_path)


def test_the_code_flow_takes_the_pasted_address_and_check_is_content(installation: Installation) -> None:
    installation.use(BY_CODE)
    login = subprocess.Popen(
        [*MLC, "anaplan", "login"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=installation.environment(),
        start_new_session=True,
    )
    with login:
        assert login.stdout is not None
        address = next(line for line in login.stdout if line.startswith("http")).strip()
        back = requests.get(address, allow_redirects=False, timeout=30).headers["Location"]
        said, _ = login.communicate(back + "\n", timeout=60)
    assert login.returncode == 0, said
    assert "It opens the model Data Hub." in said
    assert back not in said
    checked = installation.run("check")
    assert checked.returncode == 0, checked.stdout
    assert "anaplan: model Data Hub" in checked.stdout


def test_the_device_flow_shows_the_address_and_the_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installation.use(BY_DEVICE)
    for name, value in installation.variables.items():
        monkeypatch.setenv(name, value)
    log_in_to_anaplan(Suite(load_settings(), ManualClock(datetime.now(UTC))))
    said = capsys.readouterr().out
    code = re.search(r"The code is (\S+)\.", said)[1]  # type: ignore[index]
    assert f"/oauth/activate?user_code={code}" in said
    assert "It opens the model Data Hub." in said
    checked = installation.run("check")
    assert "anaplan: model Data Hub" in checked.stdout


def test_a_missing_login_is_told_once_and_destinations_are_left_out(
    installation: Installation,
) -> None:
    installation.use(BY_DEVICE)
    checked = installation.run("check")
    assert checked.returncode == 1
    assert checked.stdout.count("Run `mlc anaplan login` once") == 1
    assert "anaplan/suppliers" not in checked.stdout
    assert "Traceback" not in checked.stderr


def test_a_missing_credential_is_told_once(installation: Installation, sandbox: Sandbox) -> None:
    del installation.variables["ANAPLAN_PASSWORD"]
    checked = installation.run("check")
    assert checked.returncode == 1
    assert checked.stdout.count("ANAPLAN_PASSWORD is not set") == 1
    assert sandbox.log.count("anaplan") == 0


def test_a_method_without_a_login_by_hand_says_so(installation: Installation) -> None:
    told = installation.run("anaplan", "login")
    assert told.returncode == 1
    assert "`method: basic` needs no login by hand" in told.stderr


def test_no_token_is_kept_in_clear(
    installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.use(BY_DEVICE)
    for name, value in installation.variables.items():
        monkeypatch.setenv(name, value)
    log_in_to_anaplan(Suite(load_settings(), ManualClock(datetime.now(UTC))))
    world = sandbox.anaplan.world
    secrets = [*world.oauth.refresh_tokens, *world.directory.tokens]
    assert secrets
    kept = b"".join(
        path.read_bytes() for path in (installation.file.parent / ".mlc").rglob("*") if path.is_file()
    )
    assert [secret for secret in secrets if secret.encode() in kept] == []
