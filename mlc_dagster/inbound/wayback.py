"""The way back: what people say at Asana's tasks becomes lines in the note of the document in the ERP.

Only the note is ever written. Each remark is written once: the audit trail says which were, and before a
line is added the note is looked at, so that a crash between the two adds no second one.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from mlc_dagster.asana.events import Look, Stream
from mlc_dagster.asana.wayback import NotDeliveredYet, Remark, Said, WayBackReader, same_remark, with_remarks
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.leases import PATIENCE_SECONDS
from mlc_dagster.delivery.notes import Notes, Told
from mlc_dagster.receiver import Signals
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import CallFailed, Misconfigured, Refused
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.writes import RecordMissing, update

SOURCE = "asana"
NOTE = "note"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Carried:
    """What one pass did. written: remarks; waiting: tasks that are looked at again with the next pass.

    closed: projects that Asana does not show to us (any more).
    """

    written: int = 0
    refused: int = 0
    waiting: int = 0
    tasks: int = 0
    resynced: int = 0
    closed: int = 0


def has_news(suite: Suite) -> bool:
    """Whether there is something to write, new or waiting for an hour; if not, the next look begins here.

    Raises LeaseHeld: a pass is under way.
    """
    with _turn(suite, "sensor", patience=0):
        newest, looks, _ = _looks(suite)
        if any(look.news for _, look in looks):
            return True
        for stream, look in looks:
            stream.skip(look)
        Signals(suite.engine, suite.clock).handled(SOURCE, newest)
    return False


def carry_back(suite: Suite, *, run_id: str) -> Carried:
    """Write what people have said since the last pass into the ERP.

    A document the ERP refuses to change, or that cannot be reached now, is looked at again with the next
    pass, and the others go on.

    Raises:
        WrongField: the settings name a custom field that is not there.
        Misconfigured: credentials or rights are wrong; nothing is lost, the next pass begins where this did.
        LeaseHeld: another pass is under way.
    """
    with _turn(suite, run_id):
        newest, looks, closed = _looks(suite)
        reader, notes = suite.asana.way_back, Notes(suite.engine, suite.clock, run_id)
        reader.check()
        total = Carried(closed=closed)
        for stream, look in looks:
            total = _add(total, _carried(suite, reader, notes, stream, look))
        Signals(suite.engine, suite.clock).handled(SOURCE, newest)
    return total


def _turn(suite: Suite, run_id: str, patience: float = PATIENCE_SECONDS) -> AbstractContextManager[object]:
    name = f"asana-way-back:{suite.asana.settings.workspace}"
    return suite.leases.hold([name], run_id, patience=patience)


def _looks(suite: Suite) -> tuple[int | None, list[tuple[Stream, Look]], int]:
    """The newest signal, a look at each project, and how many projects are closed to us."""
    # The signals first: what comes while we look is looked at again.
    newest, reader = Signals(suite.engine, suite.clock).newest(SOURCE), suite.asana.way_back
    looks, closed = [], []
    for stream in reader.streams:
        try:
            looks.append((stream, stream.look()))
        except (Refused, Misconfigured) as failure:
            # One that people have deleted must not keep the others waiting.
            log.warning("Project %s: %s", stream.project, failure)
            closed.append(failure)
    if closed and not looks:
        raise closed[0]
    reader.begin([look for _, look in looks])
    return newest, looks, len(closed)


def _carried(suite: Suite, reader: WayBackReader, notes: Notes, stream: Stream, look: Look) -> Carried:
    done = Carried(resynced=int(look.resynced))
    waiting = []
    for task in look.tasks:
        try:
            said = reader.read(task, look.begun)
        except NotDeliveredYet as early:
            log.info("%s", early)
            waiting.append(task)
            continue
        if said is None:
            continue
        done = replace(done, tasks=done.tasks + 1)
        try:
            done = replace(done, written=done.written + _write(suite, notes, said))
        except Refused as refusal:
            _refused(notes, said, refusal.words)
            waiting.append(task)
            done = replace(done, refused=done.refused + 1)
        except RecordMissing as gone:
            # It does not come back, so its task need not wait.
            _refused(notes, said, str(gone))
            done = replace(done, refused=done.refused + 1)
        except Misconfigured:
            raise
        except CallFailed as failure:
            log.warning("%s of %s waits: %s", said.document.number, said.document.company, failure)
            waiting.append(task)
    stream.keep(look, waiting)
    return replace(done, waiting=len(waiting))


def _write(suite: Suite, notes: Notes, said: Said) -> int:
    """Append what the note lacks, then remember it. Returns how many remarks were new to us."""
    new = _new(said, notes)
    if not new:
        return 0

    def change(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        note = str(record.get(NOTE) or "")
        wanted = with_remarks(note, new)
        return {NOTE: wanted} if wanted != note else None

    document = said.document
    entity = ENTITIES[document.place.partition("/")[2]]
    update(suite.visma(document.company), entity, document.key, change)
    notes.add(document, {remark.mark: Told(Kind.NOTED, remark.line, None) for remark in new})
    return len(new)


def _new(said: Said, notes: Notes) -> list[Remark]:
    told = notes.told(said.document)

    def written(remark: Remark) -> bool:
        before = told.get(remark.mark)
        if before is None or before.kind is not Kind.NOTED:
            return False
        # An edited comment is not told again; a field is, when its value is another one.
        return remark.field is None or same_remark(remark, before.line)

    return [remark for remark in said.remarks if not written(remark)]


def _refused(notes: Notes, said: Said, reason: str) -> None:
    """Tell why remarks do not go back; once, until the reason is another one."""
    told = notes.told(said.document)
    new = {
        remark.mark: Told(Kind.REFUSED, remark.line, reason)
        for remark in _new(said, notes)
        if (before := told.get(remark.mark)) is None or before.reason != reason
    }
    if new:
        notes.add(said.document, new)


def _add(one: Carried, other: Carried) -> Carried:
    return Carried(*(getattr(one, name) + getattr(other, name) for name in Carried.__dataclass_fields__))
