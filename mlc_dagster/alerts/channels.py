"""Sends one message to one channel. The channel's address holds its secret, so no word of it leaves here."""

import logging
import re
from urllib.parse import unquote

from mlc_dagster.redaction import redact

# A sensor's tick has 60 seconds for all channels.
_SECONDS = 5
_SHORTEST_SECRET = 4


class NotSent(Exception):
    """A channel did not take a message. The text holds nothing of its address."""


def send(url: str, title: str, body: str, *, good: bool = False) -> None:
    """Send a message to an address of apprise, once. good: nothing is wrong in it.

    Raises:
        NotSent: with the words of the service, redacted.
    """
    # Only who sends needs the library, and it takes a while to load.
    import apprise  # noqa: PLC0415

    # Debug lines of both show addresses.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)
    sender = apprise.Apprise()
    # The library has no types of its own.
    capture = apprise.LogCapture(level=logging.WARNING, fmt="%(message)s")  # type: ignore[no-untyped-call]
    with capture as said:
        known = sender.add(_hurried(url))
        sent = known and sender.notify(
            title=title,
            body=body,
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType.SUCCESS if good else apprise.NotifyType.WARNING,
        )
        words = " ".join(said.getvalue().split())
    if not known:
        raise NotSent(
            "Its address is none that apprise knows. Compare it with https://github.com/caronc/apprise/wiki."
        )
    if not sent:
        raise NotSent(_without(url, words) or "The service refused the message.")


def _hurried(url: str) -> str:
    """The address with short timeouts, unless it has its own."""
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}cto={_SECONDS}&rto={_SECONDS}"


def _without(url: str, words: str) -> str:
    """The words without any part of the address that may be secret: all but its first, the service."""
    parts = re.split(r"[/:@?&=,]+", url.partition("://")[2])
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            words = words.replace(part, "***")
    return redact(words)
