"""The credentials that come to an end: those a target knows of, and those whose end somebody noted."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from mlc_dagster.settings import SecretMissing
from mlc_dagster.suite import Suite
from mlc_dagster.target import Expiry
from mlc_dagster.transport.errors import CallFailed
from mlc_dagster.vault import VaultLocked
from mlc_dagster.vault.credentials import Credentials

# Certificates and app secrets often need other people; a month gives them time.
SOON = timedelta(days=30)


def expiries(suite: Suite) -> list[Expiry]:
    """Every credential whose end is known, the next one first. Makes no call.

    A day that somebody noted counts from its first moment in UTC: rather early than late.
    """
    found = [*_noted(suite)]
    for pair in suite.settings.pairs.on():
        found += _known_to(suite, pair)
    return sorted(found, key=lambda expiry: expiry.ends_at)


def soon(expiry: Expiry, now: datetime) -> bool:
    """Whether it is time to act: it ends within 30 days, or has ended."""
    return expiry.ends_at - now <= SOON


def _noted(suite: Suite) -> list[Expiry]:
    return [
        Expiry(
            what=name,
            ends_at=datetime.combine(day, time(), UTC),
            remedy=f"Have a new one made, then `mlc credentials set {name} --ends DATE`.",
        )
        for name, day in Credentials(suite.vault).ends().items()
    ]


def _known_to(suite: Suite, pair: str) -> Sequence[Expiry]:
    try:
        return suite.target(pair).expiries()
    except (SecretMissing, VaultLocked, CallFailed):
        # A credential that cannot be read fails every run and `mlc check`, which tell more of it.
        return ()
