"""Whatever happens on the way, once a delivery ends well the destination is equal to the rows."""

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlc_dagster.database import connect
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from mlc_dagster.delivery.errors import Closed, Stop
from tests.delivery.conftest import row
from tests.delivery.test_quarantine import BadRow
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Lost, Shelf, wanted

COMPANIES, KEYS, RECORDS = ("NO01", "NO0"), "abcd", ("r1", "r2")
FAULTS = [None, "lose answer", "lose request", "nothing happened", "closed", "stop", "defect", "late"]
AMOUNTS = st.sampled_from(["1.00", "2.00"])
ROWS = st.dictionaries(st.sampled_from(KEYS), st.tuples(AMOUNTS, st.sampled_from(RECORDS)))


@dataclass(frozen=True)
class Day:
    """One delivery: the company's rows now, the records it looks at, what goes wrong, and what is refused:
    by the destination, by it before anything is sent (unfit), by the contract (bad)."""

    company: str
    rows: Mapping[str, tuple[str, str]]
    looked_at: set[str]
    faults: list[str | None]
    refused: set[str]
    unfit: set[str]
    bad: set[str]

    def of(self, records: set[str]) -> list[Row]:
        return [
            row(f"{self.company}|{key}", amount, source=record)
            for key, (amount, record) in self.rows.items()
            if record in records
        ]


SOME = st.sets(st.sampled_from([f"{company}|{key}" for company in COMPANIES for key in KEYS]))
DAYS = st.builds(
    Day,
    company=st.sampled_from(COMPANIES),
    rows=ROWS,
    looked_at=st.sets(st.sampled_from(RECORDS)),
    faults=st.lists(st.sampled_from(FAULTS), max_size=3),
    refused=SOME,
    unfit=SOME,
    bad=SOME,
)


@settings(max_examples=50, deadline=None)
@given(
    days=st.lists(DAYS, min_size=1, max_size=6),
    max_rows=st.integers(1, 4),
    piecemeal=st.booleans(),
    leaves=st.booleans(),
)
def test_after_any_days_of_faults_the_last_good_delivery_makes_equal(
    migrated: Path, days: list[Day], max_rows: int, piecemeal: bool, leaves: bool
) -> None:
    """Two companies share the shelf; records lose rows, win them, hand them on; then nothing goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{shutil.copy(migrated, Path(folder) / 'mlc.db')}")
        ledger = Ledger(engine, ManualClock())
        shelf = Shelf(
            Path(folder) / "shelf.db",
            max_rows=max_rows,
            piecemeal=piecemeal,
            leaves=leaves,
            exclusive=("shelf",),
        )
        for day in days:
            shelf.faults.extend(day.faults)
            shelf.refuse = dict.fromkeys(day.refused, "Supplier is closed")
            shelf.unfit = dict.fromkeys(day.unfit, "61 characters")
            with contextlib.suppress(Closed, Stop, Lost):
                _deliver(shelf, ledger, day, day.looked_at, day.bad)
            shelf.faults.clear()
            shelf.arrive()
        shelf.refuse, shelf.unfit = {}, {}
        last = {day.company: day for day in days}.values()
        for day in last:
            assert _deliver(shelf, ledger, day, set(RECORDS)).complete
            assert ledger.outstanding(shelf.name, day.company) == set()
        assert shelf.content() == wanted(made for day in last for made in day.of(set(RECORDS)))
        sent = shelf.count("send")
        for day in last:
            assert _deliver(shelf, ledger, day, set(RECORDS)).unchanged == len(day.rows)
        assert shelf.count("send") == sent
        engine.dispose()


def _deliver(shelf: Shelf, ledger: Ledger, day: Day, records: set[str], bad: Collection[str] = ()) -> Report:
    scope = records | ledger.outstanding(shelf.name, day.company)
    rows = day.of(scope)
    return deliver(
        shelf,
        day.company,
        [row for row in rows if row.key not in bad],
        scope,
        [BadRow(row.source_key, row.key, row.number) for row in rows if row.key in bad],
        ledger=ledger,
        run_id="run",
        fingerprint="f",
        clock=ledger.clock,
        whole=True,
    )
