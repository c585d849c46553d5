"""The mailbox is worked off: each group answered once, what nobody can read removed, nothing done twice."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mlc_dagster.cleo.inbox import summary
from mlc_dagster.cleo.outbox import State
from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.inbound import mailbox
from mlc_dagster.transport.errors import CallFailed
from mlc_sandbox.cleo.switches import CHOICES
from tests.cleo.dock import COMPANY, Dock, open_dock
from tests.support.house import running_sandbox


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    with (
        running_sandbox(seed=5, scale=1.5, companies=(COMPANY,)) as sandbox,
        open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
    ):
        yield dock


@pytest.fixture
def dock(opened: Dock) -> Dock:
    opened.sandbox.faults.clear()
    opened.receive()
    opened.sandbox.log.reset()
    return opened


@pytest.fixture
def switched(dock: Dock) -> Iterator[dict[str, Any]]:
    """The switches of the tenant; afterwards they are as they were."""
    switches = dock.sandbox.cleo.switches
    before = dict(switches)
    yield switches
    switches.update(before)


def answers(dock: Dock) -> list[dict[str, Any]]:
    """Our 997s and TA1s as partners have them."""
    return list(dock.world.shipping.acknowledgments)


@pytest.mark.parametrize("poison", ["count", "parent"])
def test_a_notice_of_a_wrong_form_is_rejected_by_its_997_and_told_here(dock: Dock, poison: str) -> None:
    notice = dock.ship(dock.order(), "poison", poison=poison)
    assert dock.receive().refused == 1
    assert notice.state == "rejected"
    assert "rejected" in dock.reasons(notice.files[0])
    assert dock.receipts(notice.number) == []


def test_a_cut_interchange_is_looked_at_twice_and_then_rejected_by_a_ta1(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "poison", poison="truncated")
    done = dock.receive()
    assert (done.later, done.files, dock.files()) == (1, 0, notice.files)
    assert dock.receive().refused == 1
    assert (answers(dock)[-1]["status"], "ta1" in answers(dock)[-1]) == ("R", True)
    assert notice.state == "rejected"
    assert dock.files() == []


@pytest.mark.parametrize("poison", ["not_x12", "receiver"])
def test_what_is_not_for_us_or_no_x12_is_kept_and_not_answered(dock: Dock, poison: str) -> None:
    before = len(answers(dock))
    notice = dock.ship(dock.order(), "poison", poison=poison)
    dock.receive()
    dock.receive()
    assert len(answers(dock)) == before
    assert dock.held(notice.files[0])
    assert dock.files() == []
    assert mailbox.settled(dock.suite(), notice.files[0], run_id="run r") == 1


def test_bytes_nobody_can_decode_are_kept(dock: Dock) -> None:
    dock.drop("odd.edi", b"ISA\x00\xff\xfe")
    dock.receive()
    assert dock.receive().refused == 1
    assert dock.held("odd.edi")


def test_an_envelope_filled_up_with_nul_is_kept_with_words_that_postgresql_takes(dock: Dock) -> None:
    """Mainframes fill a field up so."""
    blank, nobody = " " * 10, "NOBODY".ljust(15, "\0")
    head = f"ISA*00*{blank}*00*{blank}*ZZ*{nobody}*ZZ*{'FJORDVIKNO':15}*261120*1200*U*00401*000000001*0*T*>~"
    dock.drop("filled.edi", f"{head}IEA*0*000000001~".encode())
    assert dock.receive().refused == 1
    assert "comes from ZZ NOBODY" in dock.reasons("filled.edi")
    assert "\0" not in dock.reasons("filled.edi")


def test_the_same_bytes_in_another_file_repeat_the_997_and_nothing_else(dock: Dock) -> None:
    dock.sandbox.faults.arm("cleo", "two_files", times=1)
    notice = dock.ship(dock.order())
    done = dock.receive()
    assert (done.repeated, done.worked) == (1, {Worked.POSTED: 1})
    assert len(dock.receipts(notice.number)) == 1
    # The partner has told them apart by ISA13: one answer counts.
    assert notice.acknowledged == ["A"]


@pytest.mark.parametrize("same_name", CHOICES["same_name"])
@pytest.mark.parametrize("poison", ["", "truncated"])
def test_who_never_heard_our_answer_and_sends_the_same_again_hears_it(
    dock: Dock, switched: dict[str, Any], same_name: str, poison: str
) -> None:
    """The flow behind the mailbox lost our 997, or our TA1: the names of both files were used."""
    notice = dock.ship(dock.order(), "poison" if poison else "full", **({"poison": poison} if poison else {}))
    [file] = dock.world.mailbox.files("download")
    switched["same_name"] = same_name
    dock.sandbox.faults.arm("cleo", "flow_fails", times=1)
    dock.receive()
    dock.receive()
    heard = len(answers(dock))
    assert notice.state == "sent"
    dock.sandbox.clock.advance(timedelta(hours=1))
    dock.drop("again.edi", file.content)
    dock.receive()
    dock.receive()
    assert len(answers(dock)) == heard + 1
    assert notice.state == ("rejected" if poison else "accepted")


@pytest.mark.parametrize("fault", ["crlf", "bom", "odd_name", "offered_twice", "partial_file"])
def test_a_loose_mailbox_loses_nothing_and_makes_no_second_receipt(dock: Dock, fault: str) -> None:
    dock.sandbox.faults.arm("cleo", fault, times=1)
    notice = dock.ship(dock.order())
    dock.receive()
    dock.receive()
    assert len(dock.receipts(notice.number)) == 1
    assert notice.state == "accepted"
    assert dock.files() == []


def test_a_number_with_other_bytes_is_refused(dock: Dock) -> None:
    first = dock.ship(dock.order())
    dock.sandbox.faults.arm("cleo", "same_isa13", times=1)
    second = dock.ship(dock.order())
    dock.receive()
    assert len(dock.receipts(first.number)) == 1
    assert dock.receipts(second.number) == []
    assert "other content" in dock.reasons(second.files[0])


def test_several_interchanges_in_one_file_are_worked_off_each(dock: Dock) -> None:
    dock.sandbox.faults.arm("cleo", "several_in_one_file", times=1)
    first, second = dock.ship(dock.order()), dock.ship(dock.order())
    dock.receive()
    assert [len(dock.receipts(each.number)) for each in (first, second)] == [1, 1]
    assert [first.state, second.state] == ["accepted", "accepted"]


def taken_back(dock: Dock, file: str) -> None:
    """Somebody takes a file out of the mailbox."""
    with dock.world.lock:
        dock.world.mailbox.remove("download", file, "portal")


@pytest.mark.parametrize("grows", [True, False])
def test_what_is_written_while_a_file_is_worked_off_is_read_with_the_next_look(
    dock: Dock, grows: bool
) -> None:
    """One interchange after the other, or another one under the same name."""
    first, second = dock.ship(dock.order()), dock.ship(dock.order())
    for file in first.files + second.files:
        taken_back(dock, file)
    dock.drop("orders.edi", first.text.encode())
    text = first.text + second.text if grows else second.text
    dock.sandbox.faults.arm("cleo", "rewritten_file", match="READ orders.edi", text=text)
    done = dock.receive()
    assert (done.worked, done.later, dock.files()) == ({Worked.POSTED: 1}, 1, ["orders.edi"])
    assert dock.receive().worked == {Worked.POSTED: 1}
    assert [len(dock.receipts(each.number)) for each in (first, second)] == [1, 1]
    assert ([first.state, second.state], dock.files()) == (["accepted", "accepted"], [])


def test_where_a_download_deletes_nothing_is_removed_and_nothing_missed(
    dock: Dock, switched: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    switched["download_deletes"] = True
    notice = dock.ship(dock.order())
    done = dock.receive()
    assert (done.worked, done.later, notice.state) == ({Worked.POSTED: 1}, 0, "accepted")
    assert dock.sandbox.log.count("cleo", method="DELETE") == 0
    assert [record for record in caplog.records if record.name == "mlc_dagster.cleo.inbox"] == []


def test_a_lost_upload_of_the_997_sends_the_same_bytes_with_the_next_look(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("cleo", "server_error", times=None, match="POST .*upload")
    with pytest.raises(CallFailed):
        dock.receive()
    [waiting] = dock.suite().cleo.outbox.find(kind="FA", state=State.BUILT)
    dock.sandbox.faults.clear()
    dock.receive()
    [sent] = dock.suite().cleo.outbox.find(id=waiting.id)
    assert (sent.state, sent.content) == (State.SENT, waiting.content)
    assert notice.acknowledged == ["A"]
    assert len(dock.receipts(notice.number)) == 1


def test_an_erp_that_cannot_be_reached_leaves_the_file_for_the_next_look(dock: Dock) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "server_error", times=None, match="purchaseorder")
    with pytest.raises(CallFailed):
        dock.receive()
    assert dock.files() == notice.files
    assert notice.acknowledged == []
    dock.sandbox.faults.clear()
    dock.receive()
    assert len(dock.receipts(notice.number)) == 1
    assert notice.acknowledged == ["A"]


def test_a_file_that_cannot_be_worked_off_now_keeps_no_other_back(dock: Dock) -> None:
    first, second = dock.ship(dock.order()), dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "server_error", times=None, match=f"purchaseorder/{first.order}")
    with pytest.raises(CallFailed):
        dock.receive()
    assert dock.files() == first.files
    assert [len(dock.receipts(each.number)) for each in (first, second)] == [0, 1]
    dock.sandbox.faults.clear()
    dock.receive()
    assert len(dock.receipts(first.number)) == 1


def test_what_nobody_thought_of_in_one_file_keeps_no_other_back(dock: Dock) -> None:
    """By the ERP's schema an order may lack its supplier; none ever did."""
    first, second = dock.ship(dock.order()), dock.ship(dock.order())
    order = f"RegularOrder|{first.order}"
    supplier = dock.row("purchaseorder", order)["supplier"]
    dock.sandbox.visma.change(COMPANY, "purchaseorder", order, {"supplier": None})
    with pytest.raises(TypeError):
        dock.receive()
    assert dock.files() == first.files
    assert [len(dock.receipts(each.number)) for each in (first, second)] == [0, 1]
    dock.sandbox.visma.change(COMPANY, "purchaseorder", order, {"supplier": supplier})
    dock.receive()
    assert len(dock.receipts(first.number)) == 1


