"""Alerts: a sensor that reads Dagster's finished runs, looks at our database, and tells people, if any."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from mlc_dagster.alerts.book import Book
from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.alerts.round import tell
from mlc_dagster.delivery.errors import LeaseHeld
from mlc_dagster.graph import answers
from mlc_dagster.graph.partitions import covered
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG, DEFERRED_TAG, pairs_of
from mlc_dagster.operations.overview import SOURCE
from mlc_dagster.redaction import redact
from mlc_dagster.settings import Settings

NAME = "alerts"
EVERY_SECONDS = 60
# A tick has 60 seconds; what is left is read by the next one.
RUNS_A_TICK = 50
# A run may show only after one with a later stamp, whose process was quicker; several have one stamp.
OVERLAP = timedelta(seconds=30)
# Where the sensor begins to read when it never has.
FIRST_LOOK_BACK = timedelta(days=1)
# Looked at elsewhere: the first in the database, row by row; the second is also evaluated without a run.
NOT_TOLD = ("nothing_left_behind", answers.NAME)
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
REMEDY = "Do what the cause asks for. The next run goes on where this one ended; nothing is lost."
INTERRUPTED = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
WRAPPERS = ("DagsterExecutionStepExecutionError", "RetryRequestedFromPolicy")
TOLD_OF = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}


@dataclass(frozen=True)
class ReadTo:
    """How far the ended runs were read: the newest stamp (UTC), and the runs that were read around it."""

    at: datetime
    runs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cursor: str) -> "ReadTo":
        """From the sensor's cursor."""
        at, *runs = cursor.split()
        return cls(datetime.fromisoformat(at), frozenset(runs))

    def __str__(self) -> str:
        return " ".join([self.at.isoformat(), *sorted(self.runs)])


def alerts() -> dg.Definitions:
    """Also where nobody is to be told: nothing else writes down which runs and checks failed."""
    return dg.Definitions(sensors=[alert_sensor])


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes down failed runs and checks, and what is stale, in doubt, refused or ending.",
)
def alert_sensor(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SensorResult:
    """One round. The cursor is how far Dagster's runs were read."""
    house = suite.open_for_a_tick()
    book = Book(house.engine)
    known = ReadTo.of(context.cursor) if context.cursor else ReadTo(house.clock.now() - FIRST_LOOK_BACK)
    read_to = read_runs(context.instance, book, house.settings, known)
    cleo = house.settings.pairs.cleo
    read_answers(context.instance, book, cleo.answered() if cleo else [])
    try:
        sent = tell(house)
    except LeaseHeld as held:
        return dg.SensorResult(skip_reason=str(held), cursor=str(read_to))
    told = sum(each.alerts for each in sent if each.trouble is None)
    failed = [f"{each.channel}: {each.trouble}" for each in sent if each.trouble]
    nothing = "Nothing new." if house.settings.alerts.channels else "Nobody is told: there is no channel."
    words = "; ".join([f"Told {told} alerts." if told else nothing, *failed])
    return dg.SensorResult(skip_reason=words, cursor=str(read_to))


def read_runs(instance: dg.DagsterInstance, book: Book, settings: Settings, known: ReadTo) -> ReadTo:
    """Write down what the runs that ended since then say, the oldest first; returns how far that went.

    A run that is read twice says nothing new.
    """
    read = {}
    for record in instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_after=known.at - OVERLAP),
        limit=RUNS_A_TICK + len(known.runs),
        order_by="update_timestamp",
        ascending=True,
    ):
        run, at = record.dagster_run, record.update_timestamp.replace(tzinfo=UTC)
        read[run.run_id] = at
        if run.run_id not in known.runs:
            ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else at
            _read_run(instance, book, run, ended, settings)
    newest = max([known.at, *read.values()])
    return ReadTo(newest, frozenset(run_id for run_id, at in read.items() if at > newest - OVERLAP))


