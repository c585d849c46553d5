"""Who is told of what, once, in one message; over a real webhook and a real mail server."""

import logging
from datetime import timedelta

import pytest

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.alerts.round import look, tell, try_all
from mlc_dagster.database.schema import batches
from mlc_dagster.delivery.errors import LeaseHeld
from mlc_dagster.delivery.quarantine import Refused
from mlc_dagster.suite import Suite
from mlc_dagster.vault.credentials import Credentials
from tests.alerts.conftest import SECRET
from tests.support.manual_clock import START, ManualClock
from tests.support.postbox import Postbox

HOUR = 3600


def delivered(suite: Suite, company: str = "NO01") -> None:
    for model in ("suppliers", "gl_accounts"):
        with suite.tallies.step(f"anaplan/{model}", company, dict) as step:
            step.succeeded({})


def failed(suite: Suite, subject: str = "anaplan NO01", what: str = "The token is refused.") -> None:
    """A run failed just now: of a pair and company, or of a job that is no pair's."""
    pair, _, company = subject.partition(" ")
    finding = Finding(
        Kind.RUN, subject, Severity.ERROR, what, "Log in again.", pair if company else None, link="/r"
    )
    Book(suite.engine).happened(finding, suite.clock.now())


def quarantined(suite: Suite, count: int) -> None:
    refused = [Refused("contract", f"k{number}", None, None, "no", "{}") for number in range(count)]
    suite.quarantine.settle(
        stage="contract", place="anaplan/suppliers", company="NO01", refused=refused, passed=[], run_id="r"
    )


def test_what_partners_sent_and_is_held_back_is_told_too(suite: Suite, chat: Postbox) -> None:
    refused = [Refused("held", "k", None, None, "More than is open", "{}")]
    suite.quarantine.settle(
        stage="held", place="anaplan/inbox", company="NO01", refused=refused, passed=[], run_id="r"
    )
    delivered(suite)
    tell(suite)
    assert "In quarantine: anaplan/inbox NO01" in chat.last


def test_nobody_is_told_while_nothing_is_wrong(suite: Suite, chat: Postbox, mail: Postbox) -> None:
    delivered(suite)
    assert tell(suite) == []
    assert chat.titles == mail.titles == []


def test_what_is_new_is_told_with_its_cause_since_when_what_to_do_and_where_to_look(
    suite: Suite, chat: Postbox
) -> None:
    failed(suite)
    tell(suite)
    assert chat.titles == ["mlc: 1 new"]
    assert chat.last == (
        "New:\n"
        "- [error] A run fails: anaplan NO01, since 2026-11-20 12:00 UTC.\n"
        "  The token is refused.\n"
        "  What to do: Log in again.\n"
        "  https://dagster.example.com/r"
    )


def test_mail_arrives_as_mail(suite: Suite, mail: Postbox) -> None:
    failed(suite)
    tell(suite)
    assert mail.titles == ["mlc: 1 new"]
    assert "What to do: Log in again." in mail.last


def test_what_was_told_is_not_told_again_before_the_reminder_is_due(
    suite: Suite, chat: Postbox, clock: ManualClock
) -> None:
    failed(suite)
    tell(suite)
    clock.pass_time(23 * HOUR)
    assert tell(suite) == []
    clock.pass_time(HOUR)
    tell(suite)
    assert chat.titles == ["mlc: 1 new", "mlc: 1 still open"]
    assert tell(suite) == []


def test_a_hundred_failures_of_one_cause_are_one_line_with_a_count(
    suite: Suite, chat: Postbox, clock: ManualClock
) -> None:
    for number in range(100):
        clock.pass_time(1)
        cause = f"Anaplan answered 503, request 7f{number}a at 12:{number % 60:02}."
        failed(suite, f"job_{number % 10}", cause)
    tell(suite)
    assert chat.titles == ["mlc: 1 new"]
    [line] = [line for line in chat.last.splitlines() if line.startswith("- ")]
    assert line.startswith("- [error] A run fails: job_0, job_1, job_2, job_3")
    assert "and 6 more (100 times)" in line


def test_many_causes_make_one_message_of_a_length_a_chat_shows(suite: Suite, chat: Postbox) -> None:
    for number in range(50):
        failed(suite, f"job_{number}", f"Cause {chr(65 + number // 26)}{chr(65 + number % 26)}.")
    tell(suite)
    assert chat.titles == ["mlc: 50 new"]
    assert chat.last.count("What to do") == 20
    assert "and 30 more: `mlc alerts list`" in chat.last


