"""Everything a run or a command needs, built once from the settings. Knows no Dagster.

A target's package is loaded when it is first asked for: a step that reads the ERP pays for none of them.
"""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Audit, Deferrals, Destination, Ledger, Quarantine, ReadBack, Report
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mappings
from mlc_dagster.progress import SentDays
from mlc_dagster.settings import AnaplanSettings, Settings
from mlc_dagster.transport.budget import Budgets
from mlc_dagster.transport.clock import Clock, SystemClock
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.vault import KeyRing, Vault
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.connect import connect as connect_visma
from mlc_dagster.visma.entities import CATALOG

if TYPE_CHECKING:
    from mlc_dagster.anaplan.client import AnaplanClient
    from mlc_dagster.anaplan.connect import Shared
    from mlc_dagster.anaplan.grant import StoredGrant
    from mlc_dagster.powerbi.connect import PowerBi
    from mlc_dagster.powerbi.star import Star


class Suite:
    """The parts of the house for one configuration: database, lake, mappings and the vendors' clients.

    Parts are opened when they are first asked for. `counter` adds up the calls of everything opened here;
    `writer` is whom the vault names for what is written, a run id or `cli`.
    """

    writer = "cli"

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.counter = CallCounter()
        self._visma: dict[str, VismaClient] = {}

    @cached_property
    def engine(self) -> Engine:
        """The database, migrated to the schema of this version."""
        engine = connect(self.settings.database_url)
        migrate(engine)
        return engine

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings.lake_url)

    @cached_property
    def mappings(self) -> Mappings:
        """The models. Raises ProblemsFound with every mistake in them."""
        return mappings_in(self.settings.mappings_folder)

    @cached_property
    def ledger(self) -> Ledger:
        """What each destination last received."""
        return Ledger(self.engine, self.clock)

    @cached_property
    def audit(self) -> Audit:
        """The audit trail."""
        return Audit(self.engine)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Refused records."""
        return Quarantine(self.engine, self.clock)

    @cached_property
    def deferrals(self) -> Deferrals:
        """Work that waits for a vendor's window."""
        return Deferrals(self.engine, self.clock)

    @cached_property
    def sent_days(self) -> SentDays:
        """The days each destination has received."""
        return SentDays(self.engine)

    @cached_property
    def budgets(self) -> Budgets:
        """The rate budgets all processes share."""
        return Budgets(self.engine, self.clock)

    @cached_property
    def vault(self) -> Vault:
        """Credentials that runs receive and keep."""
        keys = KeyRing(self.settings.vault_key_file)
        return Vault(self.engine, keys, writer=self.writer, now=self.clock.now)

    def visma(self, company: str) -> VismaClient:
        """The client of one company."""
        if company not in self._visma:
            self._visma[company] = connect_visma(
                self.settings.visma,
                company,
                self.settings.companies[company],
                budgets=self.budgets,
                clock=self.clock,
                counter=self.counter,
            )
        return self._visma[company]

    @cached_property
    def anaplan(self) -> AnaplanClient:
        """The client of the configured Anaplan model."""
        from mlc_dagster.anaplan.connect import connect as connect_anaplan

        return connect_anaplan(self._anaplan_settings, self._shared)

    @property
    def anaplan_grant(self) -> StoredGrant:
        """The grant of `mlc anaplan login`. Raises NoLoginByHand when another method is set."""
        from mlc_dagster.anaplan.connect import stored_grant

        return stored_grant(self._anaplan_settings, self._shared)

    @cached_property
    def powerbi(self) -> PowerBi:
        """The dataset of the configured workspace, as the contracts declare it."""
        from mlc_dagster.powerbi.connect import PowerBi
        from mlc_dagster.powerbi.connect import Shared as PowerBiShared

        settings = self.settings.pairs.powerbi
        if settings is None:
            raise PairOff("The Power BI pair is not switched on: `pairs: powerbi:` is missing in mlc.yaml.")
        shared = PowerBiShared(self.engine, self.ledger, self.budgets, self.clock, self.counter)
        return PowerBi(settings, shared, self.powerbi_star)

    @property
    def powerbi_star(self) -> Star:
        """The tables, relationships and measures of Power BI; needs no settings of the pair."""
        from mlc_dagster.powerbi.star import star

        return star(self.mappings.models[key] for key in self.mappings.in_order("powerbi"))

    def destinations(self, only: str | None = None) -> list[str]:
        """The destinations that are switched on, such as anaplan/gl_accounts, in order of delivery."""
        names = [
            key
            for target, pair in self.settings.pairs.on().items()
            for key in self.mappings.in_order(target)
            if key.split("/", 1)[1] in pair.names()
        ]
        if only is not None and only not in names:
            raise UnknownDestination(only, names)
        return [only] if only else names

    def destination(self, name: str) -> Destination:
        """One destination, ready to send."""
        target, model = name.split("/", 1)
        if name not in self.destinations():
            raise UnknownDestination(name, self.destinations())
        if target == "powerbi":
            return self.powerbi.destination(model)
        from mlc_dagster.anaplan.connect import destination as anaplan_destination

        contract = self.mappings.models[name]
        return anaplan_destination(
            self._anaplan_settings,
            model,
            self.anaplan,
            columns=list(contract.contract.columns),
            tombstone=contract.tombstone,
        )

    def read_back(self, name: str) -> ReadBack | None:
        """How to read what a destination's target holds; None where the settings do not say how."""
        if not name.startswith("anaplan/"):
            return None
        from mlc_dagster.anaplan.connect import read_back as anaplan_read_back

        contract = self.mappings.models[name].contract
        return anaplan_read_back(
            self._anaplan_settings,
            name.split("/", 1)[1],
            self.anaplan,
            kinds={column: spec.column_type.kind for column, spec in contract.columns.items()},
            key=contract.key,
        )

    def delivered(self, name: str, report: Report) -> None:
        """What a target does after a delivery: Power BI's dependent datasets are refreshed, once a run."""
        if name.startswith("powerbi/"):
            last = [key for key in self.destinations() if key.startswith("powerbi/")][-1]
            self.powerbi.refreshes.delivered(changed=report.changed, last=name == last)

    @property
    def _anaplan_settings(self) -> AnaplanSettings:
        if self.settings.pairs.anaplan is None:
            raise PairOff("The Anaplan pair is not switched on: `pairs: anaplan:` is missing in mlc.yaml.")
        return self.settings.pairs.anaplan

    @cached_property
    def _shared(self) -> Shared:
        from mlc_dagster.anaplan.connect import Shared

        leases = Leases(self.engine, self.clock)
        return Shared(self.budgets, self.vault, leases, self.clock, self.counter)

    def calls(self) -> dict[str, int]:
        """The calls made so far, as run metadata."""
        counter = self.counter
        return {
            "calls": counter.calls,
            "retries": counter.retries,
            "bytes_in": counter.bytes_in,
            "bytes_out": counter.bytes_out,
        }


@cache
def mappings_in(folder: Path) -> Mappings:
    """The models of a folder, compiled once a process; they notice by themselves when a file is edited."""
    from mlc_dagster.powerbi.section import TableSection

    # What contracts say to their own target only.
    return Mappings.load(folder, CATALOG, {"powerbi": TableSection})


class PairOff(Exception):
    """A pair that is needed is not in the settings."""


class UnknownDestination(Exception):
    """A name that is no destination of this configuration."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"{name} is no destination of this configuration. Known: {', '.join(known) or 'none'}."
        )
