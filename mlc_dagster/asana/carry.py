"""One batch on its way: tasks looked at, made, changed, moved, commented. It can be begun again at any point.

Only two calls may not be repeated: the one that makes a task, and the one that posts a comment (sections 14
and 15). Both are noted in the batch before they go out. What came of them is looked up, after a quiet time
that is longer than a call can be on its way.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar

from mlc_dagster.asana.client import BATCH, TIMEOUT, Action, Answer, AsanaClient
from mlc_dagster.asana.edits import Edits, Seen, blind_edits, edits
from mlc_dagster.asana.places import Payload, Place, Places
from mlc_dagster.asana.shape import Shape, Wanted, field_values
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.errors import InDoubtError
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.transport.errors import CallFailed, Closed
from mlc_dagster.transport.retry import quiet_time

QUIET = quiet_time(TIMEOUT)
VALUES = ("gid", "text_value", "number_value", "enum_value.name", "date_value")
PLACES = ("memberships.project.gid", "memberships.section.gid")
LOOK = [
    *("name", "notes", "due_on", "completed", "assignee.gid", *PLACES),
    *(f"custom_fields.{name}" for name in VALUES),
]
CREATED = ["gid", "created_at", *PLACES]
# The stories that tell of a change, and the part it is about. Their names are in no document that the sheet
# quotes: a story of another name tells of no change.
CHANGES = {
    "name_changed": "name",
    "notes_changed": "notes",
    "due_date_changed": "due_on",
    "marked_complete": "completed",
    "marked_incomplete": "completed",
    "assigned": "assignee",
    "unassigned": "assignee",
    "section_changed": "section",
}
# In every comment of ours.
OURS = "[erp-sync:"
Item = TypeVar("Item")
# What a row is refused for: the request itself is wrong for this one (section 11).
REFUSED = (400, 403, 404, 422)


@dataclass
class Job:
    """One change on its way. task: its gid where there is one; new: made by this run; outside: it is not in
    its project yet; edits: what is to be written to it.
    """

    change: Change
    wanted: Wanted
    before: Wanted | None
    place: Place
    task: str | None
    outside: bool = False
    edits: Edits = field(default_factory=Edits)
    new: bool = False

    @property
    def key(self) -> str:
        """The row."""
        return self.change.row.key


@dataclass
class Carry:
    """The work on one batch. `befores`: what was written last, by key; `unsure`: keys of those that are not
    believed to be still so; `members`: gid by e-mail address; `find`: tasks that carry a key and are none of
    the ledger's.

    `newest`: when Asana made the newest task that we know of.
    """

    client: AsanaClient
    shape: Shape
    places: Places
    shared: Sequence[str]
    batch: Batch
    befores: Mapping[str, Mapping[str, Any]]
    unsure: Collection[str]
    members: Mapping[str, str]
    external: bool
    find: Callable[[Sequence[Payload]], Mapping[str, str]]
    refused: dict[str, str] = field(default_factory=dict)
    newest: str = ""

    def run(self, found: Mapping[str, str]) -> Outcome:
        """Do all that is still to be done. `found`: tasks that were found by their key.

        Raises InDoubtError: something was sent and is not answered, or the rest has to wait.
        """
        self.places.begin()
        gids = dict(self.batch.checkpoint.get("gids", {}))
        # Another task with the key of one that the ledger knows is a copy, and people's.
        jobs = [self._job(change, gids, found) for change in self.batch.changes]
        try:
            self._update(jobs)
            self._update(self._found_again(jobs))
            self._make(jobs, gids)
            # Whether a new task takes its section along is not documented (section 2).
            self._move([job for job in jobs if job.new])
            self._comment(jobs)
        except CallFailed as failure:
            opens_at = failure.opens_at if isinstance(failure, Closed) else None
            raise InDoubtError(
                f"The batch goes on where it stopped. {failure}", opens_at=opens_at
            ) from failure
        told = {job.key: job.task for job in jobs if job.task}
        # A task that was made and then refused something is there all the same.
        partial = {job.key: job.change.row.payload for job in jobs if job.task and job.key in self.refused}
        detail = {"tasks": len(told) - len(partial)}
        return Outcome(target_ids=told, refused=self.refused, partial=partial, detail=detail)

    def _update(self, jobs: Sequence[Job]) -> None:
        self._look(jobs)
        # A field exists only on a task that is in the project already (section 2).
        self._move([job for job in jobs if job.outside])
        self._leave(jobs)
        self._change(jobs)
        # Not before: a task whose change is refused stays in the section that the ledger knows.
        self._move([job for job in jobs if not job.outside])

    def _found_again(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Of tasks that are gone: those with another one by now, which a copy that our database was put back
        from knows nothing of.
        """
        gone = [job for job in self._open(jobs) if job.task is None and job.change.target_id]
        if not gone:
            return []
        found = self.find([job.change.row.payload for job in gone])
        for job in gone:
            job.task, job.before = found.get(job.key), None
        return [job for job in gone if job.task]

    def _job(self, change: Change, gids: Mapping[str, str], found: Mapping[str, str]) -> Job:
        key, payload = change.row.key, change.row.payload
        before = self.befores.get(key)
        return Job(
            change,
            self._wanted(key, payload),
            self._wanted(key, before) if before is not None else None,
            self.places.of(payload),
            gids.get(key) or change.target_id or found.get(key),
        )

    def _wanted(self, key: str, payload: Mapping[str, Any]) -> Wanted:
        wanted = self.shape.wanted(key, payload)
        assignee = self.members.get((wanted.assignee or "").lower())
        return replace(wanted, assignee=assignee)

    def _look(self, jobs: Sequence[Job]) -> None:
        """Decide what to write to tasks that are there; those that are gone are made anew."""
        unseen = []
        for job in jobs:
            if job.task is None:
                continue
            sure = job.before is not None and job.key not in self.unsure and not self._left(job)
            blind = blind_edits(job.before, job.wanted, self.shared) if sure else None  # type: ignore[arg-type]
            if blind is None:
                unseen.append(job)
            else:
                job.edits = blind
        asked = [Action("get", f"/tasks/{job.task}", fields=LOOK) for job in unseen]
        for job, answer in zip(unseen, self._repeated(asked), strict=True):
            if answer.status == 404:
                job.task = None
            elif not answer.done:
                self.refused[job.key] = answer.words
            else:
                seen = self._seen(job.place, answer.data)
                changed = cache(partial(self._people, job))
                job.edits = edits(job.before, seen, job.wanted, self.shared, changed)
                if not job.edits and job.task == job.change.target_id and self._is_trashed(job, seen):
                    job.task = None
                elif seen.section is None and job.place.project:
                    # In another project: its supplier, branch or ERP project changed, or somebody moved it.
                    job.edits.section, job.outside = job.wanted.section or "", True

    def _seen(self, place: Place, task: Mapping[str, Any]) -> Seen:
        return Seen(
            name=str(task.get("name") or ""),
            notes=str(task.get("notes") or ""),
            due_on=task.get("due_on"),
            completed=bool(task.get("completed")),
            section=place.section_of(task),
            assignee=(task.get("assignee") or {}).get("gid"),
            fields=self.shape.found(task, place.fields),
        )

    def _people(self, job: Job) -> frozenset[str]:
        """The parts of a task whose last change was somebody else's, by its stories; the name, if any was:
        what they put before it stays when we change the rest.
        """
        theirs: set[str] = set()
        for story in self.client.pages(f"/tasks/{job.task}/stories", ["resource_subtype", "created_by.gid"]):
            if part := CHANGES.get(str(story.get("resource_subtype"))):
                if (story.get("created_by") or {}).get("gid") != self.client.me:
                    theirs.add(part)
                elif part != "name":
                    theirs.discard(part)
        return frozenset(theirs)

    def _is_trashed(self, job: Job, seen: Seen) -> bool:
        """Whether a row that is sent again as it was has lost its task: Asana may go on showing a task of the
        trash (section 19: uncertain), but not in the list of its project or document.
        """
        inside = seen.section is not None or job.place.parent is not None
        return inside and not self.places.lists(job.place, str(job.task))

    def _change(self, jobs: Sequence[Job]) -> None:
        due = [job for job in self._open(jobs) if job.task and (job.edits.parts or job.edits.fields)]
        self._note(due, [Action("put", f"/tasks/{job.task}", self._body(job), CREATED) for job in due])

    def _note(self, jobs: Sequence[Job], actions: Sequence[Action]) -> None:
        """Send what may be repeated. A task people deleted is made anew; what else fails is refused."""
        for job, answer in zip(jobs, self._repeated(actions), strict=True):
            if answer.status == 404:
                job.task = None
            elif not answer.done:
                self.refused[job.key] = answer.words

    def _body(self, job: Job) -> dict[str, Any]:
        body = dict(job.edits.parts)
        if job.edits.fields:
            body["custom_fields"] = field_values(self.shape, job.edits.fields, job.place.fields)
        return body

    def _make(self, jobs: Sequence[Job], gids: dict[str, str]) -> None:
        """Make the tasks that are not there, ten at a time, each noted before it is sent."""
        # A delete of what is not there is done.
        new = [job for job in self._open(jobs) if job.task is None and job.change.op is not Op.DELETE]
        for some in _tens(new):
            answers = self.client.batch(
                [self._creation(job) for job in some],
                repeatable=False,
                leaving=partial(self._leaving, sent=[job.key for job in some], gids=gids),
            )
            for job, answer in zip(some, answers, strict=True):
                if answer.done:
                    self._made(job, answer.data)
                elif answer.status in REFUSED:
                    self.refused[job.key] = answer.words
            self._adopt([job for job in some if job.key in self.refused])
            gids |= {job.key: job.task for job in some if job.task}
            unknown = [(job, answer) for job, answer in zip(some, answers, strict=True) if _unclear(answer)]
            self.batch.save(sent=[job.key for job, _ in unknown], gids=gids)
            if unknown:
                raise self._doubt(f"{len(unknown)} tasks may have been made: {unknown[0][1].words}")
            # Not before: one that nobody answered may be older than those that were.
            stamps = [str(answer.data["created_at"]) for answer in answers if answer.done]
            self.newest = max([self.newest, *stamps])
        if new:
            self.batch.save(sent=[], gids=gids)

    def _made(self, job: Job, task: Mapping[str, Any]) -> None:
        job.task, job.new, job.edits = str(task["gid"]), True, Edits()
        if job.wanted.section and job.place.section_of(task) != job.wanted.section:
            job.edits.section = job.wanted.section

    def _adopt(self, refused: Sequence[Job]) -> None:
        """Give tasks their key that were made although Asana refused to (section 19: uncertain)."""
        if not refused or not self.shape.section.key_field:
            return
        found = self.places.unkeyed([job.change.row.payload for job in refused], self.newest)
        for job in refused:
            if gid := found.get(job.wanted.name):
                self.client.put(f"/tasks/{gid}", {"custom_fields": self._key(job)})
                job.task = gid

    def _creation(self, job: Job) -> Action:
        wanted = job.wanted
        body: dict[str, Any] = {"name": wanted.name, "notes": wanted.notes, "completed": wanted.completed}
        if wanted.due_on:
            body["due_on"] = wanted.due_on.isoformat()
        if wanted.assignee:
            body["assignee"] = wanted.assignee
        if self.external:
            body["external"] = {"gid": external_id(self.batch.destination, job.key)}
        if not self.shape.section.key_field:
            return Action("post", f"/tasks/{job.place.parent}/subtasks", body, CREATED)
        fields = {name: value for name, value in wanted.fields.items() if value is not None}
        values = field_values(self.shape, fields, job.place.fields)
        body["custom_fields"] = self._key(job) | {
            gid: value for gid, value in values.items() if value is not None
        }
        body["projects"] = [job.place.project]
        if wanted.section:
            section = job.place.section(wanted.section)
            body["memberships"] = [{"project": job.place.project, "section": section}]
        return Action("post", "/tasks", body, CREATED)

    def _move(self, jobs: Sequence[Job]) -> None:
        """Put tasks into their section; addProject may be repeated, and brings one into its project too."""
        due = [job for job in self._open(jobs) if job.task and job.edits.section is not None]
        actions = []
        for job in due:
            section = job.edits.section
            where = {"project": job.place.project} | (
                {"section": job.place.section(section)} if section else {}
            )
            actions.append(Action("post", f"/tasks/{job.task}/addProject", where))
        self._note(due, actions)

    def _leave(self, jobs: Sequence[Job]) -> None:
        """Take tasks out of the project their row belonged to before."""
        due = [(job.task, old) for job in self._open(jobs) if job.task and (old := self._left(job))]
        actions = [Action("post", f"/tasks/{task}/removeProject", {"project": old}) for task, old in due]
        list(self._repeated(actions))

    def _left(self, job: Job) -> str | None:
        """The project the row belonged to before, where that is another one."""
        before = self.befores.get(job.key)
        old = self.places.project(before) if before is not None else None
        return old if old != job.place.project else None

    def _comment(self, jobs: Sequence[Job]) -> None:
        """Tell people why the ERP ended a document, once. Its mark tells that it was told."""
        untold = [job for job in self._open(jobs) if job.task and self._has_news(job)]
        due = [job for job in untold if job.new or not self._is_told(job)]
        for some in _tens(due):
            actions = [
                Action("post", f"/tasks/{job.task}/stories", {"text": f"{job.wanted.comment} {_mark(job)}"})
                for job in some
            ]
            told = partial(self._leaving, told=[job.key for job in some])
            answers = self.client.batch(actions, repeatable=False, leaving=told)
            self.refused |= {
                job.key: answer.words
                for job, answer in zip(some, answers, strict=True)
                if answer.status in REFUSED
            }
            unknown = [job.key for job, answer in zip(some, answers, strict=True) if _unclear(answer)]
            self.batch.save(told=unknown)
            if unknown:
                raise self._doubt(f"{len(unknown)} comments may have been posted.")

    def _has_news(self, job: Job) -> bool:
        text = job.wanted.comment
        return bool(text) and (job.new or job.before is None or job.before.comment != text)

    def _is_told(self, job: Job) -> bool:
        stories = self.client.pages(f"/tasks/{job.task}/stories", ["text"])
        return any(_mark(job) in str(story.get("text") or "") for story in stories)

    def _open(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Those of which nothing was refused yet."""
        return (job for job in jobs if job.key not in self.refused)

    def _key(self, job: Job) -> dict[str, str]:
        return {job.place.fields[str(self.shape.section.key_field)].gid: job.key}

    def _repeated(self, actions: Sequence[Action]) -> Iterator[Answer]:
        for some in _tens(actions):
            yield from self.client.batch(some, repeatable=True)

    def _doubt(self, words: str) -> InDoubtError:
        return InDoubtError(words, opens_at=self.client.clock.now() + QUIET)

    def _leaving(self, **noted: Any) -> None:
        """Note what goes out now, and when: the quiet time counts from here."""
        self.batch.save(**noted, at=self.client.clock.now().isoformat())


def quiet_since(batch: Batch, now: datetime) -> datetime | None:
    """When a call of this batch that nobody answered can be asked about; None when it can now."""
    asked = batch.checkpoint.get("sent") or batch.checkpoint.get("told")
    if not asked:
        return None
    until = datetime.fromisoformat(batch.checkpoint["at"]) + QUIET
    return until if until > now else None


def external_id(destination: str, key: str) -> str:
    """Our id of a task in its `external` data: letters that need no encoding in a path (section 8)."""
    return f"erp.{hashlib.sha256(f'{destination}|{key}'.encode()).hexdigest()[:40]}"


def _unclear(answer: Answer) -> bool:
    """Whether nobody knows what came of an action."""
    return not answer.done and answer.status not in REFUSED


def _mark(job: Job) -> str:
    """Of a comment: the same for the same words on the same document."""
    told = hashlib.sha256(f"{job.key}|{job.wanted.comment}".encode()).hexdigest()
    return f"{OURS}{told[:8]}]"


def _tens(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
