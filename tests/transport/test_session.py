"""What a call promises: which failures are repeated, and what the others are called."""

import socket
from decimal import Decimal

import pytest

from mlc_dagster.transport import (
    Again,
    CallCounter,
    Closed,
    Conflict,
    Http,
    InDoubt,
    Misconfigured,
    Refused,
    decimal_json,
    exact_json,
)
from tests.transport.clocks import ManualClock
from tests.transport.conftest import Answer, Vendor


class CountingAuth:
    def __init__(self) -> None:
        self.number = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer token-{self.number}"}

    def renew(self) -> None:
        self.number += 1


def http(vendor: Vendor, clock: ManualClock, **options) -> Http:
    return Http("acme", vendor.url, clock=clock, **options)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_repeatable_call_survives_a_server_error(vendor, clock, status):
    vendor.answers(Answer(status), Answer(status), Answer(200, '{"amount": 12.10}'))
    assert decimal_json(http(vendor, clock).call("GET", "/x").text) == {"amount": Decimal("12.10")}
    assert len(vendor.received) == 3
    assert len(clock.slept) == 2


def test_a_repeatable_call_survives_a_dropped_connection(vendor, clock):
    vendor.answers(Answer(drop=True))
    assert http(vendor, clock).call("PUT", "/x", json={"a": 1}).status_code == 200
    assert [r.body for r in vendor.received] == [b'{"a":1}'] * 2


def test_retries_are_bounded(vendor, clock):
    vendor.decide = lambda _: Answer(500, "broken")
    with pytest.raises(Again, match=r"acme GET /x: status 500: broken\."):
        http(vendor, clock, attempts=3).call("GET", "/x")
    assert len(vendor.received) == 3


@pytest.mark.parametrize("answer", [Answer(408), Answer(500), Answer(503), Answer(drop=True)])
def test_a_post_without_a_clear_answer_is_in_doubt_and_never_sent_twice(vendor, clock, answer):
    vendor.answers(answer)
    with pytest.raises(InDoubt):
        http(vendor, clock).call("POST", "/x", json={})
    assert len(vendor.received) == 1


SILENT = pytest.mark.parametrize("silent", ["before the headers", "in the body"])


@SILENT
def test_a_server_that_falls_silent_is_asked_again(vendor, clock, silent):
    vendor.answers(Answer(silent=silent))
    assert http(vendor, clock, timeout=(10, 1)).call("GET", "/x").text == "{}"
    assert len(vendor.received) == 2


@SILENT
def test_a_server_that_stays_silent_is_given_up(vendor, clock, silent):
    vendor.decide = lambda _: Answer(silent=silent)
    with pytest.raises(Again, match="no answer"):
        http(vendor, clock, timeout=(10, 1), attempts=2).call("GET", "/x")
    assert len(vendor.received) == 2


@SILENT
def test_a_post_at_a_server_that_falls_silent_is_in_doubt(vendor, clock, silent):
    vendor.answers(Answer(silent=silent))
    with pytest.raises(InDoubt, match="no answer"):
        http(vendor, clock, timeout=(10, 1)).call("POST", "/x", json={})
    assert len(vendor.received) == 1


@pytest.mark.parametrize(("method", "kind"), [("GET", Again), ("POST", InDoubt)])
def test_an_answer_that_trickles_is_given_up_though_the_server_is_never_silent_for_long(
    vendor, clock, method, kind
):
    vendor.decide = lambda _: Answer(body="x" * 20, by_drops=lambda: clock.advance(60))
    with pytest.raises(kind, match="no answer"):
        http(vendor, clock, timeout=(10, 100), attempts=1).call(method, "/x")


@pytest.mark.parametrize(("size", "timeout"), [(20, 70), (40_000_000, 20)])
def test_a_slow_answer_is_read_to_its_end_for_as_long_as_a_slow_line_needs(vendor, clock, size, timeout):
    vendor.answers(Answer(body="x" * size, by_drops=lambda: clock.advance(10)))
    assert len(http(vendor, clock, timeout=(10, timeout)).call("GET", "/x").content) == size


def test_a_refused_connection_is_repeated_also_for_a_post_because_nothing_was_sent(clock):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    counter = CallCounter()
    with pytest.raises(Again, match="no answer"):
        Http("acme", f"http://127.0.0.1:{port}", clock=clock, attempts=3, counter=counter).call("POST", "/x")
    assert (counter.calls, counter.retries) == (3, 2)


