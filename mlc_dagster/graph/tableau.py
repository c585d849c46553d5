"""What becomes of our data sources on the Tableau site: checks of it, and the sensor that starts them."""

from datetime import timedelta

import dagster as dg

from mlc_dagster.delivery import ReadBack, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.graph.metadata import table
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.ticks import last_run, not_yet, was_started
from mlc_dagster.mappings import Mappings
from mlc_dagster.operations.expiries import soon
from mlc_dagster.receiver import Signals
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite
from mlc_dagster.tableau.failures import Failure
from mlc_dagster.tableau.shape import Shape
from mlc_dagster.tableau.webhooks import SOURCE
from mlc_dagster.tallies import ALL
from mlc_dagster.transport.errors import Again, CallFailed

JOB = "tableau_site"
SITE = ["tableau", "site"]
# How soon a webhook's signal is taken up, and how often somebody looks without one. Each look uses the access
# token, which ends after 15 unused days.
SIGNAL_SECONDS, LOOK_EVERY = 30, timedelta(hours=6)
# What a result names; all are counted.
NAMED = 20
REFRESH_IN_TABLEAU = (
    "Open it in Tableau, read what its last refresh says, correct its connection or credentials, and refresh "
    "it again."
)
NOT_REFRESHED = (
    "It is one of ours: what we publish has nothing to refresh from and is kept current by deliveries. Take "
    "it off its refresh schedule in Tableau."
)


def site(settings: Settings, mappings: Mappings) -> dg.Definitions:
    """Nothing where the pair is off; the sensor is switched on by hand."""
    pair = settings.pairs.tableau
    if pair is None:
        return dg.Definitions()
    there = dg.AssetSpec(
        SITE,
        group_name=JOB,
        description="The site as people use it: what refreshes from our data sources, and our way in.",
        kinds={"tableau"},
        deps=[["tableau", name] for name in pair.names()],
    )
    models = [mappings.models[f"tableau/{name}"] for name in pair.names()]
    naming = [model.name for model in models if Shape.of(model).names_people]
    checks = [access_token, extract_refreshes, *map(people_check, naming)]
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.checks(*(key for check in checks for key in check.check_keys)),
        description="Looks at the site: failed refreshes, names that are gone, the end of the access token.",
    )
    return dg.Definitions(assets=[there], asset_checks=checks, jobs=[job], sensors=[site_sensor()])


@dg.asset_check(
    asset=SITE,
    name="access_token",
    description="The access token does not end soon: it is in use, and its last day is not within 30 days.",
)
def access_token(suite: SuiteResource) -> dg.AssetCheckResult:
    """Asks nobody: the day is in the settings, and its last use in our database."""
    house = suite.open()
    now = house.clock.now()
    ending = [expiry for expiry in house.tableau.expiries() if soon(expiry, now)]
    words = "; ".join(f"{expiry.what} ends on {expiry.ends_at:%Y-%m-%d}" for expiry in ending)
    ended = any(expiry.ends_at <= now for expiry in ending)
    return dg.AssetCheckResult(
        passed=not ending,
        severity=dg.AssetCheckSeverity.ERROR if ended else dg.AssetCheckSeverity.WARN,
        description=f"{words}." if ending else "No end is near.",
        metadata=_to_do([expiry.remedy for expiry in ending]),
    )


@dg.asset_check(
    asset=SITE,
    name="extract_refreshes",
    description="Every refresh task succeeded when it ran last, and so did the refreshes and flows of a day.",
)
def extract_refreshes(suite: SuiteResource) -> dg.AssetCheckResult:
    """Reads it from Tableau, and compares what is ours with the ledger."""
    house = suite.open()
    try:
        with house.tallies.calls("/".join(SITE), ALL, house.calls):
            failed = house.tableau.failures()
            words = [_told(house, failure) for failure in failed[:NAMED]]
    except CallFailed as trouble:
        return _warning(str(trouble))
    if not failed:
        return dg.AssetCheckResult(passed=True, description="Nothing failed.")
    remedies = {NOT_REFRESHED if failure.model else REFRESH_IN_TABLEAU: None for failure in failed}
    return _warning(
        f"{len(failed)} could not be refreshed. {' '.join(words)}",
        failed=table(("what", "tableau says"), [(failure.title, failure.note) for failure in failed[:NAMED]]),
        **_to_do(list(remedies)),
    )


