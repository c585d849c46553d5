"""The simulated tenant: users, one workspace with the data hub model, files, tasks, and a view for tests."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.auth import Directory, User, issue_certificate, pem_pair
from mlc_sandbox.anaplan.build import data_hub
from mlc_sandbox.anaplan.effects import VENDOR, Effects
from mlc_sandbox.anaplan.files import FileStore
from mlc_sandbox.anaplan.lookup import member_key
from mlc_sandbox.anaplan.model import AnaplanList, ImportAction, Model, Value
from mlc_sandbox.anaplan.oauth import OAuth
from mlc_sandbox.anaplan.switches import Switches
from mlc_sandbox.anaplan.tasks import Ran, Task, TaskEngine
from mlc_sandbox.anaplan.views import cell_value
from mlc_sandbox.core import Faults, SandboxClock

USER, PASSWORD = "planning.integration@nordfjell.example", "sandbox-Anaplan-1"
BUILDER, BUILDER_PASSWORD = "model.builder@nordfjell.example", "sandbox-Builder-1"
OUTSIDER, OUTSIDER_PASSWORD = "no.access@nordfjell.example", "sandbox-Outsider-1"


@dataclass(frozen=True, slots=True)
class Item:
    """A list item as tests see it; `text` is the display name, or the name in a list that is not numbered."""

    id: str
    code: str | None
    name: str
    text: str
    parent: str | None
    properties: dict[str, Value]


class World:
    """Everything the simulated tenant holds. `lock` guards it: handlers run under it, one at a time."""

    def __init__(self, clock: SandboxClock, faults: Faults) -> None:
        self.clock, self.faults = clock, faults
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        self.switches = Switches()
        self.directory = Directory(self.switches, clock.now, self.real_now)
        self.oauth = OAuth(self.directory, self.switches, clock.now)
        self.directory.add_user(USER, PASSWORD, exception_user=True)
        self.directory.add_user(BUILDER, BUILDER_PASSWORD, admin=True)
        self.directory.add_user(OUTSIDER, OUTSIDER_PASSWORD, role="NO ACCESS")
        self.read_requests: dict[str, Any] = {}
        self._take_model(data_hub(clock.now().year))

    def _take_model(self, model: Model) -> None:
        self.model = model
        self.files = FileStore(model, self.clock.now, lambda: self.switches["file_hours"])
        self.effects = Effects(model, self.files, self.switches, self.faults)
        self.tasks = TaskEngine(self.switches, self.clock.now, self.effects)

    def real_now(self) -> datetime:
        """The client's time: the sandbox clock runs behind or ahead of it by its offset."""
        return self.clock.now() - self.clock.offset

    def wire_ms(self, at: datetime) -> int:
        """A sandbox time as epoch milliseconds on the wire."""
        if self.switches["wire_time"] == "real":
            at -= self.clock.offset
        return int(at.timestamp() * 1000)

    # Starting and watching tasks

    def start(
        self, kind: str, thing: Any, user: User, *, prompts: dict[str, dict[str, str]], line: str
    ) -> Task:
        """Queue a task; faults `slow_model` (polls, seconds) and `task_cancelled` apply to this one."""
        self._uncover_mixed_reads()
        slow = self.faults.take(VENDOR, "slow_model", f"{line} {thing.name}") or {}
        now = self.clock.now()
        task = Task(
            kind,
            thing.id,
            thing.name,
            user.email,
            now,
            self.wire_ms(now),
            int(slow.get("polls", self.switches["task_polls"])),
            int(slow.get("seconds", self.switches["task_seconds"])),
            prompts,
            line,
            doomed=self.faults.take(VENDOR, "task_cancelled", f"{line} {thing.name}") is not None,
        )
        self.tasks.add(task)
        return task

    def _uncover_mixed_reads(self) -> None:
        self.effects.mixed &= {task.id for task in self.tasks.queue}

    def file_changed(self, user: User, file_id: str) -> None:
        """Content changed: an import that is reading it now loads a mixture, without an error."""
        running = self.tasks.running
        content = self.files.contents.get((user.email, file_id))
        if running is None or content is None or not content.whole or running.user != user.email:
            return
        if running.state == "IN_PROGRESS" and self.effects.reads(running, file_id):
            self.effects.mixed.add(running.id)
            self.tasks.run_again(running)

    def wait_until_free(self) -> None:
        """What a small write or a read of cells does in a busy model: it hangs until no task is left.

        It hangs no longer than `busy_hangs_ms`; what still runs then is taken to end at that moment.
        """
        patience = self.switches["busy_hangs_ms"] / 1000
        if patience:
            self.moved.wait_for(lambda: not self.tasks.queue, timeout=patience)
        self.tasks.drain()

    # Inspection

    def list_items(self, list_name: str) -> dict[str, Item]:
        """code (name, without a code) -> item."""
        with self.lock:
            items: AnaplanList = self.model.named("lists", list_name)
            return {
                item.code or item.name: Item(
                    item.id, item.code, item.name, items.label(item), item.parent, dict(item.properties)
                )
                for item in items.items.values()
            }

    def module_rows(self, module_name: str) -> dict[str, dict[str, Value]]:
        """code -> line item -> value, only cells that hold one; further dimensions are joined by " / "."""
        with self.lock:
            module = self.model.named("modules", module_name)
            rows: dict[str, dict[str, Value]] = {}
            for coordinates in module.cells:
                values: dict[str, Value] = {
                    name: value
                    for name, item in module.line_items.items()
                    if item.formula is None
                    and (value := cell_value(self.model, module, coordinates, item)) is not None
                }
                if values:
                    keys = zip(module.dimensions, coordinates, strict=True)
                    rows[" / ".join(member_key(self.model, *pair) for pair in keys)] = values
            return rows

    @property
    def history(self) -> list[Ran]:
        """Every import that ran to its end, oldest first."""
        return list(self.tasks.history)

    def import_named(self, name: str) -> ImportAction:
        """An import action, to change what the builder chose: clear, duplicates, key, date_format."""
        action: ImportAction = self.model.named("imports", name)
        return action

    def set_default_file(self, import_name: str, content: bytes) -> None:
        """The shared default file behind an import's data source."""
        self.files.set_default(self.import_named(import_name).source_id, content)

    # Certificates

    def new_certificate(self, email: str = USER, *, accepted_authority: bool = True) -> tuple[bytes, bytes]:
        """A registered certificate for the user: (certificate PEM, private key PEM)."""
        now = self.real_now()
        authority = issue_certificate("Sandbox Authority", now=now)
        certificate, key = pem_pair(*issue_certificate(email, now=now, issuer=authority))
        with self.lock:
            if accepted_authority:
                self.directory.register_authority(pem_pair(*authority)[0])
            self.directory.register_certificate(certificate, email)
        return certificate, key

    # State

    def dump(self) -> Any:
        """A picklable copy of the whole state; a running task ends first."""
        with self.lock:
            self.tasks.drain()
            state = {
                "switches": self.switches,
                "directory": {name: getattr(self.directory, name) for name in _DIRECTORY},
                "oauth": {name: getattr(self.oauth, name) for name in _OAUTH},
                "model": self.model,
                "files": {name: getattr(self.files, name) for name in _FILES},
                "tasks": {name: getattr(self.tasks, name) for name in _TASKS},
                "read_requests": self.read_requests,
            }
            return copy.deepcopy(state)

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        state = copy.deepcopy(state)
        with self.lock:
            self.switches.update(state["switches"])
            self._take_model(state["model"])
            self.read_requests = state["read_requests"]
            for part in ("directory", "oauth", "files", "tasks"):
                for name, value in state[part].items():
                    setattr(getattr(self, part), name, value)

    def forget_old_reads(self) -> None:
        """Read requests end after 30 idle minutes."""
        limit = self.clock.now() - timedelta(minutes=30)
        self.read_requests = {key: read for key, read in self.read_requests.items() if read.used_at >= limit}

    def counts(self) -> dict[str, Any]:
        """Sizes of everything, for the control API."""
        with self.lock:
            return {
                "lists": {items.name: len(items.items) for items in self.model.lists.values()},
                "modules": {module.name: len(module.cells) for module in self.model.modules.values()},
                "files": len(self.files.contents),
                "tasks": len(self.tasks.tasks),
                "imports_run": len(self.tasks.history),
                "active_state": self.model.active_state,
                "workspace_id": hub.WORKSPACE_ID,
                "model_id": hub.MODEL_ID,
            }


_DIRECTORY = ("users", "tokens", "certificates", "authorities")
_OAUTH = ("clients", "codes", "devices", "refresh_tokens")
_FILES = ("contents", "previous")
_TASKS = ("tasks", "dumps", "history")