@pytest.mark.parametrize("text", ["2", "Fri, 20 Nov 2026 12:00:02 GMT"])
def test_retry_after_is_waited_out_in_seconds_and_as_a_date(vendor, clock, text):
    vendor.answers(Answer(429, headers={"Retry-After": text}))
    assert http(vendor, clock).call("POST", "/x").status_code == 200
    assert clock.slept == [0, 2]


@pytest.mark.parametrize("text", ["0", "-1", "Fri, 20 Nov 2026 11:59:00 GMT"])
def test_a_retry_after_that_names_no_time_to_come_does_not_spend_all_attempts_at_once(vendor, clock, text):
    """Such as a date, when our clock is ahead of the vendor's."""
    vendor.answers(*[Answer(429, headers={"Retry-After": text})] * 3)
    assert http(vendor, clock).call("POST", "/x").status_code == 200
    assert len(clock.slept) == 3
    assert min(clock.slept) >= 0.5


def test_a_429_without_retry_after_is_stayed_away_from_as_long_as_the_vendor_advises(vendor, clock):
    """The budget is closed, so that other calls and processes stay away too."""
    vendor.answers(Answer(429), Answer(200), Answer(429, headers={"Retry-After": "2"}))
    session = http(vendor, clock, lockout=10)
    assert session.call("POST", "/x").status_code == 200
    assert session.call("POST", "/x").status_code == 200
    assert clock.slept == [0, 10, 0, 2]


@pytest.mark.parametrize("text", ["", "29 minutes"])
def test_a_429_whose_retry_after_cannot_be_read_may_say_it_in_its_text(vendor, clock, text):
    vendor.answers(Answer(429, headers={"Retry-After": text} if text else {}, body="in 7 seconds"))
    session = http(vendor, clock, lockout=lambda response: int(response.text.split()[1]))
    assert session.call("POST", "/x").status_code == 200
    assert clock.slept == [0, 7]


def test_what_is_noted_as_a_call_leaves_is_noted_after_every_wait(vendor, clock):
    """A budget may wait for minutes: what counts from before it would be over while the call is under way."""
    vendor.answers(Answer(429, headers={"Retry-After": "40"}))
    noted, before = [], clock.now()
    http(vendor, clock).call("POST", "/x", leaving=lambda: noted.append((clock.now() - before).seconds))
    assert noted == [0, 40]


def test_what_never_leaves_is_not_noted(vendor, clock):
    client = http(vendor, clock)
    vendor.answers(Answer(429, headers={"Retry-After": "900"}))
    with pytest.raises(Closed):
        client.call("GET", "/x")
    with pytest.raises(Closed):
        client.call("POST", "/x", leaving=lambda: pytest.fail("nothing leaves"))


def test_a_long_retry_after_closes_the_budget_and_no_call_is_made_until_then(vendor, clock):
    vendor.answers(Answer(429, headers={"Retry-After": "3600"}))
    session = http(vendor, clock)
    for _ in range(3):
        with pytest.raises(Closed) as closed:
            session.call("GET", "/x")
        assert (closed.value.opens_at - clock.now()).total_seconds() == 3600
    assert len(vendor.received) == 1
    clock.advance(3600)
    assert session.call("GET", "/x").status_code == 200


def test_a_401_renews_the_token_once(vendor, clock):
    vendor.decide = lambda r: Answer(200 if r.headers["Authorization"] == "Bearer token-1" else 401)
    assert http(vendor, clock, auth=CountingAuth()).call("POST", "/x").status_code == 200
    assert len(vendor.received) == 2


def test_a_401_with_a_fresh_token_says_what_to_do(vendor, clock):
    vendor.decide = lambda _: Answer(401)
    with pytest.raises(Misconfigured, match="Use the company tenant"):
        http(vendor, clock, auth=CountingAuth(), remedies={401: "Use the company tenant."}).call("GET", "/x")
    assert len(vendor.received) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (404, Refused), (422, Refused), (409, Conflict), (412, Conflict), (403, Misconfigured)],
)
def test_a_clear_no_is_never_repeated(vendor, clock, status, kind):
    vendor.decide = lambda _: Answer(status, '{"Message": "Payment is released."}', {"Ipp-Request-Id": "r-7"})
    with pytest.raises(kind) as failed:
        http(vendor, clock).call("GET", "/x?token=abc")
    assert len(vendor.received) == 1
    assert (failed.value.status, failed.value.request_id, failed.value.excerpt) == (
        status,
        "r-7",
        "Payment is released.",
    )
    assert "token=abc" not in str(failed.value)


