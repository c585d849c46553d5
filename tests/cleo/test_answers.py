"""What partners' systems say of our documents: 997s and TA1s, in whatever order and form they come."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.cleo.outbox import State
from mlc_sandbox.cleo.mailbox import DOWNLOAD
from mlc_sandbox.cleo.switches import CHOICES
from mlc_sandbox.cleo.world import World
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import ORDERS, Installation, line, order

Install = Callable[..., Installation]


def answer(sandbox: Sandbox, how: str) -> None:
    sandbox.cleo.switches["partner_answer"] = how


def test_a_document_is_sent_until_its_partner_has_answered(ours: Installation) -> None:
    ours.deliver(order("1"))
    assert ours.states() == {"1": "sent"}
    assert ours.receive().noted.documents == {"acknowledged": 1}
    assert ours.states() == {"1": "acknowledged"}


def test_errors_a_partner_can_live_with_are_kept_in_words(ours: Installation, sandbox: Sandbox) -> None:
    answer(sandbox, "accept_errors")
    ours.deliver(order("1"))
    ours.receive()
    ((state, found),) = ours.standing()
    assert state == "acknowledged with errors"
    assert found.entry.detail["errors"] == ["BEG at 2: code 8, element 3 code 7 (1)"]


def test_of_a_group_only_the_set_that_is_named_is_rejected(ours: Installation, sandbox: Sandbox) -> None:
    answer(sandbox, "reject_set")
    ours.deliver(order("1"), order("2"))
    assert ours.receive().noted.documents == {"rejected": 1, "acknowledged": 1}
    assert ours.states() == {"1": "rejected", "2": "acknowledged"}


@pytest.mark.parametrize("named", CHOICES["rejected_group"])
def test_a_rejected_group_takes_all_its_sets(ours: Installation, sandbox: Sandbox, named: str) -> None:
    """Also where the 997 takes each set for good: the partner has processed nothing of the group."""
    sandbox.cleo.switches["rejected_group"] = named
    answer(sandbox, "reject_group")
    ours.deliver(order("1"), order("2"))
    ours.receive()
    assert ours.states() == {"1": "rejected", "2": "rejected"}


def test_a_rejected_envelope_takes_all_its_documents(install: Install) -> None:
    ours = install(nordedi={"id": "SOMEBODYELSE"})
    ours.deliver(order("1"), order("2"))
    ours.receive()
    assert [(state, found.entry.detail) for state, found in ours.standing()] == [
        ("rejected", {"ta1": "009"}),
        ("rejected", {"ta1": "009"}),
    ]


@pytest.mark.parametrize("place", ["own_file", "with_997"])
def test_a_ta1_that_accepts_leaves_the_word_to_the_997(
    install: Install, sandbox: Sandbox, place: str
) -> None:
    sandbox.cleo.switches["ta1_place"] = place
    ours = install(nordedi={"acknowledge": True})
    ours.deliver(order("1"))
    assert ours.receive().noted.documents == {"acknowledged": 1}


@pytest.mark.parametrize("answered", CHOICES["repeated_interchange"])
def test_a_file_that_came_twice_is_accepted_whatever_its_repetition_is_told(
    ours: Installation, sandbox: Sandbox, world: World, answered: str
) -> None:
    sandbox.cleo.switches["repeated_interchange"] = answered
    sandbox.faults.arm("cleo", "drop_connection", match="POST .*/files/upload", times=1, when="after")
    ours.deliver(order("1"))
    assert len(world.received()["refused"]) == 1
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}
    assert ours.deliver(order("1")).unchanged == 1


@pytest.mark.parametrize("deletes", [False, True])
def test_a_mailbox_whose_downloads_delete_gives_every_answer(
    ours: Installation, sandbox: Sandbox, world: World, deletes: bool
) -> None:
    sandbox.cleo.switches["download_deletes"] = deletes
    ours.deliver(order("1"), order("2"))
    assert ours.receive().noted.documents == {"acknowledged": 2}
    assert (ours.receive().files, world.mailbox.files("download")) == (0, [])


def test_a_file_that_went_with_a_lost_answer_is_named_in_the_log(
    ours: Installation, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.cleo.switches["download_deletes"] = True
    ours.deliver(order("1"))
    sandbox.faults.arm("cleo", "drop_connection", match="GET .*/files/download/", times=1, when="after")
    assert ours.receive().files == 0
    (told,) = [record.getMessage() for record in caplog.records if "is gone" in record.getMessage()]
    assert told.startswith("997")
    sandbox.clock.advance(timedelta(hours=25))
    assert ours.states() == {"1": "overdue"}


def test_zeros_before_a_group_number_change_nothing(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.cleo.switches["ak102"] = "padded"
    ours.deliver(order("1"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}


def test_zeros_before_a_set_s_number_change_nothing(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.cleo.switches["ak202"] = "padded"
    answer(sandbox, "reject_set")
    ours.deliver(order("1"), order("2"))
    ours.receive()
    assert ours.states() == {"1": "rejected", "2": "acknowledged"}


@pytest.mark.parametrize("number", [b"0009", b"0001A"])
def test_an_answer_to_a_set_that_is_none_of_ours_is_named(
    ours: Installation, world: World, number: bytes
) -> None:
    ours.deliver(order("1"))
    [file] = world.mailbox.files(DOWNLOAD)
    file.content = file.content.replace(b"AK2*850*0001", b"AK2*850*" + number)
    noted = ours.receive().noted
    assert noted.unknown == [f"997 of nordedi for PO 1, set {number.decode()}"]
    assert noted.documents == {"acknowledged": 1}


def test_two_companies_count_alike_and_are_not_mixed_up(ours: Installation, sandbox: Sandbox) -> None:
    """Both begin with interchange 1 and group 1 to the same partner."""
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO 850 2", answer="reject_group")
    ours.deliver(order("1"))
    ours.deliver(order("2", company="SE01", code="SE01|2"), company="SE01")
    ours.receive()
    assert ours.states() == {"1": "acknowledged", "2": "rejected"}


def test_an_answer_that_does_not_come_is_overdue_after_the_hours_agreed(
    install: Install, sandbox: Sandbox
) -> None:
    answer(sandbox, "silent")
    ours = install(nordedi={"overdue_hours": 24})
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(hours=23))
    assert ours.states() == {"1": "sent"}
    sandbox.clock.advance(timedelta(hours=2))
    assert ours.states() == {"1": "overdue"}


def test_nothing_is_overdue_at_a_partner_that_sends_no_997(install: Install, sandbox: Sandbox) -> None:
    answer(sandbox, "silent")
    ours = install(nordedi={"sends_997": False})
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(days=400))
    assert (ours.states(), ours.file_overdue()) == ({"1": "sent"}, [])


def test_an_answer_is_noted_also_where_none_was_expected(install: Install) -> None:
    ours = install(nordedi={"sends_997": False})
    ours.deliver(order("1"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}


def test_a_late_answer_is_an_answer(ours: Installation, sandbox: Sandbox, world: World) -> None:
    answer(sandbox, "late")
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(hours=31))
    assert ours.states() == {"1": "overdue"}
    world.release()
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}


def test_what_is_overdue_goes_again_with_the_same_bytes_when_an_operator_asks(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """The file was lost behind the mailbox: its job failed, and no partner has seen it."""
    sandbox.faults.arm("cleo", "flow_fails")
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(hours=25))
    assert world.received()["documents"]["850"] == []
    ours.file_overdue()
    ours.receive()
    (found,) = world.received()["documents"]["850"]
    assert found["isa13"] == ["000000001"]
    assert ours.states() == {"1": "acknowledged"}


def test_a_repetition_the_partner_refuses_as_one_rejects_nothing(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """TA1 025: the partner had it all along, and only its answer was lost."""
    answer(sandbox, "silent")
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(hours=25))
    ours.file_overdue()
    ours.receive()
    assert ours.states() == {"1": "sent"}
    assert len(world.received()["documents"]["850"]) == 1
    sandbox.clock.advance(timedelta(hours=25))
    [(state, found)] = ours.standing()
    assert (state, found.said) == ("overdue", "ta1 025: its number came before")


def test_an_answer_to_nothing_of_ours_is_named(ours: Installation, engine: sa.Engine) -> None:
    ours.deliver(order("1"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM interchange_documents")
        connection.exec_driver_sql("DELETE FROM interchanges")
    assert ours.receive().noted.unknown == ["997 of nordedi for PO 1"]


def test_an_answer_may_come_before_the_upload_s_own(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.arm("cleo", "server_error", match="POST .*/files", when="after", times=50)
    assert "goes again with the same bytes" in ours.waits(order("1"))
    ours.receive()
    assert ours.states() == {"1": "acknowledged"}
    sandbox.faults.clear()
    sandbox.log.reset()
    ours.heal(lambda: ours.deliver(order("1")))
    assert sandbox.log.count("cleo", method="POST", match="/files/upload") == 0
    assert ours.states() == {"1": "acknowledged"}


def test_the_same_answer_twice_is_one_event(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.arm("cleo", "two_files")
    ours.deliver(order("1"))
    ours.receive()
    assert ours.events("1") == ["intended", "created", "landed", "acknowledged"]


def test_a_rejection_after_an_acceptance_came_to_a_repetition(ours: Installation) -> None:
    ours.deliver(order("1"))
    ours.receive()
    (interchange,) = ours.cleo.outbox.find()
    assert ours.cleo.outbox.answer(interchange, State.REJECTED, {"0001": (State.REJECTED, {})}, "r") == []
    assert ours.states() == {"1": "acknowledged"}


def test_an_answer_after_a_document_was_withdrawn(ours: Installation, sandbox: Sandbox) -> None:
    """The rejection again says nothing new. An acceptance does: what the partner has can be told to it."""
    answer(sandbox, "reject_group")
    ours.deliver(order("1"))
    ours.receive()
    ours.deliver(order("1", standing="cancelled"))
    (interchange,) = ours.cleo.outbox.find()
    for state, stands in ((State.REJECTED, "withdrawn"), (State.ACKNOWLEDGED, "acknowledged")):
        ours.cleo.outbox.answer(interchange, state, {"0001": (state, {})}, "r")
        assert ours.states() == {"1": stands}


def test_only_the_newest_document_of_a_record_tells_where_it_stands(
    ours: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.arm("cleo", "partner_answer", match="RECEIVE PO", answer="reject_group")
    ours.deliver(order("1", line(1, "1")))
    ours.receive()
    ours.deliver(order("1", line(1, "2")))
    assert ours.states(ORDERS) == {"1": "sent"}
