"""A short run of the campaign over processes, with one pair; `make prove` is the long one, with all."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from multiprocessing import forkserver
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from mlc_dagster.visma.keysweep import TooMuchGone
from tests.prove import worker
from tests.prove.campaign import Round
from tests.prove.equal import differences
from tests.prove.erp import Comment, Office
from tests.prove.lives import LOOK, begin, ended, lives
from tests.prove.world import world

pytestmark = pytest.mark.kill


def test_after_a_wave_of_trouble_the_board_is_equal_to_the_erp_and_what_is_lost_later_is_found_out(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path}/mlc.db"
    made = world(tmp_path, seed=5, scale="0.02", companies=("NO01",), pairs=("asana",), database=database)
    with made as held:
        lived = Round(held, seed=5)
        lived.live(first=True)
        assert lived.wrong == []
        assert lived.done["rows compared with the ERP"] > 10
        assert lived._task("verify")["unlike"] == []
        with closing(sqlite3.connect(tmp_path / "mlc.db")) as ledger, ledger:
            noted = "destination = 'asana/purchase_orders' AND state = 'delivered'"
            [key] = ledger.execute(f"SELECT min(key) FROM records WHERE {noted}").fetchone()
            ledger.execute("UPDATE records SET hash = 'of another row' WHERE key = ?", [key])
        [unlike] = lived._task("verify")["unlike"]
        assert unlike.startswith(f"asana/purchase_orders {key} is to be changed by what the lake holds")
        project = held.settings["pairs"]["asana"]["destinations"]["supplier_invoices"]["project"]
        task, other = held.control("GET", f"/asana/control/projects/{project}/tasks")[:2]
        held.control("POST", f"/asana/control/tasks/{task['gid']}/trash", {})
        at_work = Office(held, Random(5))
        key = other["custom_fields"]["SupplierInvoiceId"].partition("|")[2]
        at_work.comments = [Comment(other["gid"], "NO01", "supplierInvoice", key, "Never carried back")]
        _, found = differences(held, {}, known=set(), asked=set(), office=at_work)
        assert [line.partition(": ")[2] for line in found] == [
            "missing",
            "'Never carried back' is there 0 times",
        ]


def test_a_sweep_that_asks_about_a_company_s_only_record_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sweep(
        _suite: object, entity: SimpleNamespace, company: str, *, run_id: str, confirmed: int = 0
    ) -> int:
        if confirmed < entity.gone:
            raise TooMuchGone(entity.name, company, held=1, missing=entity.gone)
        return confirmed

    notes, invoices = SimpleNamespace(name="credit notes", gone=1), SimpleNamespace(name="invoices", gone=0)
    monkeypatch.setattr(worker.sweeps, "sweep", sweep)
    monkeypatch.setattr(worker.sweeps, "entities_of", lambda *_: [notes, invoices])
    suite = SimpleNamespace(settings=SimpleNamespace(companies=["NO01"]))
    worker.TASKS["confirmed sweep"](suite)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "NO01 credit notes: 1\nNO01 invoices: 0\n"
    with pytest.raises(TooMuchGone):
        worker.TASKS["sweep"](suite)  # type: ignore[arg-type]


def test_an_exit_code_is_read_by_one_look_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    read = forkserver.read_signed

    def watched(file: int) -> int:
        looks.append(LOOK.locked())
        return read(file)

    monkeypatch.setattr(forkserver, "read_signed", watched)
    first, second = begin(os._exit, 3), begin(os._exit, 0)
    while lives(first):
        time.sleep(0)
    assert [ended(first, 60), ended(second, 60)] == [3, 0]
    # The id of each process, and its exit code.
    assert looks == [True] * 4


def test_a_process_that_hangs_is_killed_and_has_no_exit_code() -> None:
    assert ended(begin(signal.pause), 0.1) is None


def test_a_killed_process_ends_with_its_signal() -> None:
    process = begin(signal.pause)
    process.kill()
    assert ended(process, 60) == -signal.SIGKILL
