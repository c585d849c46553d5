"""Whatever strangers send, and however much or slowly, vendors get in and nothing falls over."""

import socket
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa

from mlc_dagster.receiver import Verdict
from mlc_dagster.receiver.rates import Rates, network_of
from tests.receiver.conftest import Serve, kept


class Vendor:
    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        return Verdict(200, news=True)


class Hours:
    """A clock for the rates that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def post(url: str, body: bytes = b"{}", **headers: str) -> requests.Response:
    return requests.post(f"{url}/ours", data=body, headers=headers, timeout=40)


def raw(url: str, sent: bytes) -> bytes:
    """Send bytes as they are, and everything that comes back until the other side hangs up."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=40) as caller:
        caller.sendall(sent)
        answer = b""
        try:
            while piece := caller.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


def test_who_knocks_too_often_is_told_when_to_come_back(public: Serve, engine: sa.Engine) -> None:
    hours = Hours()
    url = public(Vendor(), rates=Rates(3, 0.5, now=hours))
    answers = Counter(post(url, b"%d" % number).status_code for number in range(10))
    assert answers == {200: 3, 429: 7}
    assert post(url).headers["Retry-After"] == "2"
    assert len(kept(engine)) == 3
    hours.at += 2
    assert post(url, b"later").status_code == 200


def test_each_address_has_its_own_rate_behind_a_proxy_that_is_believed(public: Serve) -> None:
    rates = Rates(1, 0.001, now=Hours())
    url = public(Vendor(), connections={"proxies": ["127.0.0.1"]}, rates=rates)
    first, second = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "203.0.113.9"}
    assert [post(url, **each).status_code for each in (first, first, second)] == [200, 429, 200]


def test_what_a_stranger_says_of_his_address_is_not_believed(public: Serve) -> None:
    url = public(Vendor(), rates=Rates(1, 0.001, now=Hours()))
    answers = [post(url, **{"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(3)]
    assert answers == [200, 429, 429]


def test_a_customer_of_ipv6_is_one_caller_whatever_address_of_his_he_takes() -> None:
    assert network_of("2001:db8:1:2:aaaa::1") == network_of("2001:db8:1:2:bbbb::9") == "2001:db8:1:2::"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")


def test_rates_remember_no_more_callers_than_there_is_room_for() -> None:
    rates = Rates(1, 0.001, callers=2, now=Hours())
    assert rates.wait("a") == 0
    assert rates.wait("a") > 0
    assert [rates.wait("b"), rates.wait("c")] == [0, 0]
    assert rates.wait("c") > 0
    assert rates.wait("a") == 0, "the one who was quiet longest was forgotten"


def test_callers_who_never_end_their_request_are_hung_up_on_and_others_get_in(
    public: Serve, engine: sa.Engine
) -> None:
    url = public(Vendor(), connections={"seconds": 2})
    slow = [socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) for _ in range(20)]
    try:
        for caller in slow:
            caller.sendall(b"POST /hooks/vendor/ours HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert post(url).status_code == 200
        for caller in slow:
            caller.settimeout(40)
            assert _ended(caller)
    finally:
        for caller in slow:
            caller.close()
    assert len(kept(engine)) == 1


def test_a_body_that_trickles_is_given_up_and_keeps_nothing(public: Serve, engine: sa.Engine) -> None:
    url = public(Vendor(), seconds=0.2)
    answer = raw(url, b"POST /hooks/vendor/ours HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert kept(engine) == []


def test_one_address_cannot_take_all_connections(public: Serve) -> None:
    url = public(Vendor(), connections={"connections_of_one": 2})
    port = urlsplit(url).port or 0
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    try:
        with pytest.raises(requests.ConnectionError):
            post(url)
        # The address is this machine's, so it is a proxy's as soon as we say so: proxies may have many.
        other = public(Vendor(), connections={"connections_of_one": 0, "proxies": ["127.0.0.0/8"]})
        assert post(other).status_code == 200
    finally:
        for each in idle:
            each.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /hooks/vendor/ours HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/vendor/ours HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /hooks/vendor/ours HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000,
        b"POST /hooks/vendor/ours HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ],
    ids=["tls", "version", "negative length", "bad chunk", "endless head", "two lengths"],
)
def test_what_is_no_request_is_refused_and_the_next_caller_gets_in(
    public: Serve, engine: sa.Engine, sent: bytes
) -> None:
    url = public(Vendor(), seconds=2)
    assert not raw(url, sent).startswith(b"HTTP/1.1 200")
    assert kept(engine) == []
    assert post(url).status_code == 200


def test_a_body_that_is_no_json_is_for_the_signature_to_judge_not_for_a_parser(public: Serve) -> None:
    url = public(Vendor())
    assert post(url, b"\x00\xff{{{[[[" * 1000).status_code == 200


def _ended(caller: socket.socket) -> bool:
    """Whether the other side hung up, with or without an answer."""
    try:
        while caller.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return True
