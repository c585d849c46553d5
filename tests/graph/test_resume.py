"""A read that was cut off goes on: pages that came are not asked for, finished days are not written again."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mlc_dagster import flow
from mlc_dagster.lake import Lake, Spool
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.reader import ReadReport
from tests.graph.conftest import MakeHouse
from tests.support.house import House

SUPPLIERS = ENTITIES["suppliers"]
# Dies when the given method is called for the given time.
KILLED = """
import os, signal, sys
from datetime import date
from mlc_dagster import flow
from mlc_dagster.lake import Lake, Spool
from mlc_dagster.outlook import span
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
first, last = map(date.fromisoformat, sys.argv[1:3])
owner, name, at = {"Lake": Lake, "Spool": Spool}[sys.argv[3]], sys.argv[4], int(sys.argv[5])
method, calls = getattr(owner, name), []
def deadly(self, *rest, **options):
    calls.append(name)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(self, *rest, **options)
setattr(owner, name, deadly)
flow.read(Suite(load_settings()), ENTITIES["suppliers"], "NO01", span(first, last), run_id="killed")
"""


@pytest.fixture
def house(make_house: MakeHouse) -> Iterator[House]:
    """Its ERP gives three suppliers a page, and has changed suppliers on more than four days."""
    house = make_house(destinations=["suppliers"], days=8)
    switches = house.sandbox.visma.switches
    before = switches["page_cap"]
    switches["page_cap"] = 3
    yield house
    switches["page_cap"] = before


class Dead(BaseException):
    """Ends a read as a dying process would: nobody catches it."""


@contextmanager
def dying(method: str, day: date | None = None) -> Iterator[None]:
    """Die when the lake is asked to write this day, or at the call of another method."""
    original = getattr(Lake, method)

    def deadly(self: Lake, entity: str, company: str, *rest: Any, **options: Any) -> Any:
        if day is None or rest[0] == day:
            raise Dead
        return original(self, entity, company, *rest, **options)

    with patch.object(Lake, method, deadly), pytest.raises(Dead):
        yield


def kill(house: House, owner: type, method: str, at: int) -> None:
    """Read in a process of its own that is killed at a call of a method."""
    where = (str(house.days[0]), str(house.days[-1]), owner.__name__, method, str(at))
    command = [sys.executable, "-c", KILLED, *where]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert killed.returncode == -9, killed.stderr


def read(house: House, days: list[date] | None = None) -> ReadReport:
    return flow.read(house.suite(), SUPPLIERS, "NO01", days or house.days, run_id="test")


def pages_asked(house: House) -> list[int]:
    """The pages of the whole list that were asked for so far, in order; looks at changes do not count."""
    calls = house.sandbox.log.calls("visma", match=r"/supplier\?")
    whole = [call.path for call in calls if "lastModifiedDateTime=" not in call.path]
    return sorted(int(path.split("pageNumber=")[1].split("&")[0]) for path in whole)


def pages(house: House) -> list[int]:
    return list(range(1, -(-len(house.sandbox.visma.truth("NO01", "supplier")) // 3) + 1))


def notes(house: House) -> dict[date, Any]:
    return house.suite().lake.notes("suppliers", "NO01")


def held(house: House) -> set[str]:
    latest = house.suite().lake.latest("suppliers", "NO01")
    return set() if latest is None else set(latest["_key"].to_pylist())


def truth(house: House) -> set[str]:
    return {row["number"] for row in house.sandbox.visma.truth("NO01", "supplier")}


def left_behind(house: House) -> list[Path]:
    return [path for path in (Path(house.settings.lake_url) / ".sweeps").rglob("*") if path.is_file()]


def test_a_read_killed_between_two_pages_asks_only_for_the_others(house: House) -> None:
    kill(house, Spool, "put", at=4)
    put_aside = [path for path in left_behind(house) if path.suffix == ".arrow"]
    # Two are put aside at a time: the third may have been under way too.
    assert len(put_aside) in (2, 3)
    read(house)
    again = pages_asked(house)[:]
    assert set(again) == set(pages(house))
    # What was on its way when the process died had not been put aside.
    assert {again.count(int(path.name.split("-")[1])) for path in put_aside} == {1}
    assert held(house) == truth(house)
    assert left_behind(house) == []


def test_a_read_killed_while_its_days_are_written_asks_for_no_page_and_writes_the_other_days(
    house: House,
) -> None:
    kill(house, Lake, "write_day", at=5)
    before = notes(house)
    assert sorted(before) == house.days[:4]
    report = read(house)
    assert pages_asked(house) == pages(house)
    assert {day: notes(house)[day] for day in house.days[:4]} == before
    assert set(report.written) >= set(house.days[4:])
    assert held(house) == truth(house)
    assert left_behind(house) == []


def test_a_step_that_is_tried_again_goes_on_too(house: House) -> None:
    write, failed = Lake.write_day, []

    def write_day(self: Lake, entity: str, company: str, day: date, *rest: Any, **options: Any) -> int:
        if day == house.days[3] and not failed:
            failed.append(day)
            raise OSError("the share is gone for a moment")
        return write(self, entity, company, day, *rest, **options)

    with patch.object(Lake, "write_day", write_day):
        assert house.read("suppliers").success
    assert pages_asked(house) == pages(house)
    assert held(house) == truth(house)


def test_what_changed_while_a_read_lay_still_is_in_the_lake_when_it_ends(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    key = min(truth(house))
    house.sandbox.visma.change("NO01", "supplier", key, {"name": "Changed Meanwhile AS"})
    read(house)
    latest = house.suite().lake.latest("suppliers", "NO01", [key])
    assert latest is not None
    assert latest["name"].to_pylist() == ["Changed Meanwhile AS"]


def test_a_read_cut_off_before_its_months_are_compacted_asks_for_no_page_again(house: House) -> None:
    with dying("compact"):
        read(house)
    read(house)
    assert pages_asked(house) == pages(house)
    assert left_behind(house) == []


def test_a_read_that_ended_is_read_anew_the_next_time(house: House) -> None:
    for times in (1, 2):
        read(house)
        assert pages_asked(house) == sorted(pages(house) * times)


def test_what_the_lake_lost_meanwhile_is_read_anew(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    shutil.rmtree(Path(house.settings.lake_url))
    assert read(house).written == house.days
    assert held(house) == truth(house)


def test_another_range_or_company_does_not_go_on(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    assert read(house, house.days[1:]).written == house.days[4:]
    report = flow.read(house.suite(), SUPPLIERS, "SE01", house.days, run_id="test")
    assert sorted(report.rows) == house.days
