"""The simulated tenant: a service principal, workspaces with their roles, datasets, and a view for tests."""

from __future__ import annotations

import copy
import hashlib
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.powerbi import dax
from mlc_sandbox.powerbi.errors import detailed, no_rights, simple
from mlc_sandbox.powerbi.limits import Limits
from mlc_sandbox.powerbi.login import Login, Principal
from mlc_sandbox.powerbi.schema import check_dataset
from mlc_sandbox.powerbi.store import Dataset, Event, Late, Row, TableStore
from mlc_sandbox.powerbi.switches import Switches
from mlc_sandbox.powerbi.values import Value

VENDOR = "powerbi"
WORKSPACE, FOREIGN_WORKSPACE = "ERP Reporting", "Board Reporting"
IMPORT_MODEL = "Finance Analysis"
ROLES = ("Viewer", "Contributor", "Member", "Admin")


@dataclass(slots=True)
class Grant:
    """A role of a principal. It works from `works_from` on; None waits for RefreshUserPermissions."""

    role: str
    works_from: datetime | None
    kind: str = "App"


@dataclass(slots=True)
class Workspace:
    """A workspace (group) and who may do what in it, by object id."""

    id: str
    name: str
    grants: dict[str, Grant] = field(default_factory=dict)


class World:
    """Everything the simulated tenant holds. `lock` guards it: handlers run under it, one at a time."""

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.clock, self.faults = clock, faults
        self.lock = threading.RLock()
        self.switches = Switches()
        self.limits = Limits(clock, self.switches)
        self.principal = _principal(seed)
        self.login = Login(self.principal, clock, self.switches, seed)
        member = Grant("Member", clock.wire())
        ours = Workspace(_id(seed, WORKSPACE), WORKSPACE, {self.principal.object_id: member})
        foreign = Workspace(_id(seed, FOREIGN_WORKSPACE), FOREIGN_WORKSPACE)
        self.workspaces = {found.id: found for found in (ours, foreign)}
        self.workspace_id = ours.id
        analysis = Dataset(IMPORT_MODEL, ours.id, push=False, owner="controller@nordfjell.example")
        analysis.id = _id(seed, IMPORT_MODEL)
        self.datasets = {analysis.id: analysis}
        self._models: dict[str, tuple[Any, dax.Model]] = {}

    # Rights

    def role(self, workspace: str) -> str | None:
        """The service principal's role as the API sees it now; None without one."""
        found = self.workspaces.get(workspace)
        grant = found.grants.get(self.principal.object_id) if found else None
        if grant is None or grant.works_from is None or grant.works_from > self.clock.wire():
            return None
        return grant.role

    def require(self, workspace: str, least: str) -> None:
        """Raises ApiError with the face of a missing role."""
        role = self.role(workspace)
        if role is None or ROLES.index(role) < ROLES.index(least):
            raise no_rights(self.switches["no_role_face"])

    def grant(
        self, workspace: str, role: str | None, *, to: str | None = None, lag: bool = True, kind: str = "App"
    ) -> None:
        """Give a role, to our principal unless `to` names another object id; None takes it away, at once."""
        grants, who = self.workspaces[workspace].grants, to or self.principal.object_id
        if role is None:
            grants.pop(who, None)
        elif role not in ROLES:
            raise ValueError(f"A role is one of {', '.join(ROLES)}, not {role!r}.")
        else:
            grants[who] = Grant(role, None if lag else self.clock.wire(), kind)

    def refresh_permissions(self) -> None:
        """New roles begin to work a while after this."""
        works_from = self.clock.wire() + timedelta(seconds=self.switches["permission_seconds"])
        for workspace in self.workspaces.values():
            for grant in workspace.grants.values():
                grant.works_from = grant.works_from or works_from

    # Datasets

    def create(self, workspace: str, body: dict[str, Any], retention: str) -> Dataset:
        """A new push dataset; another one of the same name is no obstacle. Raises ApiError 400."""
        check_dataset(body)
        owner = f"app@{self.principal.client_id}"
        dataset = Dataset(body["name"], workspace, push=True, owner=owner, retention=retention)
        dataset.mode = body.get("defaultMode", "Push")
        dataset.hidden_polls = self.switches["create_polls"]
        dataset.relationships = copy.deepcopy(body.get("relationships") or [])
        for table in body["tables"]:
            dataset.tables[table["name"]] = TableStore(copy.deepcopy(table))
        self.datasets[dataset.id] = dataset
        return dataset

    def find(self, workspace: str, dataset: str) -> Dataset:
        """A dataset that shows. Raises ApiError 404."""
        found = self.datasets.get(dataset)
        if found is None or found.workspace != workspace:
            raise detailed(404, "PowerBIEntityNotFound")
        if found.hidden_polls > 0:
            found.hidden_polls -= 1
            raise detailed(404, "PowerBIEntityNotFound")
        return found

    def find_push(self, workspace: str, dataset: str) -> Dataset:
        """A push dataset. Raises ApiError 404."""
        found = self.find(workspace, dataset)
        if not found.push:
            raise simple(404, "ItemNotFound", f"Dataset {dataset} is not Push API dataset.")
        return found

    def find_table(self, dataset: Dataset, name: str) -> TableStore:
        """A table by its exact name, with what was late for it done. Raises ApiError 404."""
        table = dataset.tables.get(name)
        if table is None:
            text = f"Table '<pi>{name}</pi>' not found in dataset '{dataset.id}'"
            raise simple(404, "ItemNotFound", text)
        self.catch_up(dataset, table)
        return table

    # Rows

    def store(
        self, dataset: Dataset, table: TableStore, late: Late, *, sent: int | None = None, note: str = ""
    ) -> None:
        """Commit rows with their sequence number. `sent`: how many there were in the request."""
        now = self.clock.wire()
        if late.rows:
            table.add(late.rows, now)
        keep, slack = self.switches.limit("fifo_rows"), self.switches["fifo_slack"]
        if dataset.retention == "basicFIFO" and len(table.rows) > keep + slack:
            table.drop_oldest(int(keep))
        if late.sequence is not None and self.switches["sequence_numbers"] != "ignored":
            table.sequence[late.client] = late.sequence
        count = len(late.rows)
        sent = count if sent is None else sent
        table.history.append(Event(now, "POST", sent, count, late.sequence, note))

    def clear(self, table: TableStore, *, note: str = "") -> None:
        """Run a DELETE of all rows."""
        count = len(table.rows)
        table.clear()
        if self.switches["delete_resets_sequence"]:
            table.sequence.clear()
        table.history.append(Event(self.clock.wire(), "DELETE", count, note=note))

    def count_down(self, dataset: Dataset, table: TableStore, what: str) -> None:
        """A POST or DELETE (`posts`, `deletes`) has happened: what waited for it happens now."""
        for late in table.late:
            left = getattr(late, what)
            if left is not None:
                setattr(late, what, left - 1)
        self.catch_up(dataset, table)

    def catch_up(self, dataset: Dataset, table: TableStore, *, all_of_it: bool = False) -> None:
        """Do what is due of the late POSTs and DELETEs of a table."""
        now = self.clock.wire()
        for late in list(table.late):
            counted = any(left is not None and left <= 0 for left in (late.deletes, late.posts))
            if all_of_it or counted or (late.due is not None and late.due <= now):
                table.late.remove(late)
                if late.operation == "POST":
                    self.store(dataset, table, late, note="late")
                else:
                    self.clear(table, note="late")

    def reveal(self, dataset: Dataset) -> None:
        """Show rows that are old enough, and count this query for the others."""
        for table in dataset.tables.values():
            self.catch_up(dataset, table)
        now, switches = self.clock.wire(), self.switches
        age = timedelta(seconds=switches["visible_after_seconds"])
        for table in dataset.tables.values():
            while table.unseen:
                batch = table.unseen[0]
                if batch.since + age > now or batch.queries < switches["visible_after_queries"]:
                    break
                table.unseen.pop(0)
            for batch in table.unseen:
                batch.queries += 1

    def model(self, dataset: Dataset) -> dax.Model:
        """The dataset as queries see it now. Its columns and indexes are kept until a row changes."""
        duplicates = self.switches["one_side_duplicates"]
        state = (duplicates, *((table.version, table.visible) for table in dataset.tables.values()))
        held = self._models.get(dataset.id)
        if held is None or held[0] != state:
            held = state, _model(dataset, unique=duplicates == "query_error")
            self._models[dataset.id] = held
        return held[1]

    # What tests and hands look at

    def dataset(self, name: str) -> Dataset:
        """By id, else the newest of that name. Raises KeyError."""
        for found in reversed(self.datasets.values()):
            if name in (found.id, found.name):
                return found
        raise KeyError(
            f"There is no dataset {name!r}; there are: {sorted(d.name for d in self.datasets.values())}."
        )

    def table(self, dataset: str, table: str) -> TableStore:
        """Raises KeyError."""
        tables = self.dataset(dataset).tables
        if table not in tables:
            raise KeyError(f"Dataset {dataset!r} has no table {table!r}; there are: {', '.join(tables)}.")
        return tables[table]

    def rows(self, dataset: str, table: str) -> list[dict[str, Value]]:
        """Every stored row, visible or not, with exact values."""
        with self.lock:
            found = self.table(dataset, table)
            return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    def history(self, dataset: str, table: str) -> list[Event]:
        """What happened to a table, oldest first."""
        with self.lock:
            return list(self.table(dataset, table).history)

    def query(self, dataset: str, text: str) -> list[dict[str, Any]]:
        """A DAX query on all stored rows, whatever the lag and the limits. Raises dax.DaxError."""
        with self.lock:
            model = _model(self.dataset(dataset), unique=False, everything=True)
        result = dax.run(model, text, self.clock.now())
        return [dict(zip(result.titles, row, strict=True)) for row in result.rows]

    def release(self) -> int:
        """Do everything that is late now; how many there were."""
        with self.lock:
            tables = [(data, table) for data in self.datasets.values() for table in data.tables.values()]
            count = sum(len(table.late) for _, table in tables)
            for data, table in tables:
                self.catch_up(data, table, all_of_it=True)
            return count

    # State

    def dump(self) -> Any:
        """A picklable copy of the whole state."""
        with self.lock:
            return copy.deepcopy(
                {name: getattr(self, name) for name in _STATE}
                | {
                    "switches": self.switches,
                    "tokens": self.login.tokens,
                    "windows": self.limits.windows,
                }
            )

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        state = copy.deepcopy(state)
        with self.lock:
            for name in _STATE:
                setattr(self, name, state[name])
            self.switches.update(state["switches"])
            self.login.principal, self.login.tokens = self.principal, state["tokens"]
            self.limits.windows = state["windows"]
            self._models.clear()

    def counts(self) -> dict[str, Any]:
        """Rows by dataset and table, for the control API."""
        with self.lock:
            return {
                "workspace_id": self.workspace_id,
                "datasets": {
                    data.id: {"name": data.name}
                    | {table.name: len(table.rows) for table in data.tables.values()}
                    for data in self.datasets.values()
                },
            }


