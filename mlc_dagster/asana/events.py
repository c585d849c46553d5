"""What people did in a project since the last look, by its stream of events (vendors/asana.md section 13).

A look changes nothing: it is kept once all that it found has been dealt with. So a crash looks again, and a
token that ended meanwhile (24 hours) falls back to the tasks that were modified since.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.delivery.memory import Memory, Remembered
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import decimal_json

Event = Mapping[str, Any]
# By how much Asana's clock and ours may differ.
MARGIN = timedelta(hours=1)
# Of a token that is missing, too old or lost; the answer carries a new one.
RESYNC = 412


@dataclass(frozen=True)
class Look:
    """What one look at a project found: the gids of the tasks to read, and where the next look begins.

    begun: when the project was looked at first, aware; nothing older is anybody's news. resynced: whether
    all that changed was listed, because events were lost.
    """

    project: str
    tasks: tuple[str, ...]
    begun: datetime
    resynced: bool
    before: Remembered
    after: Mapping[str, Any]


class Stream:
    """The events of one project. `wanted`: says of an event whether its task has to be read."""

    def __init__(
        self, client: AsanaClient, memory: Memory, project: str, wanted: Callable[[Event], bool]
    ) -> None:
        self._client, self._memory, self.project, self._wanted = client, memory, project, wanted

    @property
    def name(self) -> str:
        """Of what is remembered."""
        return f"events:{self.project}"

    def look(self) -> Look:
        """Ask what happened. The first look finds nothing: it begins here. Raises transport's CallFailed."""
        before, now = self._memory.read(self.name), self._client.clock.now()
        tasks: dict[str, None] = dict.fromkeys(before.value.get("waiting", ()))
        token: str | None = before.value.get("sync")
        resynced, more = False, True
        while more:
            found, token, more = self._page(token)
            resynced |= found is None
            if found is None:
                tasks.update(dict.fromkeys(self._modified(before.value.get("at"))))
            else:
                tasks.update(dict.fromkeys(_tasks(filter(self._wanted, found))))
        begun = before.value.get("begun") or now.isoformat()
        after = {"sync": token, "at": now.isoformat(), "begun": begun}
        return Look(self.project, tuple(tasks), datetime.fromisoformat(begun), resynced, before, after)

    def keep(self, look: Look, waiting: tuple[str, ...] = ()) -> None:
        """All was dealt with, but for the tasks that have to wait: the next look begins where this ended.

        Raises LeaseLost when another process has looked meanwhile.
        """
        self._memory.write(self.name, look.before, {**look.after, "waiting": list(waiting)})

    def looked_at(self) -> datetime | None:
        """When it was last looked, aware; None before the first time."""
        at = self._memory.read(self.name).value.get("at")
        return datetime.fromisoformat(at) if at else None

    def _page(self, token: str | None) -> tuple[list[Event] | None, str, bool]:
        """Events, the next token, and whether there are more; None for the events when the token ended."""
        response = self._client.http.call(
            "GET",
            "/events",
            params={"resource": self.project} | ({"sync": token} if token else {}),
            overrides={404: Misconfigured},
            answers=[RESYNC],
        )
        body = decimal_json(response.text)
        if response.status_code == RESYNC:
            return None, str(body["sync"]), False
        return list(body["data"]), str(body["sync"]), bool(body.get("has_more"))

    def _modified(self, since: str | None) -> Iterator[str]:
        """The tasks anything was done at since: a comment counts as a modification (section 2)."""
        if since is None:
            return
        moment = (datetime.fromisoformat(since) - MARGIN).isoformat()
        for task in self._client.pages("/tasks", ["gid"], project=self.project, modified_since=moment):
            yield str(task["gid"])


def _tasks(events: Iterator[Event]) -> Iterator[str]:
    """The tasks events are about: of a comment its parent."""
    for event in events:
        of = event["resource"] if event["resource"]["resource_type"] == "task" else event.get("parent")
        if of and of["resource_type"] == "task":
            yield str(of["gid"])
