"""The simulated Tableau Cloud: two sites, who may sign in, what is published, and a view for tests."""

from __future__ import annotations

import copy
import hashlib
import threading
import uuid
from typing import Any

from mlc_sandbox.core import Faults, SandboxClock
from mlc_sandbox.tableau.calls import Late
from mlc_sandbox.tableau.files import Files
from mlc_sandbox.tableau.hyper import Hyper
from mlc_sandbox.tableau.jobs import Jobs
from mlc_sandbox.tableau.limits import Limits
from mlc_sandbox.tableau.login import ConnectedApp, Login
from mlc_sandbox.tableau.store import DataSource, Event, Session, Site, User
from mlc_sandbox.tableau.switches import Switches
from mlc_sandbox.tableau.webhooks import Webhooks

VENDOR = "tableau"
SITE, FOREIGN_SITE = "erp", "board"


class World:
    """Everything the simulated service holds. `lock` guards it: handlers run under it, one at a time."""

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.clock, self.faults, self.seed = clock, faults, seed
        self.lock = threading.RLock()
        self.switches = Switches()
        self.limits = Limits(clock, self.switches)
        app = ConnectedApp(self.id("app"), self.id("app secret"), self.secret("app"))
        self.login = Login(app, clock, self.switches)
        self.files, self.hyper = Files(), Hyper()
        self.sites: dict[str, Site] = {}
        self.late: list[Late] = []
        self.webhooks = Webhooks(self)
        self.jobs = Jobs(self)

    def id(self, what: str) -> str:
        """The same id for the same thing and seed."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tableau sandbox {self.seed} {what}"))

    def secret(self, what: str) -> str:
        """The same secret for the same thing and seed."""
        return hashlib.sha256(f"tableau {what} {self.seed}".encode()).hexdigest()[:44]

    def site(self, content_url: str = SITE) -> Site:
        """By its name in URLs. Raises KeyError."""
        for found in self.sites.values():
            if found.content_url == content_url:
                return found
        raise KeyError(f"There is no site {content_url!r}.")

    def user(self, session: Session) -> User | None:
        """Who a session belongs to; None when the user was removed."""
        return self.sites[session.site].users.get(session.user)

    # Data sources

    def note(self, source: DataSource, what: str, job: str | None = None, note: str = "") -> None:
        """Write into a data source's history."""
        source.history.append(Event(self.clock.wire(), what, job, note))

    def datasource(self, name: str, site: str = SITE) -> DataSource:
        """By id or name. Raises KeyError."""
        sources = self.site(site).datasources.values()
        for found in sources:
            if name == found.id or name.casefold() == found.name.casefold():
                return found
        names = ", ".join(sorted(found.name for found in sources))
        raise KeyError(f"There is no data source {name!r}; there are: {names}.")

    def remove(self, site: Site, source: DataSource) -> None:
        """Delete a data source with its tasks."""
        del site.datasources[source.id]
        site.tasks = {key: task for key, task in site.tasks.items() if task.datasource != source.id}
        self.files.drop(source.file)
        self.webhooks.fire(site, "deleted", source)

    def rows(self, name: str, table: str | None = None, schema: str | None = None) -> list[dict[str, Any]]:
        """Every row of a published .hyper, after what is due was done; decimals and times as text.

        Raises:
            KeyError: there is no such data source, or it has no file of ours.
            hyper.Unusable: there is no such table.
        """
        with self.lock:
            self.jobs.catch_up()
            source = self.datasource(name)
            if source.file is None:
                raise KeyError(f"The rows of {name!r} live in another database.")
            return self.hyper.rows(self.files.path(source.file), schema, table)

    # State

    def dump(self) -> Any:
        """A picklable copy of the whole state, files included."""
        deliveries = self.webhooks.sent()  # waits for receivers, who may be calling: not under the lock
        with self.lock:
            login = {name: getattr(self.login, name) for name in _LOGIN}
            kept = [source.file for site in self.sites.values() for source in site.datasources.values()]
            kept += [upload.file for site in self.sites.values() for upload in site.uploads.values()]
            kept += self.jobs.files()
            state = {
                "sites": self.sites,
                "switches": self.switches,
                "login": login,
                "windows": self.limits.windows,
                "jobs": self.jobs.order,
                "late": self.late,
                "deliveries": deliveries,
            }
            return copy.deepcopy(state) | {"files": self.files.dump(name for name in kept if name)}

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        copied = copy.deepcopy({name: value for name, value in state.items() if name != "files"})
        with self.lock:
            self.files.load(state["files"])
            self.sites, self.jobs.order, self.late = copied["sites"], copied["jobs"], copied["late"]
            self.switches.update(copied["switches"])
            self.limits.windows = copied["windows"]
            for name, value in copied["login"].items():
                setattr(self.login, name, value)
            self.webhooks.restore(copied["deliveries"])

    def pass_day(self) -> dict[str, int]:
        """What waits is done, scheduled refreshes run, old uploads go."""
        with self.lock:
            waiting, refreshed = self.jobs.release(), self.jobs.run_schedules()
            return {"waiting": waiting, "scheduled": refreshed, "uploads_expired": self.expire_uploads()}

    def expire_uploads(self) -> int:
        """Forget upload sessions that are too old; how many there were."""
        gone = 0
        for site in self.sites.values():
            for upload in list(site.uploads.values()):
                hours = (self.clock.wire() - upload.began).total_seconds() / 3600
                if hours >= self.switches["upload_hours"]:
                    del site.uploads[upload.id]
                    gone += 1
                    self.files.drop(upload.file)
        return gone

    def counts(self) -> dict[str, Any]:
        """What there is, for the control API."""
        with self.lock:
            site = self.site()
            return {
                "site_id": site.id,
                "users": len(site.users),
                "groups": len(site.groups),
                "jobs": len(site.jobs),
                "datasources": {
                    found.id: {"name": found.name, "bytes": self.size(found)}
                    for found in site.datasources.values()
                },
            }

    def size(self, source: DataSource) -> int:
        """Bytes of a data source's file."""
        return self.files.path(source.file).stat().st_size if source.file else 0


_LOGIN = ("pats", "passwords", "sessions", "used_jtis")