def test_that_it_is_over_is_told_once_and_only_when_it_stays_so(
    suite: Suite, chat: Postbox, clock: ManualClock
) -> None:
    failed(suite)
    tell(suite)
    clock.pass_time(HOUR)
    Book(suite.engine).over(Kind.RUN, "anaplan NO01", clock.now())
    assert tell(suite) == []
    clock.pass_time(HOUR / 2)
    tell(suite)
    assert chat.titles == ["mlc: 1 new", "mlc: 1 over"]
    assert chat.last == (
        "Over:\n- A run fails: anaplan NO01. From 2026-11-20 12:00 UTC to 2026-11-20 13:00 UTC."
    )
    clock.pass_time(48 * HOUR)
    assert tell(suite) == []


def test_what_comes_and_goes_is_told_once(suite: Suite, chat: Postbox, clock: ManualClock) -> None:
    for _ in range(20):
        failed(suite)
        tell(suite)
        clock.pass_time(600)
        Book(suite.engine).over(Kind.RUN, "anaplan NO01", clock.now())
        tell(suite)
        clock.pass_time(600)
    assert chat.titles == ["mlc: 1 new"]


def test_what_comes_back_later_is_new(suite: Suite, chat: Postbox, clock: ManualClock) -> None:
    failed(suite)
    tell(suite)
    clock.pass_time(HOUR)
    Book(suite.engine).over(Kind.RUN, "anaplan NO01", clock.now())
    clock.pass_time(HOUR)
    tell(suite)
    failed(suite)
    tell(suite)
    assert chat.titles == ["mlc: 1 new", "mlc: 1 over", "mlc: 1 new"]


def test_a_channel_hears_of_its_pairs_and_its_severity_only(
    suite: Suite, chat: Postbox, mail: Postbox
) -> None:
    failed(suite, "powerbi NO01")
    quarantined(suite, 3)
    tell(suite)
    assert chat.titles == ["mlc: 2 new"]
    assert mail.titles == [], "powerbi is not its pair, and a warning not its severity"


def test_a_quarantine_that_doubles_is_news(suite: Suite, chat: Postbox) -> None:
    quarantined(suite, 3)
    tell(suite)
    quarantined(suite, 5)
    assert tell(suite) == []
    quarantined(suite, 6)
    tell(suite)
    assert chat.titles == ["mlc: 1 new", "mlc: 1 new"]
    assert "In quarantine: anaplan/suppliers NO01 (6 rows)" in chat.last


def test_what_gets_worse_is_news(suite: Suite, mail: Postbox, chat: Postbox) -> None:
    book = Book(suite.engine)
    for severity in (Severity.WARNING, Severity.ERROR):
        finding = Finding(Kind.CHECK, "anaplan/suppliers unique_key", severity, "3 rows", "Look.", "anaplan")
        suite.clock.sleep(1)
        book.happened(finding, suite.clock.now())
        tell(suite)
    assert len(chat.titles) == 2
    assert len(mail.titles) == 1


def test_who_was_told_hears_the_end_also_when_it_got_milder_meanwhile(
    suite: Suite, mail: Postbox, clock: ManualClock
) -> None:
    book = Book(suite.engine)
    for severity in (Severity.ERROR, Severity.WARNING):
        book.happened(
            Finding(Kind.CHECK, "anaplan/suppliers NO01 unique_key", severity, "3 rows", "Look.", "anaplan"),
            clock.now(),
        )
        tell(suite)
        clock.pass_time(HOUR)
    book.over(Kind.CHECK, "anaplan/suppliers NO01 unique_key", clock.now())
    clock.pass_time(HOUR)
    tell(suite)
    assert mail.titles == ["mlc: 1 new", "mlc: 1 over"]


def test_a_channel_that_fails_is_tried_again_and_the_others_hear_of_it(
    suite: Suite, chat: Postbox, mail: Postbox, clock: ManualClock
) -> None:
    chat.taking = False
    failed(suite)
    [sent, other] = tell(suite)
    assert (sent.channel, other.trouble) == ("chat", None)
    assert "404" in (sent.trouble or "")
    clock.pass_time(60)
    tell(suite)
    assert mail.titles == ["mlc: 1 new", "mlc: 1 new"]
    assert "A channel of alerts fails: chat" in mail.last
    chat.taking = True
    clock.pass_time(60)
    tell(suite)
    assert chat.titles == ["mlc: 1 new"], "of the run; of its own trouble it hears nothing"
    clock.pass_time(HOUR)
    tell(suite)
    assert mail.titles[-1] == "mlc: 1 over"


def test_a_mail_server_that_refuses_is_trouble_too(suite: Suite, mail: Postbox) -> None:
    mail.taking = False
    failed(suite)
    assert [sent.channel for sent in tell(suite) if sent.trouble] == ["mail"]


