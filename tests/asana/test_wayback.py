"""The way back: what people write at a task stands once in the note of its document, and nowhere else."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
import yaml

from mlc_dagster.asana.wayback import Remark, WrongField, with_remarks
from mlc_dagster.delivery.audit import Event, Kind
from mlc_dagster.inbound.wayback import Carried, has_news
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.receiver import Signals
from mlc_dagster.settings import load_settings
from mlc_dagster.transport.errors import Misconfigured, Refused
from mlc_dagster.visma.client import VismaClient
from mlc_sandbox.asana.store import Task
from mlc_sandbox.server import Sandbox
from tests.asana.office import COMPANY, Office, open_office
from tests.support.house import running_sandbox

INTEGRATION = "erp-integration@nordfjell.example"
FIELD = "Payment remark"
PUT = "PUT .*supplierInvoice"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(seed=3, scale=0.08, companies=(COMPANY,)))
        project = sandbox.asana.world.members["supplier_invoices"]
        # A field of people's own, as they would make it in the browser.
        api = Api(sandbox)
        field = api.post("/custom_fields", workspace=sandbox.asana.world.workspace.gid, name=FIELD,
                         resource_subtype="text")["gid"]  # fmt: skip
        api.post(f"/projects/{project}/addCustomFieldSetting", custom_field=field)
        folder = tmp_path_factory.mktemp("office")
        yield stack.enter_context(open_office(sandbox, folder, {"fields": [FIELD]}))


class Api:
    """Calls of the integration's user."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = f"{sandbox.url}/asana/api/1.0"
        self._token = sandbox.asana.secrets()["ASANA_TOKEN"]

    def post(self, path: str, **data: object) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.post(self._url + path, json={"data": data}, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json()["data"])


def configured(office: Office, folder: Path, **parts: Any) -> Office:
    """Another configuration of the same installation: sections of destinations are merged into ours."""
    settings = yaml.safe_load(office.file.read_text())
    for name, part in parts.items():
        known = settings["pairs"]["asana"]["destinations"].get(name, {})
        settings["pairs"]["asana"]["destinations"][name] = {**known, **part}
    settings["home"] = str(load_settings(office.file).folder)
    file = folder / "mlc.yaml"
    file.write_text(yaml.safe_dump(settings))
    return replace(office, file=file)


@pytest.fixture
def office(opened: Office) -> Office:
    """Nothing is armed, and all that was said before this test has gone back."""
    opened.sandbox.faults.clear()
    opened.back()
    opened.sandbox.log.reset()
    return opened


def kinds(office: Office, task: str) -> list[Kind]:
    """What the audit trail tells of the way back of a document."""
    return [event.kind for event in trail(office, task)]


def trail(office: Office, task: str) -> list[Event]:
    # A credit note may have the number of an invoice.
    history = office.suite().audit.history(office.number(task))
    mine = (office.key(task), "visma/supplier_invoices")
    return [event for event in history if (event.key, event.destination) == mine]


# What a comment becomes


def test_a_comment_becomes_one_line_at_the_end_of_the_note(office: Office) -> None:
    task = office.task()
    office.change(task, note="Call before delivery\nDoor 3")
    story = office.say(task, "Goods arrived broken,\n  ask for a credit note.")
    assert office.back().written == 1
    assert office.note(task) == f"Call before delivery\nDoor 3\n{office.line(story)}"
    assert office.line(story).endswith(" AP Clerk: Goods arrived broken, ask for a credit note.")


def test_an_empty_note_begins_with_the_line(office: Office) -> None:
    task = office.task()
    office.change(task, note="")
    story = office.say(task, "Approved")
    office.back()
    assert office.note(task) == office.line(story)


def test_nothing_but_the_note_is_written(office: Office) -> None:
    task = office.task()
    before = office.document(task)
    office.say(task, "Approved")
    office.back()
    after = office.document(task)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"note", "lastModifiedDateTime", "timeStamp"}


def test_a_comment_is_written_once_however_often_it_is_looked_at(office: Office) -> None:
    task = office.task()
    office.say(task, "First")
    assert office.back().written == 1
    office.say(task, "Second")
    assert office.back().written == 1
    assert [line.rpartition(": ")[2] for line in office.note(task).splitlines()[-2:]] == ["First", "Second"]
    writes = office.writes()
    assert office.back() == Carried()
    assert office.writes() == writes


