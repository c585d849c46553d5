"""`mlc anaplan describe`: a verdict for each feed, what is missing and who makes it, and files to upload."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.suite import UnknownDestination
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def house(sandbox: Sandbox, tmp_path: Path) -> Iterator[House]:
    with open_house(sandbox, tmp_path, destinations=["suppliers", "supplier_invoices"]) as house:
        yield house


@pytest.fixture
def world(house: House) -> World:
    return house.sandbox.anaplan.world


def describe(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["anaplan", "describe", *arguments])


def feed(house: House, name: str, **settings: object) -> None:
    house.set("pairs", "anaplan", "destinations", name, value=settings)


def test_a_model_that_has_everything_is_ready(house: House) -> None:
    told = describe()
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0].startswith("Model Data Hub (5C6E7F8091A2B3C4D5E6F708192A3B4C), UNLOCKED: ")
    assert "24 imports" in lines[0]
    assert [line.split()[:2] for line in lines if line.startswith("ready")] == [
        ["ready", "anaplan/suppliers"],
        ["ready", "anaplan/supplier_invoices"],
    ]
    assert any("data import: Suppliers data (112" in line and "9 columns as needed" in line for line in lines)


def test_it_changes_nothing_and_asks_for_each_list_of_objects_once(house: House) -> None:
    assert describe("suppliers").exit_code == 0
    log = house.sandbox.log
    assert log.count("anaplan", method="PUT") == log.count("anaplan", method="POST", match="/2/0/") == 0
    assert log.count("anaplan", match="/imports[?]") == log.count("anaplan", match="/views[?]") == 1


def test_everything_that_is_missing_is_told_at_once_with_who_must_act_and_the_header(
    house: House, world: World
) -> None:
    feed(
        house,
        "suppliers",
        list_import="Vendors list",
        data_import="Suppliers data",
        delete_action="Delete vendors",
        read_back="Vendors.All",
    )
    world.model.files[world.import_named("Suppliers data").source_id].headers = ("code", "company")
    told = describe("anaplan/suppliers")
    assert told.exit_code == 1
    assert "lacks   anaplan/suppliers" in told.output
    for words in (
        "list import: Anaplan has no import 'Vendors list' in this model. The model builder must create it",
        "data import: Import 'Suppliers data' expects other columns than the mapping has: the import lacks",
        "delete action: Anaplan has no action 'Delete vendors'",
        "read back: Anaplan has no saved view and no export 'Vendors.All'",
        "header of 'suppliers list.csv': code,name",
        "header of 'suppliers data.csv': code,company,supplier_number,name,status,",
        "Something is missing for suppliers.",
    ):
        assert words in told.output


def test_a_process_an_action_and_a_view_that_are_there_are_shown_with_what_they_are(house: House) -> None:
    feed(
        house,
        "suppliers",
        process="Suppliers load",
        delete_action="Delete from Suppliers",
        read_back="DAT01 Suppliers.All",
    )
    told = describe("suppliers")
    assert told.exit_code == 0, told.output
    assert "runs Suppliers list, Suppliers data" in told.output
    assert "read back: DAT01 Suppliers.All (view 203" in told.output


def test_what_only_the_pre_flight_of_a_delivery_sees_is_missing_too(house: House) -> None:
    small = {"up_to": 10, "list": "Suppliers", "module": "DAT01 GL Accounts"}
    given = {"list_import": "Suppliers list", "data_import": "Suppliers data", "small_changes": small}
    feed(house, "suppliers", **given)
    told = describe("suppliers")
    assert told.exit_code == 1
    assert (
        "delivery: anaplan/suppliers: small_changes: module 'DAT01 GL Accounts' has no line item"
        in told.output
    )


def test_a_model_of_ours_that_is_not_switched_on_comes_with_its_line_for_the_settings(house: House) -> None:
    told = describe("journal_lines")
    assert told.exit_code == 0
    assert "offered anaplan/journal_lines, not switched on." in told.output
    assert (
        "`journal_lines: {list_import: Journal Lines list, data_import: Journal Lines data}`" in told.output
    )
    assert "views DAT01 Journal Lines.All" in told.output


def test_an_import_of_cells_is_offered_with_a_word_on_what_it_may_ask_for(house: House) -> None:
    told = describe("gl_actuals")
    assert told.exit_code == 0
    assert (
        "`gl_actuals: {data_import: GL Actuals data}`, and with `parameters: {Version: Actual}`"
        in told.output
    )
    assert "parameters" not in describe("journal_lines").output


def test_a_model_of_ours_for_which_there_is_nothing_is_no_failure(house: House, world: World) -> None:
    world.model.imports = {
        key: action for key, action in world.model.imports.items() if "Journal" not in action.name
    }
    told = describe("journal_lines")
    assert told.exit_code == 0
    assert (
        "off     anaplan/journal_lines, not switched on: the model has no imports of this name" in told.output
    )
    assert "header of 'journal_lines data.csv': code,company,module,batch_number," in told.output


def test_a_model_with_hundreds_of_imports_is_told_in_few_lines_and_calls(house: House, world: World) -> None:
    some = world.import_named("Suppliers data")
    for number in range(300):
        other = replace(some, id=f"112{number + 5000:09}", name=f"Headcount {number}")
        world.model.imports[other.id] = other
    told = describe("suppliers")
    assert told.exit_code == 0
    assert "324 imports" in told.output
    assert "Headcount" not in told.output
    assert house.sandbox.log.count("anaplan", match=r"/imports/\d+$") <= 4


def test_mlc_check_looks_for_the_view_too(house: House) -> None:
    given = {"list_import": "Suppliers list", "data_import": "Suppliers data"}
    feed(house, "suppliers", **given, read_back="DAT01 Suppliers.All")
    told = CliRunner().invoke(app, ["check"])
    assert told.exit_code == 0, told.output
    assert "anaplan/suppliers: ready, and read back" in told.output
    feed(house, "suppliers", **given, read_back="DAT01 Suppliers.Gone")
    told = CliRunner().invoke(app, ["check"])
    assert told.exit_code == 1
    assert "no saved view and no export 'DAT01 Suppliers.Gone'" in told.output


def test_a_locked_model_says_who_opens_it(house: House, world: World) -> None:
    world.model.active_state = "LOCKED"
    told = describe("suppliers")
    world.model.active_state = "UNLOCKED"
    assert told.exit_code == 1
    assert "workspace administrator must unlock it" in f"{told.output} {told.exception}"


def test_the_files_for_the_builder_have_the_contracts_header_and_one_example_row(
    house: House, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "for the builder"
    told = describe("supplier_invoices", "--headers", str(folder))
    assert told.exit_code == 0
    assert sorted(file.name for file in folder.iterdir()) == [
        "supplier_invoices data.csv",
        "supplier_invoices list.csv",
    ]
    header, example = (folder / "supplier_invoices data.csv").read_text().splitlines()
    wanted = world.model.files[world.import_named("Supplier Invoices data").source_id].headers
    assert tuple(header.split(",")) == wanted
    row = dict(zip(wanted, example.split(","), strict=True))
    assert (row["code"], row["supplier"]) == ("NO01|Invoice|10023", "NO01|50000")
    assert (row["date"], row["amount"], row["financial_period"]) == ("2026-11-20", "1234.56", "202611")
    assert (folder / "supplier_invoices list.csv").read_text().splitlines()[0] == "code,name"


def test_a_feed_without_list_import_needs_no_list_file(house: House, tmp_path: Path) -> None:
    assert describe("gl_actuals", "--headers", str(tmp_path / "out")).exit_code == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["gl_actuals data.csv"]


def test_an_unknown_model_names_the_known_ones(house: House) -> None:
    error = describe("vendors").exception
    assert isinstance(error, UnknownDestination)
    assert "anaplan/suppliers" in str(error)
