"""The way of a record, for one company and some days: read, map, deliver. Knows no Dagster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlc_dagster.delivery import Change, Plan, Refused, Report, Row, State, deliver, plan
from mlc_dagster.delivery.destination import Advised, Paced
from mlc_dagster.delivery.errors import Overtaken
from mlc_dagster.outlook import held_days, known_elsewhere, seen, span, stands_for, unreadable
from mlc_dagster.settings import pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.entities import Entity
from mlc_dagster.visma.reader import ReadReport, read_days

if TYPE_CHECKING:
    from mlc_dagster.mappings import Mapped

# Another delivery may write between mapping and sending; the rows are then made again.
OVERTAKEN_AT_MOST = 3
STAGE = "visma"


def read(
    suite: Suite,
    entity: Entity,
    company: str,
    days: Sequence[date],
    *,
    run_id: str,
    whole: bool = False,
    allow_deletes: bool = False,
    again: bool = False,
    gone: Collection[str] = (),
    looked: datetime | None = None,
    back: Collection[str] = (),
    client: VismaClient | None = None,
    on_day: Callable[[date, int], None] = lambda *_: None,
) -> ReadReport:
    """Read some days of an entity into the lake; what does not parse goes to quarantine.

    A read of the same days that was cut off is gone on with. For `whole`, `allow_deletes`, `again`, `gone`,
    `looked`, `back` and what is raised see `read_days`. `client` is another one of the company than the
    suite's own.
    """
    return read_days(
        client or suite.visma(company),
        suite.lake,
        entity,
        company,
        days,
        clock=suite.clock,
        zone=suite.settings.timezone,
        first_day=suite.settings.start_day,
        whole=whole,
        allow_deletes=allow_deletes,
        again=again,
        gone=gone,
        looked=looked,
        back=back,
        elsewhere=known_elsewhere(suite, entity, company) if whole or not entity.has_filter else (),
        on_day=on_day,
        settle=lambda report: _settle_quarantine(suite, entity, report, run_id),
    )


def rows(suite: Suite, model: str, company: str, days: Sequence[date]) -> Mapped:
    """The rows a delivery of these days needs: made anew, or as saved when nothing has moved on since.

    Besides the days' records they cover the days that were read and never sent, what is still outstanding at
    the destination, and everything when the model, a lookup, a joined entity or the target changed since the
    last finished delivery.

    Raises:
        LakeIncomplete: the model adds up all records, and the lake has not all of them.
    """
    from mlc_dagster.mappings import current

    return _made(suite, partial(current, suite.mappings), model, company, days)


def send(suite: Suite, name: str, company: str, days: Sequence[date], *, run_id: str) -> Report:
    """Make a destination equal to the rows of its model for these days' records.

    Raises:
        ContractBroken: a blocking test of the contract fails; nothing was sent.
        LakeIncomplete: as `rows`; nothing was sent.
        Exception: what `delivery.deliver` raises.
    """
    for _ in range(OVERTAKEN_AT_MOST - 1):
        with suppress(Overtaken):
            return _send(suite, name, company, days, run_id=run_id)
    return _send(suite, name, company, days, run_id=run_id)


def _send(suite: Suite, name: str, company: str, days: Sequence[date], *, run_id: str) -> Report:
    """Make the rows and send them, once. Raises as `send`, and Overtaken."""
    # Both before the rows are made: what comes in between is left for the next delivery.
    generation, held = suite.ledger.generation(name, company), held_days(suite, name, company)
    mapped = rows(suite, name, company, days)
    if mapped.blocked:
        raise ContractBroken(mapped)
    destination = suite.destination(name)
    report = deliver(
        destination,
        company,
        _rows(mapped),
        mapped.scope,
        mapped.refused,
        ledger=suite.ledger,
        run_id=run_id,
        fingerprint=stands_for(mapped.fingerprint, destination.target),
        whole=mapped.whole,
        generation=generation,
        clock=suite.clock,
    )
    if report.stopped is None:
        suite.sent_days.note(name, company, held)
    suite.delivered(name, report)
    suite.seals.seal()
    return report


def strays(suite: Suite, name: str, company: str) -> list[Change]:
    """What a delivery of all records would change and the next one not: none, unless something is wrong.

    Calls nobody and writes nothing.

    Raises:
        LakeIncomplete: as `rows`.
    """
    due = _due(suite, name, company)
    if due is None:
        return []
    missed = [
        change for change in _changes(suite, everything(suite, name, company)) if change.row.key not in due
    ]
    # A read may have brought something meanwhile: that is due by now.
    due = _due(suite, name, company) if missed else set()
    return [] if due is None else [change for change in missed if change.row.key not in due]


def _due(suite: Suite, name: str, company: str) -> set[str] | None:
    """The keys that a delivery of any days would change; None: it looks at all records."""
    mapped = _made(suite, suite.mappings.run, name, company, [])
    return None if mapped.whole else {change.row.key for change in _changes(suite, mapped)}


def _changes(suite: Suite, mapped: Mapped) -> Sequence[Change]:
    destination = suite.destination(mapped.model)
    planned = plan(
        suite.ledger, destination, mapped.company, _rows(mapped), mapped.scope, refused=mapped.refused
    )
    return planned.changes


def unmade(suite: Suite, name: str, keys: Collection[str]) -> set[str]:
    """Those of the keys of which the lake makes a row for no company: nobody will send them.

    Raises:
        LakeIncomplete: the lake lacks days, so that nobody can say.
    """
    left = set(keys)
    why = "no row is taken away, because one that nobody sent may be of a record that was not read"
    for company in suite.settings.companies_of(pair_of(name)):
        source, held = suite.mappings.models[name].source, held_days(suite, name, company)
        missing = _gaps(suite, name, company) if held else {source: [suite.settings.start_day]}
        if missing:
            raise LakeIncomplete(name, company, missing, why)
        left.difference_update(row.key for row in _rows(everything(suite, name, company)))
    return left


def everything(suite: Suite, model: str, company: str) -> Mapped:
    """The rows of all records in the lake, as a first delivery would get them."""
    return suite.mappings.run(model, suite.lake, company, [], seen=None)


class ContractBroken(Exception):
    """A blocking test fails, so nothing of the model may be delivered."""

    def __init__(self, mapped: Mapped) -> None:
        tests = "; ".join(f"{check.name}: {check.message}" for check in mapped.blocked)
        super().__init__(
            f"{mapped.model} {mapped.company}: nothing was sent, because a blocking test fails. {tests} "
            "Correct the records in the ERP or the model, then run again."
        )


class LakeIncomplete(Exception):
    """Something takes all records, and the lake has not all of them. why: what was not done, and why not."""

    def __init__(self, model: str, company: str, missing: Mapping[str, Sequence[date]], why: str) -> None:
        gaps = "; ".join(
            f"{entity}: {len(days)} days, the first is {days[0]}" for entity, days in missing.items()
        )
        super().__init__(
            f"{model} {company}: {why}, and the lake lacks days. {gaps}. "
            "Read these days of the named entities (docs/replay.md), then run again."
        )


@dataclass(frozen=True)
class Forecast:
    """What a delivery would do, the calls it and the proof after it would cost, and what it cannot carry:
    `refused` counts the rows the contract refuses and the records that did not parse when they were read.
    `seconds` is how long it would take, where the vendor's limits say so.
    """

    plan: Plan
    refused: int
    calls: int
    seconds: float | None = None
    advice: str = ""


def forecast(suite: Suite, name: str, company: str, days: Sequence[date]) -> Forecast:
    """The dry run of `send`: same rows, same plan, no call to the destination and nothing written.

    Raises:
        LakeIncomplete: as `rows`.
    """
    mapped = _made(suite, suite.mappings.run, name, company, days)
    destination = suite.destination(name)
    planned = plan(
        suite.ledger,
        destination,
        company,
        _rows(mapped),
        mapped.scope,
        refused=mapped.refused,
    )
    seconds = destination.seconds(planned.changes) if isinstance(destination, Paced) else None
    refused = len(mapped.refused) + unreadable(suite, name, company)
    advice = destination.advice(planned.changes) if isinstance(destination, Advised) else ""
    calls = destination.calls(planned.changes)
    if (read_back := suite.read_back(name)) is not None:
        calls += read_back.calls(sum(suite.ledger.counts(name, company).values()) + planned.creates)
    return Forecast(planned, refused, calls, seconds, advice)


def _rows(mapped: Mapped) -> Iterator[Row]:
    return (Row(row.key, row.source_key, row.number, row.payload) for row in mapped.rows())


def _made(
    suite: Suite, make: Callable[..., Mapped], model: str, company: str, days: Sequence[date]
) -> Mapped:
    """The rows of a delivery of these days, as `make` gives them.

    A row may have the key of one that another record made, on other days. That record is then looked at too:
    if both make the row, the contract refuses both.
    """
    asked = _asked(suite, model, company, days)
    while True:
        mapped = make(model, suite.lake, company, **asked)
        if not (others := _other_owners(suite, mapped) - asked["also"]):
            return mapped
        asked["also"] |= others


def _other_owners(suite: Suite, mapped: Mapped) -> set[str]:
    """The records out of the rows' scope of which the destination holds rows by the same keys."""
    if mapped.whole:
        return set()
    owners = mapped.owners()
    known = suite.ledger.known(mapped.model, mapped.company, keys=owners, source_keys=())
    return {
        record.source_key
        for key, record in known.items()
        if key in owners and record.state != State.DELETED and record.source_key not in mapped.scope
    }


