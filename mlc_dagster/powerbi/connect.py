"""Builds the Power BI client, its dataset and its destinations from the settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.powerbi.auth import ServicePrincipal, login
from mlc_dagster.powerbi.client import Connections, PowerBiClient
from mlc_dagster.powerbi.destination import Holdings, Limits, Options, Payload, PushTable
from mlc_dagster.powerbi.refresh import Refreshes
from mlc_dagster.powerbi.remembered import Dataset
from mlc_dagster.powerbi.setup import Setup
from mlc_dagster.powerbi.star import Star
from mlc_dagster.settings import PowerBiSettings
from mlc_dagster.transport.budget import Budgets, Unlimited
from mlc_dagster.transport.clock import Clock
from mlc_dagster.transport.session import CallCounter

# Per caller and minute; POSTs of a dataset with a table of 250,000 rows, per hour (section 8).
QUERIES_PER_MINUTE, LARGE_POSTS_PER_HOUR = 120, 120


@dataclass(frozen=True)
class Shared:
    """What all processes share, and this one's clock and counter."""

    engine: Engine
    ledger: Ledger
    budgets: Budgets
    clock: Clock
    counter: CallCounter


class PowerBi:
    """The pair's dataset with everything that is needed to fill it."""

    def __init__(self, settings: PowerBiSettings, shared: Shared, star: Star) -> None:
        self._settings, self._shared, self.star = settings, shared, star
        name = f"powerbi:{settings.workspace_id}:{settings.dataset}"
        self.memory = Memory(shared.engine, shared.clock, name)
        headroom = f"{settings.headroom_percent / 100:.2f}"
        patience = settings.patience_seconds
        budgets = shared.budgets
        self.posts = budgets.token_bucket(
            f"{name}:posts",
            rate=settings.posts_per_minute,
            per_seconds=60,
            headroom=headroom,
            patience=patience,
        )
        self.limits = Limits(
            rows=budgets.counted_window(
                f"{name}:rows",
                limit=settings.rows_per_hour,
                seconds=3600,
                headroom=headroom,
                patience=patience,
            ),
            large_posts=budgets.counted_window(
                f"{name}:large",
                limit=LARGE_POSTS_PER_HOUR,
                seconds=3600,
                headroom=headroom,
                patience=patience,
            ),
            posts_per_minute=max(1, settings.posts_per_minute * settings.headroom_percent // 100),
        )
        self.client = self._connect(headroom)

    @property
    def dataset(self) -> Dataset:
        """What is remembered of the dataset, as it is now."""
        return Dataset(self.memory)

    @property
    def verifies(self) -> bool:
        """Whether what is sent is read back by queries."""
        return self._settings.verify == "auto" and self.dataset.queries

    @property
    def setup(self) -> Setup:
        """The set-up of the dataset."""
        return Setup(self.client, self.dataset, self.star, self._settings.dataset)

    @property
    def refreshes(self) -> Refreshes:
        """The datasets that are refreshed after a change."""
        return Refreshes(self.client, self.memory, self._settings.refresh)

    def destination(self, model: str) -> PushTable:
        """The destination of one model of the mappings."""
        settings, ledger, name = self._settings, self._shared.ledger, f"powerbi/{model}"

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
            holdings=Holdings(rows, lambda: ledger.held_count(name)),
            options=Options(
                settings.destinations[model].mode, settings.slots_up_to, cut=settings.long_text == "cut"
            ),
            verify=settings.verify == "auto",
        )

    def _connect(self, headroom: str) -> PowerBiClient:
        settings, shared = self._settings, self._shared
        principal = ServicePrincipal(
            settings.login_url,
            settings.tenant_id,
            settings.client_id.reveal(),
            settings.client_secret.reveal(),
            scope=settings.scope,
            clock=shared.clock,
        )
        queries = shared.budgets.token_bucket(
            f"powerbi:{settings.client_id.variables}:queries",
            rate=QUERIES_PER_MINUTE,
            per_seconds=60,
            headroom=headroom,
            patience=settings.patience_seconds,
        )
        connections = Connections(
            settings.api_url,
            login(principal, shared.clock),
            self.posts,
            queries,
            Unlimited("Power BI", clock=shared.clock, patience=settings.patience_seconds),
            shared.counter,
            shared.clock,
        )
        return PowerBiClient(connections, settings.workspace_id)
