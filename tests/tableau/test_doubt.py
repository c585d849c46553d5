"""Lost answers, jobs that fail, hang or are forgotten, and calls that come late: the extract stays exact.

Where Tableau's behaviour is not known the sandbox has a switch, and the tests run both ways.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.delivery import Comparison, reconcile
from mlc_dagster.delivery.errors import Closed, Stop
from mlc_dagster.tableau import hyper
from mlc_sandbox.server import Sandbox
from mlc_sandbox.tableau import World
from tests.support.parts import TestParts
from tests.tableau.site import INVOICES, TITLE, Installation, changed_contract, invoice, switched

PUBLISH, UPDATE, CHUNK = r"POST .*/datasources\?", r"PATCH .*/data\?", r"PUT .*/fileUploads/"
FIRST = [invoice("1"), invoice("2"), invoice("3")]
SECOND = [invoice("1", "10"), invoice("2"), invoice("4")]
THIRD = [invoice("1", "1000"), invoice("2"), invoice("5")]

# The defaults are in all the other tests.
UNKNOWN = [
    {"duplicate_request": "empty_job"},
    {"failed_request_blocks": False, "actions_atomic": False, "success_code": 3},
]


@pytest.fixture(params=UNKNOWN, ids=lambda switches: ", ".join(switches) or "as assumed")
def either_way(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[None]:
    with switched(sandbox, **request.param):
        yield


def second(ours: Installation) -> Any:
    return ours.deliver(SECOND, gone=FIRST, run="2")


def third(ours: Installation) -> Any:
    return ours.deliver(THIRD, gone=SECOND, run="3")


def healed(ours: Installation, sandbox: Sandbox) -> None:
    """Delivered in the end; and the next delivery is not undone by anything that was late."""
    ours.heal(lambda: second(ours))
    # What did not land goes again with the next run.
    ours.heal(lambda: second(ours))
    ours.heal(lambda: third(ours))
    sandbox.tableau.release()
    assert ours.shown() == ours.wanted(THIRD)


UPDATE_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("drop_connection", {"when": "before"}),
    ("drop_connection", {"when": "after"}),
    ("late_call", {"calls": 1}),
    ("late_call", {"calls": 3}),
    ("server_error", {"status": 502, "html": True}),
    ("job_ends", {"code": 1, "note": "out of memory"}),
    ("job_ends", {"code": 1, "applied": True}),
    ("job_ends", {"code": 2, "note": "cancelled by an administrator"}),
    ("job_ends", {"code": None, "applied": True}),
    ("token_expired", {}),
    ("upload_lost", {}),
]


@pytest.mark.parametrize(("fault", "how"), UPDATE_FAULTS)
def test_an_update_in_doubt_is_settled(
    ours: Installation, sandbox: Sandbox, fault: str, how: dict[str, Any]
) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", fault, match=UPDATE, **how)
    healed(ours, sandbox)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("fault", "how"), [UPDATE_FAULTS[1], UPDATE_FAULTS[2]])
def test_an_update_in_doubt_is_settled_whatever_tableau_does_with_a_request_id(
    ours: Installation, sandbox: Sandbox, fault: str, how: dict[str, Any]
) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", fault, match=UPDATE, **how)
    healed(ours, sandbox)


@pytest.mark.usefixtures("either_way")
def test_a_failed_job_whose_start_was_not_answered_is_found_out(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "job_ends", match=UPDATE, code=1)
    sandbox.faults.arm("tableau", "drop_connection", match=UPDATE, when="after")
    healed(ours, sandbox)


def test_a_data_source_that_takes_no_update_any_more_is_published_again(
    ours: Installation, sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    """Somebody has published another file in its place."""
    ours.deliver(FIRST)
    shape, other = ours.destination().shape, tmp_path / "other.hyper"
    hyper.write(other, [hyper.Content("Other", [shape.key], shape.key, ['{"code":"1"}'])])
    world.datasource(TITLE).file = world.files.new(other.read_bytes())
    for _ in range(2):
        assert second(ours).not_landed == 1
    assert second(ours).complete
    assert ours.shown() == ours.wanted(SECOND)
    third(ours)
    assert ours.shown() == ours.wanted(THIRD)
    assert sandbox.log.count("tableau", method="POST", match=PUBLISH.removeprefix("POST ")) == 2


def test_columns_that_change_while_a_publication_is_in_doubt_are_published_after_it(
    ours: Installation, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.arm("tableau", "server_error", match="GET .*/jobs/", times=20, status=503)
    with pytest.raises(Closed):
        ours.deliver(FIRST)
    sandbox.faults.clear()
    changed = changed_contract(tmp_path / "models", "{caption: VAT amount}", "{caption: VAT}")
    monkeypatch.setattr(TestParts, "mappings", changed)
    ours.heal(lambda: ours.deliver(FIRST))
    ours.heal(lambda: second(ours))
    assert ours.shown() == ours.wanted(SECOND)


@pytest.mark.usefixtures("either_way")
def test_a_job_that_hangs_is_waited_for_and_never_overtaken(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    ours = install(job_patience_seconds=30)
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "job_stuck", match=UPDATE, seconds=3600)
    sandbox.faults.arm("tableau", "drop_connection", match=UPDATE, when="after")
    for _ in range(2):
        with pytest.raises(Closed) as closed:
            second(ours)
        ours.clock.sleep((closed.value.opens_at - ours.clock.now()).total_seconds() + 1)
    ours.clock.sleep(3600)
    healed(ours, sandbox)


def test_a_job_that_does_not_say_when_it_ended_is_not_waited_for_for_ever(
    install: Callable[..., Installation], sandbox: Sandbox
) -> None:
    ours = install(job_patience_seconds=5)
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "job_ends", match=UPDATE, code=0, applied=True, completed_at="missing")
    healed(ours, sandbox)


def test_a_job_that_tableau_has_forgotten_is_settled(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "job_unknown", match="GET .*/jobs/")
    healed(ours, sandbox)


# Within the quiet time: a call that comes later than any timeout is none.
PUBLISH_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("drop_connection", {"when": "after"}),
    ("late_call", {"seconds": 100}),
    ("job_ends", {"code": 1, "applied": True}),
    ("job_ends", {"code": None}),
    ("upload_lost", {}),
]


@pytest.mark.parametrize(("fault", "how"), PUBLISH_FAULTS)
def test_a_publication_in_doubt_is_made_again(
    ours: Installation, sandbox: Sandbox, world: World, fault: str, how: dict[str, Any]
) -> None:
    sandbox.faults.arm("tableau", fault, match=PUBLISH, **how)
    ours.heal(lambda: ours.deliver(FIRST))
    ours.heal(lambda: ours.deliver(FIRST))
    ours.heal(lambda: second(ours))
    sandbox.tableau.release()
    assert ours.shown() == ours.wanted(SECOND)
    assert len([found for found in world.site().datasources.values() if found.name == TITLE]) == 1


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps its id", "gets another id"])
def test_a_publication_that_shows_after_minutes_is_found_and_not_made_twice(
    ours: Installation, sandbox: Sandbox, keeps: bool
) -> None:
    with switched(sandbox, index_lag_lists=25, overwrite_keeps_id=keeps):
        began = ours.clock.now()
        ours.heal(lambda: ours.deliver(FIRST))
        assert (ours.clock.now() - began).total_seconds() > 60
        ours.heal(lambda: second(ours))
    assert ours.shown() == ours.wanted(SECOND)
    assert sandbox.log.count("tableau", method="POST", match=PUBLISH.removeprefix("POST ")) == 1


@pytest.mark.parametrize("answered", [True, False])
def test_a_publication_that_waits_longer_than_the_quiet_time_is_not_overtaken(
    install: Callable[..., Installation], sandbox: Sandbox, answered: bool
) -> None:
    """Its job is in the list of jobs, so nothing is sent until it has ended."""
    ours = install(job_patience_seconds=5)
    sandbox.faults.arm("tableau", "job_stuck", match=PUBLISH, seconds=400)
    if not answered:
        sandbox.faults.arm("tableau", "drop_connection", match=PUBLISH, when="after")
    publications = PUBLISH.removeprefix("POST ")
    with pytest.raises(Closed):
        ours.deliver(FIRST)
    ours.clock.sleep(200)
    with pytest.raises(Closed):
        ours.deliver(FIRST)
    assert sandbox.log.count("tableau", method="POST", match=publications) == 1
    ours.clock.sleep(200)
    ours.heal(lambda: second(ours))
    ours.heal(lambda: second(ours))
    assert ours.shown() == ours.wanted(SECOND)


def late_publication(ours: Installation, sandbox: Sandbox, seconds: int) -> Comparison:
    """The first one comes when nobody expects it any more, and takes the place of the second one."""
    sandbox.faults.arm("tableau", "late_call", match=PUBLISH, seconds=seconds)
    ours.heal(lambda: ours.deliver(FIRST))
    ours.heal(lambda: second(ours))
    ours.clock.sleep(500)
    sandbox.tableau.release()
    return compared(ours)


def compared(ours: Installation) -> Comparison:
    return reconcile(
        ours.ledger, ours.tableau.read_back("supplier_invoices"), INVOICES, "NO01", tombstone=None
    )


def test_a_publication_that_comes_within_the_quiet_time_does_no_harm(
    ours: Installation, sandbox: Sandbox
) -> None:
    assert late_publication(ours, sandbox, 100).equal


def test_a_publication_that_comes_after_the_quiet_time_is_undone_by_the_next_delivery(
    ours: Installation, sandbox: Sandbox
) -> None:
    found = late_publication(ours, sandbox, 400)
    assert (found.different, found.missing, found.revived) == (2, 1, 1)
    third(ours)
    assert ours.shown() == ours.wanted(THIRD)
    assert sandbox.log.count("tableau", method="POST", match=PUBLISH.removeprefix("POST ")) == 3


def test_where_an_overwrite_keeps_the_old_description_a_late_publication_is_only_found(
    ours: Installation, sandbox: Sandbox
) -> None:
    with switched(sandbox, overwrite_describes=False):
        assert not late_publication(ours, sandbox, 400).equal
        third(ours)
        assert not compared(ours).equal
        # And no number that never changes makes us publish again and again.
        assert sandbox.log.count("tableau", method="POST", match=PUBLISH.removeprefix("POST ")) == 2


def test_a_description_somebody_wrote_is_no_older_publication(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver(FIRST)
    world.datasource(TITLE).description = "Ask finance"
    second(ours)
    assert ours.shown() == ours.wanted(SECOND)
    assert sandbox.log.count("tableau", method="POST", match=PUBLISH.removeprefix("POST ")) == 1


def test_a_chunk_without_an_answer_begins_the_upload_again(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.tableau.client.CHUNK", 20_000)
    sandbox.faults.arm("tableau", "drop_connection", match=CHUNK, when="after")
    ours.deliver(FIRST)
    assert ours.shown() == ours.wanted(FIRST)
    sandbox.faults.arm("tableau", "upload_lost", match=CHUNK)
    healed(ours, sandbox)


def test_an_upload_that_never_succeeds_leaves_nothing_in_doubt(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "drop_connection", match=CHUNK, times=3)
    assert second(ours).not_landed == 1
    assert ours.ledger.unresolved("tableau/supplier_invoices", "NO01") == []
    healed(ours, sandbox)


THROTTLES: list[tuple[dict[str, Any], int]] = [
    ({"retry_after_header": False, "throttle_text": "minutes"}, 600),
    ({"retry_after_header": True, "throttle_text": "none"}, 570),
    ({"retry_after_header": True, "throttle_text": "minutes"}, 570),
    ({"retry_after_header": False, "throttle_text": "none"}, 120),
]


@pytest.mark.parametrize(("how", "seconds"), THROTTLES)
def test_a_lockout_is_waited_out_as_its_header_or_else_its_words_say(
    ours: Installation, sandbox: Sandbox, how: dict[str, Any], seconds: int
) -> None:
    ours.deliver(FIRST)
    with switched(sandbox, **how):
        sandbox.faults.arm("tableau", "rate_limit", match=UPDATE, seconds=570)
        with pytest.raises(Closed) as closed:
            second(ours)
    assert seconds - 10 < (closed.value.opens_at - ours.clock.now()).total_seconds() <= seconds
    sandbox.log.reset()
    with pytest.raises(Closed):
        second(ours)
    assert sandbox.log.calls("tableau") == []
    healed(ours, sandbox)


def test_a_questions_failure_does_not_take_an_open_update_for_failed(
    ours: Installation, sandbox: Sandbox
) -> None:
    ours.deliver(FIRST)
    sandbox.faults.arm("tableau", "server_error", match="GET .*/jobs/", times=20, status=503)
    with pytest.raises(Closed):
        second(ours)
    assert len(ours.ledger.unresolved("tableau/supplier_invoices", "NO01")) == 1
    sandbox.faults.clear()
    healed(ours, sandbox)


def test_a_full_storage_stops_and_says_so(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.arm("tableau", "server_error", match=PUBLISH, status=403, message="quota")
    with pytest.raises(Stop, match="storage"):
        ours.deliver(FIRST)
