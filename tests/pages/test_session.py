"""Who gets in, for how long, and what a browser is told it may do."""

from pathlib import Path

import pytest
import requests

from mlc_dagster.cli.webhooks import app_of
from mlc_dagster.pages.session import COOKIE, LASTS, Ended, Sessions, WeakToken
from mlc_dagster.pages.web import own_path
from mlc_dagster.settings import SecretMissing
from tests.pages.conftest import TOKEN, Installation, open_suite
from tests.receiver.conftest import in_public
from tests.support.manual_clock import ManualClock

PAGES = ["/", "/search?number=10023", "/quarantine", "/quarantine/1", "/reconcile", "/replays"]


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_every_page_is_the_login_and_then_the_page(
    installation: Installation, path: str
) -> None:
    with requests.Session() as stranger:
        answer = stranger.get(installation.url + path, timeout=40)
        assert answer.url.startswith(f"{installation.url}/login")
        assert "10023</h2>" not in answer.text
        data = {"token": TOKEN, "next": path}
        assert (
            stranger.post(f"{installation.url}/login", data=data, timeout=40).url == installation.url + path
        )


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(installation: Installation) -> None:
    data = {"token": TOKEN, "next": "/"}
    answer = requests.post(f"{installation.url}/login", data=data, timeout=40, allow_redirects=False)
    told = answer.headers["Set-Cookie"]
    assert "HttpOnly" in told
    assert "SameSite=strict" in told
    assert TOKEN not in told


def test_behind_tls_the_cookie_never_travels_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    pages = {"token": "${PAGES_TOKEN}"}
    suite = open_suite(tmp_path, ManualClock(), url="https://erp.example.com", pages=pages)
    with in_public(app_of(suite)) as url:
        answer = requests.post(f"{url}/login", data={"token": TOKEN}, timeout=40, allow_redirects=False)
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/", "/login", "/search?number=1", "/static/pages.css"])
def test_a_browser_is_told_to_run_nothing_and_to_be_framed_by_nobody(
    installation: Installation, browser: requests.Session, path: str
) -> None:
    headers = browser.get(installation.url + path, timeout=40).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    if not path.startswith("/static"):
        assert headers["Cache-Control"] == "no-store"


def test_a_wrong_token_is_refused_and_guessing_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    suite = open_suite(tmp_path, ManualClock(), pages={"token": "${PAGES_TOKEN}"})
    with in_public(app_of(suite)) as url:
        tries = [requests.post(f"{url}/login", data={"token": f"guess {n}"}, timeout=40) for n in range(8)]
        assert [answer.status_code for answer in tries][:5] == [401] * 5
        assert 429 in [answer.status_code for answer in tries]
        assert not any("Set-Cookie" in answer.headers for answer in tries)


def test_a_session_ends_and_a_made_up_or_changed_cookie_is_none() -> None:
    clock = ManualClock()
    sessions = Sessions(TOKEN, clock)
    cookie = sessions.start()
    assert sessions.valid(cookie)
    ends, rest = cookie.split(".", 1)
    for other in (
        "",
        ".",
        "..",
        "1.x.y",
        f"{int(ends) + 9999}.{rest}",
        cookie[:-1],
        Sessions(TOKEN * 2, clock).start(),
    ):
        assert not sessions.valid(other), other
    clock.pass_time(LASTS.total_seconds())
    assert not sessions.valid(cookie)


def test_a_form_of_another_site_or_session_writes_nothing(
    installation: Installation, browser: requests.Session
) -> None:
    other = Sessions(TOKEN, installation.clock)
    theirs = other.form_token(other.start())
    asked = {"by": "number", "value": "F-777", "pair": "", "name": "Mallory"}
    for form in ("", "x", "\u00e6", theirs):
        answer = browser.post(f"{installation.url}/replays", data={**asked, "form": form}, timeout=40)
        assert answer.status_code == 403
    stranger = requests.post(f"{installation.url}/replays", data={**asked, "form": theirs}, timeout=40)
    assert stranger.status_code == 403
    # No bare digits: the page has form tokens in hexadecimal, which hold three given ones now and then.
    assert "F-777" not in installation.page("/replays")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x" * 20_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded"),
        (b'{"token": "x"}', "application/json"),
    ],
    ids=["long", "bytes", "many fields", "json"],
)
def test_what_is_no_form_is_refused(installation: Installation, body: bytes, kind: str) -> None:
    answer = requests.post(f"{installation.url}/login", data=body, headers={"Content-Type": kind}, timeout=40)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "asked",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\r\nX: y"],
)
def test_the_login_leads_to_no_other_site(asked: str) -> None:
    assert own_path(asked) == "/"


