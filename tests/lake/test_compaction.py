from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from mlc_dagster.lake import DAY, Lake, TableRefused, storage
from tests.lake.examples import NOON, amounts, days_from, keys, note, row, table

PLACE = ("supplier_invoices", "NO01")
JANUARY = days_from(date(2026, 1, 1), 31)


def of_day(day: date, *rows: dict[str, Any]) -> pa.Table:
    """Rows as a month's file has them."""
    return table(*rows).add_column(0, DAY, pa.array([day] * len(rows), DAY.type))


def names(lake: Lake) -> list[str]:
    return [file.name for file in lake.storage.list(lake.storage.path(*PLACE))]


def january(lake: Lake) -> Lake:
    for day in JANUARY:
        stamp = NOON + timedelta(days=day.day)
        rows = table(row("every day", f"{day.day}", stamp=stamp), row(f"only {day.day}"))
        lake.write_day(*PLACE, day, rows, note(total=day.day))
    return lake


@pytest.fixture(params=["local", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return january(Lake(str(tmp_path) if request.param == "local" else f"memory://{uuid4().hex}"))


def test_a_closed_month_becomes_one_file_and_keeps_every_version_of_every_day(lake: Lake) -> None:
    before = {day: lake.read_day(*PLACE, day) for day in JANUARY}
    latest, all_keys = amounts(lake.latest(*PLACE)), keys(lake, *PLACE)
    assert lake.compact(*PLACE, before=date(2026, 2, 1)) == 1
    assert names(lake) == ["2026-01.parquet"]
    assert {day: lake.read_day(*PLACE, day) for day in JANUARY} == before
    assert amounts(lake.latest(*PLACE)) == latest
    assert latest["every day"] == 31
    assert keys(lake, *PLACE) == all_keys
    assert keys(lake, *PLACE, [date(2026, 1, 7)]) == {"every day", "only 7"}
    assert lake.note(*PLACE, date(2026, 1, 7)) == note(total=7)
    assert lake.days(*PLACE) == list(JANUARY)


def test_an_open_month_is_left_alone(lake: Lake) -> None:
    assert lake.compact(*PLACE, before=date(2026, 1, 31)) == 0
    assert len(names(lake)) == 31


def test_a_day_without_rows_is_remembered_by_its_month(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_day(*PLACE, JANUARY[0], table(), note(total=0))
    lake.compact(*PLACE, before=date(2026, 2, 1))
    assert lake.days(*PLACE) == [JANUARY[0]]
    found = lake.read_day(*PLACE, JANUARY[0])
    assert found is not None
    assert len(found) == 0
    assert lake.read_day(*PLACE, JANUARY[1]) is None


def test_a_day_written_later_wins_over_its_month(lake: Lake) -> None:
    lake.compact(*PLACE, before=date(2026, 2, 1))
    day = date(2026, 1, 31)
    lake.write_day(*PLACE, day, table(row("new")), note(total=1))
    assert keys(lake, *PLACE, [day]) == {"new"}
    assert "only 31" not in keys(lake, *PLACE)
    assert amounts(lake.latest(*PLACE))["every day"] == 30
    assert lake.note(*PLACE, day) == note(total=1)
    assert lake.compact(*PLACE, before=date(2026, 2, 1)) == 1
    assert names(lake) == ["2026-01.parquet"]
    assert keys(lake, *PLACE, [day]) == {"new"}
    assert amounts(lake.latest(*PLACE))["every day"] == 30


class Crash(BaseException):
    """Stands for a killed process."""


@pytest.mark.parametrize("removed", [0, 1, 17])
def test_a_crash_before_all_days_are_removed_leaves_a_correct_lake(
    lake: Lake, removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = (amounts(lake.latest(*PLACE)), keys(lake, *PLACE), lake.days(*PLACE))
    left = iter([True] * removed)
    remove = storage.Storage.remove

    def crash(self: storage.Storage, path: str) -> None:
        if not next(left, False):
            raise Crash
        remove(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Storage, "remove", crash)
        with pytest.raises(Crash):
            lake.compact(*PLACE, before=date(2026, 2, 1))
    assert len(names(lake)) == 32 - removed
    assert (amounts(lake.latest(*PLACE)), keys(lake, *PLACE), lake.days(*PLACE)) == expected
    lake.compact(*PLACE, before=date(2026, 2, 1))
    assert names(lake) == ["2026-01.parquet"]
    assert (amounts(lake.latest(*PLACE)), keys(lake, *PLACE), lake.days(*PLACE)) == expected


def test_a_day_replaced_while_its_month_is_written_keeps_its_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = storage.Storage.replace

    def replace_and_meddle(self: storage.Storage, path: str, *rest: Any) -> None:
        replace(self, path, *rest)
        if path.endswith("2026-01.parquet"):
            lake.write_day(*PLACE, JANUARY[2], table(row("late")), note())

    with monkeypatch.context() as patch:
        patch.setattr(storage.Storage, "replace", replace_and_meddle)
        lake.compact(*PLACE, before=date(2026, 2, 1))
    assert names(lake) == ["2026-01-03.parquet", "2026-01.parquet"]
    assert keys(lake, *PLACE, [JANUARY[2]]) == {"late"}


def test_a_month_that_another_process_compacts_again_meanwhile_is_left_to_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a day that was written in between: the slower process would bring its older rows back."""
    other, put = Lake(lake.url), lake.storage.put

    def slow(path: str, write: Any, *rest: Any) -> None:
        def written(file: Any) -> None:
            write(file)
            other.compact(*PLACE, before=date(2026, 2, 1))
            other.write_day(*PLACE, JANUARY[2], table(row("late")), note())
            other.compact(*PLACE, before=date(2026, 2, 1))

        put(path, written, *rest)

    monkeypatch.setattr(lake.storage, "put", slow)
    assert lake.compact(*PLACE, before=date(2026, 2, 1)) == 0
    assert names(lake) == ["2026-01.parquet"]
    assert keys(lake, *PLACE, [JANUARY[2]]) == {"late"}


@pytest.mark.parametrize("reading", ["schema", "parts"])
def test_days_that_another_process_compacts_while_they_are_read_are_left_to_it(
    lake: Lake, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, read = amounts(lake.latest(*PLACE)), getattr(lake.storage, reading)

    def meanwhile(*args: Any) -> Any:
        Lake(lake.url).compact(*PLACE, before=date(2026, 2, 1))
        return read(*args)

    monkeypatch.setattr(lake.storage, reading, meanwhile)
    assert lake.compact(*PLACE, before=date(2026, 2, 1)) == 0
    assert names(lake) == ["2026-01.parquet"]
    assert amounts(lake.latest(*PLACE)) == expected


def test_three_years_are_at_most_36_months_and_62_days(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for day in days_from(date(2024, 1, 1), 3 * 365):
        if day.day in (1, 2, 15) or day >= date(2026, 11, 1):
            lake.write_day(
                *PLACE, day, table(row("same", f"{day.year}", stamp=NOON.replace(year=day.year))), note()
            )
    lake.compact(*PLACE, before=date(2026, 11, 20))
    days = [name for name in names(lake) if len(name) == len("2026-11-01.parquet")]
    assert len(names(lake)) - len(days) == 34
    assert len(days) <= 62
    assert amounts(lake.latest(*PLACE)) == {"same": Decimal(2026)}


def test_files_that_a_killed_process_left_half_written_are_swept(tmp_path: Path) -> None:
    lake = january(Lake(str(tmp_path)))
    litter = tmp_path / "supplier_invoices/NO01/.2026-01-01.parquet.0a1b.writing"
    litter.write_bytes(b"half")
    assert lake.days(*PLACE) == list(JANUARY)
    lake.compact(*PLACE, before=date(2200, 1, 1))
    assert not litter.exists()


def test_a_month_written_at_once_is_what_its_days_and_their_compaction_leave(tmp_path: Path) -> None:
    daily, at_once = Lake(str(tmp_path / "daily")), Lake(str(tmp_path / "at once"))
    rows = {day: [row(f"{day.day}"), row(f"{day.day} too")] for day in JANUARY[::2]}
    notes = {day: note(total=day.day) for day in JANUARY}
    for day in JANUARY:
        daily.write_day(*PLACE, day, table(*rows.get(day, [])), notes[day])
    daily.compact(*PLACE, before=date(2026, 2, 1))
    # In the order pages come: every part may hold rows of every day.
    shuffled = [of_day(day, of_the_day[number]) for number in (0, 1) for day, of_the_day in rows.items()]
    assert at_once.write_month(*PLACE, shuffled, notes) == 32
    assert names(at_once) == names(daily) == ["2026-01.parquet"]
    assert at_once.notes(*PLACE) == daily.notes(*PLACE) == notes
    for day in JANUARY:
        assert at_once.read_day(*PLACE, day) == daily.read_day(*PLACE, day)
    assert amounts(at_once.latest(*PLACE)) == amounts(daily.latest(*PLACE))


def test_a_month_of_which_the_lake_holds_a_day_is_not_written_at_once(lake: Lake) -> None:
    lake.storage.remove(lake.storage.path(*PLACE, "2026-01-02.parquet"))
    rows, notes = [of_day(JANUARY[1], row("new"))], {JANUARY[1]: note()}
    with pytest.raises(ValueError, match="2026-01-02 to 2026-01-02 is no month without days"):
        lake.write_month(*PLACE, rows, notes)
    lake.compact(*PLACE, before=date(2026, 2, 1))
    with pytest.raises(ValueError, match="is no month without days"):
        lake.write_month(*PLACE, rows, notes)


def test_a_key_that_comes_twice_in_a_month_written_at_once_is_refused(tmp_path: Path) -> None:
    rows = [of_day(day, row("same")) for day in JANUARY[:2]]
    with pytest.raises(TableRefused, match="NO01, 2026-01: the key same stands there twice"):
        Lake(str(tmp_path)).write_month(*PLACE, rows, dict.fromkeys(JANUARY, note()))
    assert names(Lake(str(tmp_path))) == []
