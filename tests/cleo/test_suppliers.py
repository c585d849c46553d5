"""Supplier master data, both ways: each change once, by the rules, and no echo."""

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.cleo.suppliers import FIELDS
from mlc_dagster.cleo.validation import faults
from mlc_dagster.cli.resend import resend
from mlc_dagster.inbound import mailbox
from mlc_dagster.transport.errors import CallFailed
from mlc_dagster.visma.client import VismaClient
from tests.cleo.dock import COMPANY, Dock, open_dock
from tests.support.house import running_sandbox


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    with (
        running_sandbox(seed=3, scale=0.4, companies=(COMPANY,)) as sandbox,
        open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
    ):
        dock.deliver()
        yield dock


@pytest.fixture
def dock(opened: Dock) -> Dock:
    """Nothing is armed, all that was said before is taken in, and the settings are the first ones."""
    opened.sandbox.faults.clear()
    opened.settle(suppliers={"name": "erp", "address": "cleo", "vat_number": "held"})
    opened.receive()
    opened.sandbox.log.reset()
    return opened


@pytest.fixture
def even(dock: Dock) -> Dock:
    """Both sides have the same."""
    dock.deliver()
    dock.sandbox.log.reset()
    return dock


# A supplier is looked at twice before it is read to be changed: is it there, and what has it now.
READS_BEFORE = 2


def there(dock: Dock, number: str) -> dict[str, Any]:
    """What the other side holds of a supplier."""
    return dict(dock.world.suppliers.held[COMPANY, number])


# Out


def test_the_first_load_tells_every_supplier_with_its_address_and_vat_number(opened: Dock) -> None:
    company = opened.sandbox.visma.companies[COMPANY]
    numbers = {record.key for record in company.table("supplier")}
    assert {number for _, number in opened.world.suppliers.held} == numbers
    number = opened.suppliers[-1]
    row, address = opened.row("supplier", number), opened.address(number)
    assert there(opened, number) == {
        "company": COMPANY,
        "number": number,
        "name": row["name"],
        "address_line1": address["addressLine1"],
        "address_line2": address.get("addressLine2", ""),
        "postal_code": address["postalCode"],
        "city": address["city"],
        "country": "NO",
        "vat_number": row["vatRegistrationId"],
    }


def test_without_a_change_no_file_is_sent(even: Dock) -> None:
    even.deliver()
    assert even.uploads() == 0


def test_what_changes_in_the_erp_is_told_once(even: Dock) -> None:
    number = even.supplier()
    even.sandbox.visma.change(COMPANY, "supplier", number, {"name": "Nytt Navn AS"})
    even.deliver()
    even.deliver()
    assert there(even, number)["name"] == "Nytt Navn AS"
    assert even.uploads() == 1


def test_a_file_whose_answer_was_lost_goes_again_under_its_name(even: Dock) -> None:
    number = even.supplier()
    even.sandbox.visma.change(COMPANY, "supplier", number, {"name": "Lost AS"})
    for when in ("after", "before", "after"):
        even.sandbox.faults.arm("cleo", "drop_connection", times=1, match="POST .*upload", when=when)
    even.deliver()
    even.deliver()
    mine = [file for file in even.world.suppliers.files if not file["error"]][-2:]
    assert there(even, number)["name"] == "Lost AS"
    assert mine[0]["file"] == mine[1]["file"]


# In


def test_a_new_address_is_set_in_the_erp_and_not_sent_back(even: Dock) -> None:
    number = even.supplier()
    row = even.move(number)
    assert even.receive().worked == {Worked.POSTED: 1}
    assert even.address(number)["addressLine1"] == row["address_line1"]
    even.deliver()
    assert even.uploads() == 0
    assert even.files() == []


def test_a_resend_tells_what_came_from_there_too(even: Dock) -> None:
    number = even.supplier()
    row = even.move(number)
    even.receive()
    even.deliver()
    with even.world.lock:
        even.world.suppliers.held.clear()
    assert resend("cleo/suppliers", COMPANY, yes=True) == 0
    even.deliver()
    assert there(even, number)["address_line1"] == row["address_line1"]


def test_what_others_change_afterwards_goes_out_as_ever(dock: Dock) -> None:
    number = dock.supplier()
    dock.move(number)
    dock.receive()
    dock.deliver()
    dock.sandbox.visma.change(COMPANY, "supplier", number, {"name": "Senere AS"})
    dock.deliver()
    assert there(dock, number)["name"] == "Senere AS"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_only_what_differs_from_the_agreed_version_is_a_change(dock: Dock, form: str) -> None:
    number = dock.supplier()
    dock.sandbox.visma.change(COMPANY, "supplier", number, {"name": "Nettopp Endret AS"})
    row = dock.move(number, form=form)  # written before it heard of the new name
    dock.receive()
    assert dock.row("supplier", number)["name"] == "Nettopp Endret AS"
    assert dock.address(number)["addressLine1"] == row["address_line1"]


