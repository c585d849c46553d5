"""What a failed call means, named by what the caller does next. Every text is redacted here, at the edge."""

from collections.abc import Mapping
from datetime import datetime

from mlc_dagster.redaction import redact

EXCERPT_CHARACTERS = 300


def excerpt(text: str) -> str:
    """Return at most 300 redacted characters on one line."""
    # Redaction comes first: a secret cut in half by the limit would no longer be recognised.
    return " ".join(redact(text[: 20 * EXCERPT_CHARACTERS]).split())[:EXCERPT_CHARACTERS]


class CallFailed(Exception):
    """A call to a vendor failed. The subclass says what the caller may do next."""

    remedy = "Look at the vendor's answer above."
    budget_waits = False  # the rate budget knows when to come back, so the retry needs no pause of its own

    def __init__(
        self,
        vendor: str,
        method: str,
        path: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        excerpt_text: str = "",
        remedy: str | None = None,
    ) -> None:
        self.vendor, self.method, self.path = vendor, method, path.split("?", 1)[0]
        self.status, self.request_id = status, request_id
        self.excerpt = excerpt(excerpt_text)
        self.remedy = remedy or type(self).remedy
        super().__init__(self._text())

    def _text(self) -> str:
        answer = f"status {self.status}" if self.status is not None else "no answer"
        request = f", request {self.request_id}" if self.request_id else ""
        said = f": {self.excerpt.rstrip('.')}" if self.excerpt else ""
        return f"{self.vendor} {self.method} {self.path}: {answer}{request}{said}. {self.remedy}"


class Again(CallFailed):
    """Nothing happened at the vendor; the call may be repeated. Raised when the retries are used up."""

    remedy = "Nothing was changed. The next run repeats it; if it goes on, look at the vendor's status page."


class InDoubt(CallFailed):
    """Sent, but the answer never arrived: ask the destination before anything else."""

    remedy = "It may have happened. Ask the destination whether it did before sending it again."


class Refused(CallFailed):
    """The vendor said no to this very request. ``words`` is what it said."""

    remedy = "Correct the record or the request; repeating it as it is brings the same answer."

    @property
    def words(self) -> str:
        """Return the vendor's own words, redacted."""
        return self.excerpt or f"status {self.status}"


class Conflict(Refused):
    """409 or 412: the object changed since it was read, or is busy."""

    remedy = "Read the object again, merge, and send once more."


class Misconfigured(CallFailed):
    """Credentials, rights or addresses are wrong: no call can succeed until an operator changes them."""

    remedy = "Check the credentials and rights of this connection."


class Closed(CallFailed):
    """The budget is used up or the vendor has locked us out until ``opens_at`` (UTC). No call was made."""

    def __init__(self, vendor: str, opens_at: datetime, *, method: str = "-", path: str = "-") -> None:
        self.opens_at = opens_at
        remedy = f"No call is made before {opens_at:%Y-%m-%d %H:%M:%S} UTC; the work continues then."
        super().__init__(vendor, method, path, excerpt_text="the rate budget is closed", remedy=remedy)

    def _text(self) -> str:
        return f"{self.vendor}: {self.excerpt}. {self.remedy}"


_BY_STATUS: Mapping[int, type[CallFailed]] = {
    401: Misconfigured,
    403: Misconfigured,
    409: Conflict,
    412: Conflict,
    429: Again,
}


def judge(status: int, *, repeatable: bool) -> type[CallFailed] | None:
    """Return the class a status stands for, None for success.

    A 5xx after a call that may not be repeated is in doubt: a gateway can answer 503 for a server
    that has done the work. So can a 408 (vendors/powerbi.md section 5).
    """
    if status < 300:
        return None
    if status >= 500 or status == 408:
        return Again if repeatable else InDoubt
    return _BY_STATUS.get(status, Refused)
