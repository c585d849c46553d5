"""Suppliers as Harmony's connections: found by alias, read, merged and put back, whoever else writes them."""

from collections.abc import Iterator
from typing import Any

import pytest

from mlc_dagster.cleo.inbox import Received
from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.inbound import mailbox
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.transport.errors import Misconfigured
from mlc_sandbox.cleo.http import ApiCall
from mlc_sandbox.cleo.switches import CHOICES
from tests.cleo.dock import COMPANY, Dock, open_dock
from tests.support.house import running_sandbox

HARMONY = {
    "duplicate_alias_status": 409,
    "filter_operators": "eq_sw",
    "read_only_fields": "refused",
    "if_match": "checked",
    "etag": True,
    "total_results": True,
    "page_size_most": 1000,
    "filter": "applied",
}
RULES = {"name": "erp", "address": "cleo", "vat_number": "held"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    with (
        running_sandbox(seed=3, scale=0.05, companies=(COMPANY,)) as sandbox,
        open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
    ):
        sandbox.cleo.switches["configuration_api"] = "allowed"
        dock.settle(suppliers={**RULES, "connections": {}})
        dock.deliver()
        yield dock


@pytest.fixture
def dock(opened: Dock) -> Dock:
    """Nothing is armed, and both sides have the same."""
    opened.sandbox.faults.clear()
    opened.sandbox.cleo.switches.update(HARMONY)
    opened.receive()
    opened.deliver()
    opened.sandbox.log.reset()
    return opened


def there(dock: Dock, number: str) -> dict[str, Any]:
    """What stands in a supplier's connection."""
    return dict(dock.world.harmony.named("connections", number).body)


def edit(dock: Dock, number: str, **fields: str) -> Received:
    """Somebody changes a supplier in the web console, and we look."""
    with dock.world.lock:
        harmony = dock.world.harmony
        harmony.edit(harmony.named("connections", number), {"supplier": fields})
    return dock.receive()


def writes(dock: Dock) -> list[tuple[str, int]]:
    """Our writes to connections, with their answers."""
    calls = dock.sandbox.log.calls("cleo", match="/api/connections")
    return [(call.method, call.status) for call in calls if call.method in ("POST", "PUT")]


def change(dock: Dock, number: str, name: str) -> None:
    """The ERP changes a supplier's name, and it is delivered."""
    dock.sandbox.visma.change(COMPANY, "supplier", number, {"name": name})
    dock.deliver()


def test_the_first_load_makes_a_connection_of_every_supplier(opened: Dock) -> None:
    company = opened.sandbox.visma.companies[COMPANY]
    numbers = {record.key for record in company.table("supplier")}
    assert numbers <= {found.name for found in opened.world.harmony.listed("connections")}
    number = opened.suppliers[-1]
    body, row = there(opened, number), opened.row("supplier", number)
    assert (body["alias"], body["type"], body["supplier"]["name"]) == (number, "sftp", row["name"])
    assert body["supplier"]["vat_number"] == row["vatRegistrationId"]


def test_a_change_in_the_erp_is_merged_and_what_is_not_ours_stays(dock: Dock) -> None:
    number = dock.supplier()
    with dock.world.lock:
        found = dock.world.harmony.named("connections", number)
        dock.world.harmony.edit(found, {"connect": {"host": "sftp.nordlys.example"}})
    change(dock, number, "Nytt Navn AS")
    body = there(dock, number)
    assert (body["supplier"]["name"], body["connect"]["host"]) == ("Nytt Navn AS", "sftp.nordlys.example")
    assert writes(dock) == [("PUT", 200)]


@pytest.mark.parametrize(
    "switches",
    [
        {"if_match": "required"},
        {"etag": False, "if_match": "ignored"},
        {"filter_operators": "scim", "read_only_fields": "ignored"},
    ],
    ids=str,
)
def test_whatever_harmony_takes_for_a_version_or_a_filter_a_change_arrives(
    dock: Dock, switches: dict[str, Any]
) -> None:
    dock.sandbox.cleo.switches.update(switches)
    number = dock.supplier()
    change(dock, number, "Versjon AS")
    assert there(dock, number)["supplier"]["name"] == "Versjon AS"


def test_a_put_whose_answer_was_lost_is_seen_to_have_arrived(dock: Dock) -> None:
    number = dock.supplier()
    dock.sandbox.faults.arm("cleo", "drop_connection", times=1, match="PUT .*connections", when="after")
    change(dock, number, "Lost AS")
    assert there(dock, number)["supplier"]["name"] == "Lost AS"


@pytest.mark.parametrize("status", CHOICES["duplicate_alias_status"])
def test_a_post_whose_answer_was_lost_makes_no_second_connection(dock: Dock, status: int) -> None:
    dock.sandbox.cleo.switches["duplicate_alias_status"] = status
    number = dock.supplier()
    with dock.world.lock:
        dock.world.harmony.delete(dock.world.harmony.named("connections", number))
    dock.sandbox.faults.arm("cleo", "drop_connection", times=1, match="POST .*connections", when="after")
    change(dock, number, "Igjen AS")
    aliases = [found.name for found in dock.world.harmony.listed("connections")]
    assert (aliases.count(number), there(dock, number)["supplier"]["name"]) == (1, "Igjen AS")


def test_what_somebody_else_writes_in_between_is_kept(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    number = dock.supplier()
    harmony, check, once = dock.world.harmony, dock.world.harmony.check_match, list[str]()

    def between(found: Any, if_match: str | None) -> None:
        if not once:
            once.append(number)
            harmony.edit(found, {"notes": "Kept", "supplier": {"city": "Bodø"}})
        check(found, if_match)

    monkeypatch.setattr(harmony, "check_match", between)
    change(dock, number, "Mellom AS")
    body = there(dock, number)
    assert (body["notes"], body["supplier"]["name"], body["supplier"]["city"]) == (
        "Kept",
        "Mellom AS",
        "Bodø",
    )
    assert writes(dock) == [("PUT", 412), ("PUT", 200)]


def test_an_address_of_theirs_is_set_in_the_erp_and_not_sent_back(dock: Dock) -> None:
    number = dock.supplier()
    assert edit(dock, number, address_line1="Fjordgata 7").worked == {Worked.POSTED: 1}
    assert dock.address(number)["addressLine1"] == "Fjordgata 7"
    dock.deliver()
    assert writes(dock) == []


def test_what_we_tell_while_the_connections_are_listed_is_not_taken_for_their_change(dock: Dock) -> None:
    number, suite = dock.supplier(), dock.suite()

    def rows() -> Iterator[dict[str, str]]:
        listed = list(suite.cleo.connections.rows())
        address = {**dock.address(number), "addressLine1": "Havnegata 1"}
        dock.sandbox.visma.change(COMPANY, "supplier", number, {"mainAddress": address})
        dock.deliver()
        yield from listed

    assert mailbox._suppliers(suite, "run s").take_in(rows()).worked == []
    assert (dock.address(number)["addressLine1"], dock.held(number)) == ("Havnegata 1", [])


def test_where_the_erp_is_right_only_that_field_is_put_back(dock: Dock) -> None:
    number = dock.supplier()
    name, vat = dock.row("supplier", number)["name"], "NO923609016MVA"
    edit(dock, number, name="Feil Navn AS", vat_number=vat)
    body = there(dock, number)["supplier"]
    assert (body["name"], body["vat_number"]) == (name, vat)


def test_a_held_field_waits_once_and_is_carried_out_by_a_person(dock: Dock) -> None:
    number = dock.supplier()
    assert edit(dock, number, vat_number="NO923609016MVA").worked == {Worked.HELD: 1}
    dock.receive()
    assert len(dock.held(number)) == 1
    dock.sandbox.log.reset()
    assert dock.receive().worked == {}
    assert dock.sandbox.log.count("visma") == 0
    mailbox.release(dock.suite(), number, run_id="run r")
    assert dock.row("supplier", number)["vatRegistrationId"] == "NO923609016MVA"
    assert (dock.receive().worked, dock.held(number)) == ({}, [])


def test_a_held_field_that_is_taken_back_waits_no_longer_and_may_come_again(dock: Dock) -> None:
    number = dock.supplier()
    before = there(dock, number)["supplier"]["vat_number"]
    for _ in range(2):
        edit(dock, number, vat_number="NO923609016MVA")
        assert len(dock.held(number)) == 1
        edit(dock, number, vat_number=before)
        assert dock.held(number) == []


def test_what_was_settled_by_hand_does_not_come_back_with_the_next_look(dock: Dock) -> None:
    number = dock.supplier()
    edit(dock, number, vat_number="NO923609016MVA")
    mailbox.settled(dock.suite(), number, run_id="run s")
    dock.receive()
    assert dock.held(number) == []


def test_the_erp_is_right_as_often_as_it_is_overruled(dock: Dock) -> None:
    number = dock.supplier()
    name = dock.row("supplier", number)["name"]
    for _ in range(3):
        edit(dock, number, name="Feil Navn AS")
        assert there(dock, number)["supplier"]["name"] == name


def test_what_cannot_be_right_is_refused_until_it_is(dock: Dock) -> None:
    number = dock.supplier()
    street = dock.address(number)["addressLine1"]
    code = there(dock, number)["supplier"]["postal_code"]
    assert edit(dock, number, address_line1="Fjordgata 9", postal_code="ABC-1").refused == 1
    assert dock.address(number)["addressLine1"] == street
    edit(dock, number, postal_code=code)
    assert (dock.address(number)["addressLine1"], dock.held(number)) == ("Fjordgata 9", [])


def test_a_look_without_changes_asks_the_erp_nothing(dock: Dock) -> None:
    assert dock.receive().worked == {}
    assert dock.sandbox.log.count("visma") == 0


def test_connections_of_nobody_we_know_are_left_alone(dock: Dock) -> None:
    with dock.world.lock:
        dock.world.harmony.create("connections", {"alias": "nordlys-as2", "type": "as2"})
    assert (dock.receive().worked, dock.receive().refused) == ({}, 0)


def test_pages_are_read_to_the_end_also_where_no_total_is_told(dock: Dock) -> None:
    dock.sandbox.cleo.switches.update({"total_results": False, "page_size_most": 3})
    number = max(record.key for record in dock.sandbox.visma.table(COMPANY, "supplier"))
    assert edit(dock, number, vat_number="NO923609016MVA").worked == {Worked.HELD: 1}
    assert len(dock.held(number)) == 1


def test_a_list_that_always_begins_anew_is_read_once(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.sandbox.cleo.switches["total_results"] = False
    monkeypatch.setattr(ApiCall, "number", lambda _, name, default: 0 if name == "startIndex" else default)
    dock.receive()
    assert dock.sandbox.log.count("cleo", method="GET", match="connections") == 2


def test_where_the_filter_is_ignored_no_other_connection_is_taken_for_ours(dock: Dock) -> None:
    aliases = [found.name for found in dock.world.harmony.listed("connections")]
    before = {alias: there(dock, alias) for alias in aliases}
    dock.sandbox.cleo.switches["filter"] = "ignored"
    number = max(record.key for record in dock.sandbox.visma.table(COMPANY, "supplier"))
    with pytest.raises(Stop, match=f"asked for alias mlc-nobody, it answers with {aliases[0]}.*use the file"):
        change(dock, number, "Annen AS")
    assert {alias: there(dock, alias) for alias in aliases} == before


def test_an_account_that_may_not_see_connections_stops_with_what_to_do(dock: Dock) -> None:
    dock.sandbox.cleo.switches["configuration_api"] = "forbidden"
    number = dock.supplier()
    with pytest.raises(Stop, match="may not do this"):
        change(dock, number, "Forbudt AS")
    with pytest.raises(Misconfigured, match="for connections where suppliers are such"):
        dock.suite().cleo.look()
    dock.sandbox.cleo.switches["configuration_api"] = "allowed"


def section(**suppliers: Any) -> dict[str, Any]:
    partner = {"id": "NORDEDI", "name": "Nordisk EDI-hub", "documents_from": "2026-11-01"}
    return {
        "rest": {"base_url": "https://tenant.cleointegration.com"},
        "user": "${CLEO_USER}",
        "password": "${CLEO_PASSWORD}",
        "identities": {"NO01": {"id": "MLCNO01"}, "SE01": {"id": "MLCSE01"}},
        "partners": {"nordedi": partner},
        "suppliers": suppliers,
        "destinations": {"suppliers": {}},
    }


@pytest.mark.parametrize(
    ("connections", "words"),
    [
        ({}, "needs {company}"),
        (
            {"alias": "{company}-{number}", "fields": {"city": "supplier.name"}},
            "two fields stand in one place",
        ),
        ({"alias": "{company}-{number}", "fields": {"street": "x"}}, "a supplier has no street"),
        ({"alias": "supplier"}, "alias"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(connections: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CleoSettings.model_validate(section(connections=connections))
