"""What of the ERP has still to be read: days, pages, calls, and how many of the ERP's hours that takes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mlc_dagster.delivery.memory import Memory
from mlc_dagster.outlook import entities, open_days, span, today
from mlc_dagster.suite import Suite
from mlc_dagster.visma.connect import company_budget
from mlc_dagster.visma.entities import ENTITIES, Entity, Paging
from mlc_dagster.visma.reader import Received, received
from mlc_dagster.visma.wall import day_begin


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one entity of a company still lacks.

    ``days`` were never read; ``records`` is how many the ERP has for them, None where a list does not tell;
    ``pages`` how many calls bring them, of which ``kept`` are here from a read that was cut off.
    """

    entity: str
    company: str
    days: int
    records: int | None
    pages: int
    kept: int

    @property
    def calls(self) -> int:
        """The calls still to be made."""
        return max(0, self.pages - self.kept)


def backlogs(suite: Suite, company: str) -> list[Backlog]:
    """What each entity of a company still lacks; asks the ERP one question for each that lacks anything.

    Raises what the transport raises.
    """
    wanted: dict[str, date] = {}
    for pair in suite.settings.pairs.on():
        if company in suite.settings.companies_of(pair):
            first, last = open_days(suite, pair, company)
            for entity in entities(suite, pair):
                wanted[entity.name] = min(first, wanted.get(entity.name, last))
    found = (_backlog(suite, ENTITIES[name], company, first) for name, first in wanted.items())
    return [one for one in found if one.days]


def hours(suite: Suite, company: str, calls: int) -> int | None:
    """In how many of the ERP's hours so many calls fit, this one included; None before it named its limit."""
    budget = company_budget(suite.settings.visma, company, suite.budgets)
    left, allowed = budget.left(), budget.allowed()
    if left is None or not allowed:
        return None
    return 1 + math.ceil(max(0, calls - left) / allowed)


def total(found: Iterable[Backlog]) -> int:
    """The calls all of it takes."""
    return sum(one.calls for one in found)


def _backlog(suite: Suite, entity: Entity, company: str, first: date) -> Backlog:
    days, held = span(first, today(suite)), suite.lake.notes(entity.name, company)
    missing = sum(day not in held for day in days)
    if not missing:
        return Backlog(entity.name, company, 0, 0, 0, 0)
    client, records, pages = suite.visma(company), None, 1
    if entity.paging in (Paging.PAGED, Paging.BY_LINE):
        since = None if first == suite.settings.start_day else day_begin(first)
        told = client.page(entity, since=since, size=1).told
        records = told.total
        size = min(client.page_size, told.cap or client.page_size)
        pages = max(1, math.ceil((records or 0) / size))
    return Backlog(
        entity.name, company, missing, records, pages, _received(suite, entity, company, days).here
    )


def _received(
    suite: Suite, entity: Entity, company: str, days: Sequence[date], *, whole: bool = False
) -> Received:
    return received(
        suite.visma(company),
        suite.lake,
        entity,
        company,
        days,
        first_day=suite.settings.start_day,
        clock=suite.clock,
        zone=suite.settings.timezone,
        whole=whole,
    )


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A read that a closed window interrupted: `here` of its `pages`, None before the ERP told how many."""

    entity: str
    days: int
    here: int
    pages: int | None

    @property
    def calls(self) -> int:
        """The calls still to be made, as far as they are known."""
        return max(0, (self.pages or 0) - self.here)


def how_far(suite: Suite, entity: Entity, company: str, days: Sequence[date], *, whole: bool) -> Interrupted:
    """How far a read of some days came. Makes no call."""
    held, came = suite.lake.notes(entity.name, company), _received(suite, entity, company, days, whole=whole)
    return Interrupted(entity.name, sum(day not in held for day in days), came.here, came.pages)


def note_interrupted(suite: Suite, company: str, read: Interrupted) -> None:
    """Note how far a read came: people look on while the window is closed, and nobody can be asked then."""
    _noted(suite).change(company, lambda now: {**now, read.entity: [read.days, read.here, read.pages]})


def note_ended(suite: Suite, entity: Entity, company: str) -> None:
    """A read that ended is no interrupted one any more."""
    _noted(suite).change(company, lambda now: {name: one for name, one in now.items() if name != entity.name})


def interrupted(suite: Suite) -> dict[str, list[Interrupted]]:
    """The reads of each company that closed windows interrupted, as they were noted. Asks nobody."""
    return {
        company: [Interrupted(name, *one) for name, one in sorted(noted.value.items())]
        for company, noted in _noted(suite).all().items()
    }


def _noted(suite: Suite) -> Memory:
    return Memory(suite.engine, suite.clock, "visma/interrupted")
