"""A whole installation at its own sandbox: settings, Dagster instance, definitions, and a quick clock."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from threading import get_ident
from typing import Any
from unittest.mock import patch

import dagster as dg
import sqlalchemy as sa
import yaml

from mlc_dagster.definitions import defs
from mlc_dagster.graph.partitions import key, range_tags
from mlc_dagster.graph.run import PairRun, run_pair
from mlc_dagster.outlook import span, today
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite
from mlc_sandbox.anaplan import AnaplanVendor
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.support.sandbox_time import OSLO, SandboxTime, from_noon

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
QUICK_RETRY = dg.RetryPolicy(max_retries=1, delay=0.01)


@dataclass
class House:
    """One installation. `suite()` looks at its state as a command of the operator would."""

    sandbox: Sandbox
    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    clock: SandboxTime

    def suite(self) -> Suite:
        return Suite(self.settings, self.clock)

    @cached_property
    def today(self) -> date:
        return today(self.suite())

    @property
    def days(self) -> list[date]:
        """Every day of the axis."""
        return span(self.settings.start_day, self.today)

    def run(self, company: str = "NO01", first: date | None = None, last: date | None = None) -> PairRun:
        """The Anaplan pair's chain for one company; by default over all days."""
        return run_pair(
            self.definitions,
            self.instance,
            pair="anaplan",
            company=company,
            first=first or self.days[0],
            last=last or self.today,
        )

    def materialize(
        self, *assets: str, tags: dict[str, str], instance: dg.DagsterInstance | None = None, **config: Any
    ) -> dg.ExecuteInProcessResult:
        """Some assets, named by key, in a run with these tags; failures are reported, not raised."""
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance or self.instance,
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets],
            tags=tags,
            raise_on_error=False,
            run_config={**QUIET, **config},
        )

    def read(
        self, *entities: str, company: str = "NO01", first: date | None = None, **config: Any
    ) -> dg.ExecuteInProcessResult:
        """Read entities up to today; by default from the first day of the axis."""
        tags = range_tags(company, first or self.days[0], self.today)
        return self.materialize(*(f"visma/{name}" for name in entities), tags=tags, **config)

    def partitions(self, asset: str) -> set[str]:
        """The partitions of an asset that Dagster shows as done."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset.split("/")))

    def shown(self, asset: str, day: date | None = None, company: str = "NO01") -> dict[str, Any]:
        """The metadata of a partition's newest materialization, as the UI shows it; by default today's."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(asset.split("/")), asset_partitions=[key(company, day or self.today)]
            ),
            limit=1,
        )
        materialization = records.records[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}

    def modules(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Module name -> code -> line item -> value, as the Anaplan model holds them."""
        world = self.sandbox.anaplan.world
        return {
            module.name: world.module_rows(module.name)
            for module in world.model.modules.values()
            if module.name.startswith(("DAT01 ", "ACT01 "))
        }

    def set(self, *place: str, value: Any) -> None:
        """Change mlc.yaml: runs and ticks from now on see it."""
        settings = section = yaml.safe_load(self.settings.file.read_text())
        for name in place[:-1]:
            section = section[name]
        section[place[-1]] = value
        self.settings.file.write_text(yaml.safe_dump(settings, sort_keys=False))

    def imports(self) -> int:
        """How many Anaplan imports were started so far."""
        return int(self.sandbox.log.count("anaplan", method="POST", match=r"/imports/\d+/tasks"))


@contextmanager
def running_sandbox(*, long_books: bool = False, **options: Any) -> Iterator[Sandbox]:
    """A sandbox at noon; small, with one seed, and with two companies unless told otherwise.

    Payroll and depreciation are most of a small company's books. Here they are short too, or `long_books`,
    as the sandbox has them: 4,700 lines a company, and batches of more than 1,000.
    """
    options = {"seed": 3, "scale": 0.05, "companies": ("NO01", "SE01"), **options}
    with Sandbox.running(real_now=from_noon, **options) as sandbox:
        if not long_books:
            for company in sandbox.visma.companies.values():
                company.payrolls, company.assets = 3, (6, 7)
        yield sandbox


@contextmanager
def open_house(
    sandbox: Sandbox,
    folder: Path,
    *,
    destinations: Sequence[str] | None = None,
    patience: int = 60,
    days: int = 4,
    **settings: Any,
) -> Iterator[House]:
    """A new installation at a sandbox with an empty Anaplan model; by default with all destinations.

    `days` is how long the axis is, today included. `settings` replace top-level settings.
    """
    sandbox.faults.clear()
    sandbox.visma.limits.windows.clear()
    sandbox.anaplan.load(AnaplanVendor(sandbox.clock, sandbox.faults).dump())
    # Its minute is a real one, ours passes in no time; tests that want a 429 arm the fault.
    sandbox.anaplan.switches["rate_per_minute"] = 0
    sandbox.log.reset()
    file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
    start = sandbox.clock.wire().astimezone(OSLO).date() - timedelta(days=days - 1)
    _adapt(file, destinations, patience, {"start_day": start, **settings})
    secrets = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    clock = SandboxTime(sandbox.clock)
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {**secrets, "MLC_CONFIG": str(file)}))
        stack.enter_context(
            patch("mlc_dagster.graph.resource.Suite", lambda settings: Suite(settings, clock))
        )
        for room in ("source", "rows", "destinations"):
            stack.enter_context(patch(f"mlc_dagster.graph.{room}.RETRY", QUICK_RETRY))
        instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        _keep_connected(instance)
        yield House(sandbox, load_settings(), defs(), instance, clock)


def failure(result: dg.ExecuteInProcessResult, asset: str) -> str:
    """What the UI shows as the reason why an asset's step failed: the error and its causes."""
    step = asset.replace("/", "__")
    event = next(event for event in result.all_events if event.is_step_failure and event.step_key == step)
    error, messages = event.step_failure_data.error, []
    while error is not None:
        messages.append(error.message)
        error = error.cause
    return "\n".join(messages)


def tries(result: dg.ExecuteInProcessResult, asset: str) -> int:
    """How often an asset's step was started."""
    step = asset.replace("/", "__")
    started = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    return sum(event.event_type in started and event.step_key == step for event in result.all_events)


def _keep_connected(instance: dg.DagsterInstance) -> None:
    """Dagster's event log in memory opens its database for each event and looks up the same column again.

    Here its own thread uses the connection that keeps the database alive; that was a fifth of a run.
    """
    log, ours = instance.event_log_storage, get_ident()
    anew = log._connect

    @contextmanager
    def connect() -> Iterator[sa.Connection]:
        if get_ident() == ours:
            with log._db_lock, log._held_conn.begin():
                yield log._held_conn
        else:
            with anew() as connection:
                yield connection

    log._connect = connect
    log._has_asset_key_col_on_connection = lambda *_: True


def _adapt(file: Path, destinations: Sequence[str] | None, patience: int, others: dict[str, Any]) -> None:
    settings = yaml.safe_load(file.read_text())
    anaplan = settings["pairs"]["anaplan"]
    settings["pairs"] = {"anaplan": anaplan}  # the other pairs have houses of their own
    if destinations is not None:
        anaplan["destinations"] = {name: anaplan["destinations"][name] for name in destinations}
    anaplan["patience_seconds"] = settings["visma"]["patience_seconds"] = patience
    file.write_text(yaml.safe_dump({**settings, **others}, sort_keys=False))
