"""The way of one process: both files are uploaded, and one task runs both imports."""

from collections.abc import Mapping, Sequence

from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.preflight import ProcessImports, resolve_process
from mlc_dagster.anaplan.runner import Runner
from mlc_dagster.anaplan.taskrun import Job, Load
from mlc_dagster.anaplan.verdict import Verdict
from mlc_dagster.anaplan.ways import (
    ALL_LANDED,
    CALLS_OF_A_TASK,
    Landed,
    cell_file,
    item_files,
    prompts,
    upload_calls,
    with_unwritten,
)
from mlc_dagster.delivery.destination import Batch


class ProcessWay:
    """One task for both imports, and for whatever else the builder put into the process.

    The data file is uploaded before the list import has judged the rows, so a row may be refused by both: it
    is refused once, in the list's words.
    """

    sums_equal_codes = True
    # The model's processes, imports and files, the process's steps, and two layouts.
    preflight_calls = 6

    def __init__(self, feed: Feed, runner: Runner, *, process: str, parameters: Mapping[str, str]) -> None:
        """`process` is a name or an id; `parameters` answers the prompts of its data import."""
        self._feed, self._runner, self._name, self._parameters = feed, runner, process, parameters
        self._found: ProcessImports | None = None

    @property
    def makes_items(self) -> bool:
        """Where the process holds a list import; until it was looked up it is taken to hold one for a feed
        whose rows can be items.
        """
        return len(self._feed.key) == 1 if self._found is None else self._found.list_import is not None

    def look_up(self) -> None:
        """Find the process, its imports in run order, their files and their layouts."""
        self._found = self._resolved()

    def carry(self, batch: Batch) -> Landed:
        """Run the process."""
        feed, found = self._feed, self._found or self._resolved()
        self._found, by_list = found, found.list_import
        if by_list is None:
            cells = cell_file(feed, batch.changes, found.data_import.layout)
            loads = [Load("data", found.data_import, cells, feed.key)]
        else:
            items, cells = item_files(feed, batch.changes, by_list.layout, found.data_import.layout)
            loads = [
                Load("list", by_list, items, feed.list_columns[:1]),
                Load("data", found.data_import, cells, feed.key),
            ]
        verdicts = self._run(batch, found, loads) if cells.keys else {}
        told = {load.role: with_unwritten(load.file, verdicts.get(load.role, ALL_LANDED)) for load in loads}
        return Landed(told.get("list", ALL_LANDED), told["data"])

    def calls(self, rows: int) -> int:
        """One task and two uploads."""
        return CALLS_OF_A_TASK + 2 * upload_calls(rows, self._runner.client.files.chunk_bytes)

    def _resolved(self) -> ProcessImports:
        feed = self._feed
        return resolve_process(self._runner.client, self._name, feed.list_columns, feed.columns)

    def _run(self, batch: Batch, found: ProcessImports, loads: Sequence[Load]) -> Mapping[str, Verdict]:
        parameters = prompts(self._parameters, found.data_import.id)
        job = Job("processes", found.id, self._name, tuple(loads), parameters)
        return self._runner.run(batch, "process", job)
