"""An operator's desk with a mail server and a webhook to tell of what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc_dagster.suite import Suite
from tests.support.desk import open_desk
from tests.support.manual_clock import ManualClock
from tests.support.postbox import Postbox, mail_server, webhook
from tests.support.postgres import database_url, postgres_url, sqlite_url

__all__ = ["database_url", "postgres_url", "sqlite_url"]

CHANNELS = """
alerts:
  dagster_url: https://dagster.example.com
  channels:
    chat: {to: "${ALERTS_CHAT}"}
    mail: {to: "${ALERTS_MAIL}", severity: error, pairs: [anaplan]}
"""
SECRET = "hush-9b1c7d"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    with webhook() as box:
        monkeypatch.setenv("ALERTS_CHAT", f"json://bot:{SECRET}@127.0.0.1:{box.port}/services/{SECRET}")
        yield box


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    with mail_server() as box:
        address = f"mailto://127.0.0.1:{box.port}?from=mlc@example.com&to=ops@example.com&mode=insecure"
        monkeypatch.setenv("ALERTS_MAIL", address)
        yield box


@pytest.fixture
def suite(
    tmp_path: Path, sqlite_url: str, clock: ManualClock, chat: Postbox, mail: Postbox
) -> Iterator[Suite]:
    suite = open_desk(tmp_path, sqlite_url, clock, CHANNELS)
    yield suite
    suite.engine.dispose()
