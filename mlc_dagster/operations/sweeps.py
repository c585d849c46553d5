"""Key sweeps: what vanished or came late in the ERP goes into the lake, and the audit trail says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mlc_dagster import flow
from mlc_dagster.database import reading
from mlc_dagster.database.schema import events
from mlc_dagster.database.trail import event
from mlc_dagster.delivery import Kind
from mlc_dagster.delivery.ledger import chunks
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.lake.latest import NEWEST_FIRST
from mlc_dagster.lake.partitions import quote
from mlc_dagster.outlook import first_open_day, known_elsewhere, span, today, unparsed
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.connect import company_budget
from mlc_dagster.visma.connect import connect as connect_visma
from mlc_dagster.visma.deletes import ReadGuard
from mlc_dagster.visma.entities import ENTITIES, Entity
from mlc_dagster.visma.keysweep import Limit, Looked, TooMuchGone, look, pages_kept

# Whose work it is that waits for a window, in the table `deferrals`.
NAME = "visma_keys"


class NoSuchSweep(Exception):
    """An entity that cannot be swept, or a wish that is none."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep of one entity and company found and did."""

    entity: str
    company: str
    held: int
    listed: int
    vanished: int
    renumbered: int
    late_days: int
    read_again: tuple[str, ...]
    calls: int

    def counts(self) -> dict[str, int]:
        """The numbers for tallies, metadata and the audit trail."""
        names = ("held", "listed", "vanished", "renumbered", "late_days", "calls")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        again = f"; read whole: {', '.join(self.read_again)}" if self.read_again else ""
        return ", ".join(f"{name} {count}" for name, count in self.counts().items()) + again


@dataclass(frozen=True, slots=True)
class Cost:
    """What a sweep of an entity would cost: records in the lake, calls, and the pages that are kept already.

    `last`: when (UTC) all its keys were compared last; None when never.
    """

    held: int
    calls: int
    kept: int
    last: datetime | None


def entities_of(suite: Suite, company: str, only: Sequence[str] = ()) -> list[Entity]:
    """The entities whose deleted records nobody else notices, those that are cited first.

    Lists without a change filter are read and compared whole by every run, so they are left out; so is what
    the lake holds nothing of. Raises UnknownCompany and NoSuchSweep.
    """
    suite.settings.chosen(company)
    for name in only:
        if name not in ENTITIES or not ENTITIES[name].has_filter:
            known = ", ".join(entity.name for entity in ENTITIES.values() if entity.has_filter)
            raise NoSuchSweep(f"{name} is no entity that can be swept. Known: {known}.")
    return [
        entity
        for entity in ENTITIES.values()
        if entity.has_filter and (not only or entity.name in only) and suite.lake.days(entity.name, company)
    ]


def client_of(suite: Suite, company: str) -> VismaClient:
    """A client that makes calls only while less than the sweep's share of the hour is used, by whomever."""
    share = suite.settings.visma.key_sweep.percent_of_calls
    visma = suite.settings.visma.model_copy(update={"headroom_percent": share})
    return connect_visma(
        visma,
        company,
        suite.settings.companies[company],
        budgets=suite.budgets,
        clock=suite.clock,
        counter=suite.counter,
    )


def calls_left(suite: Suite, company: str) -> int | None:
    """The calls a sweep may make of a company now; None before the ERP has named its limit."""
    share = suite.settings.visma.key_sweep.percent_of_calls
    visma = suite.settings.visma.model_copy(update={"headroom_percent": share})
    return company_budget(visma, company, suite.budgets).left()


