"""One run of a pair as a process of its own: what a scheduler would start, with the sandbox's time."""

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import requests

from mlc_dagster import flow
from mlc_dagster.cleo.held import PLACE
from mlc_dagster.cli.reconcile import show_reconcile
from mlc_dagster.cli.resend import file_overdue
from mlc_dagster.definitions import defs
from mlc_dagster.delivery import Comparison, distrust, reconcile
from mlc_dagster.delivery.errors import Closed as DeliveryClosed
from mlc_dagster.delivery.reconcile import KEYLESS
from mlc_dagster.graph.run import run_pair
from mlc_dagster.inbound.mailbox import receive
from mlc_dagster.inbound.wayback import carry_back
from mlc_dagster.operations import sweeps
from mlc_dagster.outlook import days_to_read, entities, left_behind, open_days, span
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed
from mlc_dagster.visma.entities import Entity
from mlc_dagster.visma.keysweep import TooMuchGone

# Waiting is cut short: what is not there then is met again by the next run, hours later by the sandbox.
LONGEST_SLEEP = 0.15
PATIENCE_SECONDS = 5
RETRY = dg.RetryPolicy(max_retries=1, delay=0.01)
# For an answer, seconds: with trouble about. A machine with many rounds at once may also take longer for an
# honest one, which is one trouble more; without any about, the product's own timeouts count.
READ_TIMEOUT = 5
CLIENTS = (
    "visma.client",
    "anaplan.client.api",
    "anaplan.oauth",
    "asana.client",
    "asana.oauth",
    "cleo.rest",
    "tableau.client",
    "powerbi.client",
    "powerbi.auth",
)
ENDED_WELL, ENDED_BADLY = 0, 3
RUN_ID = "campaign"


@dataclass(frozen=True)
class Order:
    """What a process is to do: run a pair, or one of TASKS. told: where a task writes what it found, as JSON.

    file_limit: bytes a file may grow to, as on a full disk; skew: how wrong its clock is, in seconds.
    hasty: it waits READ_TIMEOUT for an answer, and not for minutes.
    company: only this one, as schedules do; None: one after the other.
    in_dagster: run the pair's chain as Dagster would; else the same steps one after another, for a fifth of
    the processor's time.
    """

    pair: str
    url: str
    environment: dict[str, str]
    log: Path
    told: Path | None = None
    skew: float = 0.0
    file_limit: int | None = None
    hasty: bool = False
    in_dagster: bool = False
    company: str | None = None


@dataclass
class ShiftedClock:
    """The machine's clock, moved on by what the sandbox was moved on."""

    shift: timedelta
    slept: float = field(default=0.0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(min(seconds, LONGEST_SLEEP))


def clock_at(url: str, skew: float = 0.0) -> ShiftedClock:
    """The sandbox's time, as it is when a process begins."""
    told = requests.get(f"{url}/control/clock", timeout=30).json()
    return ShiftedClock(timedelta(seconds=float(told["offset_seconds"]) + skew))


def work(order: Order) -> None:
    """The life of the process; what it said is in the order's log."""
    with order.log.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        well = _run(order)
    except BaseException:  # noqa: BLE001 - whatever it is, the log has it and the process has failed
        traceback.print_exc()
        well = False
    _say(f"{order.pair}: {time.process_time():.1f} s of a processor")
    sys.stderr.flush()
    # As a kill would: no exit handler may wait for anything.
    os._exit(ENDED_WELL if well else ENDED_BADLY)


def _run(order: Order) -> bool:
    os.environ.update(order.environment)
    clock = clock_at(order.url, order.skew)
    if order.file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_limit, resource.RLIM_INFINITY))
    if order.hasty:
        _hurry()
    suite = Suite(load_settings(), clock)
    if order.pair in TASKS:
        found = TASKS[order.pair](suite)
        if order.told is not None:
            order.told.write_text(json.dumps(found))
        return True
    run = _in_dagster if order.in_dagster else _by_hand
    companies = [order.company] if order.company else suite.settings.companies_of(order.pair)
    # Each has its turn, whatever becomes of the others.
    ends = [run(suite, order.pair, company) for company in companies]
    if order.pair == "cleo":
        print("the mailbox:", receive(suite, run_id=RUN_ID))
    if order.pair == "asana":
        print("the way back:", carry_back(suite, run_id=RUN_ID))
    return all(ends)