def test_a_look_that_finds_nothing_costs_one_call_and_the_login(dock: Dock) -> None:
    dock.receive()
    assert [call.method for call in dock.sandbox.log.calls("cleo")] == ["POST", "GET"]
    assert dock.sandbox.log.calls("visma") == []


def test_what_a_look_did_is_told_in_words(dock: Dock) -> None:
    dock.ship(dock.order())
    told = summary(dock.receive())
    assert (told["files"], told["posted"], told["refused"]) == (1, 1, 0)


def test_our_own_receipt_goes_out_as_a_receipt_and_never_comes_back(dock: Dock) -> None:
    """Only what partners send is taken in, and a receipt of ours is sent by us."""
    notice = dock.ship(dock.order())
    dock.receive()
    [receipt] = dock.receipts(notice.number)
    dock.sandbox.visma.change(COMPANY, "purchaseReceipt", receipt["receiptNbr"], {"status": "Released"})
    dock.settle(destinations={"purchase_receipts": {}})
    try:
        dock.deliver("cleo/purchase_receipts")
        view = dock.world.receiver.view["856"]
        number = f"{COMPANY}-{receipt['receiptNbr']}"
        assert [one["number"] for one in view.values() if one["number"] == number]
        dock.receive()
        assert dock.receive().files == 0
        assert len(dock.receipts(notice.number)) == 1
    finally:
        dock.settle(destinations={"suppliers": {}})
