import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from mlc_dagster.lake import Lake, LakeWriteFailed
from tests.lake.examples import amounts, note, row, table

PLACE = ("supplier_invoices", "NO01")
DAY = date(2026, 11, 20)

# The kernel refuses to let any file of this process grow beyond 4 kB: the same OSError path as a full disk.
WRITE_WITH_A_SMALL_LIMIT = """
import os, resource, sys
from datetime import date
from mlc_dagster.lake import Lake, LakeWriteFailed
from tests.lake.examples import note, row, table
rows = table(*(row(f"{number}", referenceNumber=f"{number * 7919}") for number in range(2000)))
lake = Lake(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    if sys.argv[2] == "write":
        lake.write_day("supplier_invoices", "NO01", date(2026, 11, 20), rows, note())
    else:
        lake.compact("supplier_invoices", "NO01", before=date(2026, 12, 1))
except LakeWriteFailed as error:
    print(error, flush=True)
    # The interpreter's own end would wait for Arrow's threads, which the limit also cut short.
    os._exit(7)
"""


def run_limited(folder: Path, what: str) -> str:
    command = [sys.executable, "-c", WRITE_WITH_A_SMALL_LIMIT, str(folder), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    return done.stdout


def test_a_full_disk_leaves_the_previous_day_and_no_litter(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_day(*PLACE, DAY, table(row("before")), note())
    message = run_limited(tmp_path, "write")
    path = tmp_path / "supplier_invoices/NO01/2026-11-20.parquet"
    assert f"Writing supplier_invoices of NO01, 2026-11-20, to {path} failed: File too large." in message
    assert "Free space" in message
    assert list(amounts(lake.latest(*PLACE))) == ["before"]
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_during_compaction_leaves_the_days(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = table(
        *(row(f"{number}", supplier={"number": f"{number * 7919}", "name": None}) for number in range(2000))
    )
    lake.write_day(*PLACE, DAY, rows, note())
    before = lake.fingerprint(*PLACE)
    assert "2026-11.parquet failed: File too large" in run_limited(tmp_path, "compact")
    assert lake.fingerprint(*PLACE) == before
    assert len(list((tmp_path / "supplier_invoices/NO01").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "supplier_invoices").write_text("a file where the folder should be")
    with pytest.raises(LakeWriteFailed, match=r"NO01, 2026-11-20, to .* failed: .*directory") as caught:
        Lake(str(tmp_path)).write_day(*PLACE, DAY, table(row("1")), note())
    assert (caught.value.entity, caught.value.company) == PLACE
