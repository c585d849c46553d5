from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.lake.frames import to_frame, to_table
from tests.lake.examples import INVOICES, note, row, table


def test_money_and_days_survive_the_way_through_a_frame(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    written = table(row("1", "12345678901234567890.12345678"), row("2", stamp=None))
    frame = to_frame(written)
    assert frame["amount"].iloc[0] == Decimal("12345678901234567890.12345678")
    assert frame["date"].iloc[0] == date(2026, 11, 20)
    lake.write_day("supplier_invoices", "NO01", date(2026, 11, 20), to_table(frame, INVOICES), note())
    assert lake.latest("supplier_invoices", "NO01") == written


def test_a_frame_that_would_lose_digits_is_refused() -> None:
    frame = pd.DataFrame([row("1", amount=Decimal("0.123456789"))])
    with pytest.raises(ValueError, match="Rescaling"):
        to_table(frame, INVOICES)
