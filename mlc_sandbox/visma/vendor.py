"""The Visma.net simulator as one vendor of the sandbox: worlds, switches, state, and operations for tests."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mlc_sandbox.core import Faults, JsonResponse, SandboxClock
from mlc_sandbox.visma.api import FAULTS, Api
from mlc_sandbox.visma.background import Background
from mlc_sandbox.visma.entities import BY_NAME, ENTITIES, Entity
from mlc_sandbox.visma.limits import Limits
from mlc_sandbox.visma.lists import Lists
from mlc_sandbox.visma.rows import Rows
from mlc_sandbox.visma.switches import Switches
from mlc_sandbox.visma.tokens import Tokens
from mlc_sandbox.visma.webhooks import Webhooks
from mlc_sandbox.world import Company, changes
from mlc_sandbox.world.store import Record, Row, Table


class VismaVendor:
    """All companies of the simulated ERP and the API in front of them."""

    name = "visma"
    fault_names = FAULTS

    def __init__(
        self,
        clock: SandboxClock,
        faults: Faults,
        *,
        seed: int = 1,
        scale: float = 1,
        companies: Sequence[str] = ("NO01",),
    ) -> None:
        self.clock, self.faults, self.seed = clock, faults, seed
        self.lock = threading.RLock()
        self.switches = Switches()
        self.companies = {code: Company(code, seed=seed, scale=scale, clock=clock) for code in companies}
        secret = hashlib.sha256(f"visma client {seed}".encode()).hexdigest()[:40]
        self.client = (f"isv_mlc_sandbox_{seed}", secret)
        self.rows = Rows(self.switches)
        self.lists = Lists(self.switches, self.rows, seed)
        self.limits = Limits(clock, self.switches)
        self.background = Background(clock, self.switches)
        self.tokens = Tokens(self.companies.values(), clock, self.switches, self.client)
        self.webhooks = Webhooks(clock, faults)
        self.pages_drifted = 0
        self.api = Api(self)

    def routes(self) -> Sequence[BaseRoute]:
        """The token endpoint and the API."""
        methods = ["GET", "POST", "PUT", "DELETE"]
        return [
            Route("/connect/token", self._token, methods=["POST"]),
            Route("/api/{path:path}", self.api.handle, methods=methods),
        ]

    async def _token(self, request: Request) -> Response:
        line = f"POST {request.url.path}"
        if (error := self.faults.take("visma", "token_error", line)) is not None:
            return JsonResponse({"error": error.get("error", "server_error")}, error.get("status", 500))
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        with self.lock:
            return self.tokens.issue(form)

    # State

    def dump(self) -> Any:
        """Everything that must survive a restart."""
        with self.lock:
            return {
                "companies": self.companies,
                "switches": dict(self.switches),
                "client": self.client,
                "tokens": self.tokens.dump(),
                "windows": self.limits.windows,
            }

    def load(self, state: Any) -> None:
        """Take over a dumped state; the companies go on with this process's clock."""
        with self.lock:
            self.companies = state["companies"]
            for company in self.companies.values():
                company.clock = self.clock
            self.client = tuple(state["client"])
            for name, value in state["switches"].items():
                self.switches[name] = value
            self.tokens = Tokens(self.companies.values(), self.clock, self.switches, self.client)
            self.tokens.load(state["tokens"])
            self.limits.windows = state["windows"]

    # What the world does

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:
        """See mlc_sandbox.world.changes.pass_day."""
        with self.lock:
            return changes.pass_day(list(self.companies.values()), rng)

    def restamp(self, company: str, entity: str, keys: Iterable[str] | None = None) -> int:
        """Give all rows, or those of the keys, one and the same stamp: now."""
        with self.lock:
            table = self.table(company, entity)
            records = table.sorted() if keys is None else [self.record(company, entity, key) for key in keys]
            return table.restamp(records, self.clock.now())

    def change(self, company: str, entity: str, key: str, fields: Row, *, days_ago: float = 0) -> Record:
        """Replace top-level fields of a row, whatever the API's rules say. days_ago: how old the stamp is."""
        with self.lock:
            record = self.record(company, entity, key)
            stamp = self.clock.now() - timedelta(days=days_ago)
            self.table(company, entity).change(record, fields, stamp)
            self._tell(company, entity, "changed", key)
            return record

    def renumber(self, company: str, entity: str, key: str, number: str, kind: str | None = None) -> Record:
        """Give a record another number, as the ERP's change-number actions do: one vanishes, one appears.

        kind: another type of document as well. Raises KeyError: there is such a record already.
        """
        with self.lock:
            declared, table = self.entity(entity), self.table(company, entity)
            old = self.record(company, entity, key)
            parts = [*key.split("|")[:-1], number] if kind is None else [kind, number]
            new_key = "|".join(parts)
            if new_key in table:
                raise KeyError(f"{entity} {new_key} exists already")
            row = {**table.row(old), **dict(zip(declared.key, parts, strict=True))}
            table.delete(key)
            record = table.add(new_key, old.facts, self.clock.now(), row=row)
            self._tell(company, entity, "renumbered", new_key)
            return record

    def delete(self, company: str, entity: str, key: str) -> None:
        """Take a record away."""
        with self.lock:
            self.record(company, entity, key)
            self.table(company, entity).delete(key)
            self._tell(company, entity, "deleted", key)

    def add(self, company: str, entity: str, rng: random.Random | None = None) -> Record | None:
        """Add a plausible record of a document entity as of now."""
        with self.lock:
            record = changes.add(self._company(company), self.entity(entity).name, rng or random.Random())
            if record is not None:
                self._tell(company, entity, "added", record.key)
            return record

    def _tell(self, company: str, entity: str, what: str, key: str) -> None:
        self.webhooks.notify(self._company(company).tenant_id, self.entity(entity).name, what, key)

    # What tests compare with

    def entity(self, name: str) -> Entity:
        """The declaration, by the API's name without case. Raises KeyError naming what there is."""
        if name.lower() not in BY_NAME:
            raise KeyError(
                f"Unknown Visma entity {name!r}; there are: {', '.join(e.name for e in ENTITIES)}."
            )
        return BY_NAME[name.lower()]

    def table(self, company: str, entity: str) -> Table:
        """The records of an entity."""
        return self._company(company).table(self.entity(entity).name)

    def record(self, company: str, entity: str, key: str) -> Record:
        """One record by its key (parts joined by |). Raises KeyError."""
        record = self.table(company, entity).get(key)
        if record is None:
            raise KeyError(f"{company} has no {entity} {key}.")
        return record

    def truth(self, company: str, entity: str) -> list[Row]:
        """All rows of an entity with every section shown, Decimals and dates as such."""
        with self.lock:
            declared, table = self.entity(entity), self.table(company, entity)
            shown = {*declared.sections, *declared.line_sections}
            return [self.rows.visible(declared, table, record, shown) for record in table]

    def describe(self) -> Mapping[str, Any]:
        """Rows per company and entity."""
        with self.lock:
            return {
                code: {entity.name: len(company.table(entity.name)) for entity in ENTITIES}
                for code, company in self.companies.items()
            }

    def _company(self, code: str) -> Company:
        if code not in self.companies:
            raise KeyError(f"Unknown company {code!r}; there are: {', '.join(self.companies)}.")
        return self.companies[code]

    # A ready configuration

    def config_section(self, url: str) -> dict[str, Any]:
        """Companies, addresses and the start day."""
        return {
            "start_day": (self.clock.now() - timedelta(days=3)).date(),
            "visma": {
                "base_url": f"{url}/visma/api",
                "token_url": f"{url}/visma/connect/token",
                "client_id": "${VISMA_CLIENT_ID}",
                "client_secret": "${VISMA_CLIENT_SECRET}",
            },
            "companies": {
                code: {"name": company.name, "tenant_id": company.tenant_id, "company_id": company.company_id}
                for code, company in self.companies.items()
            },
        }

    def secrets(self) -> dict[str, str]:
        """The client of the token endpoint."""
        return {"VISMA_CLIENT_ID": self.client[0], "VISMA_CLIENT_SECRET": self.client[1]}
