"""Power BI as one vendor of the sandbox: its routes, its state, its credentials."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mlc_sandbox.core import Faults, JsonResponse, SandboxClock
from mlc_sandbox.powerbi.control import ControlRoutes
from mlc_sandbox.powerbi.http import API, FAULTS, METHODS, Gate
from mlc_sandbox.powerbi.routes_datasets import DatasetRoutes
from mlc_sandbox.powerbi.routes_groups import GroupRoutes
from mlc_sandbox.powerbi.routes_queries import QueryRoutes
from mlc_sandbox.powerbi.routes_refreshes import RefreshRoutes
from mlc_sandbox.powerbi.routes_rows import RowRoutes
from mlc_sandbox.powerbi.switches import Switches
from mlc_sandbox.powerbi.world import VENDOR, World

# The tables of the model that comes with the product.
TABLES = (
    "companies",
    "suppliers",
    "customers",
    "gl_accounts",
    "segment_values",
    "employees",
    "dates",
    "currencies",
    "document_kinds",
    "supplier_invoices",
    "supplier_payments",
    "customer_invoices",
    "customer_credit_notes",
    "customer_payments",
    "gl_balances",
    "journal_lines",
    "timecards",
)


class PowerBIVendor:
    """The simulated Power BI tenant, mounted under /powerbi."""

    name = VENDOR
    fault_names = FAULTS

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.world = World(clock, faults, seed)

    @property
    def switches(self) -> Switches:
        """Every switch with its value; documented in docs/sandbox-powerbi.md."""
        return self.world.switches

    def routes(self) -> Sequence[BaseRoute]:
        """Microsoft Entra below /login, the REST API below /v1.0/myorg, and the control routes."""
        gate = Gate(self.world)
        routes: list[BaseRoute] = [
            Route("/login/common/discovery/instance", self._instances),
            Route("/login/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            Route("/login/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            *ControlRoutes(self.world).routes(),
        ]
        for room in (GroupRoutes, DatasetRoutes, RowRoutes, QueryRoutes, RefreshRoutes):
            routes += room(self.world, gate).routes()
        return [*routes, gate.route("/{rest:path}"), Route(API, _unknown, methods=METHODS)]

    async def _instances(self, request: Request) -> Response:  # noqa: ARG002
        return self.world.login.instances()

    async def _discovery(self, request: Request) -> Response:
        return self.world.login.discovery(request.path_params["tenant"])

    async def _token(self, request: Request) -> Response:
        line = f"POST {request.url.path}"
        if (error := self.world.faults.take(VENDOR, "token_error", line)) is not None:
            body = {
                "error": error.get("error", "temporarily_unavailable"),
                "error_description": "AADSTS90033",
            }
            return JsonResponse(body, int(error.get("status", 503)))
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        with self.world.lock:
            return self.world.login.issue(request.path_params["tenant"], form)

    def dump(self) -> Any:
        """The whole state, picklable."""
        return self.world.dump()

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        self.world.load(state)

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:  # noqa: ARG002
        """What was late happens; nobody works in the tenant by himself."""
        return {"late": self.world.release()}

    def describe(self) -> Mapping[str, Any]:
        """Rows by dataset and table."""
        return self.world.counts()

    def config_section(self, url: str) -> dict[str, Any]:
        """The `powerbi` section of a ready mlc.yaml. Its dataset is made by `mlc powerbi setup`."""
        root = f"{url.rstrip('/')}/{self.name}"
        section: dict[str, Any] = {
            "api_url": f"{root}{API}",
            "login_url": f"{root}/login",
            "tenant_id": self.world.principal.tenant_id,
            "client_id": "${POWERBI_CLIENT_ID}",
            "client_secret": "${POWERBI_CLIENT_SECRET}",
            "workspace_id": self.world.workspace_id,
            "schedule": "0 6 * * *",
            "timezone": "Europe/Oslo",
            "destinations": {name: {} for name in TABLES},
        }
        return {self.name: section}

    def secrets(self) -> dict[str, str]:
        """Credentials for the generated environment file."""
        principal = self.world.principal
        return {
            "POWERBI_TENANT_ID": principal.tenant_id,
            "POWERBI_CLIENT_ID": principal.client_id,
            "POWERBI_CLIENT_SECRET": principal.secret,
        }


async def _unknown(request: Request) -> Response:  # noqa: ARG001
    return Response(status_code=404)
