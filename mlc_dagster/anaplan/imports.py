"""The way of two imports: the list import makes the items, then the data import fills their cells."""

from collections.abc import Mapping

from mlc_dagster.anaplan.csvfile import CsvFile, render
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.preflight import LIST, MODULE, resolve
from mlc_dagster.anaplan.runner import Runner
from mlc_dagster.anaplan.taskrun import Action, Job, Load
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


class ImportsWay:
    """One file and one task for each import. The data file has only the rows that the list took.

    Every row goes through both: an item that somebody removed in the model comes back, and codes that are
    equal to Anaplan are refused by the list before the module could add their numbers up. Without a list
    import the rows make no items: they are cells of lists that other feeds fill.
    """

    def __init__(
        self,
        feed: Feed,
        runner: Runner,
        *,
        list_import: str | None,
        data_import: str,
        parameters: Mapping[str, str],
    ) -> None:
        """Imports are named by name or id; `parameters` answers the data import's prompts."""
        self._feed, self._runner = feed, runner
        self._list_name, self._data_name = list_import, data_import
        self._parameters = prompts(parameters)
        self._found: tuple[Action | None, Action] | None = None

    @property
    def makes_items(self) -> bool:
        """Where there is a list import."""
        return self._list_name is not None

    @property
    def sums_equal_codes(self) -> bool:
        """Only where no list import stands before the data import."""
        return self._list_name is None

    @property
    def preflight_calls(self) -> int:
        """The model's imports and files, and a layout for each import."""
        return 3 if self._list_name is None else 4

    def look_up(self) -> None:
        """Find both imports, their files and their layouts."""
        self._found = self._resolved()

    def carry(self, batch: Batch) -> Landed:
        """Run the list import, then the data import."""
        feed, (list_action, data_action) = self._feed, self._found or self._resolved()
        if list_action is None:
            cells = cell_file(feed, batch.changes, data_action.layout)
            return Landed(loaded=self._run(batch, "data", data_action, cells))
        items, cells = item_files(feed, batch.changes, list_action.layout, data_action.layout)
        listed = self._run(batch, "list", list_action, items)
        if listed.refused.keys() - items.refused.keys():
            # Without its item a row would be refused again, in words that hide the first reason.
            taken = (row for row in feed.item_rows(batch.changes) if row[0] not in listed.refused)
            cells = render(taken, feed.columns, data_action.layout)
        return Landed(listed, self._run(batch, "data", data_action, cells))

    def calls(self, rows: int) -> int:
        """A task and an upload for each import."""
        each = CALLS_OF_A_TASK + upload_calls(rows, self._runner.client.files.chunk_bytes)
        return each if self._list_name is None else 2 * each

    def _resolved(self) -> tuple[Action | None, Action]:
        client, feed = self._runner.client, self._feed
        listed = resolve(client, self._list_name, LIST, feed.list_columns) if self._list_name else None
        return listed, resolve(client, self._data_name, MODULE, feed.columns)

    def _run(self, batch: Batch, role: str, action: Action, file: CsvFile) -> Verdict:
        if not file.keys:
            return with_unwritten(file, ALL_LANDED)
        key, parameters = self._feed.key, self._parameters
        if role == "list":
            key, parameters = self._feed.list_columns[:1], ()
        job = Job("imports", action.id, action.name, (Load(role, action, file, key),), parameters)
        return with_unwritten(file, self._runner.run(batch, role, job)[role])
