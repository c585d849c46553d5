"""A delivery to Tableau killed anywhere is healed by the next run: the extract is the ERP, row for row.

Only the database and the site outlive the process.
"""

from pathlib import Path

import pytest

from tests.tableau.campaign import in_a_process, on_postgres, on_sqlite

pytestmark = pytest.mark.kill

# Of the points that leave something different behind. All of them pass; it takes minutes to kill at each.
SHARE = 0.2


@pytest.mark.parametrize("published", [True, False], ids=["an update", "the first publication"])
def test_killed_at_seeded_points_on_sqlite(tmp_path: Path, published: bool) -> None:
    in_a_process(on_sqlite, tmp_path, published, SHARE)


@pytest.mark.postgres
def test_killed_at_seeded_points_on_postgres(tmp_path: Path) -> None:
    in_a_process(on_postgres, tmp_path, SHARE / 4)
