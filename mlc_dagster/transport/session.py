"""One way to make an HTTP call: budget, token, retries and errors in one place."""

import json as json_module
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.transport.auth import Auth
from mlc_dagster.transport.budget import Budget, Unlimited
from mlc_dagster.transport.errors import Again, CallFailed, InDoubt, Misconfigured, Refused, judge
from mlc_dagster.transport.retry import never_sent, pause, retry_after, untrusted

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
REQUEST_ID_HEADERS = ("Ipp-Request-Id", "X-Request-Id", "X-Correlation-Id", "Request-Id", "RequestId")
PARALLEL_CONNECTIONS = 16
# Far more than any page; a bomb in gzip or a server gone wrong would fill the memory.
LARGEST_ANSWER = 256 * 2**20
PIECE = 2**16
# A read timeout begins anew with every byte: a server that trickles would hold us for ever. An answer has so
# many of them, and the time that its bytes take on a slow line, at so many a second.
TIMEOUTS_AN_ANSWER, SLOW_LINE = 3, 100_000
# Headers that prove who we are, under whatever name a vendor has chosen; shorter words are no proof.
PROOF = re.compile(r"auth|token|key|secret|cookie", re.IGNORECASE)
PROOF_CHARACTERS = 8

log = logging.getLogger(__name__)


@dataclass
class CallCounter:
    """What a run cost: calls sent (retries included), retries, bytes. Shared by threads."""

    calls: int = 0
    retries: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, *, calls: int = 0, retries: int = 0, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.calls += calls
            self.retries += retries
            self.bytes_in += bytes_in
            self.bytes_out += bytes_out


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    params: Mapping[str, Any] | None
    body: bytes | None
    headers: Mapping[str, str]
    repeatable: bool
    overrides: Mapping[int, type[CallFailed]]
    answers: frozenset[int]
    cost: int
    leaving: Callable[[], None] | None


