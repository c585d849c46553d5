"""`mlc x12 validate` and `mlc x12 show`, as they are run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.x12.examples import FOLDER, content
from tests.x12.faults import NOTICE, ORDER

MLC = [sys.executable, "-m", "mlc_dagster.cli", "x12"]


def run(command: str, file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*MLC, command, str(file)], capture_output=True, text=True, check=False)


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.edi"
    file.write_bytes(
        content(NOTICE).replace(b"SN1*1*10*EA**", b"SN1*1*10*XX**").replace(b"CTT*4~", b"CTT*3~")
    )
    return file


def test_a_valid_file_passes_and_is_counted() -> None:
    done = run("validate", FOLDER / f"{ORDER}.edi")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 interchange, 1 group, 1 set; found: 0 errors, 0 tolerated, 0 warnings." in done.stdout


def test_every_finding_is_a_line_with_the_file_and_the_exit_code_is_1(faulty: Path) -> None:
    done = run("validate", faulty)
    first, second, last = done.stdout.splitlines()
    assert done.returncode == 1
    assert first.startswith(
        f"{faulty}: error: interchange 000000077, group SH 77, set 856 0001 (NK55210): SN1 03"
    )
    assert "CTT 01, segment 27" in second
    assert "2 errors" in last


def test_a_warning_alone_does_not_fail(tmp_path: Path) -> None:
    file = tmp_path / "loose.edi"
    file.write_bytes(content(ORDER).replace(b"CUR*BY*NOK~", b"CUR*BY*NOK*~"))
    done = run("validate", file)
    assert done.returncode == 0
    assert "1 warning" in done.stdout


@pytest.mark.parametrize("command", ["validate", "show"])
def test_what_is_no_x12_is_an_error_that_names_the_file(command: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("number;date\n")
    done = run(command, file)
    assert done.returncode == 1
    assert f"{file}: Character 1: an ISA segment was expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_shown_with_names_meanings_and_its_tree(faulty: Path) -> None:
    shown = run("show", faulty).stdout
    assert "Interchange 000000077: NORDLYSSE (ZZ) to FJORDVIKNO (ZZ), 261127 1431, test" in shown
    assert re.search(
        r"^Set 856 0001: Ship notice NK55210 *\nno\. +loop +segment +elements", shown, re.MULTILINE
    )
    assert "03 Level: S (shipment)" in shown
    tree = shown[shown.index("Levels") :]
    assert tree.index("1 shipment") < tree.index("2 order: PO000123") < tree.index("3 item: 1 BP SKRUE-M8")
    assert "SN1 03, segment 20" in tree
