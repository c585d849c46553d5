"""One data source as a destination: published whole once, then kept current by updates of its rows.

What makes it exact although calls lose their answers and jobs run late (vendors/tableau.md sections 5 to 7):
- An update upserts by key and deletes by key, so to carry it out twice is harmless. An old one that runs
  after a newer one is not. So an update in doubt is never forgotten: its RequestID is used up by a delete
  that meets no row, no job may be waiting, and only then the rows go again, under the next RequestID.
- A publication in doubt is made again after a quiet time that is longer than a call can take, and not while a
  job of the data source waits. What is published is all the ledger holds, with the batch.
- Where updates fail again and again, somebody may have published another file: all is published anew.
- A publication carries its number in its description, so that an older one is known for what it is when it
  takes the place of a newer one: because it came later than any call should, or because somebody restored
  it. Then everything is published again.
- Rows are never appended.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.tableau import scratch
from mlc_dagster.tableau.client import CHUNK, TIMEOUT, JobState, Published, TableauClient
from mlc_dagster.tableau.hyper import SCHEMA, TABLE, Content, Unusable, write
from mlc_dagster.tableau.references import Names
from mlc_dagster.tableau.remembered import Publication, Source, SourceState, number_in, numbered
from mlc_dagster.tableau.shape import Shape
from mlc_dagster.target import in_delivery_words
from mlc_dagster.transport import errors as transport
from mlc_dagster.transport.retry import quiet_time

Payload = Mapping[str, Any]

QUIET = quiet_time(TIMEOUT)
ASK_AGAIN = timedelta(minutes=1)
# A batch is one update, and its rows are in memory.
MAX_ROWS, MAX_BYTES = 100_000, 100_000_000
GONE = "Gone"
# Updates that fail in a row: after these, something else may be published than we believe.
FAILED_AT_MOST = 2
FIRST_POLL, LONGEST_POLL, SLOWER = 0.5, 10.0, 1.5
# After a publication the list may show the data source late (section 1).
LOOKS, LOOK_SECONDS = 10, 3.0
LONGEST_INTEGER = 2**63


@dataclass(frozen=True)
class Place:
    """Where a data source is published. name: server, site and project, for the ledger."""

    name: str
    project: str


class DataSource:
    """The rows of one model. One writer a data source: companies take turns, data sources do not."""

    tombstone = None
    max_rows, max_bytes = MAX_ROWS, MAX_BYTES

    def __init__(
        self,
        name: str,
        shape: Shape,
        client: TableauClient,
        source: Callable[[], Source],
        place: Place,
        *,
        ledger: Ledger,
        job_patience: float,
    ) -> None:
        self.name, self.shape, self._client, self._source, self._place = name, shape, client, source, place
        self._ledger, self._patience = ledger, job_patience
        self._where = f"{place.name}|{shape.title}"
        self.exclusive: tuple[str, ...] = (f"tableau:{self._where}",)

    @cached_property
    def target(self) -> str:
        """Where its rows are. It changes with the columns: then all is published, so every row goes again."""
        layout = self._layout(self._source().state)
        return f"{self._where}|{layout}" if layout else self._where

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Look for the project and the data source, and name the rows that can never be there.

        Raises:
            Stop: the project is not there, or a data source of that name is not ours.
            Closed: a rate budget is used up.
        """
        with self._translated():
            self._look()
            known = Names(self._client, self.shape)
            reasons = {
                change.row.key: _unfit(self.shape, change.row.payload) or known.missing(change.row.payload)
                for change in changes
                if change.op is not Op.DELETE
            }
        return {key: reason for key, reason in reasons.items() if reason}

    def send(self, batch: Batch) -> Outcome:
        """Bring a batch into the data source.

        Raises:
            InDoubtError: a call was sent and not answered, or a job does not end; `resolve` goes on.
            NotLanded, Stop, Closed: nothing of it counts; the rows go again.
        """
        with self._translated(batch):
            source = self._source()
            return self._update(source, batch) if self._fits(source.state) else self._publish(source, batch)

    def resolve(self, batch: Batch) -> Outcome:
        """Finish a batch from where its checkpoint says it was left. Raises as `send`, but no Stop that may
        be about its own rows: they have to be planned anew to become others.
        """
        try:
            if "update" not in batch.checkpoint:
                return self.send(batch)
            with self._translated(batch):
                return self._finish_update(self._source(), batch)
        except delivery.Stop as stop:
            if self._open(batch):
                raise
            raise delivery.NotLanded(str(stop), partial=self._partial(batch)) from stop

    def calls(self, changes: Sequence[Change]) -> int:
        """About how many calls these changes cost: two looks; upload, write, and looks at the job."""
        if not changes:
            return 0
        whole = not self._fits(self._source().state)
        size = sum(len(change.text) for change in changes) + (
            self._ledger.held_count(self.name) * 300 if whole else 0
        )
        return 6 + size // CHUNK + 4 * (len(changes) // MAX_ROWS)

    def _fits(self, state: SourceState) -> bool:
        """Whether an update would do: what is published is known, has our columns, and takes updates."""
        known = bool(state.id) and state.publication is None and state.fingerprint == self.shape.fingerprint
        return known and state.failed < FAILED_AT_MOST

    # -- a publication --------------------------------------------------------------------------------------

    def _publish(self, source: Source, batch: Batch) -> Outcome:
        """Publish everything the data source shall hold."""
        if (outcome := self._settle(source, batch)) is not None:
            return outcome
        project = self._project()
        self._stands(source, project)
        with self._file([self._whole(batch)]) as (path, rows):
            upload = self._client.upload(path)
        number, layout = source.state.publications + 1, self._layout(source.state)
        described = numbered(self.shape.description, number)
        under_way = Publication(batch.id, "", fingerprint=self.shape.fingerprint)

        def leaving() -> None:
            nonlocal under_way
            under_way = replace(under_way, asked=self._now().isoformat())
            source.save(ours=True, fingerprint="", publication=under_way, publications=number, layout=layout)

        try:
            job = self._client.publish(self.shape.title, described, project, upload, leaving=leaving)
        except transport.InDoubt:
            raise
        except transport.CallFailed:
            source.save(publication=None)
            raise
        source.save(publication=replace(under_way, job=job))
        return self._published(source, batch, self._ended(job), rows)

    def _stands(self, source: Source, project: str) -> None:
        """Make sure that a publication replaces what is there, and makes no second one beside it."""
        found = self._client.datasource(source.state.id) if source.state.id else None
        if found and (found.name.casefold(), found.project) != (self.shape.title.casefold(), project):
            raise delivery.Stop(
                f"{self.name}: somebody has renamed the data source {self.shape.title!r} to {found.name!r}, "
                f"or moved it out of the project {self._place.project!r}. It has to be published whole, and "
                "that would make another one beside it. Give it its name and place back. Nothing was sent."
            )

    def _settle(self, source: Source, batch: Batch) -> Outcome | None:
        """See what became of a publication that was left; None when it cannot happen any more."""
        left = source.state.publication
        if left is None:
            return None
        if left.job and (job := self._client.job(left.job)) is not None:
            if left.batch == batch.id and job.succeeded:
                return self._published(source, batch, job)
        elif self._now() < (until := datetime.fromisoformat(left.asked) + QUIET):
            raise delivery.InDoubtError(
                f"{self.name}: a publication was not answered and may still happen.", opens_at=until
            )
        self._nothing_waits(datetime.fromisoformat(left.asked))
        source.save(publication=None)
        return None

    def _published(
        self, source: Source, batch: Batch, job: JobState | None, rows: int | None = None
    ) -> Outcome:
        if job is None or not job.ended or not (job.succeeded or job.failed):
            raise self._unsure("the publication")
        if job.failed:
            source.save(publication=None)
            raise delivery.NotLanded(
                f"{self.name}: the publication failed. Tableau says: {job.note or 'nothing'}. "
                "It is published again with the next run.",
                partial=self._partial(batch),
            )
        found = self._find(source)
        # Whether an overwrite takes the new description is not known, so what it shows counts.
        shown, published = number_in(found.description), source.state.publication
        # Ours may be other columns by now.
        fingerprint = published.fingerprint if published else ""
        source.save(id=found.id, fingerprint=fingerprint, publication=None, shown=shown, failed=0)
        return Outcome(detail={"published": "whole", **({"rows": rows} if rows is not None else {})})

    def _find(self, source: Source) -> Published:
        """What was just published: whether an overwritten one keeps its id is not known."""
        if source.state.id and (found := self._client.datasource(source.state.id)):
            return found
        project = self._project()
        for _ in range(LOOKS):
            named = self._client.datasource_named(self.shape.title, project)
            if named and (found := self._client.datasource(named)):
                return found
            self._client.clock.sleep(LOOK_SECONDS)
        raise self._unsure("the data source: it is published and does not show yet")

    def _whole(self, batch: Batch) -> Content:
        """All rows the data source shall hold: the ledger's, with the batch's changes."""
        companies = sorted({batch.company, *self._ledger.companies(self.name)})
        rows = chain(
            (change.text for change in batch.changes if change.op is not Op.DELETE),
            *(self._held(company, batch) for company in companies),
        )
        return replace(self._content(TABLE, rows), mixed=len(companies) > 1)

    def _held(self, company: str, batch: Batch) -> Iterator[str]:
        besides = batch.id if company == batch.company else ""
        return self._ledger.held_lines(self.name, company, besides=besides)

    # -- an update ------------------------------------------------------------------------------------------

    def _update(self, source: Source, batch: Batch, attempt: int = 0) -> Outcome:
        """Upsert and delete the rows of a batch in one request."""
        kept = [change.text for change in batch.changes if change.op is not Op.DELETE]
        gone = [change.text for change in batch.changes if change.op is Op.DELETE]
        contents = [self._content(TABLE, kept)] if kept else []
        # A delete refuses columns it does not compare, so its table holds keys alone.
        contents += [replace(self._content(GONE, gone), columns=(self.shape.key,))] if gone else []
        actions = [self._action("upsert", TABLE)] if kept else []
        actions += [self._action("delete", GONE)] if gone else []
        with self._file(contents) as (path, _):
            upload = self._client.upload(path)
        batch.save(update={"attempt": attempt, "job": "", "open": True})
        try:
            job = self._client.update(source.state.id, actions, _request_id(batch, attempt), upload)
        except transport.InDoubt:
            raise
        except transport.CallFailed:
            batch.save(update={"attempt": attempt, "job": "", "open": False})
            raise
        batch.save(update={"attempt": attempt, "job": job, "open": True})
        return self._updated(source, batch, self._ended(job))

    def _updated(self, source: Source, batch: Batch, job: JobState | None) -> Outcome:
        if job is None or not job.ended or not (job.succeeded or job.failed):
            raise self._unsure("an update")
        if job.failed:
            source.save(failed=source.state.failed + 1)
            raise delivery.NotLanded(
                f"{self.name}: the update failed. Tableau says: {job.note or 'nothing'}.",
                partial=self._partial(batch),
            )
        if source.state.failed:
            source.save(failed=0)
        return Outcome(detail={"request": _request_id(batch, batch.checkpoint["update"]["attempt"])})

    def _finish_update(self, source: Source, batch: Batch) -> Outcome:
        """Believe the job where it tells. Else make sure that the update cannot come any more, and repeat it.

        What Tableau answers to a RequestID that was used, and whether a failed job uses it, is not known.
        """
        note = batch.checkpoint["update"]
        if not note["open"]:
            return self._update(source, batch, note["attempt"] + 1)
        job = self._client.job(note["job"]) if note["job"] else None
        if job is not None and (job.succeeded or job.failed):
            return self._updated(source, batch, job)
        if not source.state.id or not self._client.datasource(source.state.id):
            source.save(id="")
            raise delivery.NotLanded(f"{self.name}: the data source is gone. It is published again.")
        nothing = {"op": "eq", "target-col": self.shape.key.name, "const": {"type": "string", "v": ""}}
        spent = {
            "action": "delete",
            "target-schema": SCHEMA,
            "target-table": TABLE,
            "condition": nothing,
        }
        used = self._client.update(source.state.id, [spent], _request_id(batch, note["attempt"]), None)
        self._ended(used)
        self._nothing_waits(batch.created_at)
        return self._update(source, batch, note["attempt"] + 1)

    def _action(self, kind: str, table: str) -> dict[str, Any]:
        key = self.shape.key.name
        return {
            "action": kind,
            "source-schema": SCHEMA,
            "source-table": table,
            "target-schema": SCHEMA,
            "target-table": TABLE,
            "condition": {"op": "eq", "source-col": key, "target-col": key},
        }

    def _layout(self, state: SourceState) -> int:
        """How often the columns have changed since the first publication, ours included."""
        return state.layout + (state.fingerprint not in ("", self.shape.fingerprint))

    # -- both -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See that the project is there, and what is published: somebody may have deleted it."""
        project = self._project()
        source = self._source()
        if source.state.id:
            self._look_at(source)
        elif not source.state.ours and self._client.datasource_named(self.shape.title, project):
            raise delivery.Stop(
                f"{self.name}: the project {self._place.project} has a data source {self.shape.title!r} that "
                "is not known to be ours. `mlc tableau setup` takes it over, or rename it. Nothing was sent."
            )

    def _look_at(self, source: Source) -> None:
        """See whether what is published is gone, or an older publication than the one we know of."""
        found, known = self._client.datasource(source.state.id), source.state.shown
        if found is None:
            source.save(id="")
            return
        # None says that somebody wrote another description.
        shown = number_in(found.description) or known
        if shown < known:
            source.save(shown=shown, fingerprint="")
        elif shown > known:
            source.save(shown=shown)

    def _project(self) -> str:
        found = self._client.project(self._place.project)
        if found is None:
            raise delivery.Stop(
                f"{self.name}: the site has no project {self._place.project!r} that we see. "
                "Run `mlc tableau setup`, or correct `project` in mlc.yaml."
            )
        return found

    def _ended(self, id: str) -> JobState | None:
        """Wait for a job's end; None when Tableau does not know it. It may not have ended."""
        pause, waited = FIRST_POLL, 0.0
        while (job := self._client.job(id)) is not None and not job.ended and waited < self._patience:
            self._client.clock.sleep(pause)
            waited += pause
            pause = min(pause * SLOWER, LONGEST_POLL)
        return job

    def _nothing_waits(self, since: datetime) -> None:
        """Hold back while a job that may still write our data source waits."""
        # A clock that runs ahead must not hide a job.
        if self._client.waiting(since - timedelta(hours=1)):
            raise self._unsure("a job that waits or runs")

    def _content(self, table: str, rows: Iterable[str]) -> Content:
        return Content(table, self.shape.columns, self.shape.key, rows)

    @contextmanager
    def _file(self, contents: Sequence[Content]) -> Iterator[tuple[Path, int]]:
        """A .hyper file with these tables, and the number of rows of the first; it goes afterwards."""
        with scratch.folder() as folder:
            path = folder / "extract.hyper"
            try:
                rows = write(path, contents)
            except Unusable as error:
                raise delivery.Stop(f"{self.name}: {error}. Nothing was sent.") from error
            yield path, rows

    def _unsure(self, what: str) -> delivery.InDoubtError:
        return delivery.InDoubtError(
            f"{self.name}: Tableau does not say yet what became of {what}. It is asked again.",
            opens_at=self._now() + ASK_AGAIN,
        )

    @contextmanager
    def _translated(self, batch: Batch | None = None) -> Iterator[None]:
        """Failed calls in delivery's words."""
        try:
            yield
        except transport.CallFailed as failure:
            words, partial = f"{self.name}: {failure}", self._partial(batch) if batch else None
            # While a write may still happen, a refused or impossible question says nothing of it.
            if isinstance(failure, transport.InDoubt) or (batch is not None and self._open(batch)):
                opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
                raise delivery.InDoubtError(words, opens_at=opens_at) from failure
            raise in_delivery_words(failure, words, partial) from failure

    def _open(self, batch: Batch) -> bool:
        update = batch.checkpoint.get("update")
        return bool(update and update["open"]) or self._source().state.publication is not None

    def _partial(self, batch: Batch) -> dict[str, dict[str, Any]]:
        """What may be there of rows that do not count: enough to delete them, should their record vanish."""
        key = self.shape.key.source
        return {change.row.key: {key: change.row.payload.get(key)} for change in batch.changes}

    def _now(self) -> datetime:
        return self._client.clock.now()


def _unfit(shape: Shape, payload: Payload) -> str:
    """Why a row can never be in a .hyper file; empty when it can. Decimals were judged by the contract."""
    if payload.get(shape.key.source) is None:
        return f"{shape.key.source}, which is its key, is empty"
    for column in shape.columns:
        value = payload.get(column.source)
        if isinstance(value, str) and "\0" in value:
            return f"{column.source} holds a zero character, which a .hyper file does not take"
        if type(value) is int and not -LONGEST_INTEGER <= value < LONGEST_INTEGER:
            return f"{column.source} is {value}: a .hyper file keeps 64 bits"
    return ""


def _request_id(batch: Batch, attempt: int) -> str:
    """The RequestID: the batch's token, then others in turn."""
    return f"{batch.token}-{attempt}" if attempt else batch.token
