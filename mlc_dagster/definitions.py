"""The Dagster definitions: a table of contents."""

import warnings
from functools import lru_cache
from pathlib import Path

import dagster as dg

from mlc_dagster.graph.alerts import alerts
from mlc_dagster.graph.answers import answer_check
from mlc_dagster.graph.automation import chain, polling_sensor, resume_sensor, schedule
from mlc_dagster.graph.destinations import destination_asset, destination_check
from mlc_dagster.graph.equality import equality_check, reconcile_schedule
from mlc_dagster.graph.keysweep import key_sweep
from mlc_dagster.graph.mailbox import mailbox
from mlc_dagster.graph.partitions import company_day
from mlc_dagster.graph.policies import freshness
from mlc_dagster.graph.replay import replay_sensor
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.retention import retention_of
from mlc_dagster.graph.rows import rows_asset, rows_checks
from mlc_dagster.graph.signals import signals
from mlc_dagster.graph.source import entity_asset
from mlc_dagster.graph.tableau import site
from mlc_dagster.graph.wayback import way_back
from mlc_dagster.logs import set_up
from mlc_dagster.mappings import Mappings
from mlc_dagster.settings import PairSettings, Settings, load_settings
from mlc_dagster.suite import mappings_of
from mlc_dagster.visma.entities import ENTITIES

# Partitioned backfill policies and checks are still marked beta in this line of Dagster; we test them.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """Visma's entities, the pairs that are switched on, and what runs them."""
    set_up()
    settings = load_settings()
    mappings = mappings_of(settings)
    return _built(settings.file, repr(settings), mappings, mappings.version)


@lru_cache(maxsize=1)
def _built(file: Path, settings_text: str, mappings: Mappings, version: int) -> dg.Definitions:  # noqa: ARG001
    """Build them once for one state of the settings and mappings: one run of Dagster's asks six times."""
    settings = load_settings(file)
    days = company_day(settings)
    pairs = [pair(name, part, mappings, days) for name, part in settings.pairs.on().items()]
    return dg.Definitions.merge(
        source(settings, days),
        *pairs,
        way_back(settings),
        mailbox(settings),
        alerts(),
        signals(settings),
        site(settings, mappings),
        retention_of(settings),
        key_sweep(settings),
    )


def source(settings: Settings, days: dg.PartitionsDefinition) -> dg.Definitions:
    """What is read from the ERP."""
    strictest = min(
        settings.pairs.on().values(), key=lambda pair: pair.stale_after_hours, default=PairSettings()
    )
    return dg.Definitions(
        assets=[entity_asset(entity, days, freshness(strictest)) for entity in ENTITIES.values()],
        sensors=[resume_sensor("visma", dg.AssetSelection.groups("visma")), replay_sensor(settings)],
        resources={"suite": SuiteResource(settings_file=str(settings.file))},
        executor=dg.in_process_executor,
    )


def pair(
    target: str, settings: PairSettings, mappings: Mappings, days: dg.PartitionsDefinition
) -> dg.Definitions:
    """Rows, destinations, checks, schedule and sensors of one target."""
    models = [mappings.models[f"{target}/{name}"] for name in settings.names()]
    return dg.Definitions(
        assets=[
            *(rows_asset(model, mappings, settings, days) for model in models),
            *(destination_asset(model, mappings, settings, days) for model in models),
        ],
        asset_checks=[
            *(rows_checks(model, mappings) for model in models),
            *(destination_check(model) for model in models),
            *(equality_check(model) for model in models if model.name in settings.proven()),
            *(answer_check(model) for model in models if model.name in settings.answered()),
        ],
        schedules=[schedule(target, settings), *filter(None, [reconcile_schedule(target, settings)])],
        sensors=[polling_sensor(target, settings), resume_sensor(target, chain(target))],
    )
