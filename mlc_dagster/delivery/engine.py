"""Makes a destination equal to the rows of a model, in five steps: recover, plan, intend, send, confirm."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

from mlc_dagster.clock import Clock
from mlc_dagster.delivery.changes import Changes
from mlc_dagster.delivery.destination import Batch, Destination, Outcome
from mlc_dagster.delivery.errors import (
    Closed,
    DeliveryError,
    InDoubtError,
    LeaseLost,
    NotLanded,
    Overtaken,
    Stop,
)
from mlc_dagster.delivery.leases import PATIENCE_SECONDS, Leases
from mlc_dagster.delivery.ledger import NOBODYS, Known, Ledger, State
from mlc_dagster.delivery.planner import Plan, plan
from mlc_dagster.delivery.quarantine import Entry, Refused, key_of
from mlc_dagster.delivery.reconcile import Surplus
from mlc_dagster.delivery.report import Report
from mlc_dagster.delivery.rows import Change, Op, Refusal, Row, raw_text
from mlc_dagster.delivery.writer import Writer
from mlc_dagster.logs import about

# A destination that fails so many batches in a row is down: the rest need not wait for its retries.
FAILURES_IN_A_ROW = 3
# After this long a destination is asked again about a batch in doubt.
ASK_AGAIN = timedelta(minutes=2)

logger = logging.getLogger(__name__)


def deliver(
    destination: Destination,
    company: str,
    rows: Iterable[Row],
    scope: Collection[str],
    refused: Collection[Refusal] = (),
    *,
    ledger: Ledger,
    run_id: str,
    fingerprint: str,
    clock: Clock,
    whole: bool = False,
    generation: int | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Report:
    """Make the destination hold exactly these rows, for the source keys in scope.

    refused: rows the contract refused; they go to quarantine and their last good version stays.
    whole: every record was evaluated, so the fingerprint may be kept whatever the last one was.
    generation: ledger.generation() from before the rows were made: old rows cannot overwrite newer ones.

    Returns the report: report.complete says whether anything still has to go, report.stopped what ended it
    early. Raises, once the books are right and with the report as `report`: Closed when the rest goes on at
    a known time, because a window is closed or a batch is in doubt; Stop when somebody has to act first; or
    what the destination raised unexpectedly. LeaseHeld, Overtaken and DuplicateKeys come before anything was
    sent, LeaseLost when another process has taken over.
    """
    leases = Leases(ledger.engine, clock)
    with leases.hold(_lease_names(destination, company), run_id, patience=patience) as hold:
        _refuse_old_rows(ledger, destination.name, company, generation)
        writer = Writer(ledger, hold, destination.name, company, run_id)
        delivery = _Delivery(destination, company, ledger, writer)
        return delivery.run(rows, frozenset(scope), refused, fingerprint, whole=whole)


def distrust(
    destination: Destination,
    company: str,
    *,
    ledger: Ledger,
    run_id: str,
    reason: str,
    keys: Collection[str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Let rows go again with the next delivery, unchanged or not: all, or those of `keys`; returns how many.

    For a target that was emptied or set back to an earlier state, and for a database restored from a backup:
    the ledger is not what the destination holds then. Raises LeaseHeld.
    """
    leases = Leases(ledger.engine, ledger.clock)
    with leases.hold(_lease_names(destination, company), run_id, patience=patience) as hold:
        return Writer(ledger, hold, destination.name, company, run_id).distrust(reason, keys)