def people_check(name: str) -> dg.AssetChecksDefinition:
    """Warns of delivered rows that name somebody or something that is gone; they stand in quarantine."""

    @dg.asset_check(
        asset=["tableau", name],
        name="names_exist",
        description="Users, groups, customers and suppliers that its rows name are there.",
    )
    def names_exist(context: dg.AssetCheckExecutionContext, suite: SuiteResource) -> dg.AssetCheckResult:
        house = suite.open()
        try:
            companies = house.settings.companies_of("tableau")
            with house.tallies.calls("/".join(SITE), ALL, house.calls):
                found = house.tableau.dangling(name, companies, context.run.run_id)
        except CallFailed as trouble:
            return _warning(str(trouble))
        gone = [(company, refused) for company, listed in found.items() for refused in listed]
        if not gone:
            return dg.AssetCheckResult(passed=True, description="All are there.")
        rows = [(company, refused.key, refused.reason) for company, refused in gone[:NAMED]]
        first = gone[0][1]
        return _warning(
            f"{len(gone)} rows name what is gone; the first is {first.key}: {first.reason}.",
            gone=table(("company", "row", "reason"), rows),
            **_to_do(["Correct or remove the line in the lookup. Till then nobody sees more through it."]),
        )

    return names_exist


def site_sensor() -> dg.SensorDefinition:
    """Starts the job after a webhook's signal, and by time: signals may be lost, forged or switched off."""

    @dg.sensor(
        name=JOB,
        job_name=JOB,
        minimum_interval_seconds=SIGNAL_SECONDS,
        description="Looks at the site every six hours and after webhooks; keeps the access token in use.",
    )
    def look(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.RunRequest | dg.SkipReason:
        house = suite.open_for_a_tick()
        if not house.tableau.published:
            return dg.SkipReason("Nothing was published yet.")
        signals = Signals(house.engine, house.clock)
        newest = signals.newest(SOURCE)
        run_key = f"{JOB}:signal:{newest}" if newest is not None else None
        if run_key and was_started(context.instance, run_key):
            signals.handled(SOURCE, newest)
            return dg.SkipReason("The signal's look was started.")
        if reason := _not_now(context.instance, house, called=newest is not None):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_key=run_key)

    return look


def _not_now(instance: dg.DagsterInstance, house: Suite, *, called: bool) -> str | None:
    last, now = last_run(instance, dg.RunsFilter(job_name=JOB)), house.clock.now()
    if reason := not_yet(last, now):
        return reason
    if last and not called and now.timestamp() - (last.end_time or 0) < LOOK_EVERY.total_seconds():
        return "No webhook has called, and the next look is not due."
    return None


def _told(house: Suite, failure: Failure) -> str:
    said = f" ({failure.note.rstrip('.')})" if failure.note else ""
    return f"{failure.title}{said}{_compared(house, failure.model) if failure.model else ''}."


def _compared(house: Suite, model: str) -> str:
    """Whether a data source of ours holds what it should nevertheless."""
    name = f"tableau/{model}"
    read_back: ReadBack = house.tableau.read_back(model)
    try:
        equal = all(
            reconcile(house.ledger, read_back, name, company, tombstone=None).equal
            for company in house.settings.companies_of("tableau")
        )
    except (Again, Stop) as later:
        return f", and cannot be compared with the ledger now: {later}"
    return ", and its rows are those of the ledger" if equal else ", and its rows differ from the ledger's"


def _warning(description: str, **metadata: dg.MetadataValue) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description=description, metadata=metadata
    )


def _to_do(remedies: list[str]) -> dict[str, dg.MetadataValue]:
    text = "\n".join(f"- {remedy}" for remedy in remedies)
    return {"what_to_do": dg.MetadataValue.md(text)} if remedies else {}
