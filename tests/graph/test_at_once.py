"""Two runs at once for one destination: the lease lets one write, the other follows, and both end well."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from unittest.mock import patch

import dagster as dg
import pytest

from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.suite import Suite
from tests.support.house import House
from tests.support.planning import expected
from tests.support.sandbox_time import SandboxTime

MODULE = "DAT01 Suppliers"
MODEL = "anaplan/suppliers"


class RealTime(SandboxTime):
    """Waits are short but real: while one run waits for a lease, the other one's must not run out."""

    def sleep(self, seconds: float) -> None:
        sleep(min(seconds, 0.02))


@pytest.fixture(autouse=True)
def real_time(house: House) -> Iterator[None]:
    clock = RealTime(house.sandbox.clock)
    with patch("mlc_dagster.graph.resource.Suite", lambda settings: Suite(settings, clock)):
        yield


def twice(house: House, *assets: str) -> list[dg.ExecuteInProcessResult]:
    """The same run, by two daemons at the same moment."""
    house.sandbox.faults.arm("anaplan", "slow_model", match="Suppliers", times=None, polls=5)
    start, tags = Barrier(2), range_tags("NO01", house.days[0], house.today)

    def run(_: int) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            start.wait()
            return house.materialize(*assets, tags=tags, instance=instance)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


def counted(results: list[dg.ExecuteInProcessResult], name: str) -> list[int]:
    """A number of each run's delivery, the smaller one first."""
    events = [result.asset_materializations_for_node("anaplan__suppliers")[-1] for result in results]
    return sorted(int(event.metadata[name].value) for event in events)  # type: ignore[arg-type]


def test_two_deliveries_at_once_send_every_row_once(house: House) -> None:
    assert house.read("suppliers").success
    results = twice(house, MODEL)
    assert all(result.success for result in results)
    suppliers = len(house.sandbox.visma.truth("NO01", "supplier"))
    assert counted(results, "created") == [0, suppliers]
    assert counted(results, "unchanged") == [0, suppliers]
    assert house.imports() == 2, "the list and its data, once"


def test_two_whole_runs_at_once_end_well_and_equal(house: House) -> None:
    results = twice(house, "visma/suppliers", "anaplan/rows/suppliers", MODEL)
    assert all(result.success for result in results)
    assert house.imports() == 2
    assert house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]
    assert house.suite().ledger.unresolved(MODEL, None) == []
