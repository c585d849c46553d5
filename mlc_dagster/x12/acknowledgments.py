"""Acknowledgments: 997 and TA1, written, read, and made from what the validator found (vendor sheet x12.md,
section 8).

They judge form only. A group of acknowledgments is never acknowledged itself.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

from mlc_dagster.x12 import parts
from mlc_dagster.x12.charset import clean
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import (
    Acknowledgment,
    ElementError,
    InterchangeAcknowledgment,
    SegmentError,
    SetAcknowledgment,
    Status,
)
from mlc_dagster.x12.draft import Draft
from mlc_dagster.x12.findings import Finding, Level, Severity
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Element, Interchange, Segment
from mlc_dagster.x12.validate import GroupResult, Result, SetResult
from mlc_dagster.x12.values import is_whole, moment, write_date

_STATUSES = {Status.ACCEPTED: "A", Status.WITH_ERRORS: "E", Status.PARTLY: "P", Status.REJECTED: "R"}
_SEGMENTS_IN_ERROR, _ELEMENTS_IN_ERROR = "5", "8"
_ACKNOWLEDGMENTS = "FA"
_MOST_CODES = 5
_BAD_DATA_WIDTH = 99


def acknowledge(result: GroupResult) -> Acknowledgment | None:
    """The 997 of a group, None for a group of acknowledgments."""
    header, trailer = result.group.header, result.group.trailer
    if header.text(1) == _ACKNOWLEDGMENTS:
        return None
    sets = tuple(_set(one) for one in result.sets)
    accepted = sum(one.status is not Status.REJECTED for one in sets) if result.accepted else 0
    declared = trailer.text(1) if trailer else ""
    return Acknowledgment(
        kind=_echo(header.text(1), 2, 2),
        control=_count(header.text(6), 9) or 0,
        status=_group_status(result, sets, accepted),
        declared=_count(declared, 6) or len(sets),
        received=len(sets),
        accepted=accepted,
        codes=_codes(finding for finding in result.findings if finding.level is Level.GROUP),
        sets=sets,
    )


def _group_status(result: GroupResult, sets: tuple[SetAcknowledgment, ...], accepted: int) -> Status:
    if not result.accepted or not accepted:
        return Status.REJECTED
    if accepted < len(sets):
        return Status.PARTLY
    flawed = any(one.status is Status.WITH_ERRORS for one in sets)
    return Status.WITH_ERRORS if flawed else Status.ACCEPTED


def _codes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Each code once, five at most, which is what a 997 can carry."""
    spoken = (one.code for one in findings if one.code and one.severity is not Severity.WARNING)
    return tuple(dict.fromkeys(spoken))[:_MOST_CODES]


def _set(result: SetResult) -> SetAcknowledgment:
    spoken = [finding for finding in result.findings if finding.severity is not Severity.WARNING]
    errors = tuple(_segment_errors(spoken))
    codes = _codes(finding for finding in spoken if finding.level is Level.SET)
    if errors:
        codes = (*codes, _SEGMENTS_IN_ERROR)[:_MOST_CODES]
    status = Status.REJECTED if not result.accepted else Status.WITH_ERRORS if spoken else Status.ACCEPTED
    kind, control = _echo(result.set.id, 3, 3), _echo(result.set.control, 4, 9)
    return SetAcknowledgment(kind, control, status, codes, errors)


def _echo(text: str, minimum: int, maximum: int) -> str:
    """What we got, in a length that a 997 can repeat. Zeros in front of a number do not change it."""
    kept = "".join(letter for letter in text.upper() if letter.isascii() and letter.isalnum())[:maximum]
    return kept.zfill(minimum) if is_whole(kept) else kept.ljust(minimum, "?")


def _count(text: str, most_digits: int) -> int | None:
    """A number we got, None when it is none or too long to be repeated."""
    return int(text) if is_whole(text) and len(text) <= most_digits else None


def _segment_errors(findings: list[Finding]) -> Iterator[SegmentError]:
    """One AK3 for each fault of a segment itself, and one for all its elements together."""
    placed = [finding for finding in findings if finding.level in (Level.SEGMENT, Level.ELEMENT)]
    placed.sort(key=lambda finding: (finding.position, finding.level is Level.ELEMENT))
    for (segment, position, loop, level, code), group in groupby(placed, key=_segment_key):
        elements = tuple(map(_element_error, group)) if level is Level.ELEMENT else ()
        yield SegmentError(_echo(segment, 2, 3), position, code, loop, elements)


def _segment_key(finding: Finding) -> tuple[str, int, str, Level, str]:
    code = _ELEMENTS_IN_ERROR if finding.level is Level.ELEMENT else finding.code
    return finding.segment, finding.position, finding.loop, finding.level, code


def _element_error(finding: Finding) -> ElementError:
    return ElementError(finding.element, finding.code, finding.component, finding.number, finding.value)