def _hurry() -> None:
    """For the rest of this process. How long a call may be on its way is still as the product has it."""
    for client in CLIENTS:
        patch(f"mlc_dagster.{client}.TIMEOUT", (READ_TIMEOUT, READ_TIMEOUT)).start()


def _in_dagster(suite: Suite, pair: str, company: str) -> bool:
    """A run of the pair's chain, as a schedule starts it."""
    with _house(suite), dg.DagsterInstance.ephemeral() as instance:
        first, last = days(suite, pair, company)
        run = run_pair(defs(), instance, pair=pair, company=company, first=first, last=last)
        _say(f"{company} to {pair}, {first} to {last}, in Dagster: {'done' if run.success else 'failed'}")
        for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            _say(record.dagster_event.step_failure_data.error.to_string()[-3000:])
        return bool(run.success)


def _by_hand(suite: Suite, pair: str, company: str) -> bool:
    """The same steps: what failed, or met a closed window, keeps those from their turn that build on it."""
    first, last = days(suite, pair, company)
    lacking: set[str] = set()
    well = True

    def step(name: str, needs: set[str], do: Callable[[], object]) -> None:
        nonlocal well
        if needs & lacking:
            lacking.add(name)
            return
        try:
            do()
        except (Closed, DeliveryClosed) as window:
            lacking.add(name)
            waits = {"first_day": first, "last_day": last, "opens_at": window.opens_at}
            suite.deferrals.store(pair=pair, company=company, reason=str(window), **waits)
        except Exception:  # noqa: BLE001 - the log has it; the run has failed
            traceback.print_exc()
            lacking.add(name)
            well = False

    def read(entity: Entity) -> None:
        due = days_to_read(suite, entity, company, span(first, last), anew=False)
        flow.read(suite, entity, company, due, run_id=RUN_ID)

    def send(name: str) -> None:
        report = flow.send(suite, name, company, span(first, last), run_id=RUN_ID)
        if not report.complete:
            raise RuntimeError(f"not everything arrived: {report}")

    for entity in entities(suite, pair):
        step(f"visma/{entity.name}", set(), lambda entity=entity: read(entity))
    for name in suite.destinations():
        if name.startswith(f"{pair}/"):
            model = suite.mappings.models[name]
            needs = {f"visma/{each}" for each in model.entities} | {f"{pair}/{each}" for each in model.after}
            step(name, needs, lambda name=name: send(name))
    _say(f"{company} to {pair}, {first} to {last}: {'done' if well else 'failed'}")
    return well


def days(suite: Suite, pair: str, company: str) -> tuple[date, date]:
    """The days a run has to carry: those not wholly read, and what waited for a window that is open now."""
    first, last = open_days(suite, pair, company)
    for deferral in suite.deferrals.due(pair):
        if deferral.company == company:
            first = min(first, deferral.first_day)
            suite.deferrals.taken(deferral)
    return first, last


@contextmanager
def _house(suite: Suite) -> Iterator[None]:
    with ExitStack() as stack:
        opened = patch("mlc_dagster.graph.resource.Suite", lambda settings: Suite(settings, suite.clock))
        stack.enter_context(opened)
        for room in ("source", "rows", "destinations"):
            stack.enter_context(patch(f"mlc_dagster.graph.{room}.RETRY", RETRY))
        yield


def _say(text: str) -> None:
    print(text, flush=True)


def _set_up(suite: Suite) -> None:
    """What an operator does once: the dataset, the custom fields; from then on comments go back."""
    pairs = suite.settings.pairs.on()
    if "powerbi" in pairs:
        suite.powerbi.setup.apply(suite.powerbi.setup.plan())
    if "asana" in pairs:
        suite.asana.setup.apply(suite.asana.setup.plan())
        carry_back(suite, run_id=RUN_ID)


def _resend_asana(suite: Suite) -> None:
    """People may throw a task away or write into the ERP's fields: nothing tells us, so all is sent again."""
    _resend(suite, "asana/")


def _recover(suite: Suite) -> None:
    """What docs/deploy.md and docs/cleo.md prescribe once a database was restored."""
    if "tableau" in suite.settings.pairs.on():
        # What was published after the copy was made is not known to be ours.
        setup = suite.tableau.setup(None)
        setup.apply(setup.plan())
    if "cleo" in suite.settings.pairs.on():
        suite.cleo.outbox.skip_numbers(100_000)
    _resend(suite, "")


