"""Cleo Integration Cloud as one vendor of the sandbox: its routes, its SFTP server, its state."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Route

from mlc_sandbox.cleo.control import ControlRoutes
from mlc_sandbox.cleo.http import FAULTS, METHODS, Gate
from mlc_sandbox.cleo.routes_files import FileRoutes
from mlc_sandbox.cleo.routes_resources import ResourceRoutes
from mlc_sandbox.cleo.routes_versalex import VersalexRoutes
from mlc_sandbox.cleo.sftp import HOST, SftpServer
from mlc_sandbox.cleo.switches import Switches
from mlc_sandbox.cleo.world import VENDOR, World
from mlc_sandbox.core import CallLog, Faults, SandboxClock

# Before the first document of the simulated ERP.
EVERYTHING_FROM = "2000-01-01"
# What a new installation carries; one model each.
MODELS = ("purchase_orders", "purchase_receipts", "supplier_invoices", "suppliers")

if TYPE_CHECKING:
    from mlc_sandbox.visma import VismaVendor


class CleoVendor:
    """The simulated tenant, mounted under /cleo. With `visma`, suppliers ship what the ERP ordered."""

    name = VENDOR
    fault_names = FAULTS

    def __init__(
        self,
        clock: SandboxClock,
        faults: Faults,
        seed: int = 1,
        *,
        visma: VismaVendor | None = None,
        log: CallLog | None = None,
    ) -> None:
        self.world = World(clock, faults, seed, visma, log)
        self.sftp = SftpServer(self.world)

    @property
    def switches(self) -> Switches:
        """Every switch with its value; documented in docs/sandbox-cleo.md."""
        return self.world.switches

    def routes(self) -> Sequence[BaseRoute]:
        """The control routes, and everything else through the gate."""
        rooms = (ResourceRoutes(self.world), FileRoutes(self.world), VersalexRoutes(self.world))
        gate = Gate(self.world, rooms)
        return [
            *ControlRoutes(self.world, self.sftp).routes(),
            Route("/{path:path}", gate.endpoint, methods=METHODS),
        ]

    def serving(self) -> AbstractContextManager[None]:
        """The SFTP server, while the sandbox is served."""
        return self.sftp.serving()

    def dump(self) -> Any:
        """The whole state, picklable."""
        return {"world": self.world.dump(), "sftp": self.sftp.dump()}

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        self.world.load(state["world"])
        self.sftp.load(state["sftp"])

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:  # noqa: ARG002
        """Late answers leave, suppliers ship and move."""
        return self.world.pass_day()

    def describe(self) -> Mapping[str, Any]:
        """Files, documents, notices, jobs."""
        return self.world.counts()

    def config_section(self, url: str) -> dict[str, Any]:
        """The `cleo` section of a ready mlc.yaml."""
        switches = self.world.switches
        section: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "timezone": "Europe/Oslo",
            "rest": {"base_url": f"{url.rstrip('/')}/{self.name}"},
            "user": "${CLEO_USER}",
            "password": "${CLEO_PASSWORD}",
            "folders": {"upload": switches["upload_folder"], "download": switches["download_folder"]},
            "identities": {
                code: {"qualifier": "ZZ", "id": isa_id} for isa_id, code in self.world.companies.items()
            },
            "partners": {
                partner.id.lower(): {
                    "qualifier": partner.qualifier,
                    "id": partner.id,
                    "name": partner.name,
                    "documents_from": EVERYTHING_FROM,
                    "charset": "basic" if partner.charset == "ascii" else partner.charset,
                }
                for partner in self.world.partners.values()
            },
            "suppliers": {"name": "erp", "address": "cleo", "vat_number": "held"},
            "destinations": {model: {} for model in MODELS},
        }
        return {self.name: section}

    def sftp_section(self) -> dict[str, Any]:
        """In place of `rest`: the same mailbox over SFTP."""
        return {"host": HOST, "port": self.sftp.port, "host_key": self.sftp.host_key}

    def secrets(self) -> dict[str, str]:
        """Credentials for the generated environment file."""
        return {"CLEO_USER": self.world.login.user, "CLEO_PASSWORD": self.world.login.password}