def acknowledge_interchange(result: Result) -> InterchangeAcknowledgment:
    """The TA1 of an interchange."""
    header = result.interchange.header
    codes = [finding.code for finding in result.findings if finding.severity is Severity.ERROR]
    return InterchangeAcknowledgment(
        control=_count(header.text(13), 9) or 0,
        sent_at=_sent_at(header.text(9), header.text(10)),
        status=Status.REJECTED if codes else Status.ACCEPTED,
        note=codes[0] if codes else "000",
    )


def _sent_at(day: str, clock: str) -> datetime:
    try:
        return moment(day, clock)
    except ValueError:
        return datetime(2000, 1, 1)  # noqa: DTZ001 - an unreadable date is what the TA1 rejects; it has to repeat one


def draft(answer: Acknowledgment, dialect: Dialect) -> Draft:
    """The segments of a 997 between ST and SE."""
    draft = Draft("997", f"{answer.kind} {answer.control}", dialect)
    draft.add("AK1", answer.kind, answer.control)
    for one in answer.sets:
        draft.add("AK2", one.kind, one.control)
        for error in one.errors:
            _write_error(draft, error)
        draft.add("AK5", _STATUSES[one.status], *one.codes)
    counts = (answer.declared, answer.received, answer.accepted)
    draft.add("AK9", _STATUSES[answer.status], *counts, *answer.codes)
    return draft


def _write_error(draft: Draft, error: SegmentError) -> None:
    draft.add("AK3", error.segment, error.position, error.loop, error.code)
    for element in error.elements:
        place = (
            (str(element.position), str(element.component)) if element.component else (str(element.position),)
        )
        number = int(element.number) if is_whole(element.number) else None
        draft.add("AK4", place, number, element.code, _bad_data(draft, element.value))


def _bad_data(draft: Draft, value: str) -> str:
    """A copy of what was wrong, as far as it can be said: cleaned of delimiters and cut (AK404, 1 to 99)."""
    text = clean(value, draft.dialect.separators.characters)[:_BAD_DATA_WIDTH].rstrip()
    return text if draft.fits(text) else ""


def interchange_segment(answer: InterchangeAcknowledgment) -> Segment:
    """The TA1 segment."""
    day = write_date(answer.sent_at.date())[2:]
    status = _STATUSES[answer.status]
    return Segment("TA1", (f"{answer.control:09}", day, f"{answer.sent_at:%H%M}", status, answer.note))


def read(root: Loop) -> Acknowledgment:
    """The answer of an accepted 997."""
    group = root.first("AK1") or Segment("AK1")
    closing = root.first("AK9") or Segment("AK9")
    return Acknowledgment(
        kind=group.text(1),
        control=parts.needed(parts.whole(group, 2), "AK1 02"),
        status=_status(closing),
        declared=parts.needed(parts.whole(closing, 2), "AK9 02"),
        received=parts.needed(parts.whole(closing, 3), "AK9 03"),
        accepted=parts.needed(parts.whole(closing, 4), "AK9 04"),
        codes=_texts(closing.elements[4:]),
        sets=tuple(_read_set(loop) for loop in root.inner("AK2")),
    )


def _status(segment: Segment) -> Status:
    """M, W and X reject for reasons of security."""
    return parts.reverse(_STATUSES, segment.text(1)) or Status.REJECTED


def _texts(elements: Iterable[Element]) -> tuple[str, ...]:
    return tuple(element for element in elements if isinstance(element, str) and element)


def _read_set(loop: Loop) -> SetAcknowledgment:
    head, closing = loop.rows[0].segment, loop.first("AK5") or Segment("AK5")
    errors = tuple(_read_error(inner) for inner in loop.inner("AK3"))
    return SetAcknowledgment(
        head.text(1), head.text(2), _status(closing), _texts(closing.elements[1:]), errors
    )


def _read_error(loop: Loop) -> SegmentError:
    head = loop.rows[0].segment
    elements = tuple(_read_element(segment) for segment in loop.all("AK4"))
    return SegmentError(head.text(1), int(head.text(2)), head.text(4), head.text(3), elements)


def _read_element(segment: Segment) -> ElementError:
    place = segment.elements[0]
    component = int(place[1]) if isinstance(place, tuple) and place[1] else 0
    return ElementError(int(segment.text(1)), segment.text(3), component, segment.text(2), segment.text(4))


def read_interchange_acknowledgments(interchange: Interchange) -> tuple[InterchangeAcknowledgment, ...]:
    """The TA1 segments of a valid interchange."""
    return tuple(
        InterchangeAcknowledgment(
            control=int(segment.text(1)),
            sent_at=moment(segment.text(2), segment.text(3)),
            status=_status(Segment("TA1", (segment.text(4),))),
            note=segment.text(5),
        )
        for segment in interchange.acknowledgments
    )
