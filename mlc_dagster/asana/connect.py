"""The Asana pair, built from its settings."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.asana.destination import Options, TaskFeed
from mlc_dagster.asana.oauth import App, AsanaOAuth
from mlc_dagster.asana.places import BelowTasks, InProjects, Places
from mlc_dagster.asana.projects import Projects
from mlc_dagster.asana.readback import TaskReadBack
from mlc_dagster.asana.setup import Setup, external_works
from mlc_dagster.asana.shape import Shape
from mlc_dagster.asana.wayback import Channel, WayBackReader
from mlc_dagster.asana.webhooks import AsanaHooks, Book, Webhooks
from mlc_dagster.delivery import Report
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.grant import NoLoginByHand, StoredGrant
from mlc_dagster.settings.asana import AsanaDestination, AsanaSettings, AsanaToken, lines_of
from mlc_dagster.target import Expiry, Parts
from mlc_dagster.transport.auth import Auth, FixedAuth
from mlc_dagster.transport.budget import Budget, share

# Of the grant in the vault.
GRANT = "asana/oauth"


class Asana:
    """The configured workspace with everything that is needed to fill its projects."""

    def __init__(self, settings: AsanaSettings, parts: Parts) -> None:
        self.settings, self._parts = settings, parts
        self.memory = Memory(parts.engine, parts.clock, f"asana:{settings.workspace}")

    @cached_property
    def client(self) -> AsanaClient:
        """The client of the workspace."""
        settings, parts = self.settings, self._parts
        return AsanaClient(
            settings.api_url,
            settings.workspace,
            auth=self._auth(),
            budget=self._budget,
            counter=parts.counter,
            clock=parts.clock,
        )

    @property
    def grant(self) -> StoredGrant[AsanaOAuth]:
        """The grant of `mlc asana login`. Raises NoLoginByHand when another method is set."""
        auth, parts = self.settings.auth, self._parts
        if isinstance(auth, AsanaToken):
            raise NoLoginByHand(
                "`method: pat` needs no login by hand; `mlc check` tries it. For OAuth set `method: oauth` "
                "in mlc.yaml."
            )
        app = App(auth.client_id.reveal(), auth.client_secret.reveal(), auth.redirect_uri)
        service = AsanaOAuth(self.settings.oauth_url, app, counter=parts.counter, clock=parts.clock)
        return StoredGrant(GRANT, service, vault=parts.vault, leases=parts.leases, clock=parts.clock)

    @property
    def setup(self) -> Setup:
        """The set-up of custom fields."""
        declared = [
            (part.project, list(self._shape(name).declared()))
            for name, part in self.settings.destinations.items()
        ]
        return Setup(self.client, self.memory, declared)

    @cached_property
    def way_back(self) -> WayBackReader:
        """What people say at the tasks of the models that have a way back."""
        models = self._parts.mappings.models
        channels = [
            Channel(
                self._shape(name),
                f"visma/{models[f'asana/{name}'].contract.source}",
                part.way_back,
                self._projects(part, self._shape(name)).known(),
            )
            for name, part in self.settings.destinations.items()
            if part.way_back is not None
        ]
        return WayBackReader(self.client, self.memory, self._parts.ledger, channels, self.settings.timezone)

    @property
    def hooks(self) -> AsanaHooks:
        """Asana as a source of the receiver."""
        return AsanaHooks(self._book, self._parts.clock)

    def webhooks(self, address: str) -> Webhooks:
        """The webhooks of the projects with a way back. `address`: where Asana reaches the receiver."""
        return Webhooks(self.client, self._book, address, self.way_back.projects)

    @property
    def _book(self) -> Book:
        parts = self._parts
        return Book(Memory(parts.engine, parts.clock, f"{self.memory.target}/webhooks"), parts.vault)

    def destination(self, model: str) -> TaskFeed:
        """The tasks of one model of the mappings, or the subtasks of its lines."""
        part, shape = self._part(model), self._shape(model)
        options = Options(part, external_works(self.memory), self._calls_per_minute)
        return TaskFeed(
            f"asana/{model}",
            self.client,
            shape,
            self._places(part, shape),
            ledger=self._parts.ledger,
            memory=self.memory,
            options=options,
            tombstone=self._parts.mappings.models[f"asana/{model}"].tombstone,
        )

    def read_back(self, model: str) -> TaskReadBack | None:
        """The tasks of a model; subtasks would cost a call for each document, and are not read back."""
        if model not in self.settings.destinations:
            return None
        part, shape = self._part(model), self._shape(model)
        return TaskReadBack(self.client, self._projects(part, shape), shape, part.people_may_change)

    def delivered(self, report: Report, *, last: bool) -> None:
        """Nothing follows."""

    def look(self) -> str:
        """Who the token belongs to, whether the workspace is open to it, and what goes back is there."""
        self.way_back.check()
        user = self.client.get("/users/me", ["name", "workspaces"])
        workspace = self.client.get(f"/workspaces/{self.settings.workspace}", ["name"])
        return f"workspace {workspace['name']} as {user['name']}"

    def calls_left(self) -> Mapping[str, int | None]:
        """The calls left of the minute's quota."""
        return {"asana": self._budget.left()}

    def expiries(self) -> Sequence[Expiry]:
        """None: this vendor tells no end of what it issued."""
        return ()

    def _part(self, model: str) -> AsanaDestination:
        parts = self.settings.destinations
        return parts.get(model) or next(part for name, part in parts.items() if lines_of(name) == model)

    def _shape(self, model: str) -> Shape:
        return Shape.of(
            self._parts.mappings.models[f"asana/{model}"], lines=self._part(model).lines == "notes"
        )

    def _projects(self, part: AsanaDestination, shape: Shape) -> Projects:
        return Projects(self.client, self.memory, part, shape)

    def _places(self, part: AsanaDestination, shape: Shape) -> Places:
        parent = shape.section.parent
        if parent is None:
            return InProjects(self.client, self._projects(part, shape), shape)
        ledger = self._parts.ledger
        return BelowTasks(self.client, shape, lambda keys: ledger.target_ids(f"asana/{parent}", keys))

    @property
    def _calls_per_minute(self) -> int:
        return max(1, self.settings.calls_per_minute * self.settings.headroom_percent // 100)

    @cached_property
    def _budget(self) -> Budget:
        """Asana counts calls per token (section 10)."""
        settings = self.settings
        return self._parts.budgets.rolling_window(
            f"asana:{settings.workspace}",
            rate=settings.calls_per_minute,
            per_seconds=60,
            headroom=share(settings.headroom_percent),
            patience=settings.patience_seconds,
        )

    def _auth(self) -> Auth:
        auth = self.settings.auth
        return FixedAuth(auth.token.reveal()) if isinstance(auth, AsanaToken) else self.grant.auth()
