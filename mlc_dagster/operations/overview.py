"""Each pair at a glance, from our database alone: how fresh it is, what waits, what is wrong.

No vendor is called and no credential is needed. The records are counted over indexes, so it stays quick with
a million of them (benchmarks in docs/metrics.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import UtcDateTime, batches, deliveries, quarantine, records
from mlc_dagster.delivery.deferrals import Deferral
from mlc_dagster.delivery.ledger import BatchState, State
from mlc_dagster.operations.backlog import Interrupted, hours, interrupted
from mlc_dagster.operations.health import budgets_left
from mlc_dagster.settings import pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import ALL, FAILED, SUCCEEDED, Tally

# The source as a pair of its own: its places are the entities that are read.
SOURCE = "visma"
At = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Rows in batches nobody has judged: sent, or about to be. since: when the oldest was intended (UTC)."""

    rows: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlaceHealth:
    """One destination, or one entity of the source, for one company. Times are UTC.

    held: rows the destination holds, by the last answers; 0 for an entity. quarantined: open entries.
    in_doubt: batches whose answer never came. under_way: batches of a delivery that is at work, or died and
    nobody has looked yet. tallies: what its steps did since the first run.
    """

    name: str
    company: str
    last_success: datetime | None
    last_failure: datetime | None
    held: int = 0
    pending: int = 0
    failed: int = 0
    quarantined: int = 0
    in_doubt: Doubt = Doubt()
    under_way: Doubt = Doubt()
    tallies: Mapping[str, Tally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairHealth:
    """One pair and company, with its destinations below; the pair `visma` is the reading of the ERP.

    stale_after: None for the source, whose entities may have gone out of use. deferred: the work that waits
    longest for a vendor's window, None when none waits. budgets_left: calls left of our share by budget, None
    while its limit is unknown. interrupted: of the source, the reads that closed windows interrupted; hours:
    in how many hours of the ERP's they have all the pages that are known of, None when nobody knows.
    """

    pair: str
    company: str
    at: datetime
    stale_after: timedelta | None
    places: Sequence[PlaceHealth]
    deferred: Deferral | None
    budgets_left: Mapping[str, int | None]
    interrupted: Sequence[Interrupted] = ()
    hours: int | None = None

    @property
    def last_success(self) -> datetime | None:
        """When the least fresh of its places was last done; None while one never was."""
        return None if any(place.last_success is None for place in self.places) else self.oldest

    @property
    def oldest(self) -> datetime | None:
        """When the least fresh of those of its places that ever were done was last done."""
        return min((place.last_success for place in self.places if place.last_success), default=None)

    @property
    def never(self) -> int:
        """How many of its places were never done."""
        return sum(place.last_success is None for place in self.places)

    @property
    def lag(self) -> timedelta | None:
        """How old what it shows may be; None while a place was never done."""
        return None if self.last_success is None else self.at - self.last_success

    @property
    def stale(self) -> bool:
        """Some of it is older than the pair's `stale_after_hours`; what was never there is not old."""
        if self.oldest is None or self.stale_after is None:
            return False
        return self.at - self.oldest > self.stale_after

    @property
    def held(self) -> int:
        """Rows its destinations hold."""
        return sum(place.held for place in self.places)

    @property
    def pending(self) -> int:
        """Rows that go with the next delivery."""
        return sum(place.pending for place in self.places)

    @property
    def failed(self) -> int:
        """Rows a destination refused."""
        return sum(place.failed for place in self.places)

    @property
    def quarantined(self) -> int:
        """Records in quarantine."""
        return sum(place.quarantined for place in self.places)

    @property
    def in_doubt(self) -> Doubt:
        """Rows whose answer never came, over its destinations."""
        doubts = [place.in_doubt for place in self.places]
        since = min((doubt.since for doubt in doubts if doubt.since is not None), default=None)
        return Doubt(sum(doubt.rows for doubt in doubts), since)


def overview(suite: Suite, now: datetime) -> list[PairHealth]:
    """Every pair that is switched on, by company, after the reading of the ERP."""
    facts = _Facts.of(suite)
    left = budgets_left(suite)
    waiting, reads = suite.deferrals.waiting(), interrupted(suite)
    found = []
    for pair, company in _pairs(suite):
        settings = suite.settings.pairs.on().get(pair)
        names = [f"{pair}/{name}" for name in settings.names()] if settings else facts.read(company)
        own = f"{SOURCE} {company}" if pair == SOURCE else pair
        unread = reads.get(company, []) if pair == SOURCE else []
        found.append(
            PairHealth(
                pair=pair,
                company=company,
                at=now,
                stale_after=timedelta(hours=settings.stale_after_hours) if settings else None,
                places=[facts.place(name, company) for name in names],
                deferred=max(
                    (item for item in waiting if (item.pair, item.company) == (pair, company)),
                    key=lambda item: item.opens_at,
                    default=None,
                ),
                budgets_left={
                    name: calls for name, calls in left.items() if f"{name} ".startswith(f"{own} ")
                },
                interrupted=unread,
                hours=hours(suite, company, sum(each.calls for each in unread)) if unread else None,
            )
        )
    return found


def of_jobs(suite: Suite) -> list[tuple[str, PlaceHealth]]:
    """What jobs without assets did so far, each after its pair: Cleo's mailbox, Asana's way back."""
    return [
        (pair_of(place), PlaceHealth(place, ALL, None, None, tallies=tallies))
        for (place, company), tallies in sorted(suite.tallies.all().items())
        if company == ALL
    ]


def _pairs(suite: Suite) -> Iterator[At]:
    for company in suite.settings.companies:
        yield SOURCE, company
    for pair in suite.settings.pairs.on():
        for company in suite.settings.companies_of(pair):
            yield pair, company


@dataclass(frozen=True)
class _Facts:
    """What the database says, by place and company: one grouped query a table."""

    states: Mapping[At, Mapping[str, int]]
    doubts: Mapping[At, Mapping[str, Doubt]]
    quarantined: Mapping[At, int]
    finished: Mapping[At, datetime | None]
    tallies: Mapping[At, Mapping[str, Tally]]

    @classmethod
    def of(cls, suite: Suite) -> "_Facts":
        with reading(suite.engine) as connection:
            return cls(
                _states(connection),
                _doubts(connection),
                _quarantined(connection),
                _finished(connection),
                suite.tallies.all(),
            )

    def read(self, company: str) -> list[str]:
        """The entities that were read of a company."""
        return sorted(
            name for name, code in self.tallies if code == company and name.startswith(f"{SOURCE}/")
        )

    def place(self, name: str, company: str) -> PlaceHealth:
        here = (name, company)
        states, doubts = self.states.get(here, {}), self.doubts.get(here, {})
        tallies = self.tallies.get(here, {})
        succeeded, failed = tallies.get(SUCCEEDED), tallies.get(FAILED)
        return PlaceHealth(
            name=name,
            company=company,
            # Of before there were tallies, the ledger knows the last delivery that finished.
            last_success=succeeded.at if succeeded else self.finished.get(here),
            last_failure=failed.at if failed else None,
            held=states.get("held", 0),
            pending=states.get(State.PENDING, 0),
            failed=states.get(State.FAILED, 0),
            quarantined=self.quarantined.get(here, 0),
            in_doubt=doubts.get(BatchState.IN_DOUBT, Doubt()),
            under_way=doubts.get(BatchState.OPEN, Doubt()),
            tallies=tallies,
        )


def _states(connection: sa.Connection) -> dict[At, dict[str, int]]:
    """Records by state, and how many rows are `held`."""
    place = (records.c.destination, records.c.company)
    count = sa.func.count()
    found: dict[At, dict[str, int]] = {}
    for row in connection.execute(
        sa.select(*place, records.c.state, count).group_by(*place, records.c.state)
    ):
        found.setdefault((row[0], row[1]), {})[row.state] = row[3]
    for (destination, company), states in found.items():
        # Only rows that wait need a look at the wide table.
        unsettled = [state for state in (State.PENDING, State.FAILED) if state in states]
        of_old = 0
        if unsettled:
            query = sa.select(count).where(
                place[0] == destination, place[1] == company, records.c.state.in_(unsettled)
            )
            of_old = connection.execute(query.where(records.c.hash.is_not(None))).scalar_one()
        states["held"] = states.get(State.DELIVERED, 0) + of_old
    return found


def _doubts(connection: sa.Connection) -> dict[At, dict[str, Doubt]]:
    columns = (batches.c.destination, batches.c.company, batches.c.state)
    oldest = sa.func.min(batches.c.created_at, type_=UtcDateTime)
    query = sa.select(*columns, sa.func.sum(batches.c.size), oldest)
    query = query.where(batches.c.state.in_([BatchState.OPEN, BatchState.IN_DOUBT])).group_by(*columns)
    found: dict[At, dict[str, Doubt]] = {}
    for destination, company, state, rows, since in connection.execute(query):
        found.setdefault((destination, company), {})[state] = Doubt(int(rows), since)
    return found


def _quarantined(connection: sa.Connection) -> dict[At, int]:
    columns = (quarantine.c.place, quarantine.c.company)
    query = sa.select(*columns, sa.func.count()).where(quarantine.c.resolved_at.is_(None)).group_by(*columns)
    return {(place, company): count for place, company, count in connection.execute(query)}


def _finished(connection: sa.Connection) -> dict[At, datetime | None]:
    query = sa.select(deliveries.c.destination, deliveries.c.company, deliveries.c.finished_at)
    return {(destination, company): at for destination, company, at in connection.execute(query)}
