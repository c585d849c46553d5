"""Tableau as one vendor of the sandbox: its routes, its state, its credentials."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.routing import BaseRoute

from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.tableau.control import ControlRoutes
from mlc_sandbox.tableau.example import DESTINATIONS, INTEGRATION, PAT, PROJECT, fill
from mlc_sandbox.tableau.http import FAULTS, Gate
from mlc_sandbox.tableau.routes_auth import AuthRoutes
from mlc_sandbox.tableau.routes_jobs import JobRoutes
from mlc_sandbox.tableau.routes_publish import PublishRoutes
from mlc_sandbox.tableau.routes_sites import SiteRoutes
from mlc_sandbox.tableau.routes_users import UserRoutes
from mlc_sandbox.tableau.routes_webhooks import WebhookRoutes
from mlc_sandbox.tableau.switches import Switches
from mlc_sandbox.tableau.world import SITE, VENDOR, World


class TableauVendor:
    """The simulated Tableau Cloud, mounted under /tableau."""

    name = VENDOR
    fault_names = FAULTS

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.world = World(clock, faults, seed)
        fill(self.world)
        self.gate = Gate(self.world)

    @property
    def switches(self) -> Switches:
        """Every switch with its value; documented in docs/sandbox-tableau.md."""
        return self.world.switches

    def routes(self) -> Sequence[BaseRoute]:
        """The REST API below /api/{version}, and the control routes."""
        routes: list[BaseRoute] = [*ControlRoutes(self.world, self.release).routes()]
        for room in (AuthRoutes, SiteRoutes, JobRoutes, PublishRoutes, UserRoutes, WebhookRoutes):
            routes += room(self.world, self.gate).routes()
        return [*routes, self.gate.unknown()]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Ends the hyperd that may have been started, when the sandbox ends."""
        try:
            yield
        finally:
            self.world.hyper.close()

    def release(self) -> int:
        """Everything late or waiting happens now: calls, jobs, events. How many there were."""
        with self.world.lock:
            return self.gate.release() + self.world.jobs.release() + self.world.webhooks.release()

    def dump(self) -> Any:
        """The whole state, picklable, with the published files."""
        return self.world.dump()

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        self.world.load(state)

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:  # noqa: ARG002
        """What was late happens, scheduled refreshes run; nobody publishes by himself."""
        return {"late": self.release()} | self.world.pass_day()

    def describe(self) -> Mapping[str, Any]:
        """What there is."""
        return self.world.counts()

    def config_section(self, url: str) -> dict[str, Any]:
        """The pair as mlc.yaml has it."""
        section: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "timezone": "Europe/Oslo",
            "server_url": f"{url.rstrip('/')}/{self.name}",
            "site": SITE,
            "project": PROJECT,
            "auth": {
                "method": "pat",
                "token_name": "${TABLEAU_PAT_NAME}",
                "token_secret": "${TABLEAU_PAT_SECRET}",
            },
            "destinations": list(DESTINATIONS),
        }
        return {self.name: section}

    def secrets(self) -> dict[str, str]:
        """Credentials for the generated environment file."""
        app = self.world.login.app
        return {
            "TABLEAU_PAT_NAME": PAT,
            "TABLEAU_PAT_SECRET": self.world.login.pats[PAT].secret,
            "TABLEAU_USERNAME": INTEGRATION,
            "TABLEAU_PASSWORD": self.world.login.passwords[INTEGRATION],
            "TABLEAU_CLIENT_ID": app.client_id,
            "TABLEAU_SECRET_ID": app.secret_id,
            "TABLEAU_SECRET_VALUE": app.secret,
        }
