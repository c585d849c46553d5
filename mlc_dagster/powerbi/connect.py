"""The Power BI pair, built from its settings."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial

from mlc_dagster.delivery import ReadBack, Report
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.mappings import Mappings
from mlc_dagster.powerbi import retirement
from mlc_dagster.powerbi.auth import ServicePrincipal, login
from mlc_dagster.powerbi.client import Connections, PowerBiClient
from mlc_dagster.powerbi.destination import LARGE_TABLE, Holdings, Limits, Options, Payload, PushTable
from mlc_dagster.powerbi.readback import PushReadBack
from mlc_dagster.powerbi.refresh import refresh
from mlc_dagster.powerbi.remembered import Dataset, Table
from mlc_dagster.powerbi.setup import Setup
from mlc_dagster.powerbi.star import Star, star
from mlc_dagster.powerbi.verify import Verifier
from mlc_dagster.refreshes import Refreshes
from mlc_dagster.settings.powerbi import PowerBiSettings
from mlc_dagster.target import Expiry, NotSetUp, Parts
from mlc_dagster.transport.budget import Unlimited, share

# Per caller and minute; POSTs of a dataset with a table of 250,000 rows, per hour (section 8).
QUERIES_PER_MINUTE, LARGE_POSTS_PER_HOUR = 120, 120


class PowerBi:
    """The pair's dataset with everything that is needed to fill it."""

    def __init__(self, settings: PowerBiSettings, parts: Parts) -> None:
        self.settings, self._parts = settings, parts
        name = f"powerbi:{settings.workspace_id}:{settings.dataset}"
        self.memory = Memory(parts.engine, parts.clock, name)
        headroom, patience = share(settings.headroom_percent), settings.patience_seconds
        budgets = parts.budgets
        rolling = partial(budgets.rolling_window, per_seconds=60, headroom=headroom, patience=patience)
        counted = partial(budgets.counted_window, seconds=3600, headroom=headroom, patience=patience)
        self.posts = rolling(f"{name}:posts", rate=settings.posts_per_minute)
        # Power BI counts them for each principal (section 8), and all we ask is about this dataset.
        self._queries = rolling(f"{name}:queries", rate=QUERIES_PER_MINUTE)
        self.limits = Limits(
            rows=counted(f"{name}:rows", limit=settings.rows_per_hour),
            large_posts=counted(f"{name}:large", limit=LARGE_POSTS_PER_HOUR),
            posts_per_minute=max(1, settings.posts_per_minute * settings.headroom_percent // 100),
        )

    @cached_property
    def client(self) -> PowerBiClient:
        """The client of the workspace."""
        settings, parts = self.settings, self._parts
        principal = ServicePrincipal(
            settings.login_url,
            settings.tenant_id,
            settings.client_id.reveal(),
            settings.client_secret.reveal(),
            scope=settings.scope,
            clock=parts.clock,
        )
        connections = Connections(
            settings.api_url,
            login(principal, parts.clock),
            self.posts,
            self._queries,
            Unlimited("Power BI", clock=parts.clock, patience=settings.patience_seconds),
            parts.counter,
            parts.clock,
        )
        return PowerBiClient(connections, settings.workspace_id)

    @cached_property
    def star(self) -> Star:
        """The tables, relationships and measures that the contracts declare."""
        return declared(self._parts.mappings)

    @property
    def dataset(self) -> Dataset:
        """What is remembered of the dataset, as it is now."""
        return Dataset(self.memory)

    @property
    def verifies(self) -> bool:
        """Whether what is sent is read back by queries."""
        return self.settings.verify == "auto" and self.dataset.queries

    @property
    def setup(self) -> Setup:
        """The set-up of the dataset."""
        return Setup(self.client, self.dataset, self.star, self.settings.dataset)

    @property
    def refreshes(self) -> Refreshes:
        """The datasets that are refreshed after a change."""
        return Refreshes(self.memory, {id: partial(refresh, self.client, id) for id in self.settings.refresh})

    def destination(self, model: str) -> PushTable:
        """The destination of one model of the mappings."""
        settings, ledger, name = self.settings, self._parts.ledger, f"powerbi/{model}"

        def rows() -> Iterator[tuple[str, str, Payload]]:
            for company in ledger.companies(name):
                for held in ledger.held(name, company):
                    yield company, held.row.key, held.row.payload

        return PushTable(
            name,
            self.star.shapes[model],
            self.client,
            self.dataset,
            limits=self.limits,
            holdings=Holdings(rows, lambda: ledger.held_keys(name), lambda: ledger.held_count(name)),
            options=Options(
                settings.destinations[model].mode, settings.slots_up_to, cut=settings.long_text == "cut"
            ),
            verify=settings.verify == "auto",
        )

    def read_back(self, model: str) -> ReadBack | None:
        """What measures find in a table, row by row; None where no query may be asked.

        Of a table beyond LARGE_TABLE rows neither: to read it would take longer than to deliver to it.
        """
        shape, dataset = self.star.shapes[model], self.dataset
        if not self.verifies or Table(self.memory, shape.title).state.rows >= LARGE_TABLE:
            return None
        name, ledger = f"powerbi/{model}", self._parts.ledger
        return PushReadBack(
            name,
            shape,
            dataset,
            Verifier(self.client, dataset.id, on=True),
            keys=lambda: ledger.held_keys(name),
            unresolved=lambda: ledger.has_unresolved(name),
        )

    def delivered(self, report: Report, *, last: bool) -> None:
        """Refresh the dependent datasets, once a run."""
        self.refreshes.delivered(changed=report.changed, last=last)

    def look(self) -> str:
        """Log in and look for our dataset; says what is not certain, and when creation ends."""
        there = {str(found["id"]) for found in self.client.datasets()}
        if self.dataset.id not in there:
            raise NotSetUp("The workspace has no dataset of ours. Run `mlc powerbi setup`.")
        assured = "" if self.verifies else f", {retirement.UNVERIFIED}"
        return f"dataset {self.dataset.id}{assured}{retirement.warning(self._parts.clock.now().date())}"

    def calls_left(self) -> Mapping[str, int | None]:
        """The posts left of this minute."""
        return {"powerbi": self.posts.left()}

    def expiries(self) -> Sequence[Expiry]:
        """None: this vendor tells no end of what it issued."""
        return ()


def declared(mappings: Mappings) -> Star:
    """The dataset as the contracts declare it; needs no settings of the pair."""
    models = mappings.models  # every look at it asks the folder whether a file has changed
    return star(models[key] for key in mappings.in_order("powerbi"))
