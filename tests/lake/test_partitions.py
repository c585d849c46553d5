import threading
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import fsspec
import pyarrow as pa
import pytest

from mlc_dagster.lake import Lake, TableRefused
from mlc_dagster.lake.storage import Storage
from tests.lake.examples import NOON, amounts, keys, note, row, table
from tests.support.object_store import fresh_folder

DAY, NEXT_DAY = date(2026, 11, 20), date(2026, 11, 21)
PLACE = ("supplier_invoices", "NO01")


@pytest.fixture(params=["local", "file url", "memory", "object store"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    urls = {
        "local": lambda: str(tmp_path / "lake"),
        "file url": (tmp_path / "lake").as_uri,
        "memory": lambda: f"memory://{uuid4().hex}",
        "object store": fresh_folder,
    }
    return Lake(urls[request.param]())


def test_a_day_reads_back_exactly_as_written(lake: Lake) -> None:
    written = table(row("10023", "1234567890.12345678"), row("10024", "-0.00000001"))
    assert lake.write_day(*PLACE, DAY, written, note(total=2)) == 2
    assert lake.read_day(*PLACE, DAY) == written
    assert lake.note(*PLACE, DAY) == note(total=2)
    assert lake.days(*PLACE) == [DAY]


def test_nothing_is_known_of_a_day_never_written(lake: Lake) -> None:
    assert lake.read_day(*PLACE, DAY) is None
    assert lake.note(*PLACE, DAY) is None
    assert lake.latest(*PLACE) is None
    assert keys(lake, *PLACE) == set()
    assert lake.days(*PLACE) == []


def test_a_day_without_rows_counts_as_read(lake: Lake) -> None:
    lake.write_day(*PLACE, DAY, table(), note(complete=True, total=0))
    assert lake.days(*PLACE) == [DAY]
    assert amounts(lake.latest(*PLACE)) == {}


def test_the_fingerprint_changes_with_every_replacement(lake: Lake) -> None:
    seen = {lake.fingerprint(*PLACE)}
    for amount in ("1", "2", "3"):
        lake.write_day(*PLACE, DAY, table(row("1", amount)), note())
        seen.add(lake.fingerprint(*PLACE))
    assert len(seen) == 4


def test_newest_is_the_latest_stamp_then_the_latest_reading(lake: Lake) -> None:
    early, late = NOON - timedelta(days=1), NOON + timedelta(days=1)
    first = table(
        row("by stamp", "1", stamp=late),
        row("by reading", "1", _read_at=early),
        row("no stamp", "1", stamp=None, _read_at=late),
        row("stamp wins", "1", stamp=None, _read_at=late),
    )
    second = table(
        row("by stamp", "2", stamp=early, _read_at=late),
        row("by reading", "2", _read_at=late),
        row("no stamp", "2", stamp=None, _read_at=early),
        row("stamp wins", "2", stamp=early, _read_at=early),
    )
    lake.write_day(*PLACE, DAY, first, note())
    lake.write_day(*PLACE, NEXT_DAY, second, note())
    found = {key: int(amount) for key, amount in amounts(lake.latest(*PLACE)).items()}
    assert found == {"by stamp": 1, "by reading": 2, "no stamp": 1, "stamp wins": 2}


def test_keys_of_days_include_tombstones(lake: Lake) -> None:
    lake.write_day(*PLACE, DAY, table(row("1"), row("2", _deleted=True)), note())
    lake.write_day(*PLACE, NEXT_DAY, table(row("3")), note())
    assert keys(lake, *PLACE, [DAY]) == {"1", "2"}
    assert keys(lake, *PLACE) == {"1", "2", "3"}
    assert keys(lake, *PLACE, []) == set()


def test_keys_of_a_day_do_not_open_other_files(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_day(*PLACE, DAY, table(row("1")), note())
    (tmp_path / "supplier_invoices/NO01/2026-11-21.parquet").write_bytes(b"not a Parquet file")
    assert keys(lake, *PLACE, [DAY]) == {"1"}


def test_only_files_that_are_new_are_opened_to_know_the_days(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    schema = Storage.schema

    def counted(storage: Storage, path: str) -> pa.Schema:
        opened.append(path.rsplit("/", 1)[-1])
        return schema(storage, path)

    for day in (DAY, NEXT_DAY):
        lake.write_day(*PLACE, day, table(), note())
    lake.notes(*PLACE)
    lake.write_day(*PLACE, NEXT_DAY, table(), note(total=2))
    monkeypatch.setattr(Storage, "schema", counted)
    assert Lake(lake.url).notes(*PLACE) == {DAY: note(), NEXT_DAY: note(total=2)}
    assert lake.days(*PLACE) == [DAY, NEXT_DAY]
    assert lake.note(*PLACE, NEXT_DAY) == note(total=2)
    assert opened == [f"{NEXT_DAY}.parquet"]


def test_a_key_that_stands_there_twice_is_refused(lake: Lake) -> None:
    with pytest.raises(
        TableRefused, match=r"supplier_invoices of NO01, 2026-11-20: the key 1 stands there twice"
    ):
        lake.write_day(*PLACE, DAY, table(row("1"), row("1")), note())
    assert lake.days(*PLACE) == []


def test_a_table_without_system_columns_is_refused(lake: Lake) -> None:
    with pytest.raises(TableRefused, match="_read_at is missing"):
        lake.write_day(*PLACE, DAY, table(row("1")).drop_columns(["_read_at"]), note())


@pytest.mark.parametrize("name", ["../elsewhere", "NO 01", "", ".hidden"])
def test_a_company_that_is_no_folder_name_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a folder"):
        lake.read_day("supplier_invoices", name, DAY)


def test_readers_see_the_old_or_the_new_day_never_half(tmp_path: Path) -> None:
    """Each written day holds one amount in every row and two files agree on it only when both are whole."""
    lake = Lake(str(tmp_path))
    versions = [
        table(*(row(f"{key}", f"{number}", _read_at=NOON + timedelta(seconds=number)) for key in range(300)))
        for number in range(25)
    ]
    lake.write_day(*PLACE, DAY, versions[0], note())
    done = threading.Event()

    def write() -> None:
        for version in versions[1:]:
            Lake(str(tmp_path)).write_day(*PLACE, DAY, version, note())
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[Decimal] = []
    while not done.is_set():
        for read in (lake.read_day(*PLACE, DAY), lake.latest(*PLACE)):
            found = amounts(read)
            assert len(found) == 300
            assert len(set(found.values())) == 1
            seen.append(found["0"])
    writer.join()
    assert seen == sorted(seen)
    assert amounts(lake.latest(*PLACE))["0"] == 24


def test_memory_lakes_keep_to_their_folder() -> None:
    one, other = Lake(f"memory://{uuid4().hex}"), Lake(f"memory://{uuid4().hex}")
    one.write_day(*PLACE, DAY, table(row("1")), note())
    assert other.days(*PLACE) == []
    assert fsspec.filesystem("memory").exists(f"{one.storage.root}/supplier_invoices/NO01/2026-11-20.parquet")
