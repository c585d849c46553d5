"""What `mlc check` tells: the end of creation by date, and what is not certain without queries."""

from datetime import date

import pytest

from mlc_dagster.delivery.errors import Stop
from mlc_dagster.powerbi.retirement import warning
from mlc_dagster.target import NotSetUp
from mlc_dagster.transport.errors import Misconfigured
from tests.powerbi.tenant import invoice


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2026, 10, 30), ""),
        (date(2026, 10, 31), "365 days are left"),
        (date(2027, 10, 31), "0 days are left"),
        (date(2027, 11, 1), "ended the creation of push datasets on 31 Oct 2027: keep this one"),
    ],
)
def test_the_end_of_creation_is_told_during_its_last_year(today, said):
    assert said in warning(today)
    assert bool(warning(today)) == bool(said)


def test_a_dataset_that_is_set_up_is_named(ours):
    assert ours.powerbi.dataset.id in ours.powerbi.look()


def test_without_queries_the_residual_risk_is_told(install, sandbox):
    sandbox.powerbi.switches["execute_queries"] = "not_for_push"
    ours = install()
    ours.set_up()
    assert "not verified by queries" in ours.powerbi.look()


def test_before_the_set_up_it_says_what_to_run(install):
    with pytest.raises(NotSetUp, match="mlc powerbi setup"):
        install().powerbi.look()


@pytest.mark.parametrize("face", [401, 403, 404])
def test_whichever_face_a_missing_role_shows_the_words_say_what_to_switch_on(ours, sandbox, face):
    world = sandbox.powerbi.world
    sandbox.powerbi.switches["no_role_face"] = face
    world.grant(world.workspace_id, None)
    with pytest.raises(Misconfigured, match="Member or Admin of the workspace") as told:
        ours.powerbi.look()
    assert "Service principals can call Fabric public APIs" in str(told.value)
    with pytest.raises(Stop, match="never create another"):
        ours.deliver([invoice("1")])


def test_a_token_that_is_expired_at_once_is_told_as_such_and_not_as_a_switch(ours, sandbox):
    sandbox.faults.arm("powerbi", "token_expired", match="executeQueries", times=2)
    with pytest.raises(Stop, match=r"TokenExpired.*called the token expired, and then the one made") as told:
        ours.deliver([invoice("1")])
    assert "REST API" not in str(told.value)


def test_a_token_that_is_expired_at_once_does_not_count_as_a_tenant_without_queries(install, sandbox):
    sandbox.faults.arm("powerbi", "token_expired", match="executeQueries", times=2)
    with pytest.raises(Misconfigured, match="TokenExpired"):
        install().set_up()
    install().set_up()
    assert install().powerbi.verifies
