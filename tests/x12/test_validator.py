"""The validator finds every mistake, at its segment, position and element."""

import pytest

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.findings import Severity
from mlc_dagster.x12.interpret import document
from tests.x12.examples import judged
from tests.x12.faults import FAULTS, NOTICE, ORDER, Fault

faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@faults
def test_a_mistake_is_found_where_it_is(fault: Fault) -> None:
    findings = list(judged(fault.content()).everything())
    assert fault.is_found_in(findings), [str(finding) for finding in findings]


@faults
def test_only_what_is_tolerated_leaves_a_file_acceptable(fault: Fault) -> None:
    result = judged(fault.content())
    accepted = result.accepted and all(
        group.accepted and all(one.accepted for one in group.sets) for group in result.groups
    )
    assert accepted is (fault.severity is not Severity.ERROR)


def test_a_finding_names_interchange_group_set_document_segment_and_element() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "unit not in the list")
    (finding,) = judged(fault.content()).everything()
    assert str(finding) == (
        "error: interchange 000000077, group SH 77, set 856 0001 (NK55210): SN1 03, segment 20: "
        "unit: 'XX' is no code we know"
    )


def test_one_misplaced_segment_brings_one_finding() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "tax behind the description")
    assert len(list(judged(fault.content()).everything())) == 1


def test_a_rejected_set_is_never_read_as_a_document() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "unit not in the list")
    (one,) = judged(fault.content()).groups[0].sets
    with pytest.raises(UnreadableError, match=r"NK55210.*SN1 03, segment 20"):
        document(one, Dialect())


def test_there_are_enough_faults_of_every_level() -> None:
    assert len(FAULTS) >= 40
    assert {fault.level for fault in FAULTS} == {*type(FAULTS[0].level)}
    assert {fault.example for fault in FAULTS} >= {ORDER, NOTICE}