_STATE = ("principal", "workspaces", "workspace_id", "datasets")


def _id(seed: int, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"powerbi sandbox {seed} {what}"))


def _principal(seed: int) -> Principal:
    secret = hashlib.sha256(f"powerbi client {seed}".encode()).hexdigest()[:40]
    return Principal(_id(seed, "tenant"), _id(seed, "client"), secret, _id(seed, "service principal"))


def _model(dataset: Dataset, *, unique: bool, everything: bool = False) -> dax.Model:
    tables: dict[str, dax.Table] = {}
    for table in dataset.tables.values():
        rows: list[Row] = table.rows if everything else table.rows[: table.visible]
        tables[table.name] = dax.Table(table.name, list(table.columns), list(rows))
    relations = [
        dax.Relation(
            tables[body["fromTable"]].by_name[body["fromColumn"].lower()],
            tables[body["toTable"]].by_name[body["toColumn"].lower()],
            both=body.get("crossFilteringBehavior") == "BothDirections",
            unique=unique,
        )
        for body in dataset.relationships
    ]
    measures = [
        dax.Measure(body["name"], body["expression"])
        for table in dataset.tables.values()
        for body in table.definition.get("measures") or []
    ]
    return dax.Model(list(tables.values()), relations, measures)


def plain(value: Value) -> Any:
    """A value as the service writes it: fixed decimals without trailing zeros, dates without zone."""
    if isinstance(value, Decimal):
        return value.normalize() + 0
    if isinstance(value, datetime):
        fraction = round(value.microsecond / 1000)
        return f"{value:%Y-%m-%dT%H:%M:%S}" + (f".{fraction:03d}" if fraction else "")
    return value
