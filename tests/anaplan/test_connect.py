"""What the settings build: each way to log in, and one budget for everything that calls a tenant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.anaplan.connect import Anaplan
from mlc_dagster.database import connect as open_database
from mlc_dagster.database import migrate
from mlc_dagster.delivery.spool import Spool
from mlc_dagster.grant import NoLoginByHand
from mlc_dagster.settings.anaplan import AnaplanSettings
from mlc_dagster.transport.errors import Closed, Misconfigured
from mlc_sandbox.anaplan.oauth import DEVICE_CLIENT
from mlc_sandbox.anaplan.world import PASSWORD, USER, World
from mlc_sandbox.server import Sandbox
from tests.support.parts import TestParts
from tests.support.postgres import sqlite_url
from tests.transport.clocks import ManualClock

__all__ = ["sqlite_url"]

BASIC = {"method": "basic", "user": "${T_USER}", "password": "${T_PASSWORD}"}
DEVICE = {"method": "oauth_device", "client_id": "${T_CLIENT}"}


@pytest.fixture
def parts(
    sqlite_url: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestParts]:
    monkeypatch.delenv("MLC_VAULT_KEY", raising=False)
    for name, value in {"T_USER": USER, "T_PASSWORD": PASSWORD, "T_CLIENT": DEVICE_CLIENT}.items():
        monkeypatch.setenv(name, value)
    engine: sa.Engine = open_database(sqlite_url)
    migrate(engine)
    yield TestParts(engine, clock, tmp_path)
    engine.dispose()


@pytest.fixture
def settings(sandbox: Sandbox) -> Any:
    def settings(auth: dict[str, str], **more: Any) -> AnaplanSettings:
        section = sandbox.anaplan.config_section(sandbox.url)["anaplan"]
        more = {"oauth_url": f"{sandbox.url}/anaplan", "patience_seconds": 0, **more}
        return AnaplanSettings.model_validate({**section, "auth": auth, **more})

    return settings


def test_a_certificate_is_read_from_the_file_its_variable_names(
    parts: TestParts, settings: Any, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = world.new_certificate()
    (tmp_path / "certificate.pem").write_bytes(certificate)
    monkeypatch.setenv("T_CERTIFICATE", str(tmp_path / "certificate.pem"))
    monkeypatch.setenv("T_KEY", key.decode())
    auth = {"method": "certificate", "certificate": "${T_CERTIFICATE}", "private_key": "${T_KEY}"}
    for version in ("v1", "v2"):
        assert Anaplan(settings({**auth, "version": version}), parts).client.catalog.model().name


def test_counted_uploads_announce_their_chunks_and_are_not_completed(
    parts: TestParts, settings: Any, sandbox: Sandbox, world: World
) -> None:
    file_id = world.import_named("Supplier Invoices list").source_id
    for upload, completed in (("complete", 1), ("counted", 0)):
        sandbox.log.reset()
        Anaplan(settings(BASIC, upload=upload), parts).client.files.upload(file_id, Spool(b"code,name\n"))
        assert sandbox.log.count("anaplan", match="/complete") == completed


def test_oauth_uses_the_grant_of_the_login_by_hand(parts: TestParts, settings: Any) -> None:
    configured = settings(DEVICE)
    with pytest.raises(Misconfigured, match="mlc anaplan login"):
        Anaplan(configured, parts).client.catalog.model()
    stored = Anaplan(configured, parts).grant
    stored.keep(stored.service.by_device(stored.service.device_code()))
    assert Anaplan(configured, parts).client.catalog.model().name


def test_a_login_by_hand_needs_an_oauth_method(parts: TestParts, settings: Any) -> None:
    with pytest.raises(NoLoginByHand, match="oauth_code"):
        _ = Anaplan(settings(BASIC), parts).grant


def test_models_of_one_tenant_and_their_logins_share_one_budget(
    parts: TestParts, settings: Any, sandbox: Sandbox
) -> None:
    one = settings(BASIC, calls_per_minute=100)
    other = one.model_copy(update={"model_id": "0" * 32})
    client = Anaplan(one, parts).client
    for _ in range(9):
        client.catalog.model()
    # A tenth of a minute's calls may go at once, and the login was the first of them.
    for model in (client, Anaplan(other, parts).client):
        with pytest.raises(Closed):
            model.catalog.model()
    assert sandbox.log.count("anaplan") == 10


def test_the_login_by_hand_counts_too(parts: TestParts, settings: Any, sandbox: Sandbox) -> None:
    stored = Anaplan(settings(DEVICE, calls_per_minute=10), parts).grant
    stored.service.device_code()
    with pytest.raises(Closed):
        stored.service.device_code()
    assert sandbox.log.count("anaplan") == 1


def test_what_a_delete_action_removes_must_be_gone_when_it_is_read_back(
    parts: TestParts, settings: Any
) -> None:
    ways = {
        "suppliers": {"process": "A load", "read_back": "A.All"},
        "gl_accounts": {"process": "B load", "read_back": "B.All", "delete_action": "Delete from B"},
    }
    anaplan = Anaplan(settings(BASIC, destinations=ways), parts)
    found = {name: anaplan.read_back(name) for name in ways}
    removes = {name: part.removes for name, part in found.items() if part}
    assert removes == {"suppliers": False, "gl_accounts": True}
