"""OAuth 2.0 as every vendor speaks it: what was granted, what a refusal says, what a browser brings back."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import requests

from mlc_dagster.transport.errors import CallFailed, Misconfigured

# The word of a refusal for a code or a refresh token that is not taken (any more), and for a user's no.
INVALID_GRANT, DENIED = "invalid_grant", "access_denied"


@dataclass(frozen=True)
class Grant:
    """What a vendor granted: kept in the vault as JSON text, never shown. ends_at: of the access token, UTC.

    `asked` says who sent the refresh token away and when, while no answer is stored.
    """

    client_id: str = field(repr=False)
    access_token: str = field(repr=False)
    ends_at: datetime
    refresh_token: str = field(repr=False)
    asked: str | None = None

    def text(self) -> str:
        """The grant as JSON text."""
        return json.dumps({**asdict(self), "ends_at": self.ends_at.isoformat()})

    @classmethod
    def answered(cls, client_id: str, answer: str, before: str | None, now: datetime) -> "Grant":
        """The grant in an answer; one without a refresh token keeps the one `before`, else it is empty.

        Raises ValueError, which does not show the answer: a token may be in it under a name nobody knows.
        """
        try:
            fields = json.loads(answer)
            ends_at = now + timedelta(seconds=int(fields["expires_in"]))
            return cls(
                client_id, fields["access_token"], ends_at, fields.get("refresh_token") or before or ""
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError("the answer is no token") from None

    @classmethod
    def of(cls, text: str) -> "Grant":
        """The grant in a text of `text()`."""
        fields = json.loads(text)
        return cls(**{**fields, "ends_at": datetime.fromisoformat(fields["ends_at"])})


@dataclass(frozen=True)
class Desk:
    """Where people log in by hand. command: what they run; paths: of the browser's page and of the tokens."""

    vendor: str
    command: str
    authorize: str
    token: str

    @property
    def again(self) -> str:
        """The remedy for most that can go wrong."""
        return f"Run `{self.command}` again."

    def refused(self, what: str, remedy: str, *, at: str = "", status: int | None = None) -> Misconfigured:
        """The error for a login or a refresh that cannot go on before a person has acted."""
        return Misconfigured(
            self.vendor, "POST", at or self.token, status=status, excerpt_text=what, remedy=remedy
        )

    def code(self, address: str, state: str, remedies: Mapping[str, str]) -> str:
        """The code in the address a browser ended at. `remedies`: what to do, by the word of a refusal.

        Raises Misconfigured: the user said no, or the address is not of this login.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(address.strip()).query).items()}
        if word := query.get("error"):
            raise self.refused(word, remedies.get(word, self.again), at=self.authorize)
        if not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
            raise self.refused(
                "the address does not belong to this login: its state is another one, or missing",
                "Paste the whole address that this very login ended at, from https:// to its last character.",
                at=self.authorize,
            )
        if not query.get("code"):
            raise self.refused(
                "the address holds no code", remedies.get(INVALID_GRANT, self.again), at=self.authorize
            )
        return query["code"]


def words(response: requests.Response) -> str:
    """The word of an OAuth refusal, a colon and its description; other answers as they are."""
    try:
        fields = response.json()
        return f"{fields['error']}: {fields.get('error_description', '')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.text


def word(refusal: CallFailed) -> str:
    """The word of a refusal, such as invalid_grant."""
    return refusal.excerpt.partition(":")[0]