def test_a_client_may_name_single_statuses_itself(vendor, clock):
    vendor.answers(Answer(404), Answer(200))
    assert http(vendor, clock).call("GET", "/x", overrides={404: Again}).status_code == 200


def test_a_client_may_take_single_statuses_for_answers(vendor, clock):
    vendor.answers(Answer(412, '{"sync": "next"}'), Answer(412))
    assert http(vendor, clock).call("GET", "/x", answers=[412]).json() == {"sync": "next"}
    with pytest.raises(Conflict):
        http(vendor, clock).call("GET", "/x", answers=[410])


def test_a_redirected_write_is_not_followed(vendor, clock):
    vendor.answers(Answer(302, headers={"Location": "/elsewhere"}))
    with pytest.raises(Refused):
        http(vendor, clock).call("POST", "/x")
    assert len(vendor.received) == 1


def test_a_netrc_entry_does_not_replace_the_token(vendor, clock, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http(vendor, clock, auth=CountingAuth()).call("GET", "/x")
    assert vendor.received[0].headers["Authorization"] == "Bearer token-0"


SECRET = "s3cr3t-Value.42"


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error": "x", "access_token": "{SECRET}", "detail": 1, "message": null}}',
        f"<html>client_secret={SECRET}&grant_type=x</html>",
        f"Authorization: Bearer {SECRET}",
        f'{{"error": 5, "tokenInfo": {{"tokenValue": "{SECRET}"}}}}',
        # pragma: allowlist nextline secret
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        f'<credentials personalAccessTokenName="n" personalAccessTokenSecret="{SECRET}"/>',
        f'{{"message": "got {{\\"client_id\\": \\"c\\", \\"client_secret\\": \\"{SECRET}\\"}}"}}',
    ],
)
def test_no_secret_of_an_answer_reaches_the_error(vendor, clock, body):
    vendor.decide = lambda _: Answer(400, body)
    with pytest.raises(Refused) as failed:
        http(vendor, clock).call("POST", "/token", data=f"client_secret={SECRET}".encode())
    shown = str(failed.value) + repr(failed.value) + repr(vars(failed.value))
    assert SECRET not in shown
    assert "dozjgNryP4J3jVmNHl0w5N" not in shown
    assert failed.value.__suppress_context__ or failed.value.__context__ is None


@pytest.mark.parametrize("header", ["Authorization", "X-Vendor-Auth", "Cookie"])
@pytest.mark.parametrize("scheme", ["", "Scheme ", "session="])
def test_an_answer_that_repeats_our_headers_does_not_show_them(vendor, clock, header, scheme):
    vendor.decide = lambda received: Answer(400, f"We were sent: {dict(received.headers)}")
    with pytest.raises(Refused, match="We were sent") as failed:
        http(vendor, clock).call("POST", "/x", headers={header: scheme + SECRET})
    assert SECRET not in str(failed.value)
    assert "***" in str(failed.value)


def test_an_excerpt_is_short(vendor, clock):
    vendor.decide = lambda _: Answer(400, "x" * 100_000)
    with pytest.raises(Refused) as failed:
        http(vendor, clock).call("GET", "/x")
    assert len(failed.value.excerpt) == 300


def test_money_is_written_exactly():
    assert (
        exact_json({"å": [Decimal("1E+3"), Decimal("0.10")], "b": None, "c": True})
        == '{"\\u00e5":[1000,0.10],"b":null,"c":true}'
    )
    with pytest.raises(ValueError, match="no JSON number"):
        exact_json(Decimal("NaN"))


def test_a_vendor_may_say_expired_in_its_own_way(vendor, clock):
    vendor.answers(Answer(status=403, body='{"error": {"code": "TokenExpired"}}'), Answer())
    auth = CountingAuth()
    http = Http("Vendor", vendor.url, auth=auth, clock=clock, expired=lambda answer: "Expired" in answer.text)
    http.call("POST", "/rows", json={})
    assert (len(vendor.received), auth.number) == (2, 1)
