"""The ways in which the rows of a batch get into a model, and what they have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from mlc_dagster.anaplan.answers import FileFormat
from mlc_dagster.anaplan.csvfile import CsvFile, CsvWriter, render
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.verdict import Verdict
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Change

ALL_LANDED = Verdict(landed=True)
# Calls of one task besides its uploads: list its former tasks, start, about three polls.
CALLS_OF_A_TASK = 5
# Calls of one upload besides its chunks: announce, complete.
CALLS_OF_AN_UPLOAD = 2
BYTES_PER_ROW = 200


@dataclass(frozen=True, slots=True)
class Landed:
    """What list import and data import say of the rows of a batch."""

    listed: Verdict = ALL_LANDED
    loaded: Verdict = ALL_LANDED

    @property
    def refused(self) -> Mapping[str, str]:
        """Why rows are not delivered, by code. The list speaks first: without an item there are no cells."""
        return {
            **self.loaded.warnings,
            **self.loaded.refused,
            **self.listed.warnings,
            **self.listed.refused,
        }


class Lookup(Protocol):
    """A part of a delivery that needs objects of the model."""

    @property
    def preflight_calls(self) -> int:
        """About how many calls `look_up` makes."""
        ...

    def look_up(self) -> None:
        """Find and check in the model all it needs.

        Raises:
            PreflightFailed: something must change in the model or in the settings.
            CallFailed: of the client.
        """
        ...


class Way(Lookup, Protocol):
    """One way of carrying a batch. It is resumed from the batch's checkpoint, and safe to repeat."""

    @property
    def makes_items(self) -> bool:
        """Whether the rows become items of a list, and not only cells of other feeds' items."""
        ...

    @property
    def sums_equal_codes(self) -> bool:
        """Whether the numbers of two rows whose codes are equal to Anaplan would be added up."""
        ...

    def carry(self, batch: Batch) -> Landed:
        """Carry a batch to its end, from wherever its checkpoint says it is. `look_up` came before.

        Raises:
            NotLanded, NeedsSomebody, InDoubtError, Stop, Closed: as Runner.run.
        """
        ...

    def calls(self, rows: int) -> int:
        """About how many calls a batch of so many rows takes."""
        ...


def item_files(
    feed: Feed, changes: Iterable[Change], listed: FileFormat, loaded: FileFormat
) -> tuple[CsvFile, CsvFile]:
    """The list file and the data file of rows that are items, in one pass over them.

    What the list file cannot hold is not in the data file: without its item a row would be refused again, in
    words that hide the first reason.
    """
    items, cells = CsvWriter(feed.list_columns, listed), CsvWriter(feed.columns, loaded)
    for code, columns in feed.item_rows(changes):
        if items.add(code, feed.item(code, columns)):
            cells.add(code, columns)
    return items.file(), cells.file()


def cell_file(feed: Feed, changes: Iterable[Change], layout: FileFormat) -> CsvFile:
    """The data file of rows that are cells of other feeds' items."""
    return render(((change.row.key, change.row.payload) for change in changes), feed.columns, layout)


def with_unwritten(file: CsvFile, verdict: Verdict) -> Verdict:
    """What its file cannot hold is refused, like what Anaplan refuses."""
    return replace(verdict, refused={**file.refused, **verdict.refused})


def upload_calls(rows: int, chunk_bytes: int) -> int:
    """About how many calls one file of so many rows takes: each chunk goes up, and all that the list of them
    names is compared in the end.
    """
    return CALLS_OF_AN_UPLOAD + 1 - 2 * (-rows * BYTES_PER_ROW // chunk_bytes)


def prompts(parameters: Mapping[str, str], import_id: str | None = None) -> tuple[Mapping[str, str], ...]:
    """`mappingParameters` as the API takes them; inside a process with the import that asks (section 7)."""
    whose = {"importId": import_id} if import_id else {}
    return tuple({"entityType": kind, "entityName": name} | whose for kind, name in parameters.items())