def test_logging_out_ends_the_session_of_this_browser(installation: Installation) -> None:
    with installation.browser() as browser:
        form = Sessions(TOKEN, installation.clock).form_token(browser.cookies[COOKIE])
        assert browser.post(f"{installation.url}/logout", data={"form": form}, timeout=40).url.endswith(
            "/login"
        )
        assert "/login" in browser.get(installation.url, timeout=40).url


def test_a_cookie_that_somebody_kept_is_worth_nothing_after_the_log_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    clock = ManualClock()
    suite = open_suite(tmp_path, clock, pages={"token": "${PAGES_TOKEN}"})
    with in_public(app_of(suite)) as url:
        here = Installation(suite, clock, url, tmp_path)
        with here.browser() as browser, here.browser() as colleague:
            kept = browser.cookies[COOKIE]
            form = Sessions(TOKEN, clock).form_token(kept)
            browser.post(f"{url}/logout", data={"form": form}, timeout=40)
            again = {COOKIE: kept}
            assert "/login" in requests.get(url, cookies=again, timeout=40).url
            answer = requests.post(f"{url}/logout", data={"form": form}, cookies=again, timeout=40)
            assert answer.status_code == 403
            assert "/login" not in colleague.get(url, timeout=40).url


def test_an_ended_session_is_kept_only_while_its_cookie_would_last(tmp_path: Path) -> None:
    clock = ManualClock()
    suite = open_suite(tmp_path, clock)
    ended = Ended(suite.engine, clock)
    ended.add("one")
    ended.add("one")
    assert "one" in ended
    assert "two" not in ended
    clock.pass_time(LASTS.total_seconds() + 1)
    ended.add("two")
    assert "two" in ended
    assert "one" not in ended
    suite.engine.dispose()


def test_without_a_token_there_are_no_pages_but_health(tmp_path: Path) -> None:
    suite = open_suite(tmp_path, ManualClock())
    with in_public(app_of(suite)) as url:
        assert requests.get(f"{url}/healthz", timeout=40).text == "ok\n"
        for path in ("/", "/login", "/search", "/replays"):
            assert requests.get(url + path, timeout=40).status_code == 404


def test_nothing_is_asked_for_or_settled_where_that_is_not_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    clock = ManualClock()
    suite = open_suite(tmp_path, clock, pages={"token": "${PAGES_TOKEN}"})
    with in_public(app_of(suite)) as url:
        made = Installation(suite, clock, url, tmp_path)
        entry = made.hold_back("anaplan/supplier_invoices", "10040")
        for path in ("/replays", f"/quarantine/{entry.id}"):
            assert '<form class="ask"' not in made.page(path)
            assert made.browser().post(url + path, data={"form": "x"}, timeout=40).status_code == 405


def test_a_token_that_is_short_or_missing_is_told_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", "short")
    suite = open_suite(tmp_path, ManualClock(), pages={"token": "${PAGES_TOKEN}"})
    with pytest.raises(WeakToken, match="at least 20"):
        app_of(suite)
    monkeypatch.delenv("PAGES_TOKEN")
    with pytest.raises(SecretMissing, match="PAGES_TOKEN"):
        app_of(suite)


def test_metrics_are_for_this_machine_and_for_who_has_the_token(installation: Installation) -> None:
    url = f"{installation.url}/metrics"
    answer = requests.get(url, timeout=40)
    assert answer.status_code == 200
    assert "mlc_" in answer.text
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}
    rebound = {"Host": "evil.example:8400"}
    for headers in (elsewhere, rebound, {**elsewhere, "Authorization": "Bearer wrong"}):
        assert requests.get(url, headers=headers, timeout=40).status_code == 401
    known = {**elsewhere, "Authorization": f"Bearer {TOKEN}"}
    assert requests.get(url, headers=known, timeout=40).text.startswith("# HELP")


def test_health_and_pages_say_when_the_database_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PAGES_TOKEN", TOKEN)
    clock = ManualClock()
    suite = open_suite(tmp_path, clock, pages={"token": "${PAGES_TOKEN}"})
    with in_public(app_of(suite)) as url, Installation(suite, clock, url, tmp_path).browser() as browser:
        suite.engine.dispose()
        for file in (tmp_path / "state").glob("mlc.db*"):
            file.unlink()
        (tmp_path / "state" / "mlc.db").mkdir()
        health, metrics = (requests.get(url + path, timeout=40) for path in ("/healthz", "/metrics"))
        page = browser.get(f"{url}/search?number=F-4711", timeout=40)
    assert (health.status_code, metrics.status_code, page.status_code) == (503, 503, 503)
    assert health.text == metrics.text == "the database does not answer\n"
    assert "cannot be shown now" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "The page /search failed: OperationalError" in caplog.text
    assert "F-4711" not in caplog.text
