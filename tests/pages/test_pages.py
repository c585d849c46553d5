"""What the pages say, and that they say it as text whatever the ERP holds."""

import re
from datetime import date
from html import unescape
from pathlib import Path

import pytest
import requests

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.cli.quarantine_app import Stage
from mlc_dagster.cli.webhooks import app_of
from mlc_dagster.delivery import Kind as Event
from mlc_dagster.operations.backlog import Interrupted, note_ended, note_interrupted
from mlc_dagster.operations.replay import Replays
from mlc_dagster.pages import words
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.visma.connect import company_budget
from mlc_dagster.visma.entities import ENTITIES
from tests.lake.examples import note, row, table
from tests.pages.conftest import NASTY, TOKEN, Installation, a_day, open_suite
from tests.receiver.conftest import in_public
from tests.support.manual_clock import ManualClock

# Made up by each installation.
BATCH = r"batch \w{8}"
PAGES = [
    "/",
    "/search?number=10023",
    "/search?number=1002",
    "/readings?number=10023",
    "/quarantine?pair=cleo&company=NO01&stage=contract",
    "/reconcile",
    "/replays",
    "/metrics",
]


def text(page: str) -> str:
    """What a person reads of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def sentences(page: str) -> list[str]:
    return [
        text(each) for each in re.findall(r'<li class="(?:good|waits|bad|quiet)"><b>.*?</li>', page, re.S)
    ]


def test_where_is_an_invoice_is_answered_with_one_sentence_for_each_target(
    installation: Installation,
) -> None:
    page = installation.page("/search?number=10023")
    assert sentences(page) == [
        "Anaplan there Anaplan has 1 supplier invoice and 2 supplier invoice lines, "
        "last written on 20 Nov 2026 13:00.",
        "Asana there Asana has 1 supplier invoice, last written on 20 Nov 2026 13:00.",
        "Cleo nothing Cleo has nothing under this number.",
    ]
    assert "1234.5000" in page, "the amount as it was delivered, every digit"
    assert "Supplier invoice made in Anaplan" in text(page)
    assert "Supplier invoice lines made in Anaplan (2 rows)" in text(page)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("10024", "refused Anaplan refused 1 supplier invoice on 20 Nov 2026 13:00: No such account: 4711."),
        ("10025", "waits 1 supplier invoice goes with the next run to Anaplan: the shelf is closed."),
        ("10026", "in doubt 1 supplier invoice went to Asana and the answer is not known yet."),
        ("10027", "held back before Cleo: amount: 'abc' is not a number"),
        ("50001", "Visma.net held back Supplier 50001 is held back when it was read from the ERP: vatZone"),
        (
            "20001",
            "accepted The purchase order went to Nordisk EDI-hub on 20 Nov 2026 13:00 and was accepted",
        ),
        ("20002", "rejected on 20 Nov 2026 13:02: codes: 5; errors: PO1 at 7: code 8"),
        ("20003", "was rejected on 20 Nov 2026 13:03. There is nothing to tell them any more."),
        ("20004", "went to Kontinent Logistik GmbH on 20 Nov 2026 13:03. Their system sends no answers."),
    ],
)
def test_what_stands_in_the_way_is_said_with_its_reason(
    installation: Installation, number: str, said: str
) -> None:
    assert said in " ".join(sentences(installation.page(f"/search?number={number}")))


@pytest.mark.parametrize("written", ["0010023", " 10023 ", "000010023"])
def test_zeros_in_front_and_blanks_around_do_not_hide_a_document(
    installation: Installation, written: str
) -> None:
    assert "Anaplan has 1 supplier invoice" in text(installation.page(f"/search?number={written}"))


def test_an_unknown_number_is_said_to_be_unknown_with_those_that_begin_like_it(
    installation: Installation, browser: requests.Session
) -> None:
    answer = browser.get(f"{installation.url}/search?number=1002", timeout=40)
    assert answer.status_code == 404
    assert "No target knows 1002" in text(answer.text)
    assert re.findall(r"/search\?number=(\d+)\"", answer.text) == [
        "10023",
        "10024",
        "10025",
        "10026",
        "10027",
    ]


def test_what_no_target_has_may_still_have_been_read(
    installation: Installation, browser: requests.Session
) -> None:
    page = browser.get(f"{installation.url}/search?number=77777", timeout=40).text
    assert "/readings?number=77777" in page
    answer = browser.get(f"{installation.url}/readings?number=77777", timeout=40)
    assert answer.status_code == 404
    assert "Nothing with the number 77777 was read" in text(answer.text)
    lake = installation.suite.lake
    lake.write_day("supplier_invoices", "NO01", date(2026, 11, 20), table(row("77777")), note())
    told = text(browser.get(f"{installation.url}/readings?number=77777", timeout=40).text)
    assert "77777 NO01 supplier invoice 2026-11-20T12:00:00+00:00 20 Nov 2026 13:00" in told


def test_the_overview_names_what_a_person_should_look_at(installation: Installation) -> None:
    page = installation.page("/")
    told = text(page)
    assert "Anaplan NO01: 1 row refused." in told
    assert "Cleo NO01: 1 record held back." in told
    assert "/quarantine?pair=cleo&amp;company=NO01" in page
    assert "Cleo, inbox, NO01: 1 record held back." in told, "also where nothing is delivered to"
    assert "Anaplan NO01 shows supplier invoices otherwise than they were sent." in told
    assert "Visma.net to Asana" in told


def test_before_the_first_run_the_overview_does_not_say_that_all_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    suite = open_suite(tmp_path, ManualClock(), pages={"token": "${PAGES_TOKEN}"})
    with in_public(app_of(suite)) as url:
        told = text(Installation(suite, ManualClock(), url, tmp_path).page("/"))
    assert "Not everything is loaded yet" in told
    assert "Every pair is up to date" not in told


def test_the_overview_says_how_far_a_reading_came_that_the_erps_limit_interrupted(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.pages.app.OVERVIEW_SECONDS", -1)
    suite = installation.suite
    budget = company_budget(suite.settings.visma, "NO01", suite.budgets)
    headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "200", "X-RateLimit-Reset": "1800"}
    budget.learn(headers, 200)
    assert budget.left() == 0
    note_interrupted(suite, "NO01", Interrupted("supplier_invoices", days=21, here=800, pages=4000))
    assert "Supplier invoices: 800 of 4,000 pages here it goes on by itself, about 4 h more" in text(
        installation.page("/")
    )
    note_interrupted(suite, "NO01", Interrupted("suppliers", days=21, here=0, pages=None))
    told = text(installation.page("/"))
    assert "Suppliers: 21 days to read it goes on by itself, at least 4 h more" in told
    for entity in ("supplier_invoices", "suppliers"):
        note_ended(suite, ENTITIES[entity], "NO01")
    assert "goes on by itself" not in text(installation.page("/"))


def test_the_overview_shows_open_alerts_of_what_it_does_not_count_itself(installation: Installation) -> None:
    book = Book(installation.suite.engine)
    ends = Finding(Kind.EXPIRY, "TABLEAU_PAT", Severity.WARNING, "It ends on 2026-12-01.", "Make a new one.")
    stale = Finding(Kind.STALE, "anaplan NO01", Severity.ERROR, "Two days old.", "Look at the schedule.")
    book.settle((Kind.EXPIRY, Kind.STALE), [ends, stale], installation.clock.now())
    told = text(installation.page("/"))
    assert "A credential ends, TABLEAU_PAT: It ends on 2026-12-01. Make a new one." in told
    assert "Two days old." not in told
    book.settle((Kind.EXPIRY, Kind.STALE), [], installation.clock.now())
    assert "TABLEAU_PAT" not in installation.page("/")


def test_the_quarantine_is_filtered_and_shows_each_reason(installation: Installation) -> None:
    everything = text(installation.page("/quarantine"))
    assert "amount: 'abc' is not a number" in everything
    assert "vatZone.id: a text is needed" in everything
    of_cleo = text(installation.page("/quarantine?pair=cleo&company=NO01&stage=contract"))
    assert "amount: 'abc' is not a number" in of_cleo
    assert "vatZone.id" not in of_cleo
    assert "Nothing is held back here." in text(installation.page("/quarantine?pair=asana"))


def test_a_record_in_quarantine_is_shown_as_it_came_with_every_digit(installation: Installation) -> None:
    [entry] = installation.suite.quarantine.open(number="50001")
    page = installation.page(f"/quarantine/{entry.id}")
    assert "&#34;limit&#34;: 1.10" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "vatZone.id: a text is needed" in page


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("visma/suppliers", "Correct it in Visma.net. What changes there is read by itself."),
        ("cleo/supplier_invoices", "or have the rule mended that it breaks"),
        ("cleo/inbox", "when it came in (inbox)"),
        ("cleo/inbox", "Its sender has to send it anew"),
    ],
)
def test_a_record_in_quarantine_comes_with_what_to_do(
    installation: Installation, place: str, remedy: str
) -> None:
    entry = installation.suite.quarantine.open(place)[0]
    assert remedy in text(installation.page(f"/quarantine/{entry.id}"))


def test_every_stage_that_the_guide_names_has_a_remedy_and_can_be_asked_for() -> None:
    guide = (REPOSITORY / "docs" / "replay.md").read_text("utf-8").partition("| stage | refused")[2]
    stages = {line.split("|")[1].strip() for line in guide.split("\n\n")[0].splitlines()[2:]}
    assert stages == {*words.REMEDIES} == {stage.value for stage in Stage}


def test_comparisons_show_what_was_sent_and_what_is_shown(installation: Installation) -> None:
    told = text(installation.page("/reconcile"))
    assert "Anaplan supplier invoices NO01 differs 2 2 0 1 0" in told
    assert "NO01|Invoice|10023 differs amount 1234.5000" in told


@pytest.mark.parametrize(
    "path", ["/search?number=10030", "/search?number=10027", "/reconcile", "/quarantine"]
)
def test_what_the_erp_holds_is_text_and_never_markup(installation: Installation, path: str) -> None:
    page = installation.page(path)
    assert NASTY not in page
    assert "<b>x</b>" not in page
    entries = installation.suite.quarantine.open(number="10027")
    assert NASTY not in installation.page(f"/quarantine/{entries[0].id}")


def test_what_somebody_searches_for_is_text_too(installation: Installation) -> None:
    page = installation.page('/search?number="><img src=x onerror=alert(1)>')
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.parametrize(
    "path", ["/quarantine/999999", "/quarantine/x", "/nothing", "/static/../app.py", "/static/..%2fapp.py"]
)
def test_what_is_not_there_is_not_found(
    installation: Installation, browser: requests.Session, path: str
) -> None:
    assert browser.get(installation.url + path, timeout=40).status_code == 404


@pytest.mark.parametrize(
    "path", ["/quarantine?before=' OR 1", "/search?number=%00%ff", "/quarantine?pair=%25"]
)
def test_odd_questions_have_plain_answers(
    installation: Installation, browser: requests.Session, path: str
) -> None:
    assert browser.get(installation.url + path, timeout=40).status_code in (200, 404)


def test_a_replay_is_asked_for_once_and_shown_with_who_asked(
    installation: Installation, browser: requests.Session
) -> None:
    page = browser.get(f"{installation.url}/search?number=10023", timeout=40).text
    [form, *_] = re.findall(r'name="form" value="([0-9a-f]+)"', page)
    asked = {"form": form, "by": "number", "value": "10023", "pair": "asana", "name": "Controller <i>N</i>"}
    for _ in range(2):
        answer = browser.post(f"{installation.url}/replays", data=asked, timeout=40)
        assert answer.status_code == 200
    recent = Replays(installation.suite.engine, installation.clock).recent()
    [replay] = [each for each in recent if each.what.value == "10023"]
    assert replay.what.pair == "asana"
    assert replay.asked_by == "Controller <i>N</i> (pages)"
    assert "number 10023 to asana only Controller <i>N</i> (pages)" in text(answer.text)
    assert "<i>N</i>" not in answer.text


DAYS = {"company": "NO01", "first": "2026-11-01", "last": "2026-11-20"}


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"by": "run", "value": "5f0c1f0e-5f6b"}, "run 5f0c1f0e-5f6b"),
        ({"by": "window", "pair": "asana", **DAYS}, "window NO01 2026-11-01 2026-11-20 to asana only"),
        ({"by": "quarantine", "value": "1"}, "quarantine 1"),
    ],
)
def test_a_run_some_days_and_a_quarantined_record_are_asked_for_as_by_the_command(
    installation: Installation, browser: requests.Session, asked: dict[str, str], what: str
) -> None:
    answer = browser.post(
        f"{installation.url}/replays",
        data={"form": form_token(installation, browser), "name": "Controller", **asked},
        timeout=40,
    )
    assert answer.status_code == 200
    newest = Replays(installation.suite.engine, installation.clock).recent()[0]
    assert (str(newest.what), newest.asked_by) == (what, "Controller (pages)")


def test_a_documents_life_leads_to_the_replay_of_its_batch(
    installation: Installation, browser: requests.Session
) -> None:
    [link, *_] = re.findall(r'href="(/replays\?by=batch[^"]*)"', installation.page("/search?number=10023"))
    [batch, *_] = installation.suite.audit.history("10023")
    page = browser.get(installation.url + unescape(link), timeout=40).text
    assert f'value="{batch.batch_id}"' in page


def test_what_nobody_can_correct_is_settled_with_reason_and_name(
    installation: Installation, browser: requests.Session
) -> None:
    quarantine = installation.suite.quarantine
    entry = installation.hold_back("anaplan/supplier_invoices", "10040")
    url = f"{installation.url}/quarantine/{entry.id}"
    form = {"form": form_token(installation, browser), "name": "Controller", "reason": ""}
    form |= shown(installation, entry.id)
    assert "a reason is needed" in browser.post(url, data=form, timeout=40).text
    assert browser.post(url, data={**form, "form": "x", "reason": "old"}, timeout=40).status_code == 403
    assert quarantine.open(number="10040") == [entry]
    told = text(browser.post(url, data={**form, "reason": "Test data <of> 2019"}, timeout=40).text)
    assert "by Controller (pages): Test data <of> 2019" in told
    assert "Settle" not in told.split("The record as it came")[0].split("Settled")[1]
    assert quarantine.open(number="10040") == []
    assert installation.suite.seals.verify().unsealed == 0


def test_what_changed_since_it_was_shown_is_settled_only_once_it_was_shown_as_it_is_now(
    installation: Installation, browser: requests.Session
) -> None:
    entry = installation.hold_back("anaplan/supplier_invoices", "10041")
    before = shown(installation, entry.id)
    installation.clock.pass_time(1)
    installation.hold_back("anaplan/supplier_invoices", "10041", "names no supplier")
    form = {"form": form_token(installation, browser), "name": "Controller", "reason": "old", **before}
    answer = browser.post(f"{installation.url}/quarantine/{entry.id}", data=form, timeout=40)
    assert answer.status_code == 409
    assert "Nothing was settled: the record has changed. This is how it is now. names no supplier" in text(
        answer.text
    )
    assert len(installation.suite.quarantine.open(number="10041")) == 1
    form |= shown(installation, entry.id)
    assert browser.post(f"{installation.url}/quarantine/{entry.id}", data=form, timeout=40).status_code == 200
    assert installation.suite.quarantine.open(number="10041") == []


def shown(installation: Installation, entry: int) -> dict[str, str]:
    """What the form to settle a record says of the version that its page shows."""
    page = installation.page(f"/quarantine/{entry}")
    return {"last_at": unescape(re.findall(r'name="last_at" value="([^"]+)"', page)[0])}


def form_token(installation: Installation, browser: requests.Session) -> str:
    page = browser.get(f"{installation.url}/replays", timeout=40).text
    return re.findall(r'name="form" value="([0-9a-f]+)"', page)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"value": ""},
        {"by": "everything"},
        {"pair": "nobody"},
        {"by": "window", **DAYS, "first": "soon"},
        {"by": "window", "company": "NO01", "first": "2026-11-01"},
    ],
)
def test_a_replay_of_nothing_by_nobody_is_not_taken(
    installation: Installation, browser: requests.Session, change: dict[str, str]
) -> None:
    form = form_token(installation, browser)
    asked = {"form": form, "by": "batch", "value": "b", "pair": "", "name": "Controller", **change}
    answer = browser.post(f"{installation.url}/replays", data=asked, timeout=40)
    assert answer.status_code == 400
    assert "Nothing was asked for" in answer.text


@pytest.mark.postgres
def test_postgresql_says_the_same(
    installation: Installation, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLC_DATABASE_URL", postgres_url)
    clock = ManualClock()
    suite = open_suite(tmp_path, clock, pages={"token": "${PAGES_TOKEN}", "replay": True})
    with in_public(app_of(suite)) as url:
        made = Installation(suite, clock, url, tmp_path)
        a_day(made)
        with made.browser() as theirs, installation.browser() as ours:
            for path in PAGES[1:5]:
                told = text(theirs.get(url + path, timeout=40).text)
                same = text(ours.get(installation.url + path, timeout=40).text)
                assert re.sub(BATCH, "", told) == re.sub(BATCH, "", same), path
            assert all(theirs.get(url + path, timeout=40).status_code in (200, 404) for path in PAGES)
    suite.engine.dispose()


def test_every_event_of_a_document_has_words_of_its_own() -> None:
    of_no_document = {Event.LOOKED, Event.REMOVED, Event.VAULT_KEY}
    of_no_document |= {Event.CREDENTIAL_SET, Event.CREDENTIAL_REMOVED, Event.CREDENTIAL_END}
    assert set(Event) - of_no_document == set(words.EVENTS)
