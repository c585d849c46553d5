"""Datasets that depend on ours are refreshed once a run that changed something, and never fail it."""

import pytest

START = "/refreshes$"


@pytest.fixture
def dependent(world) -> str:
    return next(dataset.id for dataset in world.datasets.values() if not dataset.push)


@pytest.fixture
def refreshes(install, dependent):
    ours = install(refresh=(dependent,))
    ours.set_up()
    return ours.powerbi.refreshes


def asked(sandbox) -> int:
    return sandbox.log.count("powerbi", method="POST", match=START)


def test_a_run_that_changed_something_refreshes_after_its_last_table(refreshes, sandbox, world, dependent):
    sandbox.powerbi.switches["dedicated_capacity"] = True
    refreshes.delivered(changed=True, last=False)
    assert asked(sandbox) == 0
    refreshes.delivered(changed=False, last=True)
    assert asked(sandbox) == 1
    assert world.dataset(dependent).refreshes[0].status == "Completed"


def test_a_run_without_changes_refreshes_nothing(refreshes, sandbox):
    refreshes.delivered(changed=False, last=True)
    assert asked(sandbox) == 0


def test_without_a_dedicated_capacity_a_plain_refresh_is_asked_for(refreshes, world, dependent):
    refreshes.delivered(changed=True, last=True)
    (refresh,) = world.dataset(dependent).refreshes
    assert refresh.enhanced is None


@pytest.mark.parametrize("status", [400, 429])
def test_a_used_up_quota_fails_nothing_and_is_asked_again_with_the_next_run(refreshes, sandbox, status):
    sandbox.powerbi.switches.update({"refreshes_per_day": 1, "refresh_quota_status": status})
    refreshes.delivered(changed=True, last=True)
    refreshes.delivered(changed=True, last=True)
    sandbox.powerbi.switches["refreshes_per_day"] = 8
    sandbox.log.reset()
    refreshes.delivered(changed=False, last=True)
    assert asked(sandbox) == 2  # enhanced, then plain


def test_a_dataset_that_is_gone_fails_nothing(install):
    ours = install(refresh=("00000000-0000-0000-0000-000000000000",))
    ours.set_up()
    ours.powerbi.refreshes.delivered(changed=True, last=True)
