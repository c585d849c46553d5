"""The way of one process: both files are uploaded, and one task runs both imports."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlc_dagster.anaplan.csvfile import render
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.imports import prompts
from mlc_dagster.anaplan.preflight import ProcessImports, resolve_process
from mlc_dagster.anaplan.runner import Runner
from mlc_dagster.anaplan.taskrun import Job, Load
from mlc_dagster.anaplan.verdict import Verdict
from mlc_dagster.anaplan.ways import CALLS_OF_A_TASK, Landed, upload_calls
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
        self._found = found = self._found or self._resolved()
        rows = self._feed.item_rows(batch) if self.makes_items else self._feed.rows(batch)
        listed, loads = Verdict(landed=True), []
        if found.list_import is not None:
            columns = self._feed.list_columns
            items = render(self._feed.items(rows).items(), columns, found.list_import.layout)
            loads.append(Load("list", found.list_import, items, columns[:1]))
            listed = Verdict(landed=True, refused=items.refused)
        cells = {code: payload for code, payload in rows.items() if code not in listed.refused}
        file = render(cells.items(), self._feed.columns, found.data_import.layout)
        loads.append(Load("data", found.data_import, file, self._feed.key))
        verdicts = self._run(batch, found, loads) if file.keys else {}
        return Landed(
            _with(listed, verdicts.get("list")),
            _with(Verdict(True, refused=file.refused), verdicts.get("data")),
        )

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


def _with(unwritten: Verdict, verdict: Verdict | None) -> Verdict:
    """An import's verdict, and the rows that its file could not hold."""
    if verdict is None:
        return unwritten
    return replace(verdict, refused={**unwritten.refused, **verdict.refused})
