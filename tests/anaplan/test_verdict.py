"""Reading results and dumps: which rows are in Anaplan."""

from typing import Any

import pytest

from mlc_dagster.anaplan.answers import FileFormat, Task
from mlc_dagster.anaplan.csvfile import CsvFile, render
from mlc_dagster.anaplan.verdict import Verdict, judge, read_dump

DUMP = '"_Status_","code","amount","_Line_","_Error_1_","_Error_2_"\n'


def sent(*codes: str) -> CsvFile:
    return render([(code, {"code": code}) for code in codes], ("code", "amount"), FileFormat(headers=()))


def ended(state: str = "COMPLETE", **result: Any) -> Task:
    return Task.read({"taskId": "1B1D", "taskState": state, "creationTime": 1, "result": result or None})


def counts(kind: str = "lineItemRowsProcessed", **values: int) -> list[dict[str, Any]]:
    flat = [str(part) for pair in values.items() for part in pair]
    return [{"type": kind, "localMessageText": "DAT01: some rows", "values": ["moduleName", "DAT01", *flat]}]


def verdict(task: Task, dump: str | None = None, *codes: str) -> Verdict:
    return judge(task, dump, sent(*(codes or ("A", "B", "C"))), ["code"])


def test_counts_are_read_from_the_flat_list_in_any_order() -> None:
    task = ended(successful=True, details=counts(failedCount=0, totalRowCount=3, successRowCount=3))
    assert verdict(task).counts == {"failedCount": 0, "successRowCount": 3, "totalRowCount": 3}


def test_a_name_that_looks_like_a_key_is_no_count() -> None:
    details = [{"type": "x", "values": ["hierarchyName", "failedCount", "successRowCount", "3", "odd"]}]
    assert verdict(ended(successful=True, details=details)).counts == {"successRowCount": 3}


def test_success_without_counts_is_taken_as_success() -> None:
    assert verdict(ended(successful=True)) == Verdict(landed=True)


def test_success_with_a_dump_refuses_the_rows_of_the_dump() -> None:
    task = ended(successful=True, failureDumpAvailable=True, details=counts(totalRowCount=3, failedCount=1))
    result = verdict(task, DUMP + '"E","B","x","3","Invalid number: x","Second"\n')
    assert result.landed
    assert result.refused == {"B": "Invalid number: x; Second"}


def test_a_line_is_enough_where_the_dump_lacks_the_code() -> None:
    task = ended(successful=True, failureDumpAvailable=True)
    assert verdict(task, '"_Status_","_Line_","_Error_1_"\n"E","4","No"\n').refused == {"C": "No"}


def test_the_code_in_the_dump_wins_over_its_line() -> None:
    task = ended(successful=True, failureDumpAvailable=True)
    assert list(verdict(task, DUMP + '"E","A","","3","No",""\n').refused) == ["A"]


def test_warned_rows_are_told_apart_from_refused_ones() -> None:
    task = ended(
        successful=True, failureDumpAvailable=True, details=counts(totalRowCount=3, warningsRowCount=1)
    )
    result = verdict(task, DUMP + '"W","A","","2","Cell ignored",""\n')
    assert (dict(result.refused), dict(result.warnings)) == ({}, {"A": "Cell ignored"})


def test_a_row_both_warned_and_rejected_is_rejected() -> None:
    result = verdict(
        ended(successful=True, failureDumpAvailable=True),
        DUMP + '"W","A","","2","w",""\n"E","A","","2","e",""\n',
    )
    assert (dict(result.refused), dict(result.warnings)) == ({"A": "e"}, {})


def test_a_dump_line_we_never_sent_leaves_nothing_delivered() -> None:
    result = verdict(ended(successful=True, failureDumpAvailable=True), DUMP + '"E","Z","","99","No",""\n')
    assert not result.landed
    assert "line 99" in result.reason


def test_a_dump_that_is_announced_and_cannot_be_read_leaves_nothing_delivered() -> None:
    assert not verdict(ended(successful=True, failureDumpAvailable=True)).landed


@pytest.mark.parametrize("lost", [{"ignoredCount": 1}, {"failedCount": 1}, {"warningsRowCount": 1}])
def test_rows_lost_without_a_word_leave_nothing_delivered(lost: dict[str, int]) -> None:
    assert not verdict(ended(successful=True, details=counts(totalRowCount=3, **lost))).landed


def test_a_cancelled_import_did_not_land() -> None:
    assert not verdict(ended("CANCELLED")).landed


def test_an_end_without_a_result_did_not_land() -> None:
    assert not verdict(ended()).landed


def test_a_failed_import_goes_again_unless_only_a_builder_can_heal_it() -> None:
    passing = verdict(
        ended(successful=False, details=[{"type": "internalError", "localMessageText": "Oops"}])
    )
    lasting = verdict(
        ended(successful=False, details=[{"type": "missingFields", "localMessageText": "Columns"}])
    )
    assert (passing.landed, passing.stop, passing.reason) == (False, False, "Oops")
    assert (lasting.landed, lasting.stop) == (False, True)
    assert "model builder" in lasting.remedy


def test_an_unsuccessful_import_that_worked_row_by_row_is_read_row_by_row() -> None:
    details = counts("lineItemRowsProcessedWithFailures", totalRowCount=3, failedCount=1)
    task = ended(successful=False, failureDumpAvailable=True, details=details)
    assert verdict(task, DUMP + '"E","B","","3","No",""\n').refused == {"B": "No"}


def test_an_unsuccessful_import_that_refused_every_row_refuses_them_in_anaplans_words() -> None:
    task = ended(
        successful=False, failureDumpAvailable=True, details=counts("moduleImportFailed", totalRowCount=1)
    )
    assert verdict(task, DUMP + '"E","A","","2","No",""\n', "A").refused == {"A": "No"}


def test_nested_results_of_a_process_are_read() -> None:
    nested = [{"objectId": "112000000009", "successful": True, "failureDumpAvailable": True}]
    result = ended(successful=False, nestedResults=nested).result
    assert result is not None
    assert (result.nested[0].object_id, result.nested[0].dump) == ("112000000009", True)


def test_line_ends_and_quotes_inside_a_dumps_cells_are_no_rows() -> None:
    rows = list(read_dump(DUMP + '"E","A","say ""hi""\nthere","2","No",""\n'))
    assert [(row.cells["amount"], row.line) for row in rows] == [('say "hi"\nthere', 2)]
