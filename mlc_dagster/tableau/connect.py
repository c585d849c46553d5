"""The Tableau pair, built from its settings."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

from mlc_dagster.delivery import Quarantine, Refused, Report
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.refreshes import Refreshes
from mlc_dagster.settings.tableau import AccessToken, TableauSettings
from mlc_dagster.tableau.auth import App, Credentials, Pat, SharedSession, login_http
from mlc_dagster.tableau.client import TableauClient
from mlc_dagster.tableau.destination import DataSource, Place
from mlc_dagster.tableau.expiry import expiries
from mlc_dagster.tableau.failures import Failure, failures
from mlc_dagster.tableau.readback import ExtractReadBack
from mlc_dagster.tableau.references import STAGE, Names, Relations, dangling
from mlc_dagster.tableau.refresh import started
from mlc_dagster.tableau.remembered import PREFIX, Source
from mlc_dagster.tableau.setup import Setup
from mlc_dagster.tableau.shape import Shape
from mlc_dagster.tableau.webhooks import FLOW_ENDED, REFRESHES_FAILED, Secret, TableauHooks, Webhooks
from mlc_dagster.target import Expiry, NotSetUp, Parts
from mlc_dagster.transport.budget import share


class Tableau:
    """The configured project with everything that is needed to fill its data sources."""

    def __init__(self, settings: TableauSettings, parts: Parts) -> None:
        self.settings, self._parts = settings, parts
        self._place = Place(
            f"{settings.server_url}|{settings.site}|{settings.project}", project=settings.project
        )
        self.memory = Memory(parts.engine, parts.clock, f"tableau:{self._place.name}")
        headroom, patience = share(settings.headroom_percent), settings.patience_seconds
        # Cloud counts by user and site (section 12).
        name = f"tableau:{settings.server_url}:{settings.site}"
        window = partial(parts.budgets.counted_window, seconds=3600, headroom=headroom, patience=patience)
        self._calls = window(f"{name}:calls", limit=settings.calls_per_hour)
        self._content = window(f"{name}:content", limit=settings.content_per_hour)

    @cached_property
    def session(self) -> SharedSession:
        """The session that all processes share."""
        settings, parts = self.settings, self._parts
        http = login_http(self._api, budget=self._calls, counter=parts.counter, clock=parts.clock)
        return SharedSession(
            http,
            settings.site,
            self._credentials(),
            vault=parts.vault,
            leases=parts.leases,
            memory=self.memory,
        )

    @cached_property
    def client(self) -> TableauClient:
        """The client of the site."""
        return TableauClient(
            self._api,
            self.session,
            calls=self._calls,
            content=self._content,
            counter=self._parts.counter,
            clock=self._parts.clock,
        )

    @cached_property
    def _hook_secret(self) -> Secret:
        return Secret(self._parts.vault, f"tableau/webhook/{self._place.name}")

    @property
    def hooks(self) -> TableauHooks:
        """Tableau as a source of the receiver."""
        return TableauHooks(self._hook_secret)

    def setup(self, address: str | None) -> Setup:
        """The set-up of the project. `address`: where Tableau reaches our receiver; None for no webhooks."""
        webhooks = None
        if address is not None:
            events = [*REFRESHES_FAILED, *([FLOW_ENDED] if self.settings.run_flows else [])]
            webhooks = Webhooks(self.client, self._hook_secret, address, events)
        return Setup(self.client, self.memory, self.settings.project, list(self._models), webhooks)

    @property
    def _models(self) -> dict[str, str]:
        """Our models, by the title of their data source."""
        return {self._shape(model).title: model for model in self.settings.destinations}

    def destination(self, model: str) -> DataSource:
        """The data source of one model of the mappings."""
        shape = self._shape(model)
        return DataSource(
            f"tableau/{model}",
            shape,
            self.client,
            self._source(shape),
            self._place,
            ledger=self._parts.ledger,
            job_patience=self.settings.job_patience_seconds,
        )

    def read_back(self, model: str) -> ExtractReadBack:
        """The rows of a data source, downloaded."""
        shape = self._shape(model)
        return ExtractReadBack(f"tableau/{model}", shape, self.client, self._source(shape))

    @property
    def refreshes(self) -> Refreshes:
        """The refresh tasks and flows that read our data sources."""
        client, settings = self.client, self.settings
        starts = {
            **{f"Refresh task {id}": partial(started, client.run_task, id) for id in settings.refresh_tasks},
            **{f"Flow {id}": partial(started, client.run_flow, id) for id in settings.run_flows},
        }
        return Refreshes(self.memory, starts)

    def delivered(self, report: Report, *, last: bool) -> None:
        """Start what depends on our data sources, once a run."""
        self.refreshes.delivered(changed=report.changed, last=last)

    @property
    def published(self) -> bool:
        """Whether any data source of ours is there, as far as we know."""
        seen = self.memory.all().items()
        return any(value.value.get("id") for name, value in seen if name.startswith(PREFIX))

    def failures(self) -> list[Failure]:
        """The refreshes and flows of the site that failed last. Raises transport's CallFailed."""
        return failures(self.client, self._models)

    def dangling(self, model: str, companies: Sequence[str], run_id: str) -> dict[str, list[Refused]]:
        """The delivered rows, by company, that name something that is gone; they are put into quarantine.

        Users and groups of the site, and rows of our other data sources. Raises transport's CallFailed.
        """
        parts, name = self._parts, f"tableau/{model}"
        declared = parts.mappings.models[name]
        judges = (
            Names(self.client, self._shape(model)),
            Relations(parts.ledger, declared, self.settings.destinations),
        )
        quarantine, found = Quarantine(parts.engine, parts.clock), {}
        for company in companies:
            found[company] = dangling(parts.ledger, name, company, judges)
            # All rows were looked at: whatever is not among them passed, or is not there any more.
            stood = [entry.key for entry in quarantine.open(name, company, stage=STAGE)]
            quarantine.settle(
                stage=STAGE,
                place=name,
                company=company,
                refused=found[company],
                passed=stood,
                run_id=run_id,
            )
        return found

    def look(self) -> str:
        """Sign in and look for the project."""
        if self.client.project(self.settings.project) is None:
            raise NotSetUp(
                f"The site has no project {self.settings.project!r} that we see. Run `mlc tableau setup`, "
                "or correct `project` in mlc.yaml."
            )
        return f"project {self.settings.project}"

    def calls_left(self) -> Mapping[str, int | None]:
        """The calls left of this hour."""
        return {"tableau": self._calls.left()}

    def expiries(self) -> Sequence[Expiry]:
        """The ends of the access token: its last day, and 15 days after its last use once it lies idle."""
        auth = self.settings.auth
        if not isinstance(auth, AccessToken):
            return ()
        name = auth.token_name.reveal()
        return tuple(expiries(name, auth.ends, self.session.signed_in, self._parts.clock.now()))

    @property
    def _api(self) -> str:
        return f"{self.settings.server_url}/api/{self.settings.api_version}"

    def _credentials(self) -> Credentials:
        auth = self.settings.auth
        if isinstance(auth, AccessToken):
            return Pat(auth.token_name.reveal(), auth.token_secret.reveal())
        client, secret = auth.client_id.reveal(), auth.secret_id.reveal()
        return App(client, secret, auth.secret_value.reveal(), auth.username)

    def _shape(self, model: str) -> Shape:
        return Shape.of(self._parts.mappings.models[f"tableau/{model}"])

    def _source(self, shape: Shape) -> Callable[[], Source]:
        return lambda: Source(self.memory, shape.title)