def _asked(suite: Suite, model: str, company: str, days: Sequence[date]) -> dict[str, Any]:
    """What the mappings are asked for: days, records outstanding, and what the destination has seen."""
    if missing := _missing_days(suite, model, company):
        why = f"no rows were made, because each adds up all records of {', '.join(missing)}"
        raise LakeIncomplete(model, company, missing, why)
    unsent = suite.sent_days.missing(model, company, held_days(suite, model, company))
    return {
        "days": sorted({*days, *unsent}),
        "also": suite.ledger.outstanding(model, company),
        "seen": seen(suite, model, company),
    }


def _missing_days(suite: Suite, model: str, company: str) -> dict[str, list[date]]:
    """Of a model whose rows add up records: entity -> the days the lake has to hold, and does not.

    These are the days up to the newest one that was read or ever sent: sums of half the records would be
    taken for the truth, and after the loss of a lake they would replace it.
    """
    return _gaps(suite, model, company) if suite.mappings.models[model].contract.whole else {}


def _gaps(suite: Suite, model: str, company: str) -> dict[str, list[date]]:
    """Of each entity of a model the days that the lake lacks, up to the newest that was read or ever sent."""
    newest = max(
        [*held_days(suite, model, company), *filter(None, [suite.sent_days.newest(model, company)])],
        default=None,
    )
    days = span(suite.settings.start_day, newest) if newest else []
    held = {entity: suite.lake.notes(entity, company) for entity in suite.mappings.models[model].entities}
    missing = {entity: [day for day in days if day not in notes] for entity, notes in held.items()}
    return {entity: gaps for entity, gaps in missing.items() if gaps}


def _settle_quarantine(suite: Suite, entity: Entity, report: ReadReport, run_id: str) -> None:
    """Keep the records that did not parse; release those that came in good order, or that the ERP deleted."""
    if not report.quarantined and not suite.quarantine.open(entity.place, report.company, dismissed=True):
        return
    suite.quarantine.settle(
        stage=STAGE,
        place=entity.place,
        company=report.company,
        refused=[
            Refused.at_source(STAGE, bad.key, bad.number, bad.reason, bad.raw) for bad in report.quarantined
        ],
        passed=[*report.keys.to_pylist(), *report.deleted],
        run_id=run_id,
    )