class _Signed(AuthBase):
    """Sets our headers last; without it requests lets a ~/.netrc entry replace the Authorization header."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class _Elsewhere(requests.RequestException):
    """An address that a vendor gave us is of another host, or without TLS; it would hear our token."""


class _TooLarge(requests.RequestException):
    """An answer does not end where it should."""


class _Session(requests.Session):
    """Follows a redirect within the same host only: headers of a vendor's own name go with it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer sends us.

        Raises:
            _Elsewhere: another host, another port or another scheme.
        """
        target = super().get_redirect_target(resp)
        if target is not None and _origin(urljoin(resp.url, target)) != _origin(resp.url):
            raise _Elsewhere
        return target

    def resolve_redirects(self, *place: Any, yield_requests: bool = False, **options: Any) -> Iterator[Any]:
        """Follow, or not. An answer that is not to be followed is judged by its status like any other."""
        return iter(()) if yield_requests else super().resolve_redirects(*place, **options)


class Http:
    """Calls to one vendor under one base address. One instance may serve many threads.

    Our token goes to that host and no other, whatever address an answer names. An answer of more than
    ``largest`` bytes is not read to its end, nor one that trickles.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        auth: Auth | None = None,
        budget: Budget | None = None,
        clock: Clock | None = None,
        timeout: tuple[float, float] = (10, 120),
        attempts: int = 5,
        counter: CallCounter | None = None,
        headers: Mapping[str, str] | None = None,
        remedies: Mapping[int, str] | None = None,
        words: Callable[[requests.Response], str] | None = None,
        expired: Callable[[requests.Response], bool] | None = None,
        lockout: int | Callable[[requests.Response], int] | None = None,
        largest: int = LARGEST_ANSWER,
    ) -> None:
        """``remedies``: what an operator should do, by status. ``words``: reads the vendor's message.
        ``expired``: whether an answer asks for a new token, by default 401. ``lockout``: the seconds after
        which the vendor wants to be asked again where a 429 has no Retry-After that can be read.
        """
        self.vendor, self.base_url = vendor, base_url.rstrip("/")
        self.clock: Clock = clock or SystemClock()
        self.budget: Budget = budget or Unlimited(vendor, clock=self.clock)
        self.counter = counter or CallCounter()
        self._auth, self._timeout, self._attempts = auth, timeout, attempts
        self._remedies, self._words = remedies or {}, words or response_words
        self._expired = expired or (lambda response: response.status_code == 401)
        self._lockout, self._largest = lockout, largest
        self._session = _Session()
        # What goes to this machine has no TLS: a proxy of the environment would read it.
        self._session.trust_env = not self.base_url.startswith("http://")
        self._session.headers.update(headers or {})
        adapter = HTTPAdapter(pool_maxsize=PARALLEL_CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        overrides: Mapping[int, type[CallFailed]] | None = None,
        answers: Collection[int] = (),
        cost: int = 1,
        leaving: Callable[[], None] | None = None,
    ) -> requests.Response:
        """Send one request and return its answer with status below 300, or one of ``answers``, body read.

        ``repeatable`` (default: all but POST and PATCH) calls are retried on 5xx, timeouts and dropped
        connections; others raise InDoubt then. 429 is waited out when short. ``overrides`` replaces the
        error class of single statuses. ``cost``: calls it counts as in the budget. ``leaving`` is called
        each time right before it goes out, after every wait: a note of when must not be older than the call.
        Raises Again, InDoubt, Refused, Conflict, Misconfigured, Closed.
        """
        sent_headers = dict(headers or {})
        if json is not None:
            data = exact_json(json).encode()
            sent_headers.setdefault("Content-Type", "application/json")
        may_repeat = method.upper() in REPEATABLE if repeatable is None else repeatable
        call = _Call(
            method.upper(),
            path,
            params,
            data,
            sent_headers,
            may_repeat,
            overrides or {},
            frozenset(answers),
            cost,
            leaving,
        )
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=pause,
            retry=tenacity.retry_if_exception_type(Again),
            sleep=self.clock.sleep,
            before_sleep=self._note_retry,
            reraise=True,
        )
        return retrying(self._signed_attempt, call)

    def _signed_attempt(self, call: _Call) -> requests.Response:
        response = self._send(call)
        if self._auth is not None and self._expired(response):
            self._auth.renew()
            response = self._send(call)
        if response.status_code in call.answers:
            return response
        error = call.overrides.get(response.status_code) or judge(
            response.status_code, repeatable=call.repeatable
        )
        if error is None:
            return response
        raise self._failure(error, call, response)

    def _send(self, call: _Call) -> requests.Response:
        self.budget.acquire(call.cost)
        # After the budget: a token must not expire while the call waits for its turn.
        signed = self._auth.headers() if self._auth is not None else {}
        if call.leaving is not None:
            call.leaving()
        self.counter.add(calls=call.cost, bytes_out=len(call.body or b""))
        until = answer_ends(self.clock, self._timeout)
        try:
            response = self._session.request(
                call.method,
                self._address(call.path),
                params=call.params,
                data=call.body,
                headers=dict(call.headers),
                auth=_Signed(signed),
                timeout=self._timeout,
                # A followed redirect turns a POST into a GET; only reads may be redirected.
                allow_redirects=call.method in ("GET", "HEAD"),
                stream=True,
            )
            read_whole(response, self.clock, until, self._largest)
        except requests.RequestException as error:
            # "from None": the text of a requests exception carries the whole URL with its query.
            raise self._no_answer(call, error) from None
        except OSError as error:
            raise no_authorities(error, self.vendor, call.method, call.path) from None
        self.counter.add(bytes_in=len(response.content))
        if response.status_code == 429 and self._lockout:
            self._fill_in(response, self._lockout)
        self.budget.learn(response.headers, response.status_code)
        return response

    def _address(self, path: str) -> str:
        """The whole address of a path, or of a link that an answer gave us."""
        address = path if path.startswith(("http://", "https://")) else self.base_url + path
        if _origin(address) != _origin(self.base_url):
            raise _Elsewhere
        return address

    def _fill_in(
        self, response: requests.Response, lockout: int | Callable[[requests.Response], int]
    ) -> None:
        """Give a 429 that does not say when to come back a Retry-After."""
        if retry_after(response.headers, self.clock.now()) is None:
            response.headers["Retry-After"] = str(lockout if isinstance(lockout, int) else lockout(response))

    def _no_answer(self, call: _Call, error: requests.RequestException) -> CallFailed:
        said = f"{type(error).__name__} at {self.base_url}"
        if untrusted(error):
            remedy = (
                "Check the certificate of the address, or the certificate store of this machine, "
                "which REQUESTS_CA_BUNDLE names where it is set."
            )
            return Misconfigured(self.vendor, call.method, call.path, excerpt_text=said, remedy=remedy)
        if isinstance(error, _BAD_ADDRESS):
            remedy = "Correct the base address in the settings."
            return Misconfigured(self.vendor, call.method, call.path, excerpt_text=said, remedy=remedy)
        if isinstance(error, _Elsewhere):
            said = f"it names an address outside of {self.base_url}, where nothing was sent"
            remedy = "Correct the base address in the settings; if it is right, tell the vendor."
            return Misconfigured(self.vendor, call.method, call.path, excerpt_text=said, remedy=remedy)
        if isinstance(error, _TooLarge) and call.repeatable:
            said = f"its answer is larger than {self._largest >> 20} MiB"
            return Refused(self.vendor, call.method, call.path, excerpt_text=said)
        kind = Again if call.repeatable or never_sent(error) else InDoubt
        return kind(self.vendor, call.method, call.path, excerpt_text=said)

    def _failure(self, kind: type[CallFailed], call: _Call, response: requests.Response) -> CallFailed:
        status = response.status_code
        failure = kind(
            self.vendor,
            call.method,
            call.path,
            status=status,
            request_id=request_id(response),
            excerpt_text=without_echo(self._words(response), response),
            remedy=self._remedies.get(status),
        )
        # After Retry-After the budget knows when it opens: the next attempt waits there, or raises Closed.
        # Where that is now (0, or a date that our clock has passed) nobody would wait.
        failure.budget_waits = status in (429, 503) and bool(retry_after(response.headers, self.clock.now()))
        return failure

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        self.counter.add(retries=1)
        log.info(
            "attempt %d failed, trying again: %s",
            state.attempt_number,
            state.outcome and state.outcome.exception(),
        )


