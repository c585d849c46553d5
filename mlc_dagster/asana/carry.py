"""One batch on its way: tasks looked at, made, changed, moved, commented. It can be begun again at any point.

Only two calls may not be repeated: the one that makes a task, and the one that posts a comment (sections 14
and 15). Both are noted in the batch before they go out. What came of them is looked up, after a quiet time
that is longer than a call can be on its way.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mlc_dagster.asana.client import BATCH, TIMEOUT, Action, Answer, AsanaClient
from mlc_dagster.asana.edits import Edits, Seen, blind_edits, edits
from mlc_dagster.asana.places import Place, Places
from mlc_dagster.asana.shape import Shape, Wanted, field_values
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.errors import InDoubtError
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.transport.errors import CallFailed, Closed

QUIET = timedelta(seconds=sum(TIMEOUT) + 20)
VALUES = ("gid", "text_value", "number_value", "enum_value.name", "date_value")
PLACES = ("memberships.project.gid", "memberships.section.gid")
LOOK = [
    *("name", "notes", "due_on", "completed", "assignee.gid", *PLACES),
    *(f"custom_fields.{name}" for name in VALUES),
]
CREATED = ["gid", "created_at"]
Item = TypeVar("Item")
# What a row is refused for: the request itself is wrong for this one (section 11).
REFUSED = (400, 403, 404, 422)


@dataclass
class Job:
    """One change on its way. task: its gid where there is one; edits: what is to be written to it."""

    change: Change
    wanted: Wanted
    before: Wanted | None
    place: Place
    task: str | None
    edits: Edits = field(default_factory=Edits)

    @property
    def key(self) -> str:
        """The row."""
        return self.change.row.key


@dataclass
class Carry:
    """The work on one batch. `befores`: what was written last, by key; `members`: gid by e-mail address.

    `newest`: when Asana says it made the newest task.
    """

    client: AsanaClient
    shape: Shape
    places: Places
    shared: Sequence[str]
    batch: Batch
    befores: Mapping[str, Mapping[str, Any]]
    members: Mapping[str, str]
    external: bool
    refused: dict[str, str] = field(default_factory=dict)
    newest: str = ""

    def run(self, found: Mapping[str, str]) -> Outcome:
        """Do all that is still to be done. `found`: tasks that were found by their key.

        Raises InDoubtError: something was sent and is not answered, or the rest has to wait.
        """
        gids = {**found, **self.batch.checkpoint.get("gids", {})}
        jobs = [self._job(change, gids) for change in self.batch.changes]
        try:
            self._look(jobs)
            # A field exists only on a task that is in the project already (section 2).
            self._move(jobs)
            self._change(jobs)
            self._make(jobs, gids)
            self._comment(jobs)
        except CallFailed as failure:
            opens_at = failure.opens_at if isinstance(failure, Closed) else None
            raise InDoubtError(
                f"The batch goes on where it stopped. {failure}", opens_at=opens_at
            ) from failure
        told = {job.key: job.task for job in jobs if job.task and job.key not in self.refused}
        # A task that was made and then refused something is there all the same.
        partial = {job.key: job.change.row.payload for job in jobs if job.task and job.key in self.refused}
        detail = {"tasks": len(told)}
        return Outcome(target_ids=told, refused=self.refused, partial=partial, detail=detail)

    def _job(self, change: Change, gids: Mapping[str, str]) -> Job:
        key, payload = change.row.key, change.row.payload
        before = self.befores.get(key)
        return Job(
            change,
            self._wanted(key, payload),
            self._wanted(key, before) if before is not None else None,
            self.places.of(payload),
            gids.get(key) or change.target_id,
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
            moved = job.before is None or self.places.of(self.befores[job.key]) != job.place
            blind = None if moved else blind_edits(job.before, job.wanted, self.shared)  # type: ignore[arg-type]
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
                job.edits = edits(job.before, seen, job.wanted, self.shared)
                if seen.section is None and job.place.project:
                    # In another project: its supplier, branch or ERP project changed, or somebody moved it.
                    job.edits.section = job.wanted.section or ""

    def _seen(self, place: Place, task: Mapping[str, Any]) -> Seen:
        memberships = {
            str(each["project"]["gid"]): str((each.get("section") or {}).get("gid", ""))
            for each in task.get("memberships") or ()
            if each.get("project")
        }
        inside = place.project in memberships
        section = place.section_name(memberships[str(place.project)]) if inside else None
        return Seen(
            name=str(task.get("name") or ""),
            notes=str(task.get("notes") or ""),
            due_on=task.get("due_on"),
            completed=bool(task.get("completed")),
            section=(section or "") if inside else None,
            assignee=(task.get("assignee") or {}).get("gid"),
            fields=self.shape.found(task, place.fields),
        )

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
        new = [job for job in self._open(jobs) if job.task is None and not self._never_was(job)]
        for some in _tens(new):
            self.batch.save(sent=[job.key for job in some], at=self._now(), gids=gids)
            answers = self.client.batch([self._creation(job) for job in some], repeatable=False)
            unknown = []
            for job, answer in zip(some, answers, strict=True):
                if answer.done:
                    job.task = gids[job.key] = str(answer.data["gid"])
                    self.newest = max(self.newest, str(answer.data["created_at"]))
                elif answer.status in REFUSED:
                    self.refused[job.key] = answer.words
                else:
                    unknown.append((job, answer))
            self.batch.save(sent=[job.key for job, _ in unknown], gids=gids)
            if unknown:
                raise self._doubt(f"{len(unknown)} tasks may have been made: {unknown[0][1].words}")
        if new:
            self.batch.save(sent=[], gids=gids)

    def _never_was(self, job: Job) -> bool:
        """A delete of what is not there is done (and stays without a task)."""
        return job.change.op is Op.DELETE

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
        key_field = job.place.fields[self.shape.section.key_field].gid
        values = field_values(self.shape, fields, job.place.fields)
        body["custom_fields"] = {key_field: job.key} | {
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
        self._leave(due)

    def _leave(self, moved: Sequence[Job]) -> None:
        """Take tasks out of the project their row belonged to before."""
        actions = []
        for job in moved:
            old = self.places.of(self.befores[job.key]).project if job.key in self.befores else None
            if old and old != job.place.project and job.key not in self.refused:
                actions.append(Action("post", f"/tasks/{job.task}/removeProject", {"project": old}))
        list(self._repeated(actions))

    def _comment(self, jobs: Sequence[Job]) -> None:
        """Tell people why the ERP ended a document, once. Its mark tells that it was told."""
        for job in self._open(jobs):
            text = job.wanted.comment
            if not job.task or not text or (job.before is not None and job.before.comment == text):
                continue
            mark = f"[erp-sync:{hashlib.sha256(f'{job.key}|{text}'.encode()).hexdigest()[:8]}]"
            if not self._is_told(job.task, mark):
                self.batch.save(told=job.key, at=self._now())
                self.client.create(f"/tasks/{job.task}/stories", {"text": f"{text} {mark}"})
                self.batch.save(told=None)

    def _is_told(self, task: str, mark: str) -> bool:
        stories = self.client.pages(f"/tasks/{task}/stories", ["text"])
        return any(mark in str(story.get("text") or "") for story in stories)

    def _open(self, jobs: Sequence[Job]) -> Iterator[Job]:
        return (job for job in jobs if job.key not in self.refused)

    def _repeated(self, actions: Sequence[Action]) -> Iterator[Answer]:
        for some in _tens(actions):
            yield from self.client.batch(some, repeatable=True)

    def _doubt(self, words: str) -> InDoubtError:
        return InDoubtError(words, opens_at=self.client.clock.now() + QUIET)

    def _now(self) -> str:
        return self.client.clock.now().isoformat()


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


def _tens(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
