"""However much there is, no page reads all of it: every query goes by an index."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.pages.conftest import Installation

# What grows with the records; the others hold a row for each destination, signal or request.
BIG = ("records", "events", "batch_members", "quarantine", "interchange_documents", "interchanges")


@pytest.fixture
def asked(installation: Installation) -> Iterator[list[tuple[str, Any]]]:
    """The statements of all pages from now on."""
    seen: list[tuple[str, Any]] = []

    def see(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(installation.suite.engine, "before_cursor_execute", see)
    yield seen
    sa.event.remove(installation.suite.engine, "before_cursor_execute", see)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/search?number=10023",
        "/search?number=nothing",
        "/quarantine",
        "/quarantine?pair=cleo&company=NO01&stage=contract&before=99",
        "/reconcile",
        "/replays",
    ],
)
def test_no_page_reads_a_whole_table(
    installation: Installation, asked: list[tuple[str, Any]], path: str
) -> None:
    installation.page(path)
    queries = [each for each in asked if each[0].lstrip().upper().startswith("SELECT")]
    assert queries
    with installation.suite.engine.connect() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
            whole = [step for step in steps if step.startswith(tuple(f"SCAN {name}" for name in BIG))]
            # Counting by state goes over a narrow index, which is quick for a million rows.
            assert [step for step in whole if "COVERING INDEX" not in step] == [], statement
