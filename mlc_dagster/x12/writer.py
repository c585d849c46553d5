"""Documents in, bytes out. Strict: what is not valid by our own validator, or would lose meaning, stays."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlc_dagster.x12 import acknowledgments, invoices, orders, receipts, shipments
from mlc_dagster.x12.charset import encode
from mlc_dagster.x12.dialect import Dialect, Envelope
from mlc_dagster.x12.documents import (
    Acknowledgment,
    Document,
    InterchangeAcknowledgment,
    Invoice,
    PurchaseOrder,
    ReceivingAdvice,
    ShipNotice,
)
from mlc_dagster.x12.draft import Draft
from mlc_dagster.x12.errors import RefusedError
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.segments import Version
from mlc_dagster.x12.sets import set_defs
from mlc_dagster.x12.syntax import Delimiters, Group, Interchange, Segment, TransactionSet
from mlc_dagster.x12.validate import validate
from mlc_dagster.x12.values import write_date

_INTERCHANGE_VERSION: dict[Version, str] = {"004010": "00401", "005010": "00501"}


@dataclass(frozen=True, slots=True)
class Written:
    """An interchange ready to be stored and sent. `notes` tell what was changed to fit, one line each."""

    content: bytes
    interchange: Interchange
    notes: tuple[str, ...]


def write(documents: Sequence[Document], envelope: Envelope, dialect: Dialect) -> Written:
    """One interchange with one group of these documents, numbered 0001 and on.

    Raises: RefusedError: a document cannot be said in this dialect; nothing is written. Take it out, or
        change what it says, and write the others again with the same numbers: no byte has left.
    """
    drafts = [draft(document, dialect) for document in documents]
    kinds = {one.set_id for one in drafts}
    if len(kinds) != 1:
        raise RefusedError(f"A group carries one kind of set, here are {', '.join(sorted(kinds)) or 'none'}.")
    definition = set_defs(dialect.version)[kinds.pop()]
    sets = tuple(_set(one, f"{number:04}") for number, one in enumerate(drafts, 1))
    trailer = Segment("GE", (str(len(sets)), str(envelope.group_control)))
    group = Group(_group_header(definition.group, envelope, dialect), sets, trailer)
    interchange = _interchange(envelope, dialect, groups=(group,))
    return _written(interchange, dialect, tuple(note for one in drafts for note in one.notes))


def write_interchange_acknowledgment(
    answer: InterchangeAcknowledgment, envelope: Envelope, dialect: Dialect
) -> Written:
    """An interchange that holds nothing but a TA1 (vendor sheet x12.md, section 8)."""
    told = acknowledgments.interchange_segment(answer)
    return _written(_interchange(envelope, dialect, told=(told,)), dialect, ())


def _written(interchange: Interchange, dialect: Dialect, notes: tuple[str, ...]) -> Written:
    """The bytes. They must read as what they were made from: the last guard against a stray delimiter."""
    content = encode(serialise(interchange), dialect.charset)
    if read(content, dialect.charset) != [interchange]:
        raise RefusedError(
            f"Interchange {interchange.control} would not be read as it was meant. Nothing was written."
        )
    return Written(content, interchange, notes)


def serialise(interchange: Interchange) -> str:
    """The text of an interchange, every segment as it stands."""
    marks = interchange.delimiters
    return "".join(
        _text(segment, marks) + marks.segment + marks.line_end for segment in _segments(interchange)
    )


def _segments(interchange: Interchange) -> list[Segment]:
    segments = [interchange.header, *interchange.acknowledgments, *interchange.stray]
    for group in interchange.groups:
        segments += [group.header, *group.stray]
        segments += [segment for one in group.sets for segment in one.segments]
        segments += [group.trailer] if group.trailer else []
    return segments + ([interchange.trailer] if interchange.trailer else [])


def _text(segment: Segment, marks: Delimiters) -> str:
    texts = (value if isinstance(value, str) else marks.component.join(value) for value in segment.elements)
    return marks.element.join((segment.id, *texts))


def draft(document: Document, dialect: Dialect) -> Draft:
    """The segments of one document between ST and SE."""
    match document:
        case PurchaseOrder():
            return orders.draft(document, dialect)
        case Invoice():
            return invoices.draft(document, dialect)
        case ShipNotice():
            return shipments.draft(document, dialect)
        case ReceivingAdvice():
            return receipts.draft(document, dialect)
        case Acknowledgment():
            return acknowledgments.draft(document, dialect)


def _set(one: Draft, control: str) -> TransactionSet:
    count = str(len(one.segments) + 2)
    return TransactionSet(
        (Segment("ST", (one.set_id, control)), *one.segments, Segment("SE", (count, control)))
    )


def _group_header(functional_id: str, envelope: Envelope, dialect: Dialect) -> Segment:
    elements = (
        functional_id,
        envelope.sender.group_id or envelope.sender.id,
        envelope.receiver.group_id or envelope.receiver.id,
        write_date(envelope.created.date()),
        f"{envelope.created:%H%M}",
        str(envelope.group_control),
        "X",
        dialect.version,
    )
    return Segment("GS", elements)


def _interchange(
    envelope: Envelope, dialect: Dialect, *, groups: tuple[Group, ...] = (), told: tuple[Segment, ...] = ()
) -> Interchange:
    """The interchange with its header.

    Raises:
        RefusedError: our own validator finds fault with it.
    """
    control = f"{envelope.control:09}"
    elements = (
        "00",
        " " * 10,
        "00",
        " " * 10,
        envelope.sender.qualifier,
        envelope.sender.id.ljust(15),
        envelope.receiver.qualifier,
        envelope.receiver.id.ljust(15),
        f"{envelope.created:%y%m%d}",
        f"{envelope.created:%H%M}",
        dialect.separators.repetition or "U",
        _INTERCHANGE_VERSION[dialect.version],
        control,
        "1" if envelope.acknowledge else "0",
        "P" if envelope.production else "T",
        dialect.separators.component,
    )
    trailer = Segment("IEA", (str(len(groups)), control))
    interchange = Interchange(Segment("ISA", elements), groups, trailer, dialect.separators, told)
    _refuse_invalid(interchange)
    return interchange


def _refuse_invalid(interchange: Interchange) -> None:
    """What our validator would not take without a word from a partner, no partner gets from us."""
    result = validate(interchange)
    numbers = {
        finding: one.number for group in result.groups for one in group.sets for finding in one.findings
    }
    if finding := next(result.everything(), None):
        raise RefusedError(f"What was written is not valid: {finding}.", record=numbers.get(finding, ""))
