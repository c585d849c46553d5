"""What people did in a project since the last look, by its stream of events (vendors/asana.md section 13).

A look changes nothing: it is kept once all that it found has been dealt with. So a crash looks again, and a
token that ended meanwhile (24 hours) falls back to the list of tasks that were modified since; so does a
day, because events may get lost at Asana. Stamps are compared with Asana's own, never with our clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlc_dagster.asana.client import AsanaClient
from mlc_dagster.delivery.memory import Memory, Remembered
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import decimal_json

Event = Mapping[str, Any]
# Events may get lost at Asana (section 12), so what was modified is also listed now and then.
LISTED_EVERY = timedelta(hours=24)
# A task that has to wait is reason enough for another pass only so often.
TRY_AGAIN = timedelta(hours=1)
# By how much stamps may come out of order.
MARGIN = timedelta(minutes=1)
EVER = datetime(1970, 1, 1, tzinfo=UTC)
# Of a token that is missing, too old or lost; the answer carries a new one.
RESYNC = 412


@dataclass(frozen=True)
class Look:
    """What one look at a project found: the gids of the tasks to read, and where the next look begins.

    news: whether there is a reason to read them now: tasks that wait are one only an hour after they were
    tried. begun: Asana's newest stamp when the project was looked at first; nothing older is anybody's news.
    resynced: whether all that changed was listed.
    """

    project: str
    tasks: tuple[str, ...]
    news: bool
    begun: datetime
    resynced: bool
    before: Remembered
    after: Mapping[str, Any]


class Stream:
    """The events of one project. `wanted`: says of an event whether its task has to be read.

    `begun`: since when a project that was never looked at counts; None for from now on.
    """

    def __init__(
        self,
        client: AsanaClient,
        memory: Memory,
        project: str,
        wanted: Callable[[Event], bool],
        begun: datetime | None = None,
    ) -> None:
        self._client, self._memory, self.project, self._wanted = client, memory, project, wanted
        self._begun = begun

    @property
    def name(self) -> str:
        """Of what is remembered."""
        return f"events:{self.project}"

    def look(self) -> Look:
        """Ask what happened. Raises transport's CallFailed."""
        before, now = self._memory.read(self.name), self._client.clock.now()
        if not before.value:
            return self._first(before, now)
        value, waiting = before.value, before.value["waiting"]
        found, token, lost = self._news(str(value["sync"]))
        after = {**value, "sync": token, "looked": now.isoformat()}
        # After the token: what happens in between is found twice rather than never.
        if resync := lost or now - _stamp(value["listed_at"]) >= LISTED_EVERY:
            listed = _stamp(value["listed"])
            modified = self._modified(listed - MARGIN)
            found.update(dict.fromkeys(modified))
            after["listed"] = max([listed, *modified.values()]).isoformat()
            after["listed_at"] = now.isoformat()
        news = bool(found) or (bool(waiting) and now - _stamp(value["tried"]) >= TRY_AGAIN)
        tasks, begun = tuple(dict.fromkeys([*waiting, *found])), _stamp(value["begun"])
        return Look(self.project, tasks, news, begun, resync, before, after)

    def _first(self, before: Remembered, now: datetime) -> Look:
        """Nothing counts that was there; unless the project is newer than the way back."""
        _, token, _ = self._page(None)
        modified = self._modified(self._begun)
        newest = max(modified.values(), default=self._begun or EVER)
        begun, tasks = self._begun or newest, tuple(modified) if self._begun else ()
        after = {"sync": token, "begun": begun.isoformat(), "listed": newest.isoformat(), "waiting": []}
        after |= dict.fromkeys(("listed_at", "tried", "looked"), now.isoformat())
        return Look(self.project, tasks, bool(tasks), begun, False, before, after)

    def keep(self, look: Look, waiting: Sequence[str] = ()) -> None:
        """All was dealt with, but for the tasks that have to wait: the next look begins where this ended.

        Raises LeaseLost when another process has looked meanwhile.
        """
        tried = {"waiting": list(waiting), "tried": self._client.clock.now().isoformat()}
        self._memory.write(self.name, look.before, {**look.after, **tried})

    def skip(self, look: Look) -> None:
        """There was no news: the next look begins where this ended, and what waits goes on waiting."""
        self._memory.write(self.name, look.before, look.after)

    def looked_at(self) -> datetime | None:
        """When it was last looked, aware; None before the first time."""
        looked = self._memory.read(self.name).value.get("looked")
        return _stamp(looked) if looked else None

    def _news(self, token: str) -> tuple[dict[str, None], str, bool]:
        """The tasks of all events since a token, the next token, and whether events were lost."""
        tasks: dict[str, None] = {}
        lost, more = False, True
        while more:
            found, token, more = self._page(token)
            lost |= found is None
            tasks.update(dict.fromkeys(_tasks(filter(self._wanted, found or ()))))
        return tasks, token, lost

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

    def _modified(self, since: datetime | None) -> dict[str, datetime]:
        """When tasks were modified, by gid, all or since then: a comment counts as that (section 2)."""
        moment = {"modified_since": since.isoformat()} if since else {}
        tasks = self._client.pages("/tasks", ["modified_at"], project=self.project, **moment)
        return {str(task["gid"]): _stamp(task["modified_at"]) for task in tasks}


def _stamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _tasks(events: Iterator[Event]) -> Iterator[str]:
    """The tasks events are about: of a comment its parent."""
    for event in events:
        of = event["resource"] if event["resource"]["resource_type"] == "task" else event.get("parent")
        if of and of["resource_type"] == "task":
            yield str(of["gid"])