def answer_ends(clock: Clock, timeout: tuple[float, float]) -> float:
    """When (monotonic) the answer to a call that leaves now has to be there, but for what its bytes take."""
    return clock.monotonic() + TIMEOUTS_AN_ANSWER * timeout[1]


def read_whole(
    response: requests.Response, clock: Clock, until: float, largest: int = LARGEST_ANSWER
) -> None:
    """Read the body, as `requests` would, but not without end. until: by `answer_ends`, before the call left.

    Raises RequestException.
    """
    pieces, size = [], 0
    while piece := _arrived(response):
        size += len(piece)
        if size > largest:
            response.close()
            raise _TooLarge
        if clock.monotonic() > until + size / SLOW_LINE:
            response.close()
            raise requests.ReadTimeout
        pieces.append(piece)
    response._content = b"".join(pieces)


def _arrived(response: requests.Response) -> bytes:
    """What has arrived of a body, unpacked; waits for some. Empty at its end.

    `iter_content` would wait until a whole piece has come.
    """
    try:
        return response.raw.read1(PIECE, decode_content=True) or b""
    except HTTPError as error:
        raise requests.ConnectionError(error) from None


def no_authorities(error: OSError, vendor: str, method: str, path: str) -> Misconfigured:
    """The one error that requests raises bare: the file of authorities is not there. Nothing was sent."""
    said = str(error)
    if name := next(
        (name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)), None
    ):
        said = f"{name} names {os.environ[name]}, and there is no such file"
    remedy = (
        "It is set in the environment of this process: let it name a PEM file of the authorities to believe, "
        "or take it out."
    )
    return Misconfigured(vendor, method, path, excerpt_text=said, remedy=remedy)


_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)


def _origin(address: str) -> tuple[str, str]:
    """Scheme and host, with its port where it is not the usual one."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise requests.exceptions.InvalidURL from None
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return parts.scheme, parts.netloc.lower().removesuffix(usual)


def request_id(response: requests.Response) -> str | None:
    """The vendor's id of a call, for its support; None where it gives none."""
    return next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)


def response_words(response: requests.Response) -> str:
    """Return the vendor's message: the first of the usual JSON fields, else the text."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    if isinstance(body, dict):
        by_name = {str(name).lower(): value for name, value in body.items()}
        for name in ("message", "exceptionmessage", "error_description", "error", "title", "statusmessage"):
            if isinstance(by_name.get(name), str) and by_name[name]:
                return str(by_name[name])
    return response.text


def without_echo(text: str, response: requests.Response) -> str:
    """The text without what we proved ourselves with: some servers repeat the headers they were sent."""
    for name, value in response.request.headers.items():
        if PROOF.search(name):
            for proof in sorted({str(value), *str(value).split()}, key=len, reverse=True):
                text = text.replace(proof, "***") if len(proof) >= PROOF_CHARACTERS else text
    return text


def decimal_json(text: str) -> Any:
    """Parse an answer's text; numbers with a fraction become Decimal, so no float touches money."""
    return json_module.loads(text, parse_float=Decimal)


def exact_json(value: Any) -> str:
    """Write JSON with Decimals as exact numbers, which the standard encoder cannot."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json_module.dumps(str(k))}:{exact_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON number")
        return format(value, "f")
    return json_module.dumps(value, allow_nan=False)
