"""When a failed call is tried again, and how long to wait before."""

import email.utils
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import requests
import tenacity
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

# Above a call's own patience: for what is written and read around it.
_SPARE = 20
_back_off = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 1)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return the wait Retry-After asks for (seconds or an HTTP date); None when absent or unreadable."""
    text = headers.get("Retry-After")
    if not text:
        return None
    try:
        return max(timedelta(0), timedelta(seconds=float(text)))
    except (ValueError, OverflowError):
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(timedelta(0), moment - now)


def quiet_time(timeout: tuple[float, float]) -> timedelta:
    """Longer than a call of this patience (connect, read; seconds) can be on its way.

    What nobody answered and has not happened by then never will.
    """
    return timedelta(seconds=sum(timeout) + _SPARE)


def pause(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next attempt: exponential with jitter; none when the budget waits."""
    error = state.outcome.exception() if state.outcome else None
    return 0 if getattr(error, "budget_waits", False) else _back_off(state)


def never_sent(error: requests.RequestException) -> bool:
    """Return whether no byte of the request can have reached the server: refused, unknown host, no proxy."""
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
        _reason(error), NewConnectionError | ProxyError
    )


def untrusted(error: requests.RequestException) -> bool:
    """Return whether the server's certificate was refused, or our authorities could not be read.

    Both happen before anything is sent. All other TLS errors may also come while the answer is read, from a
    connection that broke.
    """
    reason = _reason(error)
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    unread = isinstance(cause, ssl.SSLError) and cause.reason == "NO_CERTIFICATE_OR_CRL_FOUND"
    return unread or isinstance(cause, ssl.SSLCertVerificationError | CertificateError)


def _reason(error: requests.RequestException) -> Exception | None:
    """Return what urllib3 met below an exception of requests."""
    cause = error.args[0] if error.args else None
    return cause.reason if isinstance(cause, MaxRetryError) else None