def test_where_the_erp_is_right_the_other_side_is_told_so(dock: Dock) -> None:
    number = dock.supplier()
    name = dock.row("supplier", number)["name"]
    dock.move(number, fields={"name": "Feil Navn AS"})
    dock.receive()
    assert dock.row("supplier", number)["name"] == name
    assert there(dock, number)["name"] == name
    assert there(dock, number)["address_line1"] == dock.address(number)["addressLine1"]


def test_a_held_field_waits_for_a_person_and_the_others_go(even: Dock) -> None:
    number = even.supplier()
    before = even.row("supplier", number)["vatRegistrationId"]
    row = even.move(number, fields={"vat_number": "NO923609016MVA"})
    assert even.receive().worked == {Worked.HELD: 1}
    assert even.row("supplier", number)["vatRegistrationId"] == before
    assert even.address(number)["addressLine1"] == row["address_line1"]
    assert f"vat_number {before!r} is to become 'NO923609016MVA'" in even.reasons(number)
    [done] = mailbox.release(even.suite(), number, run_id="run r")
    assert done.reason == ""
    assert even.row("supplier", number)["vatRegistrationId"] == "NO923609016MVA"
    assert even.held(number) == []
    even.deliver()
    assert even.uploads() == 0


def test_a_held_change_that_is_taken_back_waits_no_longer(dock: Dock) -> None:
    number = dock.supplier()
    before = dock.row("supplier", number)["vatRegistrationId"]
    dock.move(number, fields={"vat_number": "NO923609016MVA"})
    dock.receive()
    dock.move(number, fields={"vat_number": before})
    dock.receive()
    assert dock.held(number) == []


@pytest.mark.parametrize(
    ("invalid", "words"),
    [
        ("postcode", "has not the form of NO"),
        ("country", "no ISO 3166 code"),
        ("vat", "has not the form of NO"),
        ("vat_check", "has a wrong check digit"),
        ("missing", "`city` is empty"),
    ],
)
def test_what_cannot_be_right_is_refused_and_a_right_one_ends_it(
    dock: Dock, invalid: str, words: str
) -> None:
    number = dock.supplier()
    before = dock.row("supplier", number)
    dock.move(number, invalid=invalid)
    assert dock.receive().refused == 1
    assert words in dock.reasons(number)
    assert dock.row("supplier", number) == before
    dock.move(number)
    dock.receive()
    assert dock.held(number) == []


def test_a_supplier_the_erp_does_not_know_is_refused(dock: Dock) -> None:
    dock.move(dock.supplier(), invalid="unknown_supplier")
    dock.receive()
    assert "not in the ERP" in dock.reasons("99999")


CUT = [{"name": "Fest \ud83c"}, {"number": "\ud83c"}, {"number": "9\0"}]


@pytest.mark.parametrize("wrong", CUT, ids=ascii)
def test_half_an_emoji_or_a_nul_is_refused_and_keeps_nothing_back(dock: Dock, wrong: dict[str, str]) -> None:
    """As JSON has a text that was cut between two UTF-16 units: no database takes it."""
    number, before = dock.supplier(), mailbox.held(dock.suite())
    row = {"company": COMPANY, "number": number, **there(dock, number)}
    dock.drop("suppliers_NO01_cut.json", json.dumps({"suppliers": [{**row, **wrong}]}).encode())
    assert dock.receive().refused == 1
    assert dock.files() == []
    [entry] = [entry for entry in mailbox.held(dock.suite()) if entry not in before]
    assert mailbox.settled(dock.suite(), entry.key, run_id="run r") == 1


@pytest.mark.parametrize("invalid", ["malformed", "encoding"])
def test_a_broken_file_is_kept_in_quarantine_and_removed(dock: Dock, invalid: str) -> None:
    number = dock.supplier()
    before = dock.row("supplier", number)
    with dock.world.lock:
        file = dock.world.suppliers.change(COMPANY, number, invalid=invalid)["file"]
    assert dock.receive().later == 1  # it may still be being written
    dock.receive()
    assert "cannot be read" in dock.reasons(file)
    assert dock.files() == []
    assert dock.row("supplier", number) == before


def test_the_same_file_once_more_brings_back_nothing_old(dock: Dock) -> None:
    number = dock.supplier()
    row = dock.move(number)
    dock.receive()
    dock.sandbox.visma.change(
        COMPANY, "supplier", number, {"mainAddress": {**dock.address(number), "city": "Bodø"}}
    )
    dock.deliver()
    content = json.dumps({"suppliers": [row]}, ensure_ascii=False, indent=1).encode()
    dock.drop("suppliers_NO01_again.json", content)
    assert dock.receive().repeated == 1
    assert dock.address(number)["city"] == "Bodø"


