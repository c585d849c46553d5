"""When a personal access token ends: on its last day, or when nobody used it for 15 days (section 2)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from mlc_dagster.target import Expiry

UNUSED = timedelta(days=15)
# Use moves that end on, so it is told only of a token that nothing has used for this long.
IDLE = timedelta(days=10)


def expiries(token: str, ends: date | None, signed_in: datetime | None, now: datetime) -> Iterator[Expiry]:
    """The ends of a token. `ends`: its last day; `signed_in`: when one of our processes used it last."""
    what = f"Tableau's access token {token}"
    if ends is not None:
        # Tableau shows a day and no hour, so the earliest one counts.
        yield Expiry(
            what,
            datetime.combine(ends, time(), UTC),
            "Make a new access token in Tableau (My Account Settings), put it in place of the old one, and "
            "its last day into `ends` of mlc.yaml.",
        )
    if signed_in is not None and now - signed_in >= IDLE:
        yield Expiry(
            f"{what}, unused since {signed_in:%Y-%m-%d}",
            signed_in + UNUSED,
            "Run `mlc check`, which uses it, and switch on the sensor tableau_site, which keeps doing so.",
        )
