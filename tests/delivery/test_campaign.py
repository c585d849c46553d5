"""Whatever happens on the way, once a delivery ends well the destination is equal to the rows."""

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Ledger, Report, deliver
from mlc_dagster.delivery.errors import Closed, Stop
from tests.delivery.conftest import row
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Lost, Shelf, wanted

KEYS = "abcdef"
FAULTS = [None, "lose answer", "lose request", "nothing happened", "closed", "stop", "defect", "late"]
DAY = st.tuples(
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["1.00", "2.00", "3.00"])),
    st.lists(st.sampled_from(FAULTS), max_size=3),
    st.sets(st.sampled_from(KEYS), max_size=2),
)
Day = tuple[dict[str, str], list[str | None], set[str]]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("campaign") / "migrated.db"
    engine = connect(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    return file


@settings(max_examples=60, deadline=None)
@given(days=st.lists(DAY, min_size=1, max_size=5), max_rows=st.integers(1, 4), piecemeal=st.booleans())
def test_after_any_days_of_faults_the_last_good_delivery_makes_equal(
    migrated: Path, days: list[Day], max_rows: int, piecemeal: bool
) -> None:
    """Each day has its rows, faults and keys the destination refuses; then comes a day without faults."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlc.db"
        shutil.copy(migrated, file)
        engine = connect(f"sqlite:///{file}")
        ledger = Ledger(engine, ManualClock())
        shelf = Shelf(Path(folder) / "shelf.db", max_rows=max_rows, piecemeal=piecemeal)
        for amounts, faults, refused in days:
            shelf.faults.extend(faults)
            shelf.refuse = dict.fromkeys(refused, "Supplier is closed")
            with contextlib.suppress(Closed, Stop, Lost):
                _deliver(shelf, ledger, amounts)
            shelf.faults.clear()
            shelf.arrive()
        shelf.refuse = {}
        last = days[-1][0]
        report = _deliver(shelf, ledger, last)
        assert shelf.content() == wanted(row(key, amount) for key, amount in last.items())
        assert report.complete
        assert ledger.outstanding(shelf.name, "NO01") == set()
        sent = shelf.count("send")
        assert _deliver(shelf, ledger, last).unchanged == len(last)
        assert shelf.count("send") == sent
        engine.dispose()


def _deliver(shelf: Shelf, ledger: Ledger, amounts: Mapping[str, str]) -> Report:
    rows = [row(key, amount) for key, amount in amounts.items()]
    return deliver(
        shelf,
        "NO01",
        rows,
        set(KEYS),
        ledger=ledger,
        run_id="run",
        fingerprint="f",
        clock=ledger.clock,
        whole=True,
    )
