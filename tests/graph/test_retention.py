"""The nightly removal is there where mlc.yaml lets something go, and the audit trail stays whole."""

from datetime import timedelta

from mlc_dagster.delivery import Kind
from tests.graph.conftest import MakeHouse
from tests.support.house import QUIET, House


def test_no_job_where_everything_is_kept(house: House) -> None:
    repository = house.definitions.get_repository_def()
    assert "retention" not in {schedule.name for schedule in repository.schedule_defs}


def test_old_events_go_at_night_and_the_trail_says_so(make_house: MakeHouse) -> None:
    house = make_house(destinations=["suppliers"], retention={"events_days": 30})
    schedules = house.definitions.get_repository_def().schedule_defs
    (nightly,) = [schedule for schedule in schedules if schedule.name == "retention"]
    assert nightly.default_status.value == "RUNNING"
    assert house.run().success
    suite = house.suite()
    before = suite.seals.verify()
    assert (before.unsealed, before.removed) == (0, 0), "each delivery seals what it wrote"
    house.clock.sleep(timedelta(days=31).total_seconds())
    job = house.definitions.resolve_job_def("retention")
    assert job.execute_in_process(instance=house.instance, run_config=QUIET).success
    after = suite.seals.verify()
    assert (after.broken, after.unsealed) == (0, 0)
    assert after.removed > 0
    newest = suite.audit.newest("mlc/audit", Kind.REMOVED)
    assert newest is not None
    assert newest.detail["removed"] == after.removed
