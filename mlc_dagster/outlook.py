"""What is still to be done: days not wholly read, news in the ERP, records left behind."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mlc_dagster.delivery import State
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES, Entity
from mlc_dagster.visma.news import has_news

LEFT_BEHIND = (State.PENDING, State.FAILED)


def today(suite: Suite) -> date:
    """Today by the ERP's clock: the newest partition."""
    return suite.clock.now().astimezone(ZoneInfo(suite.settings.timezone)).date()


def entities(suite: Suite, pair: str) -> list[Entity]:
    """The entities a pair reads."""
    names = {name for model in suite.destinations(pair) for name in suite.mappings.models[model].entities}
    return [ENTITIES[name] for name in sorted(names)]


def open_days(suite: Suite, pair: str, company: str) -> tuple[date, date]:
    """From the first day that some entity of the pair has not read to its end, to today."""
    last = today(suite)
    return min(first_open_day(suite, entity, company, last) for entity in entities(suite, pair)), last


def first_open_day(suite: Suite, entity: Entity, company: str, last: date) -> date:
    """The first day of the axis without a complete reading of the entity; `last` when there is none."""
    notes = suite.lake.notes(entity.name, company)
    day = suite.settings.start_day
    while day < last and day in notes and notes[day].complete:
        day += timedelta(days=1)
    return day


def days_to_read(
    suite: Suite, entity: Entity, company: str, days: Sequence[date], *, anew: bool
) -> Sequence[date]:
    """The days a run of some days has to read of an entity: of master data also those it never read.

    Documents of the newest days refer to suppliers and accounts of any day: a new company may have its
    current days delivered before its history, and none of them lacks a name or an address.

    What was wholly read is left alone, unless days are asked for `anew`: a first load of many windows would
    spend each on the entities that are done.
    """
    axis = span(suite.settings.start_day, max(days))
    if entity.is_master_data and not suite.lake.notes(entity.name, company).keys() >= set(axis):
        days = axis
    begin = days[0] if anew else first_open_day(suite, entity, company, max(days))
    return [day for day in days if day >= begin]


def span(first: date, last: date) -> list[date]:
    """Every day from first to last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def news(suite: Suite, pair: str, company: str) -> bool:
    """Whether a run has something to do: from the lake, or as one cheap question an entity tells, the ERP."""
    return unsent(suite, pair, company) or any(
        entity_news(suite, entity, company) for entity in entities(suite, pair)
    )


def unsent(suite: Suite, pair: str, company: str) -> bool:
    """Whether a destination of the pair has yet to receive something that is in the lake.

    It was read for another pair, or by a run that ended before it delivered; or a model, a lookup or the
    target is another.
    """
    return any(_behind(suite, name, company) for name in suite.destinations(pair))


def _behind(suite: Suite, name: str, company: str) -> bool:
    held = held_days(suite, name, company)
    return bool(held) and (
        bool(suite.sent_days.missing(name, company, held)) or seen(suite, name, company) is None
    )


def seen(suite: Suite, name: str, company: str) -> str | None:
    """The fingerprint of the mappings, where the last finished delivery was made by it, to today's target.

    None: every record is to be looked at, as each of its rows may be another, or has to go elsewhere.
    """
    noted = suite.ledger.seen(name, company)
    if noted is None:
        return None  # before its first delivery a target is asked for nothing
    fingerprint = suite.mappings.fingerprint(name, suite.lake, company)
    return fingerprint if noted == stands_for(fingerprint, suite.destination(name).target) else None


def stands_for(fingerprint: str, target: str) -> str:
    """What a finished delivery is noted by: how its rows were made, and what they went into."""
    return hashlib.sha256(f"{fingerprint}\n{target}".encode()).hexdigest()


def held_days(suite: Suite, model: str, company: str) -> dict[date, datetime]:
    """Every day the lake holds of the model's own entity, with the time of its newest reading."""
    notes = suite.lake.notes(suite.mappings.models[model].source, company)
    return {day: note.read_at for day, note in notes.items()}


def known_elsewhere(suite: Suite, entity: Entity, company: str) -> set[str]:
    """The keys of an entity's records that the lake may lack: those that destinations hold, as it may have
    been lost and read again, and those that did not parse.
    """
    held = {
        key
        for name in suite.destinations()
        if suite.mappings.models[name].source == entity.name
        for key in suite.ledger.source_keys(name, company)
    }
    return held | unparsed(suite, entity, company)


def unparsed(suite: Suite, entity: Entity, company: str) -> set[str]:
    """The keys of records that did not parse, whether a person has dismissed them or not."""
    entries = suite.quarantine.open(entity.place, company, dismissed=True)
    return {entry.source_key for entry in entries if entry.source_key is not None}


def entity_news(suite: Suite, entity: Entity, company: str) -> bool:
    """Whether the ERP holds rows of an entity that the lake has not read: one cheap question."""
    return has_news(
        suite.visma(company),
        suite.lake,
        entity,
        company,
        clock=suite.clock,
        refused=_refused(suite, entity, company),
        zone=suite.settings.timezone,
    )


def _refused(suite: Suite, entity: Entity, company: str) -> set[str]:
    """The records that did not parse, as they came: no news, whether a person has dismissed them or not."""
    entries = suite.quarantine.open(entity.place, company, dismissed=True)
    return {entry.raw for entry in entries}


def left_behind(suite: Suite, destination: str, company: str) -> dict[str, int]:
    """Records of a destination that need somebody or the next run: by state, without zeros."""
    counts = suite.ledger.counts(destination, company)
    found = {state.value: counts.get(state, 0) for state in LEFT_BEHIND}
    found["in doubt"] = len(suite.ledger.keys_in_doubt(destination, company))
    found["quarantined"] = len(suite.quarantine.open(destination, company))
    found["quarantined when read from the ERP"] = unreadable(suite, destination, company)
    return {name: count for name, count in found.items() if count}


def unreadable(suite: Suite, destination: str, company: str) -> int:
    """Records of the destination's entity that did not parse: it still holds their last good version."""
    source = ENTITIES[suite.mappings.models[destination].source]
    return len(suite.quarantine.open(source.place, company))