def test_the_same_words_said_twice_are_two_lines(office: Office) -> None:
    task = office.task()
    story = office.say(task, "ok")
    office.say(task, "ok")
    assert office.back().written == 2
    office.say(task, "ok")
    assert office.back().written == 1
    assert office.note(task).splitlines().count(office.line(story)) == 3


def test_a_line_that_people_take_out_of_the_note_stays_out(office: Office) -> None:
    task = office.task()
    office.say(task, "Wrong task, sorry")
    office.back()
    office.change(task, note="")
    second = office.say(task, "Right task")
    office.back()
    assert office.note(task) == office.line(second)


def test_what_the_integration_says_does_not_go_back(office: Office) -> None:
    task = office.task()
    note = office.note(task)
    office.say(task, "The ERP has voided this document. [erp-sync:0a1b2c3d]", by=INTEGRATION)
    office.say(task, "Somebody repeats it [erp-sync:0a1b2c3d]")
    office.say(task, "By hand, with the integration's user", by=INTEGRATION)
    assert office.back().written == 0
    assert office.note(task) == note


def test_comments_from_before_the_way_back_was_switched_on_stay_where_they_are(
    opened: Office, tmp_path_factory: pytest.TempPathFactory
) -> None:
    task = opened.task()
    opened.say(task, "Old news")
    opened.sandbox.clock.advance(timedelta(minutes=5))
    with open_office(opened.sandbox, tmp_path_factory.mktemp("later"), {"comments": True}) as later:
        story = later.say(task, "New")
        assert later.back().written == 1
        assert later.note(task).splitlines()[-1] == later.line(story)
        assert "Old news" not in later.note(task)


def test_a_copy_of_a_task_says_nothing_in_the_name_of_its_document(office: Office) -> None:
    task = office.task()
    note = office.note(task)
    world = office.sandbox.asana.world
    original = world.get(Task, task)
    project = world.members["supplier_invoices"]
    copy = Api(office.sandbox).post("/tasks", projects=[project], name="Copy")["gid"]
    world.get(Task, copy).values.update(original.values)
    office.say(copy, "Only at the copy")
    assert office.back() == Carried()
    assert office.note(task) == note


def test_what_is_said_at_a_task_that_the_ledger_does_not_know_yet_waits_for_its_delivery(
    office: Office,
) -> None:
    """As when the process that made it died, or our database was put back from a copy."""
    number = office.sandbox.visma.add(COMPANY, "supplierInvoice").key
    project = office.sandbox.asana.world.members["supplier_invoices"]
    task = Api(office.sandbox).post("/tasks", projects=[project], name="Made before")["gid"]
    office.sandbox.asana.people.edit(task, custom_fields={"SupplierInvoiceId": f"{COMPANY}|{number}"})
    story = office.say(task, "Is this ours?")
    for _ in range(2):
        done = office.back()
        assert (done.written, done.waiting) == (0, 1)
    office.deliver()
    assert office.back().written == 1
    assert office.note(task).splitlines()[-1] == office.line(story)


# Fields


def test_a_field_of_people_goes_back_with_its_name_and_again_when_it_changes(office: Office) -> None:
    task = office.task()
    office.change(task, note="")
    edit = office.sandbox.asana.people.edit
    for value in ("Pay by cheque", "Pay by bank", "Pay by cheque"):
        edit(task, custom_fields={FIELD: value})
        assert office.back().written == 1
    edit(task, custom_fields={FIELD: None})
    assert office.back().written == 0
    told = [line.partition(" ")[2] for line in office.note(task).splitlines()]
    assert told == [f"{FIELD}: Pay by {how}" for how in ("cheque", "bank", "cheque")]


def test_a_field_that_the_erp_writes_is_refused(office: Office, tmp_path: Path) -> None:
    other = configured(office, tmp_path, supplier_invoices={"way_back": {"fields": ["Amount"]}})
    with pytest.raises(WrongField, match="names Amount, which the ERP itself writes"):
        other.back()


