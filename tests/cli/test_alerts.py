"""`mlc alerts`: what is wrong now, and whether people would hear of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.cli.told import show_alerts, try_channels
from mlc_dagster.clock import SystemClock
from mlc_dagster.suite import Suite
from tests.support.desk import open_desk
from tests.support.postbox import Postbox, webhook
from tests.support.postgres import sqlite_url

__all__ = ["sqlite_url"]

CHANNELS = 'alerts: {channels: {chat: {to: "${ALERTS_CHAT}"}}}\n'


@pytest.fixture
def suite(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    monkeypatch.setenv("MLC_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("MLC_CONFIG", str(tmp_path / "mlc.yaml"))
    suite = open_desk(tmp_path, sqlite_url, SystemClock(), CHANNELS)
    yield suite
    suite.engine.dispose()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    with webhook() as box:
        monkeypatch.setenv("ALERTS_CHAT", f"json://127.0.0.1:{box.port}/")
        yield box


def test_list_shows_what_is_open_with_what_to_do_and_tells_nobody(
    suite: Suite, chat: Postbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_alerts() == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    finding = Finding(Kind.RUN, "anaplan NO01", Severity.ERROR, "It broke.", "Mend it.", "anaplan")
    Book(suite.engine).happened(finding, datetime.now(UTC) - timedelta(hours=1))
    assert show_alerts() == 1
    shown = capsys.readouterr().out
    assert "[error] A run fails: anaplan NO01, since " in shown
    assert "What to do: Mend it." in shown
    assert chat.titles == []


def test_test_sends_to_each_channel_and_says_what_came_of_it(
    suite: Suite, chat: Postbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_channels() == 0
    assert chat.titles == ["mlc: a test"]
    chat.taking = False
    assert try_channels() == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("fails chat: ")


def test_without_a_channel_both_say_where_to_name_one(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mlc.yaml"
    file.write_text(file.read_text("utf-8").replace(CHANNELS, ""), "utf-8")
    assert try_channels() == 1
    assert show_alerts() == 0
    assert capsys.readouterr().out.count("docs/alerts.md") == 2
