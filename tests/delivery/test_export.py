"""What an auditor gets is exact, and can be verified without this program."""

import hashlib
import json
import re
import struct
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import events
from mlc_dagster.delivery.export import FolderNotEmpty, export
from mlc_dagster.delivery.seals import Seals
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Shelf

Table = list[dict[str, Any]]


@pytest.fixture
def chain(engine: sa.Engine, clock: ManualClock, run: Deliver, shelf: Shelf) -> Seals:
    """Three days of deliveries; a number holds what a spreadsheet would misread."""
    chain = Seals(engine, clock)
    for number in range(3):
        run(shelf, row(f"k{number}", number=f'0{number},"=1+1"\næ'), row(f"x{number}"))
        chain.seal()
        clock.sleep(24 * 3600)
    return chain


def read(folder: Path, name: str, form: str) -> Table:
    if form == "parquet":
        return list(pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pylist())
    text = (folder / f"{name}.csv").read_bytes().decode()
    found = [
        [
            None if field == "" else field[1:-1].replace('""', '"')
            for field in re.findall(r'("(?:[^"]|"")*"|)(?:,|\r\n)', line)
        ]
        for line in re.findall(r'(?:"(?:[^"]|"")*"|,)+\r\n', text)
    ]
    names, *rows = found
    numbers = {"id", "event", "seal", "events"} | ({"number"} if name == "seals" else set())
    return [
        {key: int(value) if key in numbers else value for key, value in zip(names, row, strict=True)}
        for row in rows
    ]


def verified(folder: Path, form: str) -> str:
    """Verify an export as its README.txt says; the newest seal. By nothing but this function."""
    rows, seals, digests = (read(folder, name, form) for name in ("events", "seals", "digests"))
    own = {found["id"]: found["digest"] for found in rows}
    for found in rows:
        columns = [value for name, value in found.items() if name != "digest"]
        text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == found["digest"]
    covered = {found["event"] for found in digests}
    assert all(number in covered for number in own if number <= max(covered))
    before = seals[0]["before"]
    for seal in seals:
        assert seal["before"] == before
        listed = [(found["event"], found["digest"]) for found in digests if found["seal"] == seal["number"]]
        assert len(listed) == seal["events"]
        assert all(own.get(event, digest) == digest for event, digest in listed)
        packed = b"".join(struct.pack(">q", event) + bytes.fromhex(digest) for event, digest in listed)
        head = f"{before}\n{seal['number']}\n{seal['sealed_at']}\n".encode()
        before = hashlib.sha256(head + packed).hexdigest()
        assert before == seal["digest"]
    return f"{seals[-1]['number']}:{before}"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_is_exact_and_verifies_by_its_own_readme(
    engine: sa.Engine, chain: Seals, clock: ManualClock, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "export"
    days = {"first": clock.now().date() - timedelta(days=9), "last": clock.now().date()}
    done = export(engine, chain, folder, form=form, now=clock.now(), **days)
    with engine.connect() as connection:
        stored = connection.execute(sa.select(events.c.id, events.c.number, events.c.detail)).all()
    rows = read(folder, "events", form)
    assert [(row["id"], row["number"], row["detail"]) for row in rows] == list(map(tuple, stored))
    assert done.events == len(stored)
    assert verified(folder, form) == str(chain.verify().head)
    assert str(chain.verify().head) in (folder / "README.txt").read_text("utf-8")


def test_some_days_come_with_the_seals_that_lead_to_the_newest(
    engine: sa.Engine, chain: Seals, clock: ManualClock, tmp_path: Path
) -> None:
    day: date = (clock.now() - timedelta(days=2)).date()
    export(engine, chain, tmp_path / "export", first=day, last=day, form="parquet", now=clock.now())
    assert {row["at"][:10] for row in read(tmp_path / "export", "events", "parquet")} == {str(day)}
    assert [seal["number"] for seal in read(tmp_path / "export", "seals", "parquet")] == [2, 3]
    assert verified(tmp_path / "export", "parquet") == str(chain.verify().head)


def test_an_export_never_mixes_with_files_that_are_there(
    engine: sa.Engine, chain: Seals, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "events.csv").write_text("mine")
    with pytest.raises(FolderNotEmpty, match="new or empty"):
        export(
            engine,
            chain,
            tmp_path,
            first=date(2026, 1, 1),
            last=date(2026, 2, 1),
            form="csv",
            now=clock.now(),
        )
    assert (tmp_path / "events.csv").read_text() == "mine"


def test_the_script_of_the_guide_verifies_an_export_and_finds_a_change_and_an_insertion(
    engine: sa.Engine, chain: Seals, clock: ManualClock, tmp_path: Path
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")
    script = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0]
    day, folder = clock.now().date(), tmp_path / "export"
    export(engine, chain, folder, first=day - timedelta(days=9), last=day, form="parquet", now=clock.now())

    def look() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", script, str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert look().stdout == f"whole; the newest seal is {chain.verify().head}\n"
    table = pyarrow.parquet.read_table(folder / "events.parquet")

    def write(rows: Table) -> None:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, table.schema), folder / "events.parquet")

    rows = table.to_pylist()
    write([*rows[:3], {**rows[3], "detail": "{}"}, *rows[4:]])
    assert "AssertionError" in look().stderr
    slipped_in = {**rows[0], "id": 0}
    text = json.dumps([*slipped_in.values()][:-1], ensure_ascii=False, separators=(",", ":"))
    write([{**slipped_in, "digest": hashlib.sha256(text.encode()).hexdigest()}, *rows])
    assert "AssertionError" in look().stderr
    write(rows)
    assert look().returncode == 0