def dropped(dock: Dock, name: str, row: dict[str, Any]) -> None:
    """A file of one whole row lands in the folder we read."""
    dock.drop(name, json.dumps({"suppliers": [row]}, ensure_ascii=False, indent=1).encode())


def moved_in_the_erp(dock: Dock, number: str, street: str) -> None:
    """The ERP gives a supplier another street, and tells it."""
    address = {**dock.address(number), "addressLine1": street}
    dock.sandbox.visma.change(COMPANY, "supplier", number, {"mainAddress": address})
    dock.deliver()


@pytest.mark.parametrize("streets", [["Havnegata 1"], ["Havnegata 1", "Havnegata 2"]], ids=["once", "twice"])
def test_a_file_that_crossed_ours_does_not_undo_what_the_erp_changed(even: Dock, streets: list[str]) -> None:
    """Its sender wrote whole rows, and had not heard yet."""
    number = even.supplier()
    row = {"company": COMPANY, "number": number, **there(even, number)}
    for street in streets:
        moved_in_the_erp(even, number, street)
    dropped(even, f"suppliers_{number}.json", {**row, "city": "Bodø"})
    assert even.receive().worked == {Worked.HELD: 1}
    assert (even.address(number)["addressLine1"], even.address(number)["city"]) == (
        streets[-1],
        there(even, number)["city"],
    )
    assert "The ERP has changed address_line1 from that since" in even.reasons(number)
    mailbox.release(even.suite(), number, run_id="run r")
    assert (even.address(number)["addressLine1"], even.address(number)["city"]) == (
        row["address_line1"],
        "Bodø",
    )


def test_an_address_that_was_never_agreed_on_is_set_after_the_erp_changed_it(even: Dock) -> None:
    number = even.supplier()
    moved_in_the_erp(even, number, "Havnegata 1")
    row = even.move(number)
    assert even.receive().worked == {Worked.POSTED: 1}
    assert even.address(number)["addressLine1"] == row["address_line1"]


@pytest.mark.parametrize("names", ["123", "111", "121"], ids=["another name each", "one name", "the first's"])
def test_what_the_other_side_takes_back_is_no_repetition_and_asks_a_person(dock: Dock, names: str) -> None:
    number = dock.supplier()
    row = {"company": COMPANY, "number": number, **there(dock, number)}
    for name, street in zip(names, ["Fjordgata 1", "Fjordgata 2", "Fjordgata 1"], strict=True):
        dropped(dock, f"suppliers_{number}_{name}.json", {**row, "address_line1": street})
        done = dock.receive()
    assert (done.worked, dock.address(number)["addressLine1"]) == ({Worked.HELD: 1}, "Fjordgata 2")
    assert "The same file came before" in dock.reasons(number)
    mailbox.release(dock.suite(), number, run_id="run r")
    assert dock.address(number)["addressLine1"] == "Fjordgata 1"


def test_an_old_file_takes_nothing_off_the_list_and_waits_beside_what_newer_ones_say(dock: Dock) -> None:
    number, other = dock.supplier(), dock.supplier()
    even, also = ({"company": COMPANY, "number": each, **there(dock, each)} for each in (number, other))
    old, wrong = {**even, "vat_number": "NO974760673MVA"}, {**also, "vat_number": "NO1"}
    newer = {**even, "vat_number": "NO923609016MVA"}
    for position, row in enumerate([even, old, newer, wrong, old, even, also, wrong, also]):
        dropped(dock, f"suppliers_{position}.json", row)
    dock.receive()
    assert all(each["vat_number"] in dock.reasons(number) for each in (old, newer))
    assert len(dock.held(other)) == 1


def test_a_file_of_suppliers_that_is_still_being_written_holds_back_those_after_it(dock: Dock) -> None:
    number = dock.supplier()
    row = {"company": COMPANY, "number": number, **there(dock, number)}
    dock.sandbox.faults.arm("cleo", "partial_file", match="suppliers_1")
    dropped(dock, "suppliers_1.json", {**row, "address_line1": "Fjordgata 1"})
    dropped(dock, "suppliers_2.json", {**row, "address_line1": "Fjordgata 2"})
    done = dock.receive()
    assert (done.later, done.worked, len(dock.files())) == (1, {}, 2)
    assert dock.receive().worked == {Worked.POSTED: 2}
    assert dock.address(number)["addressLine1"] == "Fjordgata 2"


def test_a_file_of_documents_that_waits_holds_back_no_suppliers(dock: Dock) -> None:
    number, notice = dock.supplier(), dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "server_error", times=None, match=f"purchaseorder/{notice.order}")
    row = dock.move(number)
    with pytest.raises(CallFailed):
        dock.receive()
    assert dock.address(number)["addressLine1"] == row["address_line1"]
    assert dock.files() == notice.files


