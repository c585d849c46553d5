"""Who may see the pages: people with the token, for some hours, by a cookie that only we can make."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import target_state

COOKIE = "mlc_session"
LASTS = timedelta(hours=12)
SHORTEST = 20


class WeakToken(Exception):
    """The token of the pages could be guessed."""


class Sessions:
    """Makes and checks cookies, which are stored nowhere: another token ends all sessions."""

    def __init__(self, token: str, clock: Clock) -> None:
        """Raises WeakToken."""
        if len(token) < SHORTEST:
            raise WeakToken(
                f"`receiver: pages: token:` has {len(token)} characters; at least {SHORTEST} are needed. "
                'Make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`.'
            )
        self._token, self._clock = token.encode(), clock
        self._key = hmac.digest(self._token, b"mlc pages, key of sessions", hashlib.sha256)

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes as long for a wrong one."""
        mine, theirs = (
            hmac.digest(self._key, text, hashlib.sha256) for text in (self._token, token.encode())
        )
        return hmac.compare_digest(mine, theirs)

    def start(self) -> str:
        """A cookie's value for somebody who has shown the token."""
        ends = int((self._clock.now() + LASTS).timestamp())
        text = f"{ends}.{secrets.token_urlsafe(16)}"
        return f"{text}.{self._sign('session', text)}"

    def valid(self, cookie: str) -> bool:
        """Whether we made this cookie and it has not ended."""
        text, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", text).encode()):
            return False
        return self._clock.now() < datetime.fromtimestamp(int(text.split(".")[0]), UTC)

    def form_token(self, cookie: str) -> str:
        """What a form of this session carries: another site can send a form, but cannot know this."""
        return self._sign("form", cookie)

    def form_is_ours(self, cookie: str, token: str) -> bool:
        """Whether a form came from a page of this session."""
        return hmac.compare_digest(token.encode(), self.form_token(cookie).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


class Ended:
    """The sessions that were logged out, by the digest of their cookie, for as long as these would last."""

    _mine = target_state.c.target == "pages"

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def add(self, cookie: str) -> None:
        """End a session: whoever has its cookie is a stranger from now on, at every receiver."""
        now = self._clock.now()
        row = {"target": "pages", "name": _digest(cookie), "revision": 0, "value": "{}", "updated_at": now}
        with self._engine.begin() as connection:
            over = target_state.c.updated_at < now - LASTS
            connection.execute(target_state.delete().where(self._mine, over))
            insert_missing(connection, target_state, row)

    def __contains__(self, cookie: str) -> bool:
        query = sa.select(target_state.c.name).where(self._mine, target_state.c.name == _digest(cookie))
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