def cost(suite: Suite, entity: Entity, company: str) -> Cost:
    """What a sweep would cost. Makes no call."""
    held, size = _alive(suite, entity, company), client_of(suite, company).page_size
    kept = pages_kept(client_of(suite, company), suite.lake, entity, company, suite.clock.now())
    calls = max(1, -(-held // size)) if entity.paged else 1
    return Cost(held, calls, kept, last_swept(suite, entity, company))


def sweep(suite: Suite, entity: Entity, company: str, *, run_id: str, confirmed: int = 0) -> Swept:
    """Compare all keys of an entity with the ERP, and bring the lake up to date with what that shows.

    What vanished becomes tombstones of today, so the next run of every pair removes, closes or zeroes it in
    its own way. Days with versions that the lake lacks are read again. Documents that cite a vanished number
    are read whole: the ERP shows them under the new one, maybe without a new stamp (section 5).

    A sweep that met a closed window goes on with its pages when it is called again. `confirmed` is how many
    missing records a person has believed.

    Raises what `keysweep.look` and `flow.read` raise.
    """
    client, before = client_of(suite, company), suite.counter.calls
    limit = Limit(suite.settings.visma.key_sweep.asks_above_percent / 100, confirmed)
    found = look(
        client,
        suite.lake,
        entity,
        company,
        clock=suite.clock,
        first_day=suite.settings.start_day,
        limit=limit,
        zone=suite.settings.timezone,
        unread=unparsed(suite, entity, company),
        elsewhere=known_elsewhere(suite, entity, company),
    )
    again: list[str] = []
    if found.vanished:
        for citing in _citing(suite, entity, company, found.vanished):
            _read_whole(suite, citing, company, client, run_id)
            again.append(citing.name)
        _tell_of_records(suite, entity, company, found, run_id)
    if found.vanished or found.late:
        last = today(suite)
        first = min([first_open_day(suite, entity, company, last), *found.late])
        flow.read(
            suite,
            entity,
            company,
            span(first, last),
            run_id=run_id,
            allow_deletes=confirmed > 0,
            gone=found.vanished,
            looked=found.begun,
            back=found.back,
            client=client,
        )
    swept = Swept(
        entity.name,
        company,
        held=found.held,
        listed=found.listed,
        vanished=len(found.vanished),
        renumbered=len(found.renumbered),
        late_days=len(found.late),
        read_again=tuple(again),
        calls=suite.counter.calls - before,
    )
    with suite.engine.begin() as connection:
        place = {"destination": entity.place, "company": company}
        looked = event(suite.clock.now(), run_id, Kind.LOOKED, swept.counts(), **place)
        connection.execute(events.insert(), looked)
    _owed(suite).change(company, lambda now: {name: one for name, one in now.items() if name != entity.name})
    found.forget()
    suite.seals.seal()
    return swept


def _read_whole(suite: Suite, entity: Entity, company: str, client: VismaClient, run_id: str) -> None:
    """Read every record and compare. Raises TooMuchGone, which is about this entity then."""
    days = span(suite.settings.start_day, today(suite))
    try:
        flow.read(suite, entity, company, days, run_id=run_id, whole=True, client=client)
    except ReadGuard as guard:
        raise TooMuchGone(entity.name, company, held=guard.held, missing=guard.missing) from None


def last_swept(suite: Suite, entity: Entity, company: str) -> datetime | None:
    """When (UTC) all keys were compared last; None when never."""
    query = sa.select(sa.func.max(events.c.at)).where(
        events.c.destination == entity.place,
        events.c.company == company,
        events.c.kind == Kind.LOOKED.value,
    )
    with reading(suite.engine) as connection:
        return connection.execute(query).scalar()


def owed(suite: Suite, company: str) -> dict[str, int]:
    """The entities a closed window kept from their turn, with what a person has confirmed for each."""
    return dict(_owed(suite).read(company).value)


def put_off(suite: Suite, company: str, entities: Mapping[str, int], window: Closed) -> None:
    """Let entities, with what is confirmed for each, go on when a window opens: the sensor starts them."""
    _ask_for(suite, company, entities, window.opens_at, str(window))


def ask_for(suite: Suite, entity: Entity, company: str, *, confirmed: int = 0) -> None:
    """Let an entity be swept as soon as the sensor looks: a read of everything missed some of its records."""
    reason = f"A read of everything brought not all of {entity.name}."
    _ask_for(suite, company, {entity.name: confirmed}, suite.clock.now(), reason)


def _ask_for(
    suite: Suite, company: str, entities: Mapping[str, int], opens_at: datetime, reason: str
) -> None:
    _owed(suite).change(company, lambda now: {**now, **entities})
    suite.deferrals.store(
        pair=NAME,
        company=company,
        first_day=suite.settings.start_day,
        last_day=suite.settings.start_day,
        opens_at=opens_at,
        reason=reason,
    )


def _owed(suite: Suite) -> Memory:
    return Memory(suite.engine, suite.clock, NAME)


def _alive(suite: Suite, entity: Entity, company: str) -> int:
    return len(_newest(suite, entity, company, "not _deleted"))


def _newest(suite: Suite, entity: Entity, company: str, condition: str) -> list[str]:
    """The keys of the newest versions that fit an SQL condition."""

    def read(listings: Mapping[str, Any]) -> list[str]:
        scan = listings[entity.name].scan()
        if scan is None:
            return []
        newest_first = f"row_number() over (partition by _key order by {NEWEST_FIRST}) = 1"
        newest = f"select _key, {condition} as fits from ({scan}) qualify {newest_first}"
        with suite.lake.connect() as connection:
            return [
                row[0] for row in connection.execute(f"select _key from ({newest}) where fits").fetchall()
            ]

    return suite.lake.steady([entity.name], company, read)


def _citing(suite: Suite, entity: Entity, company: str, vanished: Sequence[str]) -> Iterator[Entity]:
    """The entities with documents, or lines of some, that name a vanished record by its number.

    Where the number is a part of the key, the entity's own sweep finds it.
    """
    numbers = ", ".join(quote(number) for number in vanished)
    for other in ENTITIES.values():
        values = [
            f"[{path}]" if section is None else f'[line.{path} for line in "{section}"]'
            for path in entity.cited
            for section in other.sections_with(path)
        ]
        if not values or not suite.lake.days(other.name, company):
            continue
        cites = " or ".join(f"list_has_any({value}, [{numbers}])" for value in values)
        if _newest(suite, other, company, f"not _deleted and ({cites})"):
            yield other


def _tell_of_records(suite: Suite, entity: Entity, company: str, found: Looked, run_id: str) -> None:
    """Write into the audit trail what vanished and what has another number, before the lake shows it.

    A look after a crash finds the same again. What was told since the lake's version was read is not told
    twice.
    """
    at, place = suite.clock.now(), {"destination": entity.place, "company": company}
    told = _told(suite, entity, company, found.vanished)
    versions = suite.lake.latest(entity.name, company, found.vanished)
    news: list[dict[str, Any]] = []
    rows = versions.select(["_key", "_read_at"]).to_pylist() if versions is not None else []
    read = {row["_key"]: row["_read_at"] for row in rows}
    for key in found.vanished:
        if key in told and told[key] >= read.get(key, told[key]):
            continue
        new = found.renumbered.get(key)
        kind, detail = (Kind.RENUMBERED, {"from": key, "to": new}) if new else (Kind.VANISHED, {})
        news += [
            event(at, run_id, kind, detail, **place, source_key=each, key=each, number=entity.number_in(each))
            for each in filter(None, (key, new))
        ]
    if news:
        with suite.engine.begin() as connection:
            connection.execute(events.insert(), news)


def _told(suite: Suite, entity: Entity, company: str, keys: Sequence[str]) -> dict[str, datetime]:
    """When (UTC) the audit trail told last that a record vanished or has another number."""
    found: dict[str, datetime] = {}
    with reading(suite.engine) as connection:
        for numbers in chunks([entity.number_in(key) for key in keys]):
            query = sa.select(events.c.key, sa.func.max(events.c.at).label("at")).where(
                events.c.number.in_(numbers),
                events.c.destination == entity.place,
                events.c.company == company,
                events.c.kind.in_((Kind.VANISHED.value, Kind.RENUMBERED.value)),
            )
            found |= {row.key: row.at for row in connection.execute(query.group_by(events.c.key))}
    return found
