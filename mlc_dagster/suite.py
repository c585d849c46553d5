"""Everything a run or a command needs, built once from the settings. Knows no Dagster.

A target's package and the mappings are loaded when they are first asked for: a step that reads the ERP pays
for none of them.
"""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Audit, Deferrals, Destination, Ledger, Quarantine, ReadBack, Report
from mlc_dagster.delivery.comparisons import Comparisons
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.delivery.progress import SentDays
from mlc_dagster.delivery.seals import Seals
from mlc_dagster.lake import Lake
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import PairSettings, Settings, pair_of
from mlc_dagster.tallies import Tallies
from mlc_dagster.target import Target
from mlc_dagster.transport.budget import Budgets
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.vault import Vault
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.connect import connect as connect_visma
from mlc_dagster.visma.entities import CATALOG
from mlc_dagster.yamlfile import YamlFile

if TYPE_CHECKING:
    from mlc_dagster.anaplan.connect import Anaplan
    from mlc_dagster.asana.connect import Asana
    from mlc_dagster.cleo.connect import Cleo
    from mlc_dagster.mappings import Mappings
    from mlc_dagster.powerbi.connect import PowerBi
    from mlc_dagster.tableau.connect import Tableau

Pair = TypeVar("Pair", bound=PairSettings)


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
        """The models. Raises ProblemsFound as `mappings_of`."""
        return mappings_of(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """What each destination last received."""
        return Ledger(self.engine, self.clock)

    @cached_property
    def audit(self) -> Audit:
        """The audit trail."""
        return Audit(self.engine)

    @cached_property
    def seals(self) -> Seals:
        """The chain over the audit trail."""
        return Seals(self.engine, self.clock)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Refused records."""
        return Quarantine(self.engine, self.clock)

    @cached_property
    def comparisons(self) -> Comparisons:
        """The last comparison of each destination with its target."""
        return Comparisons(self.engine, self.clock)

    @cached_property
    def deferrals(self) -> Deferrals:
        """Work that waits for a vendor's window."""
        return Deferrals(self.engine, self.clock)

    @cached_property
    def sent_days(self) -> SentDays:
        """The days each destination has received."""
        return SentDays(self.engine)

    @cached_property
    def tallies(self) -> Tallies:
        """What steps did, added up."""
        return Tallies(self.engine, self.clock)

    @cached_property
    def budgets(self) -> Budgets:
        """The rate budgets all processes share."""
        return Budgets(self.engine, self.clock)

    @cached_property
    def vault(self) -> Vault:
        """Credentials that runs receive and keep."""
        return Vault(self.engine, self.settings.key_ring(), writer=self.writer, now=self.clock.now)

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
    def leases(self) -> Leases:
        """What only one process may do at a time."""
        return Leases(self.engine, self.clock)

    @cached_property
    def anaplan(self) -> Anaplan:
        """The configured Anaplan model."""
        from mlc_dagster.anaplan.connect import Anaplan

        return Anaplan(_switched_on("anaplan", self.settings.pairs.anaplan), self)

    @cached_property
    def powerbi(self) -> PowerBi:
        """The dataset of the configured workspace."""
        from mlc_dagster.powerbi.connect import PowerBi

        return PowerBi(_switched_on("powerbi", self.settings.pairs.powerbi), self)

    @cached_property
    def asana(self) -> Asana:
        """The projects of the configured workspace."""
        from mlc_dagster.asana.connect import Asana

        return Asana(_switched_on("asana", self.settings.pairs.asana), self)

    @cached_property
    def cleo(self) -> Cleo:
        """The configured mailbox and its partners."""
        from mlc_dagster.cleo.connect import Cleo

        return Cleo(_switched_on("cleo", self.settings.pairs.cleo), self)

    @cached_property
    def tableau(self) -> Tableau:
        """The data sources of the configured project."""
        from mlc_dagster.tableau.connect import Tableau

        return Tableau(_switched_on("tableau", self.settings.pairs.tableau), self)

    def target(self, name: str) -> Target:
        """A target system by its name in mlc.yaml. Raises PairOff."""
        match name:
            case "anaplan":
                return self.anaplan
            case "powerbi":
                return self.powerbi
            case "asana":
                return self.asana
            case "cleo":
                return self.cleo
            case "tableau":
                return self.tableau
        raise PairOff(name)

    def destinations(self, only: str | None = None) -> list[str]:
        """The destinations that are switched on, such as anaplan/gl_accounts, in order of delivery.

        `only`: one of them, or a pair. Raises UnknownDestination.
        """
        names = [
            key
            for target, pair in self.settings.pairs.on().items()
            for key in self.mappings.in_order(target)
            if key.split("/", 1)[1] in pair.names()
        ]
        if only is None:
            return names
        if found := [name for name in names if only in (name, pair_of(name))]:
            return found
        raise UnknownDestination(only, names)

    def destination(self, name: str) -> Destination:
        """One destination, ready to send."""
        if name not in self.destinations():
            raise UnknownDestination(name, self.destinations())
        target, model = name.split("/", 1)
        return self.target(target).destination(model)

    def read_back(self, name: str) -> ReadBack | None:
        """How to read what a destination's target holds; None where the settings do not say how."""
        target, model = name.split("/", 1)
        return self.target(target).read_back(model)

    def delivered(self, name: str, report: Report) -> None:
        """What a target does after a delivery."""
        target = pair_of(name)
        last = self.destinations(target)[-1]
        self.target(target).delivered(report, last=name == last)

    def calls(self) -> dict[str, int]:
        """The calls made so far, as run metadata."""
        counter = self.counter
        return {
            "calls": counter.calls,
            "retries": counter.retries,
            "bytes_in": counter.bytes_in,
            "bytes_out": counter.bytes_out,
        }


def mappings_of(settings: Settings) -> Mappings:
    """The models of an installation.

    Raises:
        ProblemsFound: every mistake in them; or every destination of mlc.yaml that none of them makes.
    """
    from mlc_dagster.mappings.contract import closest

    found = mappings_in(settings.mappings_folder)
    named = [(target, name) for target, pair in settings.pairs.on().items() for name in pair.names()]
    if lacking := [(target, name) for target, name in named if f"{target}/{name}" not in found.models]:
        file = YamlFile(settings.file)
        raise ProblemsFound(
            [
                file.problem(
                    ("pairs", target, "destinations", name),
                    f"There is no model {target}/{name}: write it (docs/mappings.md), or correct the name.",
                    closest(
                        name, [key.split("/")[1] for key in found.models if key.startswith(f"{target}/")]
                    ),
                )
                for target, name in lacking
            ]
        )
    return found


@cache
def mappings_in(folder: Path) -> Mappings:
    """The models of a folder, compiled once a process; they notice by themselves when a file is edited."""
    from mlc_dagster.asana.section import TaskSection
    from mlc_dagster.mappings import Mappings
    from mlc_dagster.powerbi.section import TableSection
    from mlc_dagster.tableau.section import SourceSection

    # What contracts say to their own target only.
    return Mappings.load(
        folder, CATALOG, {"asana": TaskSection, "powerbi": TableSection, "tableau": SourceSection}
    )


def _switched_on(name: str, settings: Pair | None) -> Pair:
    if settings is None:
        raise PairOff(name)
    return settings


class PairOff(Exception):
    """A pair that is needed is not in the settings."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The pair {name} is not switched on: `pairs: {name}:` is missing in mlc.yaml.")


class UnknownDestination(Exception):
    """A name that is no destination of this configuration."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"{name} is no destination or pair of this configuration. Known: {', '.join(known) or 'none'}."
        )
