"""The way of a record, for one company and some days: read, map, deliver. Knows no Dagster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from mlc_dagster.delivery import Plan, Report, Row, deliver, plan
from mlc_dagster.delivery.errors import Overtaken
from mlc_dagster.mappings import Mapped, current
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import Entity
from mlc_dagster.visma.reader import ReadReport, read_days

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
    on_day: Callable[[date, int], None] = lambda *_: None,
) -> ReadReport:
    """Read some days of an entity into the lake; what does not parse goes to quarantine."""
    settings = suite.settings
    report = read_days(
        suite.visma(company),
        suite.lake,
        entity,
        company,
        days,
        clock=suite.clock,
        zone=settings.timezone,
        first_day=settings.start_day,
        on_day=on_day,
    )
    for bad in report.quarantined:
        suite.quarantine.add(
            stage=STAGE,
            place=f"visma/{entity.name}",
            company=company,
            key=bad.key,
            reason=bad.reason,
            raw=bad.raw,
            run_id=run_id,
        )
    suite.lake.compact(entity.name, company, before=days[-1].replace(day=1))
    return report


def rows(suite: Suite, model: str, company: str, days: Sequence[date]) -> Mapped:
    """The rows a delivery of these days needs: made anew, or as saved when nothing has moved on since.

    Besides the days' records they cover what is still outstanding at the destination, and everything when the
    model, a lookup or a joined entity changed since the last finished delivery.
    """
    return current(
        suite.mappings,
        model,
        suite.lake,
        company,
        days,
        also=suite.ledger.outstanding(model, company),
        seen=suite.ledger.seen(model, company),
    )


def send(suite: Suite, name: str, company: str, days: Sequence[date], *, run_id: str) -> Report:
    """Make a destination equal to the rows of its model for these days' records.

    Raises:
        ContractBroken: a blocking test of the contract fails; nothing was sent.
        Exception: what `delivery.deliver` raises.
    """
    for attempt in range(OVERTAKEN_AT_MOST):
        generation = suite.ledger.generation(name, company)
        mapped = rows(suite, name, company, days)
        if mapped.blocked:
            raise ContractBroken(mapped)
        try:
            return deliver(
                suite.destination(name),
                company,
                _rows(mapped),
                mapped.scope,
                mapped.refused,
                ledger=suite.ledger,
                run_id=run_id,
                fingerprint=mapped.fingerprint,
                whole=mapped.whole,
                generation=generation,
                clock=suite.clock,
            )
        except Overtaken:
            if attempt == OVERTAKEN_AT_MOST - 1:
                raise
    raise AssertionError("unreachable")


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


@dataclass(frozen=True)
class Forecast:
    """What a delivery would do, the rows the contract refuses, and the calls it would cost."""

    plan: Plan
    refused: int
    calls: int


def forecast(suite: Suite, name: str, company: str, days: Sequence[date]) -> Forecast:
    """The dry run of `send`: same rows, same plan, no call to the destination and nothing written."""
    mapped = suite.mappings.run(
        name,
        suite.lake,
        company,
        days,
        also=suite.ledger.outstanding(name, company),
        seen=suite.ledger.seen(name, company),
    )
    destination = suite.destination(name)
    planned = plan(
        suite.ledger,
        destination,
        company,
        _rows(mapped),
        mapped.scope,
        refused=mapped.refused,
    )
    return Forecast(planned, len(mapped.refused), destination.calls(planned.changes))


def _rows(mapped: Mapped) -> Iterator[Row]:
    return (Row(row.key, row.source_key, row.number, row.payload) for row in mapped.rows())