def test_a_field_that_no_project_has_is_told(office: Office, tmp_path: Path) -> None:
    other = configured(office, tmp_path, supplier_invoices={"way_back": {"fields": ["Paymnt remark"]}})
    for work in (other.back, other.suite().asana.look):
        with pytest.raises(WrongField, match="names Paymnt remark, and no project has such a custom field"):
            work()


def test_a_way_back_for_nothing_is_a_mistake_of_the_settings(office: Office, tmp_path: Path) -> None:
    other = configured(office, tmp_path, supplier_invoices={"way_back": {"comments": False}})
    with pytest.raises(ProblemsFound, match="nothing is switched on"):
        other.suite()


def test_a_field_that_was_written_before_a_crash_is_found_on_whatever_day() -> None:
    line = "2026-11-20 Payment remark: Pay by bank"
    again = Remark("field Payment remark", "2026-11-21 Payment remark: Pay by bank", field="Payment remark")
    assert with_remarks(line, [again]) == line


# The echo


def test_a_note_that_comes_back_into_the_task_starts_nothing(office: Office) -> None:
    task = office.task()
    story = office.say(task, "Please pay early")
    office.back()
    office.deliver()
    assert office.line(story) in office.shown(task)["notes"]
    writes = office.writes()
    assert office.back() == Carried()
    assert not has_news(office.suite())
    office.deliver()
    assert office.writes() == writes


# Orders


def test_a_comment_at_an_order_goes_into_the_note_of_the_order(office: Office) -> None:
    task = office.order("RegularOrder")
    story = office.say(task, "Deliver to door 3")
    assert office.back().written == 1
    assert office.note(task).splitlines()[-1] == office.line(story)


def test_an_order_that_the_erp_shows_under_no_address_is_told_and_its_namesake_left_alone(
    office: Office,
) -> None:
    # The address of an order names its number only, and the ERP answers with the regular one.
    blanket = office.order("Blanket")
    regular = office.order("RegularOrder", office.number(blanket))
    note = office.note(regular)
    office.say(blanket, "For the blanket order")
    assert office.back().refused == 1
    assert office.note(regular) == note
    told = office.suite().audit.history(office.number(blanket))
    assert [event.key for event in told if event.kind is Kind.REFUSED] == [office.key(blanket)]


# Others write too, calls fail, processes die


def test_what_somebody_writes_into_the_note_meanwhile_is_kept(office: Office) -> None:
    task = office.task()
    found, once = VismaClient.single_with_etag, []

    def between(self, entity, key):  # type: ignore[no-untyped-def]
        record = found(self, entity, key)
        if not once:
            once.append(key)
            office.change(task, note="Written in between")
        return record

    story = office.say(task, "And this")
    with patch.object(VismaClient, "single_with_etag", between):
        assert office.back().written == 1
    assert office.note(task) == f"Written in between\n{office.line(story)}"
    assert [call.status for call in office.sandbox.log.calls("visma", method="PUT")] == [412, 204]


def test_a_lost_answer_writes_no_second_line(office: Office) -> None:
    task = office.task()
    story = office.say(task, "Once")
    office.sandbox.faults.arm("visma", "drop_connection", match=PUT, when="after")
    assert office.back().written == 1
    assert office.note(task).splitlines().count(office.line(story)) == 1


def test_a_document_that_cannot_be_reached_waits_and_the_others_go_on(office: Office) -> None:
    first, second = office.task(), office.task()
    late, there = office.say(first, "Late"), office.say(second, "There")
    office.sandbox.faults.arm("visma", "server_error", match=f"PUT .*{office.number(first)}", times=None)
    done = office.back()
    assert (done.written, done.waiting) == (1, 1)
    assert office.line(there) in office.note(second)
    office.sandbox.faults.clear()
    assert office.back().written == 1
    assert office.line(late) in office.note(first)


