"""The rows of a data source as Tableau holds them: downloaded, and read with the Hyper API."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlc_dagster.delivery.destination import FoundRow
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.tableau import hyper, scratch
from mlc_dagster.tableau.client import TableauClient
from mlc_dagster.tableau.remembered import Source
from mlc_dagster.tableau.shape import Shape
from mlc_dagster.transport.errors import Again

COMPANY = "company"


class ExtractReadBack:
    """Reads all rows of one data source. It takes no lease: a publication under way is Again."""

    removes = True

    def __init__(self, name: str, shape: Shape, client: TableauClient, source: Callable[[], Source]) -> None:
        self._name, self._shape, self._client, self._source = name, shape, client, source

    def rows(self, company: str) -> Iterator[FoundRow]:  # noqa: ARG002 - a row says whose it is
        """The rows of all companies, as a stream.

        Raises:
            Stop: what is published has not our columns.
            CallFailed: of the client; Again while the data source is being published.
        """
        state = self._source().state
        if state.publication:
            raise self._busy()
        if not state.id:
            return
        with scratch.folder() as folder:
            path = folder / "downloaded"
            if not self._client.download(state.id, path):
                return  # somebody deleted it: all its rows are missing
            try:
                for row in hyper.rows(path, self._shape):
                    yield FoundRow(str(row[self._shape.key.source]), row, row.get(COMPANY))
            except hyper.Unusable as error:
                raise Stop(f"{self._name}: what is published cannot be read: {error}.") from error

    def check(self) -> None:
        """See whether the data source is there. Raises as `rows`."""
        state = self._source().state
        if state.id and not self._client.datasource(state.id):
            raise Stop(
                f"{self._name}: the data source is gone. The next change publishes it again, and so does "
                f"`mlc resend {self._name}` with the next run."
            )

    def calls(self, rows: int) -> int:  # noqa: ARG002
        """One download, however large."""
        return 1

    def as_shown(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As it is: a .hyper file keeps every value exactly."""
        return {column.source: payload.get(column.source) for column in self._shape.columns}

    def to_delete(self, row: FoundRow) -> dict[str, Any]:
        """A delete compares keys."""
        return {self._shape.key.source: row.values[self._shape.key.source]}

    def _busy(self) -> Again:
        text = f"{self._name} is being published, so it cannot be read in one state"
        remedy = "Nothing is wrong: the next delivery's check looks again."
        return Again("Tableau", "GET", "content", excerpt_text=text, remedy=remedy)
