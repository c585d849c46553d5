"""Which rows of an ended import are in Anaplan: the result's counts and the failure dump, read together."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlc_dagster.anaplan.answers import LONGEST_CELL, Task, TaskResult
from mlc_dagster.anaplan.csvfile import CsvFile
from mlc_dagster.anaplan.feed import joined

WORDS = 400

# Failures a repeat cannot heal, and who can (vendors/anaplan.md section 7). Others go again next time.
FOR_THE_BUILDER = {
    "missingFields": "The model builder must bring the import's mapping and the file's columns together. "
    "Where the import asks for an item at run time, name it under `parameters` of the destination.",
    "hierarchyImportDuplicateSourceKey": "Two codes are equal to Anaplan: the mapping must make codes that "
    "differ in more than case and blanks.",
    "hierarchyImportDuplicateTargetKey": "The list has a code twice: the model builder must remove an item.",
    "moduleImportNoWriteAccess": "A workspace administrator must give our user write access to the module.",
    "notAuthorised": "A workspace administrator must give our user's role access to the import action.",
    "failedToLocateModel": "The model builder must repair the import's target.",
    "failedToLocateModule": "The model builder must repair the import's target.",
    "failedToLocateHierarchy": "The model builder must repair the import's target.",
    "failedToLocateEntity": "The model builder must repair the import's mapping.",
    "failedToLocateSavedView": "The model builder must give the import a file as its source.",
}


class Unexplained(Exception):
    """Counts and dump do not add up to the rows we sent: no row of the file may be called delivered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one import's rows. Where `landed` is false none counts as delivered and all go again.

    `stop` says that they will fail again until somebody changes the model. `refused` rows left nothing in the
    import's target; `warnings` names rows of which a cell or a property did not load.
    """

    landed: bool
    reason: str = ""
    remedy: str = ""
    stop: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DumpRow:
    """One line of a failure dump: `status` is E (rejected) or W (warning), `line` counts from 1."""

    status: str
    line: int
    cells: Mapping[str, str]
    words: str


def judge_step(task: Task) -> Verdict:
    """Judge an ended task that reads no file of ours, such as a delete action: it succeeded or it did not.

    A delete that finds nothing selected succeeds; its result may have no message at all (section 7).
    """
    if task.result is None or task.state == "CANCELLED":
        return _without_result(task)
    return Verdict(True, counts=_counts(task.result)) if task.result.successful else _failed(task.result)


def judge(task: Task, dump: str | None, file: CsvFile, key: Sequence[str]) -> Verdict:
    """Judge an ended import. `dump` is its failure dump, None where it has none; `key` are the columns whose
    values make a row's code.
    """
    result = task.result
    if result is None or task.state == "CANCELLED":
        return _without_result(task)
    try:
        refused, warnings = _by_key(_readable(result, dump), file, key)
        if not (result.successful or _row_by_row(result)):
            whole = _failed(result)
            row_by_row = bool(refused) and len(refused) == len(file.keys) and not whole.stop
            return Verdict(True, refused=refused, counts=_counts(result)) if row_by_row else whole
        _add_up(result, refused=len(refused), warned=len(warnings), sent=len(file.keys))
    except Unexplained as reason:
        remedy = "Look at the import's log in the model; the rows go again with the next run."
        return Verdict(False, str(reason), remedy)
    return Verdict(True, refused=refused, warnings=warnings, counts=_counts(result))


def read_dump(text: str) -> Iterator[DumpRow]:
    """The rows of a failure dump: `_Status_`, the source's columns, `_Line_`, `_Error_1_` ... (section 8)."""
    csv.field_size_limit(LONGEST_CELL)
    for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), restval=""):
        errors = [value for name, value in row.items() if name and name.startswith("_Error_") and value]
        line = row.get("_Line_", "")
        yield DumpRow(
            status=row.get("_Status_", ""),
            line=int(line) if line.isdecimal() else 0,
            cells=row,
            words="; ".join(errors)[:WORDS] or "without words",
        )


def _readable(result: TaskResult, dump: str | None) -> str:
    if result.dump and dump is None:
        raise Unexplained(f"Anaplan's failure dump is gone, so its rows cannot be named ({result.words})")
    return dump or ""


def _by_key(dump: str, file: CsvFile, key: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Refused and warned rows by key. The code in the dump wins over the line: it is what Anaplan read."""
    known = set(file.keys) if dump else set()
    refused: dict[str, str] = {}
    warnings: dict[str, str] = {}
    for row in read_dump(dump):
        code: str | None = joined(key, row.cells)
        code = code if code in known else file.key_of(row.line)
        if code is None:
            raise Unexplained(f"the failure dump names line {row.line}, which the file we sent does not have")
        (warnings if row.status == "W" else refused)[code] = row.words
    return refused, {code: words for code, words in warnings.items() if code not in refused}


def _row_by_row(result: TaskResult) -> bool:
    """Whether Anaplan applied rows one by one although it calls the whole unsuccessful."""
    return any(detail.type.endswith("RowsProcessedWithFailures") for detail in result.details)


def _without_result(task: Task) -> Verdict:
    """A cancelled import is not started again at once: whoever cancelled it wants the model now."""
    if task.state == "CANCELLED":
        return Verdict(
            False,
            "it was cancelled in Anaplan",
            "Somebody needed the model, or an administrator stopped it: the model's history names who. The "
            "rows go with the next run.",
        )
    return Verdict(False, "it ended without a result", "The rows go again with the next run.")


def _failed(result: TaskResult) -> Verdict:
    words = f"{result.name}: {result.words}" if result.name else result.words
    for detail in result.details:
        if detail.type in FOR_THE_BUILDER:
            return Verdict(False, words, FOR_THE_BUILDER[detail.type], stop=True)
    return Verdict(False, words, "The rows go again with the next run.")


def _add_up(result: TaskResult, *, refused: int, warned: int, sent: int) -> None:
    """Counts Anaplan does not report are not held against it; counts that differ from ours are."""
    total = result.count("totalRowCount")
    if total is not None and total != sent:
        raise Unexplained(
            f"Anaplan read {total} rows and we sent {sent}: it may have read another file ({result.words})"
        )
    lost = (result.count("failedCount") or 0) + (result.count("ignoredCount") or 0)
    if lost > refused:
        raise Unexplained(
            f"Anaplan left out {lost} of {sent} rows and its failure dump explains {refused} ({result.words})"
        )
    unsure = result.count("warningsRowCount") or 0
    if unsure > warned + refused:
        raise Unexplained(
            f"Anaplan warns of {unsure} of {sent} rows and its failure dump names {warned} ({result.words})"
        )


def _counts(result: TaskResult) -> dict[str, int]:
    names = {name for detail in result.details for name in detail.counts}
    return {name: result.count(name) or 0 for name in sorted(names)}
