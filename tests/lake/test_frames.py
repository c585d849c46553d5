from datetime import date
from decimal import Decimal

from mlc_dagster.lake.frames import to_frame
from tests.lake.examples import row, table


def test_money_days_and_sections_are_in_a_frame_what_they_are_in_the_lake() -> None:
    rows = table(row("1", "12345678901234567890.12345678"), row("2", "0.00000001", stamp=None))
    frame = to_frame(rows)
    assert frame["amount"].sum() == Decimal("12345678901234567890.12345679")
    assert frame["date"].iloc[0] == date(2026, 11, 20)
    assert frame["supplier"].iloc[0] == rows["supplier"][0].as_py()