def test_a_change_of_somebody_else_in_between_is_kept(dock: Dock) -> None:
    number = dock.supplier()
    row, found, once = dock.move(number), VismaClient.single_with_etag, []

    def between(self, entity, key):  # type: ignore[no-untyped-def]
        record = found(self, entity, key)
        once.append(key)
        if len(once) == READS_BEFORE + 1:
            dock.sandbox.visma.change(COMPANY, "supplier", number, {"name": "Mellom AS"})
        return record

    with patch.object(VismaClient, "single_with_etag", between):
        dock.receive()
    assert (dock.row("supplier", number)["name"], dock.address(number)["addressLine1"]) == (
        "Mellom AS",
        row["address_line1"],
    )
    assert [call.status for call in dock.sandbox.log.calls("visma", method="PUT")] == [412, 204]


def test_without_rules_nothing_is_taken_in(dock: Dock) -> None:
    number = dock.supplier()
    dock.settle(suppliers=None)
    with dock.world.lock:
        file = dock.world.suppliers.change(COMPANY, number)["file"]
    dock.receive()
    assert "`suppliers`" in dock.reasons(file)


# Forms

RIGHT = {
    "NO": ("0184", "NO923609016MVA"),
    "SE": ("411 17", "SE556677889901"),
    "DK": ("2100", "DK13585628"),
    "FI": ("00100", "FI20774740"),
    "DE": ("20095", "DE136695976"),
    "GB": ("SW1A 1AA", "GB980780684"),
    "NL": ("1012 AB", "NL004495445B01"),
    "IE": ("D02 X285", "IE6433435F"),
    "GR": ("105 57", "EL094259216"),
    "CH": ("8001", "CHE100155212MWST"),
    "AE": ("", ""),
}


def supplier(country: str, code: str, vat: str) -> dict[str, str]:
    named = {"name": "X AS", "address_line1": "Gata 1", "address_line2": "", "city": "By"}
    return {**named, "postal_code": code, "country": country, "vat_number": vat}


@pytest.mark.parametrize("country", RIGHT)
def test_right_forms_pass(country: str) -> None:
    assert list(faults(supplier(country, *RIGHT[country]), FIELDS)) == []


@pytest.mark.parametrize("country", [code for code in RIGHT if code != "AE"])
def test_a_form_of_no_country_is_told(country: str) -> None:
    assert len(list(faults(supplier(country, "?", "NO12"), FIELDS))) == 2


@pytest.mark.parametrize("number", ["923609016", "NO923609016", "923 609 016 MVA", "NO923609016MVA"])
def test_a_norwegian_number_may_stand_without_its_letters(number: str) -> None:
    assert list(faults(supplier("NO", "0184", number), FIELDS)) == []


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("NO", "NO923609017MVA"),
        ("NO", "923609017"),
        ("SE", "SE556677889801"),
        ("DK", "DK13585629"),
        ("FI", "FI20774741"),
        ("DE", "DE136695977"),
        ("GR", "EL094259217"),
        ("GB", "GB980780685"),
    ],
)
def test_a_wrong_check_digit_is_told_as_that(country: str, number: str) -> None:
    [words] = faults(supplier(country, RIGHT[country][0], number), FIELDS)
    assert words.startswith(f"VAT number {number!r} has a wrong check digit")


def test_a_supplier_registered_abroad_is_judged_by_the_rule_it_is_registered_under() -> None:
    assert list(faults(supplier("NO", "0184", "SE556677889901"), FIELDS)) == []
    [words] = faults(supplier("NO", "0184", "SE556677889801"), FIELDS)
    assert "by the rule of SE" in words


def test_a_number_of_a_country_without_a_known_rule_is_judged_by_its_form() -> None:
    assert list(faults(supplier("AE", "", "AE100000000000"), FIELDS)) == []
    assert list(faults(supplier("AE", "", "100?"), FIELDS)) == ["VAT number '100?' has not the form of AE."]


@pytest.mark.parametrize("number", ["556677889901", "se556677889901"])
def test_a_number_that_no_invoice_could_carry_is_none(number: str) -> None:
    assert list(faults(supplier("SE", "411 17", number), FIELDS)) == [
        f"VAT number {number!r} has not the form of SE."
    ]


def test_what_did_not_change_is_not_judged() -> None:
    assert list(faults(supplier("NO", "?", "?"), ["city"])) == []


def test_a_new_country_has_its_postal_code_judged_again() -> None:
    assert list(faults(supplier("GB", "0184", ""), ["country"])) == [
        "Postal code '0184' has not the form of GB."
    ]
