"""A vault in a database of its own, with its key in a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.vault import KeyFile, KeyRing, Vault
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.transport.clocks import ManualClock

__all__ = ["database_url", "postgres_url", "sqlite_url"]


@pytest.fixture(autouse=True)
def _no_key_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLC_VAULT_KEY", raising=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "vault.key"


@pytest.fixture
def vault(engine: sa.Engine, key_file: Path, clock: ManualClock) -> Vault:
    return Vault(engine, KeyRing(KeyFile(key_file)), writer="run 1", now=clock.now)