def read_answers(instance: dg.DagsterInstance, book: Book, models: Sequence[str]) -> None:
    """Write down what partners' systems last said: their check is also evaluated without a run."""
    for model in models:
        key = dg.AssetCheckKey(dg.AssetKey(["cleo", model]), answers.NAME)
        record = instance.get_latest_asset_check_evaluation_record(key)
        # From a run's start until its check has run, the newest record is only a plan.
        if record and record.event and isinstance(record.evaluation, dg.AssetCheckEvaluation):
            _read_check(
                book, record.evaluation, "", None, datetime.fromtimestamp(record.event.timestamp, UTC)
            )


def _read_run(
    instance: dg.DagsterInstance, book: Book, run: dg.DagsterRun, ended: datetime, settings: Settings
) -> None:
    companies = _companies(run, list(settings.companies))
    company, link = " ".join(companies), f"/runs/{run.run_id}"
    causes = []
    for entry in instance.get_records_for_run(run.run_id, of_type=TOLD_OF).records:
        event = entry.event_log_entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            data = event.asset_check_evaluation_data
            at = datetime.fromtimestamp(entry.timestamp, UTC)
            # A run over several speaks for each: the next one may be of one of them.
            for each in (companies or [""]) if data.check_name not in NOT_TOLD else ():
                _read_check(book, data, each, link, at)
        else:
            causes.append(_cause(event, company))
    cause = next(filter(None, causes), "It ended without a word: its process or machine may be gone.")
    for part in _parts(run, settings):
        pair = next((name for name in settings.pairs.on() if part.startswith(name)), None)
        for each in companies or [""]:
            subject = f"{part} {each}".rstrip()
            if run.status is not dg.DagsterRunStatus.SUCCESS:
                book.happened(Finding(Kind.RUN, subject, Severity.ERROR, cause, REMEDY, pair, 1, link), ended)
            elif run.tags.get(DEFERRED_TAG) != run.run_id:
                # Else it is green, and what failed before has not been tried.
                book.over(Kind.RUN, subject, ended)


def _read_check(
    book: Book, data: dg.AssetCheckEvaluation, company: str, link: str | None, at: datetime
) -> None:
    asset = data.asset_key.to_user_string()
    subject = " ".join(filter(None, [asset, company, data.check_name]))
    if data.passed:
        book.over(Kind.CHECK, subject, at)
        return
    blocks = " Nothing of it is delivered until it passes." if data.blocking else ""
    severe = data.severity is dg.AssetCheckSeverity.ERROR
    book.happened(
        Finding(
            Kind.CHECK,
            subject,
            Severity.ERROR if severe else Severity.WARNING,
            _without_company(redact(data.description or "It gives no reason."), company) + blocks,
            "Open the check in Dagster: it shows what it found and what to do.",
            data.asset_key.path[0],
            1,
            link or f"/assets/{asset}?view=checks",
        ),
        at,
    )


def _cause(event: dg.DagsterEvent, company: str) -> str:
    """The words a run failed with: a step's own where it has some, else the error's."""
    data = event.event_specific_data
    said = getattr(data, "user_failure_data", None)
    error = getattr(data, "error", None)
    while error is not None and error.cls_name in WRAPPERS and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name in INTERRUPTED:
        return "It was interrupted: by somebody, or because its process was told to end."
    words = said.description if said and said.description else error.message if error else event.message or ""
    # Dagster puts the name of the class before the words.
    bare = re.sub(r"^(?:\w+\.)+[A-Z]\w*: ", "", " ".join(words.split()))
    return _without_company(redact(bare), company)


def _without_company(words: str, company: str) -> str:
    """The same cause has the same words for each company."""
    return words.removeprefix(f"{company}: ") if company else words


def _parts(run: dg.DagsterRun, settings: Settings) -> list[str]:
    """What a run works for: its pairs, or the source when it only reads; else the name of its job."""
    return pairs_of(run, settings.pairs.on()) or ([SOURCE] if run.asset_selection else [run.job_name])


def _companies(run: dg.DagsterRun, known: list[str]) -> list[str]:
    """The companies of a run, by its tag or its partitions; none when it is not for some of them only."""
    if tag := run.tags.get(COMPANY_TAG):
        return [tag]
    return [company for company, _, _ in covered(run.tags, known)]