def condemn(
    destination: Destination,
    company: str,
    rows: Collection[Surplus],
    *,
    ledger: Ledger,
    run_id: str,
    reason: str,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Let rows that a target shows and should not be deleted with the next delivery; returns how many.

    Those that were delivered since they were found are left alone. Raises LeaseHeld.
    """
    leases = Leases(ledger.engine, ledger.clock)
    with leases.hold(_lease_names(destination, company), run_id, patience=patience) as hold:
        known = ledger.known(destination.name, company, keys=[row.key for row in rows], source_keys=())
        changes = [
            _deletion(row, known.get(row.key), destination.target)
            for row in rows
            if row.key not in known or known[row.key].state == State.DELETED
        ]
        if changes:
            Writer(ledger, hold, destination.name, company, run_id).condemn(changes, reason)
        return len(changes)


class _Delivery:
    """One delivery under its lease.

    `_stopping` is what ended it early; `_doubt` is set while a batch is in doubt although others may be sent.
    """

    def __init__(self, destination: Destination, company: str, ledger: Ledger, writer: Writer) -> None:
        self._destination, self._company, self._ledger, self._writer = destination, company, ledger, writer
        self._report = Report(destination.name, company)
        self._stopping: Exception | None = None
        self._doubt: InDoubtError | None = None
        self._failures = 0

    def run(
        self,
        rows: Iterable[Row],
        scope: frozenset[str],
        refused: Collection[Refusal],
        fingerprint: str,
        *,
        whole: bool,
    ) -> Report:
        seen = self._ledger.seen(self._destination.name, self._company)
        self._recover()
        planned = plan(self._ledger, self._destination, self._company, rows, scope, refused=refused)
        self._report.read = planned.read + len(refused)
        self._report.unchanged = planned.unchanged
        self._report.in_doubt, self._report.undeleted = len(planned.in_doubt), planned.unwanted
        self._report.retried = planned.retried
        changes = self._admit(planned, scope, refused)
        if changes or planned.forgotten:
            self._writer.begin()
        if planned.forgotten:
            self._writer.forget(planned.forgotten)
        self._send_all(changes)
        # What is held back is yet to be compared, also if whoever judges its batch dies before that.
        held_back = planned.in_doubt or planned.unwanted
        if self._stopping is None and not held_back and (whole or seen == fingerprint):
            self._finish(fingerprint)
        return self._conclude()

    def _recover(self) -> None:
        """Ask the destination about every batch that former runs left open or in doubt.

        What companies share must be free of doubt before any of them uses it: one company's file must not
        change under another's import, nor may one adopt the other's run.
        """
        shared = bool(self._destination.exclusive)
        for batch in self._ledger.unresolved(self._destination.name, None if shared else self._company):
            self._resolve(batch, self._writer.of(batch.company))
            if self._stopping is not None:
                return

    def _resolve(self, batch: Batch, writer: Writer) -> None:
        with about(batch=batch.id):
            self._judge(batch, writer)

    def _judge(self, batch: Batch, writer: Writer) -> None:
        writer.resume(batch)
        try:
            outcome = self._destination.resolve(batch)
            _refuse_unknown_keys(batch, outcome)
        except LeaseLost:
            raise
        except NotLanded as error:
            self._report.recovered += 1
            self._put_back(batch, error, writer)
        except Exception as error:  # noqa: BLE001 - raised again once the books are right
            self._leave_in_doubt(batch, error, writer)
        else:
            if outcome is None:
                self._doubt = InDoubtError("The destination cannot say yet whether a batch has landed.")
                writer.doubt(batch, str(self._doubt))
                return
            self._report.recovered += 1
            self._confirm(batch, outcome, writer)

    def _admit(self, planned: Plan, scope: frozenset[str], refused: Collection[Refusal]) -> Changes:
        """Put refused rows into quarantine, release those that pass now, and return the changes to send."""
        unfit = self._preflight(planned.changes)
        entries = [_from_contract(refusal) for refusal in refused]
        left_out = [change for change in planned.changes if change.row.key in unfit] if unfit else []
        entries += [_from_preflight(change, unfit) for change in left_out]

        def passed(entry: Entry) -> bool:
            asked = {"contract": True, "preflight": self._stopping is None}
            return asked.get(entry.stage, False) and entry.source_key in scope

        self._writer.quarantine(entries, passed)
        self._report.quarantined += len(refused)
        self._count_all(left_out, "quarantined")
        if not unfit:
            return planned.changes
        return Changes.of(change for change in planned.changes if change.row.key not in unfit)

    def _preflight(self, changes: Sequence[Change]) -> dict[str, str]:
        if not changes or self._stopping is not None:
            return {}
        try:
            return dict(self._destination.preflight(changes))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - raised again once the books are right
            self._stopping = error
            return {}

    def _send_all(self, changes: Changes) -> None:
        left = len(changes)
        for part in _split(changes, self._destination.max_rows, self._destination.max_bytes):
            if self._stopping is not None:
                break
            batch = self._writer.intend(part)
            with about(batch=batch.id):
                self._send(batch)
            left -= len(part)
        if left and self._stopping is not None:
            rest = changes[len(changes) - left :]
            self._writer.postpone(rest, _words(self._stopping))
            self._count_all(rest, "pending")

    def _send(self, batch: Batch) -> None:
        self._report.batches += 1
        try:
            outcome = self._destination.send(batch)
            _refuse_unknown_keys(batch, outcome)
        except LeaseLost:
            raise
        except (NotLanded, Closed, Stop) as error:
            self._put_back(batch, error, self._writer)
            self._count_all(batch.changes, "pending")
            self._failures += 1
            if not isinstance(error, NotLanded) or self._failures >= FAILURES_IN_A_ROW:
                self._stopping = error
        except Exception as error:  # noqa: BLE001 - raised again once the books are right
            self._leave_in_doubt(batch, error, self._writer)
            self._count_all(batch.changes, "in_doubt")
        else:
            self._failures = 0
            self._confirm(batch, outcome, self._writer)
            self._count_outcome(batch, outcome)

    def _confirm(self, batch: Batch, outcome: Outcome, writer: Writer) -> None:
        writer.confirm(batch, outcome)
        _log(batch, f"landed: {len(batch.changes)} rows, {len(outcome.refused)} refused")

    def _put_back(self, batch: Batch, error: DeliveryError, writer: Writer) -> None:
        self._report.not_landed += 1
        writer.abandon(batch, _words(error), error.partial)
        _log(batch, f"did not land: {_words(error)}")

    def _leave_in_doubt(self, batch: Batch, error: Exception, writer: Writer) -> None:
        self._stopping = error
        writer.doubt(batch, _words(error))
        _log(batch, f"is in doubt: {_words(error)}")

    def _count_outcome(self, batch: Batch, outcome: Outcome) -> None:
        refused = [c for c in batch.changes if c.row.key in outcome.refused] if outcome.refused else []
        waiting = [c for c in batch.changes if c.row.key in outcome.waiting] if outcome.waiting else []
        self._count_all(refused, "failed")
        self._count_all(waiting, "waiting")
        done = Counter(change.op for change in batch.changes)
        done.subtract(change.op for change in (*refused, *waiting))
        for op, column in ((Op.CREATE, "created"), (Op.UPDATE, "updated"), (Op.DELETE, "deleted")):
            self._add(done[op], column)

    def _count_all(self, changes: Iterable[Change], column: str) -> None:
        """Count changes that did not get through; deletes are counted apart from the rows read."""
        deletes = Counter(change.op is Op.DELETE for change in changes)
        self._add(deletes[False], column)
        self._add(deletes[True], "undeletable" if column in ("failed", "quarantined") else "undeleted")

    def _add(self, count: int, column: str) -> None:
        setattr(self._report, column, getattr(self._report, column) + count)

    def _finish(self, fingerprint: str) -> None:
        if self._ledger.seen(self._destination.name, self._company) != fingerprint:
            self._writer.finish(fingerprint)

    def _conclude(self) -> Report:
        report, error = self._report, self._stopping or self._doubt
        report.stopped = _words(self._stopping) if self._stopping is not None else None
        report.check()
        if error is None or isinstance(error, NotLanded):
            return report
        if isinstance(error, InDoubtError):
            error = Closed(str(error), error.opens_at or self._ledger.clock.now() + ASK_AGAIN)
        if isinstance(error, DeliveryError):
            error.report = report
        else:
            error.add_note(f"{report.destination} {report.company}: the books are right. {report}")
        raise error


def _deletion(found: Surplus, known: Known | None, target: str) -> Change:
    number, target_id = (known.number, known.target_id) if known is not None else (found.key, None)
    row = Row(found.key, NOBODYS, number, found.payload)
    return Change.of(Op.DELETE, row, target, found.target_id or target_id)


def _lease_names(destination: Destination, company: str) -> list[str]:
    return [f"delivery:{destination.name}:{company}", *destination.exclusive]


def _refuse_old_rows(ledger: Ledger, destination: str, company: str, generation: int | None) -> None:
    if generation is not None and (now := ledger.generation(destination, company)) != generation:
        raise Overtaken(
            f"{destination} {company}: another delivery wrote after these rows were made "
            f"(generation {generation}, now {now}). Nothing was sent. Run again: the rows are made anew then."
        )


def _log(batch: Batch, what: str) -> None:
    logger.info("%s %s: batch %s %s", batch.destination, batch.company, batch.id, what)


def _refuse_unknown_keys(batch: Batch, outcome: Outcome | None) -> None:
    told = outcome.refused.keys() | outcome.target_ids.keys() if outcome is not None else set()
    if strange := sorted(told - {change.row.key for change in batch.changes} if told else ()):
        raise ValueError(
            f"The answer to batch {batch.id} names {strange[0]!r}, which the batch does not hold."
        )


def _split(changes: Changes, max_rows: int, max_bytes: int) -> Iterator[Changes]:
    start, size = 0, 0
    for end, more in enumerate(changes.sizes()):
        if end > start and (end - start >= max_rows or size + more > max_bytes):
            yield changes[start:end]
            start, size = end, 0
        size += more
    if start < len(changes):
        yield changes[start:]


def _words(error: Exception) -> str:
    """The error's text, or only its name where the text is not ours: it might hold a secret."""
    if isinstance(error, DeliveryError):
        return str(error)
    return f"{type(error).__name__} in the destination's code; the run's log has the details."


def _from_contract(refusal: Refusal) -> Refused:
    raw = raw_text(refusal.row)
    key = refusal.key or f"{refusal.source_key}#{key_of(raw)}"
    return Refused("contract", key, refusal.source_key, refusal.number, refusal.reason, raw)


def _from_preflight(change: Change, unfit: dict[str, str]) -> Refused:
    row = change.row
    raw = raw_text(row.payload)
    return Refused("preflight", row.key, row.source_key, row.number, unfit[row.key], raw)
