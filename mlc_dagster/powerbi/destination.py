"""One table of the dataset as a destination: loaded whole in place or by slots, or appended to as a log.

Power BI only appends and clears, a POST may be stored although nobody answered, and either call may run late
(vendors/powerbi.md sections 5, 7, 13). What makes it exact all the same:
- A load is whole: clear, post, verify. Whatever is not known begins again at the clear, after a quiet time
  that is longer than a call can take, and under a new load id. A load that a closed window stops, with every
  call answered, goes on where it stopped.
- A fact's measures read the slot the control table names, so a load is not seen before it is verified.
- Rows of a log carry a version that rises with every batch. To post a batch again is harmless, and rows
  below the version the slot was loaded with count nowhere: a late call of a dead process changes nothing.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.powerbi.client import TIMEOUT, PowerBiClient
from mlc_dagster.powerbi.dax import CONTROL, SLOTS
from mlc_dagster.powerbi.remembered import Dataset, Load, Step, Table, TableState, biggest
from mlc_dagster.powerbi.schema import differences
from mlc_dagster.powerbi.star import Shape
from mlc_dagster.powerbi.values import POST_BYTES, POST_ROWS, Post, Sent, Stamp, posts, too_long, unfit
from mlc_dagster.powerbi.verify import SHOWN_AFTER, Expected, Verifier
from mlc_dagster.target import in_delivery_words
from mlc_dagster.transport import errors as transport
from mlc_dagster.transport.counted import CountedWindow
from mlc_dagster.transport.retry import quiet_time
from mlc_dagster.transport.session import exact_json

Payload = Mapping[str, Any]

QUIET = quiet_time(TIMEOUT)
# A load whose verification fails for another reason than time is made once more at once.
LOADS_AT_MOST = 2
# From here on Power BI counts POSTs by the hour (section 8).
LARGE_TABLE = 250_000
WHOLE_ROWS, WHOLE_BYTES = 250_000, 200_000_000
FULL_TABLE = 5_000_000


@dataclass(frozen=True)
class Options:
    """The settings of one table."""

    mode: str = "auto"
    slots_up_to: int = 10_000
    cut: bool = False


@dataclass(frozen=True)
class Limits:
    """The budgets of the dataset, shared by all processes: rows an hour, and POSTs an hour of large ones.

    posts_per_minute: our share, which the client keeps to.
    """

    rows: CountedWindow
    large_posts: CountedWindow
    posts_per_minute: int


@dataclass(frozen=True)
class Holdings:
    """What the ledger says the table holds, of all companies: company, key and payload; keys; how many."""

    rows: Callable[[], Iterable[tuple[str, str, Payload]]]
    keys: Callable[[], Iterable[str]]
    count: Callable[[], int]


class PushTable:
    """A dimension or a fact. One writer a table: companies take turns, tables do not wait for each other."""

    tombstone = None

    def __init__(
        self,
        name: str,
        shape: Shape,
        client: PowerBiClient,
        dataset: Dataset,
        *,
        limits: Limits,
        holdings: Holdings,
        options: Options | None = None,
        verify: bool = True,
    ) -> None:
        """`verify`: ask queries where the dataset answered one at set-up."""
        self.name, self.shape, self._client, self._dataset = name, shape, client, dataset
        self._limits, self._holdings, self._options = limits, holdings, options or Options()
        self.target = f"{dataset.id}|{shape.title}"
        self.exclusive: tuple[str, ...] = (f"{dataset.memory.target}:{shape.title}",)
        self.verifier = Verifier(client, dataset.id, on=verify and dataset.queries)
        loaded = Table(dataset.memory, shape.title).state.active
        whole = not shape.fact or self._options.mode == "slots" or not loaded
        # No call may carry more rows than an hour takes: it would wait for ever.
        self._post_rows = min(POST_ROWS, limits.rows.limit)
        self.max_rows = WHOLE_ROWS if whole else self._post_rows
        self.max_bytes = WHOLE_BYTES if whole else POST_BYTES

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Compare the tables with the contract, look for rows that vanished, and name rows that never fit.

        Raises:
            Stop: the dataset is not set up, or differs from the contract; the text names what differs.
            Closed: a rate budget is used up.
        """
        if not self._dataset.id:
            raise delivery.Stop(f"{self.name}: there is no dataset yet. Run `mlc powerbi setup`.")
        try:
            there = {str(table["name"]) for table in self._client.tables(self._dataset.id)}
            problems = differences(self.shape, self._dataset, there)
            if problems:
                raise delivery.Stop(f"{self.name}: {' '.join(problems)} Nothing was sent.")
            self._look()
        except transport.CallFailed as failure:
            raise self._translated(failure) from failure
        cut = self._options.cut
        reasons = {
            change.row.key: unfit(self.shape, change.row.payload, cut=cut)
            for change in changes
            if change.op is not Op.DELETE
        }
        return {**self._doubles(changes), **{key: reason for key, reason in reasons.items() if reason}}

    def _doubles(self, changes: Sequence[Change]) -> dict[str, str]:
        """New keys that differ by case only from one that is there, or from each other, with the reason.

        DAX compares without case: the newer of the two would take the other's place in every measure.
        """
        new = [change.row.key for change in changes if change.op is Op.CREATE]
        if not new:
            return {}
        wanted = {key.casefold() for key in new}
        gone = {change.row.key for change in changes if change.op is Op.DELETE}
        held = (key for key in self._holdings.keys() if key not in gone)  # noqa: SIM118 - it is no mapping
        first = {fold: key for key in held if (fold := key.casefold()) in wanted}
        clashing = ((key, first.setdefault(key.casefold(), key)) for key in new)
        return {key: _by_case_only(other) for key, other in clashing if other != key}

    def send(self, batch: Batch) -> Outcome:
        """Bring a batch into the table: by a load of the whole table, or appended to its log.

        Raises:
            InDoubtError: a call was sent and not answered; `resolve` goes on, after the quiet time if needed.
            NotLanded, Stop, Closed: nothing of it counts; the rows go again.
        """
        try:
            return self._carry(batch)
        except transport.CallFailed as failure:
            raise self._translated(failure, batch) from failure

    def resolve(self, batch: Batch) -> Outcome:
        """Do the same again, from where the table's state says it was left. Raises as `send`.

        What the state says is compared with the table first, as `preflight` does before a new batch. Rows
        that cannot go as they are come to NotLanded: what mends them takes effect when they are made anew.
        """
        try:
            self._look_again()
            return self._carry(batch)
        except delivery.Stop as stop:
            if "append" in batch.checkpoint:
                raise
            # A load stops before its first call, and only when no call of a former load can come late any
            # more: nothing of the batch can land.
            raise delivery.NotLanded(str(stop), partial=self._partial(batch)) from stop
        except transport.Misconfigured as failure:
            # In doubt it stays, and an operator is told.
            raise delivery.Stop(f"{self.name}: {failure}") from failure
        except transport.CallFailed as failure:
            raise self._translated(failure, batch) from failure

    def calls(self, changes: Sequence[Change]) -> int:
        """About how many calls these changes cost."""
        if not changes:
            return 0
        whole, rows = self._forecast(changes)
        # Look at tables and rows; post; clear and control row; see it empty, and see what was posted.
        per_load = (2 if self.shape.fact else 1) + self.verifier.on
        posts = -(-rows // self._post_rows)
        return 2 + posts + per_load * whole + self.verifier.on

    def seconds(self, changes: Sequence[Change]) -> float:
        """About how long these changes take under the dataset's limits, waits for closed windows included."""
        if not changes:
            return 0
        _, rows = self._forecast(changes)
        posts, limits = -(-rows // self._post_rows), self._limits
        waits = [posts * 60 / limits.posts_per_minute, _wait(rows, limits.rows)]
        if biggest(self._dataset.memory) >= LARGE_TABLE:
            waits.append(_wait(posts, limits.large_posts))
        return max(waits) + SHOWN_AFTER

    def _forecast(self, changes: Sequence[Change]) -> tuple[bool, int]:
        """Whether the table would be loaded whole, and the rows that would be posted."""
        live, state = self._live_after(changes), Table(self._dataset.memory, self.shape.title).state
        whole = self._whole(state, len(changes), live)
        return whole, live if whole else len(changes)

    def _carry(self, batch: Batch) -> Outcome:
        table = Table(self._dataset.memory, self.shape.title)
        if (done := self._finish_switch(table, batch)) is not None:
            return done
        if self._appends(table, batch):
            return self._append(table, batch)
        if "refused" not in batch.checkpoint:
            try:
                return self._load(table, batch)
            except transport.Refused as refused:
                if self.shape.fact:
                    raise
                batch.save(refused=f"{self.name}: {refused}")
        # Power BI refused the batch's rows. What the ledger holds is loaded without them, so that the
        # dimension is not left empty, and the batch is put back.
        self._load(table, replace(batch, changes=()))
        raise delivery.NotLanded(batch.checkpoint["refused"])

    # -- which way ------------------------------------------------------------------------------------------

    def _appends(self, table: Table, batch: Batch) -> bool:
        if "append" in batch.checkpoint:
            return bool(batch.checkpoint["append"]["slot"] == table.state.active and not table.state.load)
        return not self._whole(table.state, len(batch.changes), self._live_after(batch.changes))

    def _whole(self, state: TableState, changes: int, live: int) -> bool:
        """Whether the table is loaded whole: it must be, it is small, or its log has become long."""
        if not self.shape.fact or not state.active or state.load or state.suspect:
            return True
        if self._options.mode == "slots" or (
            self._options.mode == "auto" and live <= self._options.slots_up_to
        ):
            return True
        if state.rows + changes > FULL_TABLE:
            return True
        long = state.rows + changes > 2 * max(live, self._options.slots_up_to)
        return long and live <= self._limits.rows.left()

    def _live_after(self, changes: Sequence[Change]) -> int:
        created = sum(change.op is Op.CREATE for change in changes)
        deleted = sum(change.op is Op.DELETE for change in changes)
        return max(0, self._holdings.count() + created - deleted)

    # -- a log ----------------------------------------------------------------------------------------------

    def _append(self, table: Table, batch: Batch) -> Outcome:
        """Append the changes to the active slot, under a version of their own that a repetition keeps."""
        if "append" not in batch.checkpoint:
            batch.save(append={"slot": table.state.active, "version": table.state.version + 1})
        note = batch.checkpoint["append"]
        version, physical = int(note["version"]), self.shape.physical(note["slot"])
        table.save(version=max(version, table.state.version))
        made = self._post_changes(physical, batch)
        # As Power BI counts: a key deleted in one case and made in another is one.
        keys = len({change.row.key.casefold() for change in batch.changes})
        if not self.verifier.wait_appended(self.shape, physical, batch.id, version, keys):
            batch.save(append={**note, "sent": 0})
            raise delivery.InDoubtError(
                f"{self.name}: the rows of batch {batch.id} do not show in {physical}."
            )
        table.save(rows=table.state.rows + len(batch.changes))
        return self._outcome(batch, made, {"slot": note["slot"], "version": version})

    def _post_changes(self, physical: str, batch: Batch) -> list[Sent]:
        """Post the changes that were not answered for yet, and tell of all.

        Raises InDoubtError when a window closes between two posts: the rows of the first count already.
        """
        note, made, sent = batch.checkpoint["append"], [], 0
        rows = [(change.row.payload, change.op is Op.DELETE) for change in batch.changes]
        for post in posts(self.shape, rows, Stamp(batch.id, int(note["version"])), self._post_rows):
            made.append(post.sent)
            sent += post.rows
            if sent <= note.get("sent", 0):
                continue
            try:
                self._limits.rows.acquire(post.rows)
                self._post(physical, post)
            except transport.Closed as closed:
                if post.number == 1:
                    raise
                text = f"{self.name}: {sent - post.rows} of {len(rows)} rows are appended. {closed}"
                raise delivery.InDoubtError(text, opens_at=closed.opens_at) from closed
            batch.save(append={**note, "sent": sent})
        return made

    # -- a load ---------------------------------------------------------------------------------------------

    def _load(self, table: Table, batch: Batch) -> Outcome:
        self._quiet(table.state.load)
        expected = Expected.of(self.shape, self._merged(batch))
        if expected.rows > FULL_TABLE:
            raise delivery.Stop(
                f"{self.name}: {expected.rows} rows are more than the {FULL_TABLE} that Power BI takes in a "
                "table. Deliver fewer years: limit the model by date."
            )
        problems: list[str] = []
        for _ in range(LOADS_AT_MOST):
            load = self._resumed(table.state.load, batch, expected)
            # A dimension's rows were taken from the budget as it began, which may be long ago.
            reserved = load is None and not self.shape.fact
            load = load or self._begin(table, batch, expected)
            made = self._fill(table, load, batch, reserved=reserved)
            physical = self.shape.physical(load.slot)
            problems = self.verifier.wait_loaded(self.shape, physical, load.id, expected)
            if not problems:
                return self._switch(table, batch, made)
        raise delivery.NotLanded(
            f"{self.name}: what was loaded is not what {physical} holds. {'; '.join(problems)}. "
            "The table is loaded again with the next run.",
            partial=self._partial(batch),
        )

    @staticmethod
    def _resumed(load: Load | None, batch: Batch, expected: Expected) -> Load | None:
        """The load under way, if it stopped between two posts and still has the same rows to carry."""
        if load is None or load.asked or load.step is not Step.LOADING:
            return None
        same = (load.batch, load.rows, load.check) == (batch.id, expected.rows, expected.check)
        return load if same else None

    def _begin(self, table: Table, batch: Batch, expected: Expected) -> Load:
        """Clear the idle slot, or the dimension: a dimension only when all its rows may follow at once."""
        state = table.state
        if not self.shape.fact:
            self._reserve(expected.rows)
        slot = (SLOTS[1] if state.active == SLOTS[0] else SLOTS[0]) if self.shape.fact else ""
        load = Load(
            id=uuid.uuid4().hex,
            slot=slot,
            floor=state.version + 1,
            step=Step.CLEARING,
            batch=batch.id,
            rows=expected.rows,
            check=expected.check,
            sent=0,
            asked=False,
            touched="",
        )
        batch.save(load=load.id)
        table.save(version=load.floor, load=load)
        physical = self.shape.physical(slot)
        with self._answered(table):
            self._client.clear(self._dataset.id, physical, leaving=lambda: self._leaving(table))
        if not self.verifier.wait_empty(physical):
            raise delivery.InDoubtError(
                f"{self.name}: {physical} was cleared and is not empty yet.", opens_at=self._now() + QUIET
            )
        return table.save_load(step=Step.LOADING, asked=False)

    def _fill(self, table: Table, load: Load, batch: Batch, *, reserved: bool) -> list[Sent]:
        """Post the rows that are not there yet, one call at a time, and tell of all. `reserved`: the budget
        has given them already.

        Raises InDoubtError when a window closes: nobody reads the slot, so it waits half full until it opens.
        """
        made, physical, sent = [], self.shape.physical(load.slot), 0
        rows = ((payload, False) for payload in self._merged(batch))
        for post in posts(self.shape, rows, Stamp(load.id, load.floor), self._post_rows):
            made.append(post.sent)
            sent += post.rows
            if sent <= load.sent:
                continue
            try:
                if not reserved:
                    self._limits.rows.acquire(post.rows)
                with self._answered(table):
                    self._post(physical, post, leaving=lambda: self._leaving(table))
            except transport.Closed as closed:
                if not self.shape.fact:
                    raise
                text = f"{self.name}: {sent - post.rows} of {load.rows} rows are loaded. {closed}"
                raise delivery.InDoubtError(text, opens_at=closed.opens_at) from closed
            table.save_load(asked=False, sent=sent)
        table.save_load(step=Step.VERIFYING)
        return made

    @contextmanager
    def _answered(self, table: Table) -> Iterator[None]:
        """Note when a call of a load was refused or never sent: then nothing of it can come late."""
        try:
            yield
        except transport.InDoubt:
            raise
        except transport.CallFailed:
            table.save_load(asked=False)
            raise

    def _switch(self, table: Table, batch: Batch, made: Sequence[Sent]) -> Outcome:
        """Make a verified load the one that is read: at once for a dimension, by a control row for a fact."""
        state = table.state
        if self.shape.fact and state.load is not None:
            # In one write: a control row's seq is never used for two slots.
            table.save(seq=state.seq + 1, load=replace(state.load, step=Step.SWITCHING))
            self._post_control(table)
        load = self._activate(table)
        return self._outcome(batch, made, {"load id": load.id, "slot": load.slot, "version": load.floor})

    def _finish_switch(self, table: Table, batch: Batch) -> Outcome | None:
        """Complete a verified load of a former run: the same control row goes again."""
        load = table.state.load
        if load is None or load.step is not Step.SWITCHING:
            return None
        self._post_control(table)
        self._activate(table)
        if load.batch != batch.id:
            return None
        detail = {"load id": load.id, "slot": load.slot, "version": load.floor, "resumed": "at the switch"}
        return self._outcome(batch, [], detail)

    def _post_control(self, table: Table) -> None:
        row = {"entity": self.shape.title, **table.state.switch}
        self._limits.rows.acquire()
        body = exact_json({"rows": [row]}).encode()
        self._client.post_rows(self._dataset.id, CONTROL, body)

    def _activate(self, table: Table) -> Load:
        load = table.state.load
        if load is None:
            raise ValueError("no load is under way")
        table.save(
            active=load.slot, floor=load.floor, rows=load.rows, load_id=load.id, suspect=False, load=None
        )
        return load

    def _merged(self, batch: Batch) -> Iterator[Payload]:
        """All rows the table shall hold, in one order: the ledger's, with the batch's changes.

        Companies may share a row of a dimension, such as a day: then it is one. Raises Stop when they share
        one of a fact, or when two keys differ by case only, which Power BI takes for one.
        """
        folded: dict[str, str] = {}
        for key, payload in self._wanted(batch):
            fold = key.casefold()
            if fold not in folded:
                folded[fold] = key
                yield payload
            elif folded[fold] != key:
                raise delivery.Stop(f"{self.name}: {key!r} {_by_case_only(folded[fold])}")
            elif self.shape.fact:
                raise delivery.Stop(
                    f"{self.name}: two companies have a row {key!r}. Put the company into the key."
                )

    def _wanted(self, batch: Batch) -> Iterator[tuple[str, Payload]]:
        """The rows by key, the batch's first: where companies share a row, the newest version is kept."""
        yield from (
            (change.row.key, change.row.payload) for change in batch.changes if change.op is not Op.DELETE
        )
        changed = {change.row.key for change in batch.changes}
        for company, key, payload in self._holdings.rows():
            if company != batch.company or key not in changed:
                yield key, payload

    # -- calls ----------------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        """As `_look`, before a batch goes on: what nobody answers leaves it, and its load, as they are.

        Raises InDoubtError, and transport's Misconfigured.
        """
        try:
            self._look()
        except transport.Misconfigured:
            raise
        except transport.CallFailed as failure:
            opens_at = getattr(failure, "opens_at", None)
            raise delivery.InDoubtError(f"{self.name}: {failure}", opens_at=opens_at) from failure

    def _look(self) -> None:
        """Find out whether rows vanished behind our back, or whether our own memory is an old one.

        A DELETE that came late takes rows away. A database that was lost or restored from a backup knows an
        older slot and older versions, or none, and perhaps a load that came to its end since: it begins
        again. Either way the table is loaded whole with the next change.
        """
        table = Table(self._dataset.memory, self.shape.title)
        state = table.state
        seen = self.verifier.look(self.shape) if self.shape.fact else {}
        if not seen:
            return
        version = max(state.version, *(int(seen[f"version{slot}"]) for slot in SLOTS))
        seq = int(seen["seq"])
        if seq > state.seq or version > state.version:
            # What is read counts, also under a number that we were about to give out. Before its first switch
            # a fact has versions and no slot.
            shown = bool(seen["slot"]) and seq >= state.seq
            read = {"seq": seq, "active": seen["slot"], "floor": int(seen["floor"])} if shown else {}
            load = replace(state.load, step=Step.CLEARING) if state.load else None
            table.save(**read, version=version, suspect=True, load=load)
        elif state.active and not state.load and int(seen[f"rows{state.active}"]) < state.rows:
            table.save(suspect=True)

    def _post(self, physical: str, post: Post, leaving: Callable[[], None] | None = None) -> None:
        if biggest(self._dataset.memory) >= LARGE_TABLE:
            self._limits.large_posts.acquire()
        self._client.post_rows(self._dataset.id, physical, post.body, leaving=leaving)

    def _leaving(self, table: Table) -> None:
        """Note that a call of a load goes out now: the quiet time counts from here."""
        table.save_load(asked=True, touched=self._now().isoformat())

    def _reserve(self, rows: int) -> None:
        """Take a whole load from the budgets before anything is cleared. Raises Closed."""
        self._client.may_post()
        if rows > self._limits.rows.limit:
            raise delivery.Stop(
                f"{self.name}: {rows} rows are more than the {self._limits.rows.limit} of one hour, so the "
                "dimension would stand empty in between. Limit the model, or make it a fact."
            )
        if rows:
            self._limits.rows.acquire(rows)

    def _quiet(self, load: Load | None) -> None:
        """Hold back while a call of a former load may still happen."""
        if load is None or not load.asked:
            return
        until = datetime.fromisoformat(load.touched) + QUIET
        if self._now() < until:
            raise delivery.InDoubtError(
                f"{self.name}: a call of a load that broke off may still happen. The load begins again then.",
                opens_at=until,
            )

    def _outcome(self, batch: Batch, made: Sequence[Sent], facts: Mapping[str, Any]) -> Outcome:
        cut = {
            change.row.key: names
            for change in batch.changes
            if change.op is not Op.DELETE and (names := too_long(self.shape, change.row.payload))
        }
        digest = hashlib.sha256("".join(post.hash for post in made).encode()).hexdigest()
        detail = {
            **{name: fact for name, fact in facts.items() if fact != ""},
            "posted": ", ".join(f"no {post.number}: {post.rows} rows {post.hash[:16]}" for post in made),
            "hash": digest if made else "",
            "verified": "by query" if self.verifier.on else "no: only that each call was answered",
            "cut to 4000 characters": cut,
        }
        return Outcome(detail={name: fact for name, fact in detail.items() if fact not in ("", {})})

    def _translated(
        self, failure: transport.CallFailed, batch: Batch | None = None
    ) -> delivery.DeliveryError:
        """A failed call in delivery's words.

        A dimension that was cleared has nobody's rows: its batch stays in doubt then, so that whichever
        company is delivered next finishes the load. Only what Power BI refuses is put back.
        """
        words, partial = f"{self.name}: {failure}", self._partial(batch) if batch else None
        if isinstance(failure, transport.InDoubt):
            return delivery.InDoubtError(words)
        if batch and self._cleared() and not isinstance(failure, transport.Refused):
            return delivery.InDoubtError(words, opens_at=getattr(failure, "opens_at", None))
        return in_delivery_words(failure, words, partial)

    def _cleared(self) -> bool:
        """Whether a load of a dimension was begun and not ended."""
        return not self.shape.fact and Table(self._dataset.memory, self.shape.title).state.load is not None

    def _partial(self, batch: Batch) -> dict[str, dict[str, Any]]:
        """What may be there of rows that do not count: enough to delete them, should their record vanish."""
        source = self.shape.key.source
        return {change.row.key: {source: change.row.payload.get(source)} for change in batch.changes}

    def _now(self) -> datetime:
        return self._client.clock.now()


def _wait(amount: int, budget: CountedWindow) -> float:
    """How long a budget of an hour makes an amount wait: what is left goes at once."""
    return max(0, amount - budget.left()) / budget.limit * 3600


def _by_case_only(other: str) -> str:
    return (
        f"differs by case only from {other!r}: Power BI takes them for one. Make the model's keys different."
    )