def test_who_dies_after_sending_tells_it_again(
    suite: Suite, chat: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(suite)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Book, "tell", die)
        with pytest.raises(KeyboardInterrupt):
            tell(suite)
    tell(suite)
    assert chat.titles == ["mlc: 1 new", "mlc: 1 new"]


def test_two_rounds_at_once_are_one(suite: Suite, chat: Postbox) -> None:
    failed(suite)
    with suite.leases.hold(["alerts"], "other"), pytest.raises(LeaseHeld):
        tell(suite)
    assert chat.titles == []


def test_no_part_of_an_address_reaches_a_log_or_the_database(
    suite: Suite, chat: Postbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    chat.taking = False
    failed(suite)
    tell(suite)
    [trouble, _] = [sent.trouble for sent in try_all(suite.settings.alerts)]
    dumped = "\n".join(suite.engine.raw_connection().driver_connection.iterdump())  # type: ignore[union-attr]
    assert "chat" in dumped
    everything = [trouble, dumped, caplog.text, *capfd.readouterr()]
    assert not any(SECRET in str(text) or f":{chat.port}" in str(text) for text in everything)


def test_an_address_that_is_not_set_is_named_and_keeps_no_other_channel_waiting(
    suite: Suite, mail: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALERTS_CHAT")
    failed(suite)
    [sent, _] = tell(suite)
    assert "ALERTS_CHAT" in (sent.trouble or "")
    assert len(mail.titles) == 1


def test_an_address_apprise_does_not_know_says_where_to_look(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTS_CHAT", "carrierpigeon://hush")
    [sent, _] = try_all(suite.settings.alerts)
    assert "apprise" in (sent.trouble or "")
    assert "hush" not in (sent.trouble or "")


def test_what_is_out_of_date_in_doubt_waiting_or_ending_is_found(
    suite: Suite, chat: Postbox, clock: ManualClock
) -> None:
    delivered(suite)
    suite.deferrals.store(
        pair="anaplan",
        company="SE01",
        first_day=START.date(),
        last_day=START.date(),
        opens_at=START + timedelta(hours=1),
        reason="closed",
    )
    clock.pass_time(37 * HOUR)
    tell(suite)
    assert "Out of date: anaplan NO01" in chat.last
    assert "`anaplan_resume`" in chat.last


def test_a_batch_nobody_has_judged_is_told_after_an_hour_also_one_whose_sender_died(
    suite: Suite, chat: Postbox, clock: ManualClock
) -> None:
    for state, company in (("in doubt", "NO01"), ("open", "SE01")):
        row = {"id": state, "destination": "anaplan/suppliers", "company": company, "run_id": "r"}
        row |= {"token": state, "state": state, "checkpoint": "{}"}
        with suite.engine.begin() as connection:
            connection.execute(batches.insert().values(**row, size=40, created_at=clock.now()))
    clock.pass_time(HOUR)
    assert tell(suite) == []
    clock.pass_time(1)
    tell(suite)
    assert "In doubt for too long: anaplan/suppliers NO01, anaplan/suppliers SE01 (80 rows)" in chat.last


def test_a_credential_that_ends_is_told_a_month_before_and_again_when_it_is_pressing(
    suite: Suite, chat: Postbox, mail: Postbox, clock: ManualClock
) -> None:
    Credentials(suite.vault).note_end("ANAPLAN_PASSWORD", START.date() + timedelta(days=31))
    assert tell(suite) == []
    clock.pass_time(24 * HOUR)
    tell(suite)
    assert "A credential ends: ANAPLAN_PASSWORD" in chat.last
    assert "`mlc credentials set ANAPLAN_PASSWORD --ends DATE`" in chat.last
    assert mail.titles == []
    clock.pass_time(24 * 24 * HOUR)
    tell(suite)
    assert mail.titles == ["mlc: 1 new"], "within a week it is an error"


def test_what_the_settings_have_let_go_of_is_over(suite: Suite) -> None:
    failed(suite, "tableau NO01")
    failed(suite, "anaplan XX01")
    failed(suite)
    for about in ("anaplan/rows/suppliers NO01", "anaplan/rows/invoices NO01", "anaplan/rows/suppliers XX01"):
        check = Finding(Kind.CHECK, f"{about} unique_key", Severity.ERROR, "3", "Look.", "anaplan")
        Book(suite.engine).happened(check, suite.clock.now())
    suite.clock.sleep(1)
    open_now = [alert.finding.subject for alert in look(suite).open()]
    assert open_now == ["anaplan NO01", "anaplan/rows/suppliers NO01 unique_key"]
