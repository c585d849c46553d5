"""A read of many days that was cut off goes on after the last day it finished."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mlc_dagster import flow
from mlc_dagster.lake import Lake
from mlc_dagster.progress import Sweeps
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.reader import ReadReport
from tests.support.house import House
from tests.support.manual_clock import ManualClock

SUPPLIERS = ENTITIES["suppliers"]
KILLED_WHILE_WRITING = """
import os, signal, sys
from datetime import date
from mlc_dagster import flow
from mlc_dagster.lake import Lake
from mlc_dagster.outlook import span
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
first, last, deadly = map(date.fromisoformat, sys.argv[1:])
write = Lake.write_day
def write_day(self, entity, company, day, *rest):
    if day == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, entity, company, day, *rest)
Lake.write_day = write_day
flow.read(Suite(load_settings()), ENTITIES["suppliers"], "NO01", span(first, last), run_id="killed")
"""


class Killed(BaseException):
    """Ends a read as a dying process would: nobody catches it."""


@contextmanager
def dying(method: str, day: date | None = None) -> Iterator[None]:
    """Die when the lake is asked to write this day, or at the call of another method."""
    original = getattr(Lake, method)

    def deadly(self: Lake, entity: str, company: str, *rest: Any, **options: Any) -> Any:
        if day is None or rest[0] == day:
            raise Killed
        return original(self, entity, company, *rest, **options)

    with patch.object(Lake, method, deadly), pytest.raises(Killed):
        yield


def read(house: House, days: list[date] | None = None) -> tuple[ReadReport, list[date]]:
    """Read suppliers; the report, and the days that were read."""
    seen: list[date] = []
    report = flow.read(
        house.suite(),
        SUPPLIERS,
        "NO01",
        days or house.days,
        run_id="test",
        on_day=lambda day, _: seen.append(day),
    )
    return report, seen


def asked_since(house: House) -> str | None:
    """From when on the newest sweep asked the ERP for changes; None for everything."""
    path = house.sandbox.log.calls("visma", match=r"/supplier\?")[-1].path
    found = [part for part in path.split("&") if "lastModifiedDateTime=" in part]
    return found[0].partition("=")[2].replace("%3A", ":") if found else None


def suppliers(house: House) -> int:
    return len(house.sandbox.visma.truth("NO01", "supplier"))


def held(house: House) -> int:
    latest = house.suite().lake.latest("suppliers", "NO01")
    return 0 if latest is None else len(latest)


def test_a_killed_read_started_again_does_not_read_finished_days_again(house: House) -> None:
    days = house.days
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, *map(str, (days[0], days[-1], days[4]))]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert killed.returncode == -9, killed.stderr
    lake = house.suite().lake
    before = {day: lake.note("suppliers", "NO01", day) for day in days[:4]}
    _, seen = read(house)
    assert seen == days[4:]
    assert asked_since(house) == f"{days[4]}T00:00:00"
    assert {day: lake.note("suppliers", "NO01", day) for day in days[:4]} == before
    assert held(house) == suppliers(house)


def test_a_step_that_is_tried_again_goes_on_too(house: House) -> None:
    days = house.days
    write, failed = Lake.write_day, []

    def write_day(self: Lake, entity: str, company: str, day: date, *rest: Any) -> bool:
        if day == days[3] and not failed:
            failed.append(day)
            raise OSError("the share is gone for a moment")
        return write(self, entity, company, day, *rest)

    with patch.object(Lake, "write_day", write_day):
        assert house.read("suppliers").success
    assert asked_since(house) == f"{days[3]}T00:00:00"
    assert house.sandbox.log.count("visma", match=r"/supplier\?") == 2
    assert held(house) == suppliers(house)


def test_days_that_had_not_ended_are_read_again(house: House) -> None:
    days = house.days
    with dying("compact"):
        read(house)
    lake = house.suite().lake
    assert [day for day in days if not lake.notes("suppliers", "NO01")[day].complete] == days[-2:]
    assert read(house)[1] == days[-2:]


def test_a_replay_of_known_days_goes_on_as_well(house: House) -> None:
    days = house.days
    read(house)
    shutil.rmtree(Path(house.settings.lake_url) / "suppliers")
    with dying("write_day", days[5]):
        read(house)
    assert read(house)[1] == days[5:]


def test_a_read_that_ended_is_read_anew_the_next_time(house: House) -> None:
    for _ in range(2):
        assert read(house)[1] == house.days
        assert asked_since(house) is None


def test_what_the_lake_lost_meanwhile_is_read_anew(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    shutil.rmtree(Path(house.settings.lake_url) / "suppliers")
    assert read(house)[1] == house.days
    assert held(house) == suppliers(house)


def test_another_range_or_company_does_not_go_on(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    assert read(house, house.days[1:])[1] == house.days[1:]
    report = flow.read(house.suite(), SUPPLIERS, "SE01", house.days, run_id="test")
    assert sorted(report.rows) == house.days


def test_a_read_that_was_cut_off_long_ago_begins_anew(house: House) -> None:
    with dying("write_day", house.days[4]):
        read(house)
    later = ManualClock(house.clock.now() + timedelta(hours=25))
    sweep = Sweeps(house.suite().engine, later).begin("suppliers", "NO01", house.days[0], house.today)
    assert sweep.reached is None
    assert read(house)[1] == house.days
