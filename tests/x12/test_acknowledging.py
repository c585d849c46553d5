"""Acknowledgments made from what the validator found, and read back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlc_dagster.x12.acknowledgments import (
    acknowledge,
    acknowledge_interchange,
    read_interchange_acknowledgments,
)
from mlc_dagster.x12.dialect import Dialect, Envelope
from mlc_dagster.x12.documents import Acknowledgment, InterchangeAcknowledgment, Status
from mlc_dagster.x12.findings import Level, Severity
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.writer import write, write_interchange_acknowledgment
from tests.x12.cases import local
from tests.x12.examples import ENVELOPE, PARTNER, US, content, judged, only_set
from tests.x12.faults import ANSWER, FAULTS, NOTICE, ORDER, Fault

NOTICE_TEXT = content(NOTICE).decode()


def answer_to(text: str) -> Acknowledgment:
    answer = acknowledge(judged(text.encode()).groups[0])
    assert answer is not None
    return answer


def two_notices() -> str:
    """A group 78 of two ship notices, the first with a unit that does not exist."""
    start, end = NOTICE_TEXT.index("ST*856"), NOTICE_TEXT.index("GE*1")
    first = NOTICE_TEXT[start:end]
    second = first.replace("*0001~", "*0002~")
    head, tail = (
        NOTICE_TEXT[:start].replace("*77*X", "*78*X"),
        NOTICE_TEXT[end:].replace("GE*1*77", "GE*2*78"),
    )
    return head + first.replace("SN1*1*10*EA**", "SN1*1*10*XX**") + second + tail


def test_a_sound_group_is_accepted() -> None:
    answer = answer_to(NOTICE_TEXT)
    assert (answer.kind, answer.control, answer.status) == ("SH", 77, Status.ACCEPTED)
    assert (answer.declared, answer.received, answer.accepted) == (1, 1, 1)


def test_one_bad_set_rejects_itself_and_the_group_is_partly_accepted_as_in_the_sheet() -> None:
    envelope = Envelope(
        US, PARTNER, datetime(2026, 11, 27, 14, 40, tzinfo=UTC), control=104, group_control=104
    )
    assert write([answer_to(two_notices())], envelope, Dialect()).content == content(ANSWER)


def test_a_group_of_acknowledgments_is_never_acknowledged() -> None:
    assert acknowledge(judged(content(ANSWER)).groups[0]) is None


def test_a_warning_is_not_spoken_of() -> None:
    text = NOTICE_TEXT.replace("BSN*00*NK55210*20261127*1430*0004~", "BSN*00*NK55210*20261127*1430*0004**~")
    assert answer_to(text) == answer_to(NOTICE_TEXT)


IN_GROUPS = [fault for fault in FAULTS if fault.level is not Level.INTERCHANGE and fault.example != ANSWER]


@pytest.mark.parametrize("fault", IN_GROUPS, ids=lambda fault: fault.name)
def test_every_mistake_can_be_told_and_understood(fault: Fault) -> None:
    answer = answer_to(fault.content().decode())
    written = write([answer], ENVELOPE, Dialect())
    assert document(only_set(written.content), Dialect()) == _as_told(answer)
    (one,) = answer.sets
    spoken = {fault.code} if fault.code and fault.severity is not Severity.WARNING else set()
    codes = {*answer.codes, *one.codes}
    codes |= {error.code for error in one.errors} | {
        part.code for error in one.errors for part in error.elements
    }
    assert spoken <= codes


def _as_told(answer: Acknowledgment) -> Acknowledgment:
    """Without the control characters of bad data, which no 997 can repeat."""
    return replace(
        answer,
        sets=tuple(
            replace(
                one,
                errors=tuple(
                    replace(
                        error,
                        elements=tuple(replace(part, value=_sayable(part.value)) for part in error.elements),
                    )
                    for error in one.errors
                ),
            )
            for one in answer.sets
        ),
    )


def _sayable(value: str) -> str:
    return " ".join(value.replace("\x07", " ").split())


def test_a_set_that_is_rejected_counts_as_not_accepted_and_a_group_of_only_such_is_rejected() -> None:
    answer = answer_to(NOTICE_TEXT.replace("HL*3*2*I", "HL*3*9*I"))
    assert (answer.status, answer.accepted, answer.sets[0].status) == (Status.REJECTED, 0, Status.REJECTED)


def test_an_unknown_segment_is_accepted_with_errors() -> None:
    answer = answer_to(NOTICE_TEXT.replace("CTT*4~SE*28", "QQQ*1~CTT*4~SE*29"))
    assert (answer.status, answer.accepted, answer.sets[0].status) == (
        Status.WITH_ERRORS,
        1,
        Status.WITH_ERRORS,
    )


def test_a_group_with_a_broken_envelope_is_rejected_with_all_its_sets() -> None:
    answer = answer_to(NOTICE_TEXT.replace("GE*1*77", "GE*1*78"))
    assert (answer.status, answer.accepted, answer.codes) == (Status.REJECTED, 0, ("4",))


# TA1


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("", "", "000"),
        ("IEA*1*000000101", "IEA*1*000000102", "001"),
        ("IEA*1*", "IEA*3*", "021"),
        ("IEA*1*000000101~", "", "022"),
        ("*000000101*0*T", "*00000010A*0*T", "018"),
    ],
)
def test_an_interchange_is_answered_for_its_envelope(old: str, new: str, note: str) -> None:
    answer = acknowledge_interchange(judged(content(ORDER).decode().replace(old, new, 1).encode()))
    assert answer.note == note
    assert answer.status is (Status.ACCEPTED if note == "000" else Status.REJECTED)
    assert answer.sent_at == local(2026, 11, 21, 9, 15)


def test_a_ta1_travels_in_an_interchange_without_groups() -> None:
    answer = InterchangeAcknowledgment(101, local(2026, 11, 21, 9, 15), Status.REJECTED, "025")
    written = write_interchange_acknowledgment(answer, ENVELOPE, Dialect())
    assert b"~TA1*000000101*261121*0915*R*025~IEA*0*000000101~" in written.content
    (interchange,) = read(written.content)
    assert read_interchange_acknowledgments(interchange) == (answer,)


def test_a_ta1_beside_a_group_is_read_too() -> None:
    text = content(ANSWER).decode().replace("~GS*", "~TA1*000000077*261127*1431*A*000~GS*", 1)
    (interchange,) = read(text.encode())
    (answer,) = read_interchange_acknowledgments(interchange)
    assert (answer.control, answer.status, answer.note) == (77, Status.ACCEPTED, "000")
    assert [str(finding) for finding in judged(text.encode()).everything()] == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "control"),
    [
        ("~ST*856*0001~", "~ST*856*7~", "856", "0007"),
        ("~ST*856*0001~", "~ST*856*0000000000123~", "856", "000000000"),
        ("~ST*856*0001~", "~ST*8*ab~", "008", "AB??"),
    ],
)
def test_what_was_wrong_in_a_header_is_repeated_in_the_length_that_an_answer_allows(
    old: str, new: str, kind: str, control: str
) -> None:
    answer = answer_to(NOTICE_TEXT.replace(old, new))
    assert (answer.sets[0].kind, answer.sets[0].control) == (kind, control)
    assert f"~AK2*{kind}*{control}~".encode() in write([answer], ENVELOPE, Dialect()).content