def _resend_cleo(suite: Suite) -> None:
    """What nobody has answered for a day: a file can be lost behind the mailbox (docs/cleo.md, section 5)."""
    _resend(suite, "cleo/")
    for name in suite.destinations():
        for company in suite.settings.companies_of(name.partition("/")[0]):
            for file in file_overdue(suite, name, company):
                _say(f"filed again: {file}")


def _resend(suite: Suite, prefix: str) -> None:
    for name in suite.destinations():
        pair = name.partition("/")[0]
        for company in suite.settings.companies_of(pair) if name.startswith(prefix) else ():
            destination = suite.destination(name)
            distrust(destination, company, ledger=suite.ledger, run_id=RUN_ID, reason="people edited")


def _sweep(suite: Suite) -> None:
    """`mlc sweep`: all keys of all companies."""
    for company in suite.settings.companies:
        for entity in sweeps.entities_of(suite, company):
            _say(f"{company} {entity.name}: {sweeps.sweep(suite, entity, company, run_id=RUN_ID)}")


def _sweep_confirmed(suite: Suite) -> None:
    """The same where nothing goes wrong, so the ERP's lists are right: a person believes what they lack, as
    when the only credit note of a company is gone.
    """
    for company in suite.settings.companies:
        for entity in sweeps.entities_of(suite, company):
            try:
                found = sweeps.sweep(suite, entity, company, run_id=RUN_ID)
            except TooMuchGone as gone:
                found = sweeps.sweep(suite, entity, company, run_id=RUN_ID, confirmed=gone.missing)
            _say(f"{company} {entity.name}: {found}")


def _repair(suite: Suite) -> None:
    """What docs/deploy.md prescribes once all pairs have run on the restored database."""
    _sweep_confirmed(suite)
    with patch("mlc_dagster.cli.reconcile.Suite", lambda _: suite):
        show_reconcile(None, None, repair=True, yes=True)


def _verify(suite: Suite) -> dict[str, Any]:
    """What the product itself says: what is left, waits or is refused, and what targets show otherwise."""
    waiting = [f"{each.pair} {each.company}: {each.reason}" for each in suite.deferrals.waiting()]
    found: dict[str, Any] = {
        "left": {},
        "unlike": [],
        "twins": [],
        "refused": {},
        "known": [],
        "rows": 0,
        "waiting": waiting,
    }
    if waiting:
        return found  # a table that waits for its window amid a load cannot be read in one state
    for name in suite.destinations():
        read_back, tombstone = suite.read_back(name), suite.mappings.models[name].tombstone
        for company in suite.settings.companies_of(name.split("/")[0]):
            if left := _left(suite, name, company):
                found["left"][f"{name} {company}"] = left
            entries = suite.quarantine.open(name, company)
            found["refused"] |= {f"{name} {entry.key or entry.source_key}": entry.reason for entry in entries}
            compared = Comparison(name, company)
            if read_back is not None:
                compared = reconcile(suite.ledger, read_back, name, company, tombstone=tombstone)
            compared.beside_the_lake(flow.strays(suite, name, company))
            found["rows"] += compared.expected
            for unlike in compared.differences:
                if unlike.words.startswith(KEYLESS):
                    found["twins"].append(unlike.key)
                else:
                    found["unlike"].append(f"{name} {unlike.key} {unlike.words} {dict(unlike.columns)}")
    if "cleo" in suite.settings.pairs.on():
        found["known"] = [
            f"{name} {told.entry.key}"
            for name in suite.destinations("cleo")
            for told in suite.cleo.outbox.standing(name)
        ]
    found["held"] = [[each.company, each.number, each.reason] for each in suite.quarantine.open(PLACE)]
    return found


def _left(suite: Suite, name: str, company: str) -> dict[str, int]:
    """What is left behind by state, without the rows in quarantine: a person is asked about those, and
    until then they stay as they are, also where they were to be sent again.
    """
    left = Counter(left_behind(suite, name, company))
    asked = {entry.key for entry in suite.quarantine.open(name, company)}
    known = suite.ledger.known(name, company, keys=asked, source_keys=())
    left.subtract(str(known[key].state) for key in asked & known.keys())
    del left["quarantined"]
    return dict(+left)


TASKS: dict[str, Callable[[Suite], Any]] = {
    "set up": _set_up,
    "resend asana": _resend_asana,
    "resend cleo": _resend_cleo,
    "recover": _recover,
    "repair": _repair,
    "sweep": _sweep,
    "confirmed sweep": _sweep_confirmed,
    "verify": _verify,
}