def test_a_refusal_of_the_erp_is_told_once_and_tried_until_it_takes_the_note(office: Office) -> None:
    task = office.task()
    story = office.say(task, "Please")
    office.sandbox.faults.arm("visma", "changed_meanwhile", times=None)
    for _ in range(2):
        done = office.back()
        assert (done.refused, done.waiting) == (1, 1)
    assert kinds(office, task) == [Kind.REFUSED]
    # It starts no run at every look, but one an hour.
    assert not has_news(office.suite())
    office.sandbox.clock.advance(timedelta(minutes=61))
    assert has_news(office.suite())
    office.sandbox.faults.clear()
    assert office.back().written == 1
    assert kinds(office, task) == [Kind.REFUSED, Kind.NOTED]
    assert office.line(story) in office.note(task)


def test_a_document_that_was_deleted_is_told_and_left(office: Office) -> None:
    task = office.task()
    office.say(task, "Too late")
    office.delete(task)
    assert office.back().refused == 1
    assert kinds(office, task) == [Kind.REFUSED]
    assert office.back() == Carried()


def test_wrong_credentials_stop_the_pass_and_lose_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = office.task()
    story = office.say(task, "Still here")
    with monkeypatch.context() as wrong:
        wrong.setenv("VISMA_CLIENT_SECRET", "another")
        with pytest.raises(Misconfigured):
            office.back()
    assert office.back().written == 1
    assert office.line(story) in office.note(task)


def test_a_project_that_is_gone_keeps_the_others_from_nothing(office: Office, tmp_path: Path) -> None:
    other = configured(office, tmp_path, purchase_orders={"project": "999"})
    task = office.task()
    story = office.say(task, "Still here")
    done = other.back()
    assert (done.written, done.closed) == (1, 1)
    assert office.line(story) in office.note(task)


def test_a_way_back_without_any_project_that_is_open_fails(office: Office, tmp_path: Path) -> None:
    nowhere = {"project": "999"}
    other = configured(office, tmp_path, supplier_invoices=nowhere, purchase_orders=nowhere)
    with pytest.raises((Refused, Misconfigured), match="999"):
        other.back()


# Lost events


def test_a_token_that_ended_lists_what_was_modified_since(office: Office) -> None:
    task = office.task()
    story = office.say(task, "While you were away")
    office.sandbox.clock.advance(timedelta(hours=25))
    done = office.back()
    assert (done.written, done.resynced) == (1, 2)
    assert office.line(story) in office.note(task)


def test_an_event_that_asana_lost_is_made_good_within_a_day(office: Office) -> None:
    task = office.task()
    office.sandbox.faults.arm("asana", "event_lost", times=None)
    story = office.say(task, "Nobody told you")
    office.sandbox.faults.clear()
    assert office.back().written == 0
    for _ in range(3):
        office.sandbox.clock.advance(timedelta(hours=10))
        office.back()
    assert office.note(task).splitlines().count(office.line(story)) == 1


def test_more_events_than_a_page_are_read_to_the_last(office: Office) -> None:
    task = office.task()
    for number in range(120):
        office.sandbox.asana.people.edit(task, name=f"Name {number}")
    story = office.say(task, "At the end")
    assert office.back().written == 1
    assert office.line(story) in office.note(task)


# Looking


def test_a_look_without_news_costs_one_call_a_project(office: Office) -> None:
    assert not has_news(office.suite())
    assert office.sandbox.log.count("asana", match="/events") == office.sandbox.log.count("asana") == 2


def test_a_look_with_news_leaves_them_and_the_signal_to_the_pass(office: Office) -> None:
    suite = office.suite()
    signals = Signals(suite.engine, suite.clock)
    signals.keep("asana", "a hook", b"1")
    office.say(office.task(), "News")
    assert has_news(office.suite())
    assert signals.newest("asana") is not None
    assert office.back().written == 1
    assert signals.newest("asana") is None


def test_a_signal_for_nothing_is_handled_by_the_look(office: Office) -> None:
    suite = office.suite()
    signals = Signals(suite.engine, suite.clock)
    signals.keep("asana", "a hook", b"2")
    assert not has_news(office.suite())
    assert signals.newest("asana") is None


# The trail


def test_the_audit_trail_tells_who_said_what_and_which_run_wrote_it(office: Office) -> None:
    task = office.task()
    story = office.say(task, "For the record")
    office.back("run 77")
    (event,) = trail(office, task)
    assert (event.run_id, event.company, event.kind) == ("run 77", COMPANY, Kind.NOTED)
    assert event.detail["line"] == office.line(story)
