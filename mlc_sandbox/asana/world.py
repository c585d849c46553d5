"""The simulated organisation: everything it holds, what happened in it, and who may see it."""

from __future__ import annotations

import copy
import heapq
import itertools
import random
import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mlc_sandbox.asana import founding
from mlc_sandbox.asana.errors import bad, no_access, unknown
from mlc_sandbox.asana.limits import Limits
from mlc_sandbox.asana.login import Actor, Login
from mlc_sandbox.asana.store import (
    KINDS,
    Entity,
    Event,
    Field,
    Membership,
    Project,
    Section,
    Setting,
    Story,
    Task,
    Team,
    User,
    Webhook,
    Workspace,
)
from mlc_sandbox.asana.switches import Switches
from mlc_sandbox.asana.values import FieldOnTask, Reader, gid_text
from mlc_sandbox.core import Faults, SandboxClock

VENDOR = "asana"
TRASH_DAYS = 30
_FIRST_GID = 1_210_000_000_000_000
_EVENTS_KEPT = 200_000

Kind = TypeVar("Kind", bound=Entity)


class World:
    """Everything the simulated organisation holds. `lock` guards it: handlers run under it, one at a time."""

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.clock, self.faults, self.seed = clock, faults, seed
        self.lock = threading.RLock()
        self.switches = Switches()
        self.limits = Limits(clock, self.switches)
        self.rng = random.Random(seed)
        self.last_gid = _FIRST_GID + seed * 1_000_000_000
        self.tables: dict[type, dict[str, Any]] = {kind: {} for kind in KINDS}
        self.events: list[Event] = []
        self.event_number = itertools.count(1)
        self.change_number = itertools.count(1)
        self.unindexed: list[tuple[datetime, int, Task]] = []  # a heap by time
        self.index: dict[str, tuple[int, Task]] = {}
        self.late: list[dict[str, Any]] = []
        self.members = founding.found(self)
        self.login = Login(seed, self.members["integration"], clock, self.switches)
        self.reader = Reader(self.switches, self.person)

    # Objects

    def new_gid(self) -> str:
        """Digits only, never given twice."""
        self.last_gid += self.rng.randint(1, 97)
        return str(self.last_gid)

    def add(self, entity: Kind) -> Kind:
        """Keep it."""
        self.tables[type(entity)][entity.gid] = entity
        return entity

    def remove(self, entity: Entity) -> None:
        """Forget it."""
        del self.tables[type(entity)][entity.gid]

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Every object of a kind, oldest first."""
        return list(self.tables[kind].values())

    def get(self, kind: type[Kind], gid: str | None) -> Any:
        """None without one."""
        return None if gid is None else self.tables[kind].get(gid)

    def any(self, gid: str) -> Any:
        """The object of that gid whatever its kind; None without one."""
        return next((table[gid] for table in self.tables.values() if gid in table), None)

    @property
    def workspace(self) -> Workspace:
        """The one there is."""
        return self.all(Workspace)[0]

    def name_of(self, user: str) -> str:
        """A member's name."""
        return str(self.tables[User][user].name)

    # Finding what a request names

    def in_path(self, kind: type[Kind], text: str, actor: Actor, what: str = "") -> Kind:
        """Raises ApiError: 404 unknown, 400 no gid, 403 no access."""
        what = what or kind.resource_type
        found = self.get(kind, gid_text(what, text))
        if found is None:
            raise unknown(what, text)
        self._must_see(found, actor)
        return found

    def task(self, text: str, actor: Actor, what: str = "task", *, trashed: bool = False) -> Task:
        """A task by gid or `external:<id>`. Raises ApiError as `in_path`; 404 for one in the trash."""
        name, colon, external = text.partition(":")
        if colon and name == "external":
            found = self._by_external(external, actor)
            if found is None:
                raise unknown(what, text)
        else:
            found = self.in_path(Task, text, actor, what)
        if found.trashed is not None and not trashed and self.switches["trashed_task"] == "not_found":
            raise unknown(what, text)
        self._must_see(found, actor)
        return found

    def _by_external(self, external: str, actor: Actor) -> Task | None:
        for task in self.tables[Task].values():
            held = task.external.get(actor.scope)
            if held is not None and held.gid == external and task.trashed is None:
                return None if held.visible > self.clock.wire() else task
        return None

    def named(self, kind: type[Kind], field: str, value: Any, actor: Actor) -> Kind:
        """An object that a body or a query names. Raises ApiError: 400 unknown or no gid, 403 no access."""
        found = self.get(kind, gid_text(field, value))
        if found is None or getattr(found, "trashed", None) is not None:
            raise bad(f"{field}: Unknown object: {value}")
        self._must_see(found, actor)
        return found

    def person(self, field: str, value: Any) -> str:
        """The gid of a member named by gid, e-mail or `me`. Raises ApiError 400."""
        if not isinstance(value, str):
            gid_text(field, value)
        if value == "me":
            return self.login.user
        for user in self.tables[User].values():
            if value == user.gid or value.lower() == user.email.lower():
                return str(user.gid)
        raise bad(f"{field}: Not a user in Organization: {value}")

    # Who sees what

    def members_of(self, project: Project) -> list[User]:
        """Users with access by themselves or by their team."""
        gids: list[str] = []
        for found in self.all(Membership):
            if found.project == project.gid:
                team = self.get(Team, found.member)
                gids += [found.member] if team is None else team.members
        return [self.get(User, gid) for gid in dict.fromkeys(gids)]

    def sees(self, project: Project, user: str) -> bool:
        """A private project is seen by its members alone."""
        return project.privacy == "public_to_workspace" or any(
            member.gid == user for member in self.members_of(project)
        )

    def _must_see(self, entity: Entity, actor: Actor) -> None:
        owner: Any = entity
        if isinstance(owner, Section):
            owner = self.get(Project, owner.project)
        projects = [owner] if isinstance(owner, Project) else []
        if isinstance(owner, Task):
            projects = [self.get(Project, gid) for gid in self.root(owner).places]
        if projects and not any(self.sees(project, actor.user) for project in projects):
            raise no_access(entity.resource_type)

    # Tasks and their fields

    def root(self, task: Task) -> Task:
        """The task that is nobody's subtask."""
        while task.parent is not None:
            task = self.get(Task, task.parent)
        return task

    def dependents(self, task: Task) -> list[Task]:
        """The tasks that wait for this one."""
        return [found for found in self.tables[Task].values() if task.gid in found.dependencies]

    def field_gids(self, task: Task) -> list[str]:
        """The fields of the task's projects, each once."""
        settings = [
            self.get(Setting, gid) for place in task.places for gid in self.get(Project, place).settings
        ]
        return list(dict.fromkeys(setting.field for setting in settings))

    def fields_of(self, task: Task) -> list[FieldOnTask]:
        """With their values; a value whose field has left the projects is not enabled."""
        here = self.field_gids(task)
        gone = [gid for gid in task.values if gid not in here and gid in self.tables[Field]]
        return [
            FieldOnTask(gid, self.tables[Field][gid], task.values.get(gid), enabled=gid in here)
            for gid in [*here, *gone]
        ]

    def tasks_in(self, sections: Iterable[str]) -> list[Task]:
        """The tasks of sections in order, without the trash, as lists show them."""
        gids = itertools.chain.from_iterable(self.tables[Section][gid].tasks for gid in sections)
        found = [self.tables[Task][gid] for gid in gids]
        omit = self.switches["subtasks_in_project_lists"] == "omitted"
        return [task for task in found if task.trashed is None and not (omit and task.parent)]

    # What happened

    def record(
        self,
        actor: Actor,
        action: str,
        entity: Entity,
        *,
        parent: Entity | None = None,
        change: dict[str, Any] | None = None,
    ) -> None:
        """Into the event streams of everything around it, unless a fault loses it."""
        if self.faults.take(VENDOR, "event_lost", f"EVENT {entity.resource_type} {action}") is not None:
            return
        event = Event(
            next(self.event_number),
            self.clock.now(),
            actor.user,
            action,
            _named(entity),
            None if parent is None else _named(parent),
            change,
            self._around(entity, parent),
        )
        self.events.append(event)
        if len(self.events) > _EVENTS_KEPT:
            del self.events[: _EVENTS_KEPT // 2]

    def _around(self, *entities: Entity | None) -> frozenset[str]:
        seen = {self.workspace.gid}
        for entity in entities:
            if entity is None:
                continue
            seen.add(entity.gid)
            task = self.get(Task, getattr(entity, "task", entity.gid))
            while task is not None:
                seen |= {task.gid, *task.places}
                task = self.get(Task, task.parent)
            if isinstance(entity, Section):
                seen.add(entity.project)
        return frozenset(seen)

    def touched(self, task: Task, *, modified: bool = True) -> None:
        """The task changed: its stamp moves, and search will know of it after a while."""
        if modified:
            task.modified = self.clock.now()
        lag = self.rng.uniform(self.switches["search_lag_least"], self.switches["search_lag_most"])
        snapshot = copy.copy(task)
        snapshot.places = dict(task.places)
        due = self.clock.wire() + timedelta(seconds=lag)
        heapq.heappush(self.unindexed, (due, next(self.change_number), snapshot))

    def searchable(self) -> list[Task]:
        """Tasks as search and typeahead know them now: as they were a while ago."""
        now = self.clock.wire()
        while self.unindexed and self.unindexed[0][0] <= now:
            _, number, snapshot = heapq.heappop(self.unindexed)
            known = self.index.get(snapshot.gid)
            if known is None or known[0] < number:
                self.index[snapshot.gid] = (number, snapshot)
        return [task for _, task in self.index.values() if task.trashed is None]

    def deletion_of(self, webhook: Webhook) -> datetime | None:
        """When a webhook that fails will be deleted."""
        life = timedelta(hours=self.switches["webhook_life_hours"])
        return None if webhook.failing is None else webhook.failing + life

    # State

    def pass_day(self) -> dict[str, int]:
        """The trash older than 30 days is emptied."""
        with self.lock:
            limit = self.clock.now() - timedelta(days=TRASH_DAYS)
            old = [task for task in self.all(Task) if task.trashed is not None and task.trashed <= limit]
            for task in old:
                self._purge(task)
            return {"emptied": len(old)}

    def _purge(self, task: Task) -> None:
        """Gone for good, and nothing names it any more."""
        for section in task.places.values():
            self.tables[Section][section].tasks.remove(task.gid)
        parent = self.get(Task, task.parent)
        if parent is not None:
            parent.subtasks.remove(task.gid)
        for waiting in self.dependents(task):
            waiting.dependencies.remove(task.gid)
        for story in task.stories:
            self.remove(self.tables[Story][story])
        self.remove(task)

    def dump(self) -> Any:
        """A picklable copy of the whole state."""
        with self.lock:
            state = {name: getattr(self, name) for name in _STATE}
            return copy.deepcopy(
                state
                | {
                    "rng": self.rng.getstate(),
                    "switches": self.switches,
                    "login": self.login.dump(),
                    "windows": self.limits.windows,
                    "accounts": self.limits.accounts,
                }
            )

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        state = copy.deepcopy(state)
        with self.lock:
            for name in _STATE:
                setattr(self, name, state[name])
            self.rng.setstate(state["rng"])
            self.switches.update(state["switches"])
            self.login.load(state["login"])
            self.limits.windows, self.limits.accounts = state["windows"], state["accounts"]

    def counts(self) -> dict[str, Any]:
        """How much there is, for the control API."""
        with self.lock:
            living = [task for task in self.all(Task) if task.trashed is None]
            projects: dict[str, int] = defaultdict(int)
            for task in living:
                for place in task.places:
                    projects[self.tables[Project][place].name] += 1
            return {
                "workspace": self.workspace.gid,
                "tasks": len(living),
                "trashed": len(self.tables[Task]) - len(living),
                "projects": {found.name: projects[found.name] for found in self.all(Project)},
                "custom_fields": len(self.tables[Field]),
                "webhooks": len(self.tables[Webhook]),
                "events": len(self.events),
            }


_STATE = (
    "last_gid",
    "tables",
    "events",
    "event_number",
    "change_number",
    "unindexed",
    "index",
    "late",
    "members",
)


def _named(entity: Entity) -> dict[str, str]:
    named = {"gid": entity.gid, "resource_type": entity.resource_type}
    if isinstance(entity, Task) or entity.resource_type == "story":
        named["resource_subtype"] = entity.kind  # type: ignore[attr-defined]
    return named
