"""What Visma called for becomes an early poll: of the company it named, for the pairs that read such records.

A signal is believed to mean no more than "look". The ERP is asked the polling sensors' own question, so what
is forged, late or doubled starts nothing, and what never came is found by the next poll.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

from mlc_dagster.graph.automation import chain, not_now, run_request
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.outlook import entities, entity_news
from mlc_dagster.receiver import Signals
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import CallFailed
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.webhooks import EVERYBODY

SOURCE, NAME = "visma", "visma_signals"
TICK_SECONDS = 30


def signals(settings: Settings) -> dg.Definitions:
    """Nothing where Visma does not notify us; the sensor is switched on by hand."""
    if settings.receiver is None or settings.receiver.visma is None or not settings.pairs.on():
        return dg.Definitions()
    chains = [chain(pair) for pair in settings.pairs.on()]
    target = chains[0]
    for further in chains[1:]:
        target |= further
    return dg.Definitions(sensors=[signal_sensor(target, settings.receiver.visma.look_seconds)])


@dataclass
class Company:
    """What the sensor remembers of a company: when it last looked, and the pairs that news is owed to."""

    at: datetime | None = None
    owed: set[str] = field(default_factory=set)


def signal_sensor(target: dg.AssetSelection, look_seconds: int) -> dg.SensorDefinition:
    """Looks where Visma says something happened, at most so often for each company, and starts the runs."""

    @dg.sensor(
        name=NAME,
        target=target,
        minimum_interval_seconds=TICK_SECONDS,
        description="Asks Visma for changes soon after it has called, and starts the pairs that carry them.",
    )
    def called(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SensorResult:
        house = suite.open_for_a_tick()
        memory = _read(context.cursor)
        kept = Signals(house.engine, house.clock)
        waiting = kept.waiting(SOURCE)
        reasons: list[str] = []
        unseen: set[str] = set()
        for code, asked in _asked(house, waiting).items():
            reason = _look(house, code, asked, memory.setdefault(code, Company()), look_seconds)
            if reason is not None:
                reasons.append(f"{code}: {reason}")
                unseen.add(code)
        for place, newest in waiting.items():
            about = place.split("/")[0]
            if not unseen if about == EVERYBODY else about not in unseen:
                kept.handled(SOURCE, newest, place=place)
        requests = []
        for code, company in memory.items():
            for pair in sorted(company.owed & house.settings.pairs.on().keys()):
                if reason := not_now(context, house, pair, code):
                    reasons.append(f"{pair} {code}: {reason}")
                    continue
                company.owed.discard(pair)
                requests.append(_request(context, house, pair, code))
        told = "; ".join(reasons) or ("Nothing new." if waiting else "Nobody has called.")
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else told, cursor=_written(memory)
        )

    return called


def _asked(house: Suite, waiting: Mapping[str, int]) -> dict[str, set[str]]:
    """Which kinds of records of each company signals are about."""
    asked: dict[str, set[str]] = {}
    for place in waiting:
        company, _, entity = place.partition("/")
        for code in house.settings.companies if company == EVERYBODY else [company]:
            asked.setdefault(code, set()).update(ENTITIES if entity == EVERYBODY else [entity])
    return {code: names for code, names in asked.items() if code in house.settings.companies}


def _look(house: Suite, code: str, asked: set[str], company: Company, look_seconds: int) -> str | None:
    """Ask the ERP for changes of these kinds, and note the pairs that carry them. Why not, where it waits."""
    now = house.clock.now()
    if company.at is not None and now - company.at < timedelta(seconds=look_seconds):
        return f"looked {(now - company.at).seconds} seconds ago"
    company.at = now
    readers = dict(_readers(house, code, asked))
    try:
        news = {name for name in sorted(set().union(*readers.values())) if _news(house, name, code)}
    except CallFailed as failure:
        # The polling sensors fail visibly for the same reason; here it is only too early.
        return str(failure)
    company.owed |= {pair for pair, names in readers.items() if names & news}
    return None


def _readers(house: Suite, code: str, asked: set[str]) -> Iterator[tuple[str, set[str]]]:
    """The pairs that carry a company, with those of the records they read."""
    for pair in house.settings.pairs.on():
        if code in house.settings.companies_of(pair):
            yield pair, {entity.name for entity in entities(house, pair)} & asked


def _news(house: Suite, name: str, code: str) -> bool:
    return entity_news(house, ENTITIES[name], code)


def _request(context: dg.SensorEvaluationContext, house: Suite, pair: str, code: str) -> dg.RunRequest:
    assert context.repository_def is not None  # noqa: S101 - the daemon and the tests' contexts have one
    keys = chain(pair).resolve(context.repository_def.asset_graph)
    return run_request(house, pair, code, assets=sorted(keys))


def _read(cursor: str | None) -> dict[str, Company]:
    told = json.loads(cursor) if cursor else {}
    return {
        code: Company(datetime.fromisoformat(entry["at"]) if entry["at"] else None, set(entry["owed"]))
        for code, entry in told.items()
    }


def _written(memory: Mapping[str, Company]) -> str:
    return json.dumps(
        {
            code: {"at": company.at.isoformat() if company.at else None, "owed": sorted(company.owed)}
            for code, company in memory.items()
        }
    )
