"""`mlc cleo held`: what waits for a person, and whose turn it is."""

from datetime import UTC, datetime

import pytest

from mlc_dagster.cleo.held import STAGE
from mlc_dagster.cli import review
from mlc_dagster.delivery.quarantine import Entry

SINCE = datetime(2026, 11, 20, 6, tzinfo=UTC)


def entry(stage: str, number: str) -> Entry:
    return Entry(1, stage, "cleo/inbox", "NO01", number, None, number, "why", "{}", SINCE, SINCE, None)


def test_what_is_held_for_a_person_is_told_from_what_was_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(review, "load_settings", lambda: None)
    monkeypatch.setattr(review, "Suite", lambda _: None)
    monkeypatch.setattr(review.mailbox, "held", lambda _: [entry(STAGE, "NOTICE1"), entry("inbox", "50014")])
    assert review.list_held() == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    told = {words[3]: words[4] for words in lines if len(words) == 6 and words[2] == "NO01"}
    assert told == {"NOTICE1": "held", "50014": "refused"}
