"""`mlc reconcile`: what it shows of an edited target, and that a repair sends exactly the wrong rows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from mlc_dagster import flow
from mlc_dagster.cli.main import app
from mlc_dagster.cli.reconcile import NotCarried
from mlc_dagster.database.schema import records
from mlc_dagster.delivery import Change, State
from mlc_dagster.settings import UnknownCompany, load_settings
from mlc_dagster.suite import Suite, UnknownDestination
from tests.support.house import House, open_house, running_sandbox

NAME, MODULE = "anaplan/suppliers", "DAT01 Suppliers"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("reconcile")
    with (
        running_sandbox(companies=("NO01",)) as sandbox,
        open_house(sandbox, folder, destinations=["suppliers"]) as house,
    ):
        assert house.run("NO01").success
        yield house


def mlc(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def edit_one(house: House) -> str:
    """Somebody types into one cell; returns the supplier's code."""
    module = house.sandbox.anaplan.world.model.named("modules", MODULE)
    coordinates = next(iter(module.cells))
    module.cells[coordinates] = {**module.cells[coordinates], "name": "edited by hand"}
    return next(code for code, row in house.modules()[MODULE].items() if row["name"] == "edited by hand")


def lose_a_confirmation(house: House) -> None:
    """The ledger knows an older row than the target holds and the lake makes."""
    mine = (records.c.destination == NAME, records.c.key == min(house.modules()[MODULE]))
    with house.suite().engine.begin() as connection:
        assert connection.execute(records.update().where(*mine).values(hash="older")).rowcount == 1


def test_an_equal_target_is_told_so(house: House) -> None:
    told = mlc("reconcile", "anaplan")
    assert told.exit_code == 0, told.output
    assert "equal" in told.stdout
    assert told.stderr == f"Reading {NAME} NO01 ...\n"


@pytest.fixture
def unread(house: House) -> Iterator[None]:
    """The installation without a view to read back by."""
    settings = house.settings.file.read_text()
    given = yaml.safe_load(settings)["pairs"]["anaplan"]["destinations"]["suppliers"]
    del given["read_back"]
    house.set("pairs", "anaplan", "destinations", "suppliers", value=given)
    yield
    house.settings.file.write_text(settings)


@pytest.mark.usefixtures("unread")
def test_what_was_never_delivered_to_is_told_as_that_and_is_no_success(house: House, tmp_path: Path) -> None:
    house.set("home", value=str(tmp_path))
    told = mlc("reconcile")
    assert f"{NAME} was never delivered to: there is nothing to compare." in told.output
    assert (told.exit_code, told.output.endswith("Nothing was compared.\n")) == (1, True)


@pytest.mark.usefixtures("unread")
def test_where_nothing_is_read_back_the_ledger_is_compared_with_the_lake(house: House) -> None:
    kept = house.suite().comparisons.all()
    told = mlc("reconcile")
    assert f"{NAME} cannot be read back: the ledger is compared with the lake, and not with" in told.output
    assert (told.exit_code, told.output.split()[-1]) == (0, "read"), "and not called equal"
    lose_a_confirmation(house)
    told = mlc("reconcile")
    assert told.exit_code == 1
    assert "is to be changed by what the lake holds, and no run would do it" in told.output
    mlc("reconcile", "--repair", "--yes")
    assert house.run("NO01").success
    assert mlc("reconcile").exit_code == 0
    assert house.suite().comparisons.all() == kept, "the pages show only what was read back"


@pytest.mark.usefixtures("unread")
def test_without_target_and_lake_nothing_is_compared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def incomplete(_: Suite, name: str, company: str) -> list[Change]:
        raise flow.LakeIncomplete(name, company, {"suppliers": [house.today]}, "no rows were made")

    monkeypatch.setattr("mlc_dagster.cli.reconcile.strays", incomplete)
    told = mlc("reconcile")
    assert "The ledger was not compared with the lake." in told.output
    assert (told.exit_code, told.output.endswith("Nothing was compared.\n")) == (1, True)


@pytest.fixture
def surplus(house: House) -> Iterator[str]:
    """The code of an item that no run makes; afterwards it is gone from the model and the ledger."""
    client = house.suite().anaplan.client
    wanted = next(thing for thing in client.catalog.lists() if thing.name == "Suppliers")
    path = f"/workspaces/{client.workspace_id}/models/{client.model_id}/lists/{wanted.id}/items"
    code = "NO01|9999"
    client.http.call("POST", f"{path}?action=add", json={"items": [{"code": code}]})
    yield code
    client.http.call("POST", f"{path}?action=delete", json={"items": [{"code": code}]})
    with house.suite().engine.begin() as connection:
        connection.execute(records.delete().where(records.c.key == code))


def test_a_row_that_nobody_sent_is_taken_away_with_the_next_run(house: House, surplus: str) -> None:
    before = house.modules()
    kept = mlc("reconcile", NAME, "--repair", answer="n\n")
    assert f"{NAME} NO01: rows to be taken away: 1: {surplus}." in kept.output
    assert "Nothing is to be sent again." in kept.output
    assert "They stay." in kept.output
    assert house.suite().ledger.known(NAME, "NO01", keys=[surplus], source_keys=()) == {}
    told = mlc("reconcile", NAME, "--repair", "--yes")
    assert f"{NAME} NO01: the next run takes 1 row away." in told.output
    assert house.run("NO01").success
    assert house.shown(NAME)["deleted"] == 1
    now = house.modules()[MODULE]
    assert now.pop(surplus)["status"] == "Deleted"
    assert now == before[MODULE]
    last = mlc("reconcile")
    assert last.exit_code == 0, last.output
    assert "no record of the ERP makes it" in mlc("audit", surplus).output


@pytest.fixture
def deleted(house: House, surplus: str) -> str:
    """An item that the ledger knows as deleted, and that does not show it."""
    with house.suite().engine.begin() as connection:
        some = connection.execute(records.select().where(records.c.destination == NAME)).first()
        gone = {"key": surplus, "source_key": "9999", "state": State.DELETED, "hash": None, "payload": None}
        connection.execute(records.insert(), {**some._asdict(), **gone})
    return surplus


@pytest.fixture
def own_mappings(house: House, tmp_path: Path) -> Iterator[Path]:
    """The folder of a copy of the mappings, which mlc.yaml names meanwhile."""
    settings, folder = house.settings.file.read_text(), tmp_path / "mappings"
    shutil.copytree(house.settings.mappings_folder, folder)
    house.set("mappings", value=str(folder))
    yield folder
    house.settings.file.write_text(settings)


def test_a_changed_mark_reaches_the_rows_that_were_marked_before(
    house: House, deleted: str, own_mappings: Path
) -> None:
    contract = own_mappings / "anaplan" / "suppliers.yml"
    for mark in ("Deleted", "No longer used"):
        contract.write_text(contract.read_text().replace("{status: Deleted}", f"{{status: {mark}}}"))
        assert mlc("reconcile", NAME, "--repair", "--yes").exit_code == 1
        flow.send(Suite(load_settings(), house.clock), NAME, "NO01", [house.today], run_id="run")
        assert house.modules()[MODULE][deleted]["status"] == mark
    assert mlc("reconcile", NAME).exit_code == 0


def test_a_deleted_row_that_shows_again_is_deleted_again(house: House, deleted: str) -> None:
    told = mlc("reconcile", NAME, "--repair", "--yes")
    assert f"{NAME} NO01: rows to be taken away: 1: {deleted}." in told.output
    assert house.run("NO01").success
    assert house.modules()[MODULE][deleted]["status"] == "Deleted"
    assert mlc("reconcile").exit_code == 0


def test_nothing_is_taken_away_without_a_lake(house: House, surplus: str) -> None:
    """What nobody sent may be of a record that was not read."""
    lake = Path(house.settings.lake_url)
    aside = lake.rename(lake.with_name("aside"))
    try:
        told = mlc("reconcile", NAME, "--repair", "--yes")
    finally:
        shutil.rmtree(lake, ignore_errors=True)
        aside.rename(lake)
    assert "no row is taken away" in told.output
    assert house.suite().ledger.known(NAME, "NO01", keys=[surplus], source_keys=()) == {}


def test_only_what_carries_an_entity_is_compared(house: House) -> None:
    told = mlc("reconcile", "anaplan", "--entity", "suppliers")
    assert "anaplan/suppliers" in told.output
    with pytest.raises(NotCarried, match="of anaplan carries supplier"):
        CliRunner().invoke(app, ["reconcile", "anaplan", "--entity", "supplier"], catch_exceptions=False)


def test_a_company_is_compared_where_it_is_carried(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = yaml.safe_load(house.settings.file.read_text())
    settings["companies"]["NO02"] = {"name": "Another", "tenant_id": "2", "company_id": "2"}
    settings["pairs"]["anaplan"]["companies"] = ["NO02"]
    file = tmp_path / "mlc.yaml"
    file.write_text(yaml.safe_dump({**settings, "home": str(tmp_path)}))
    monkeypatch.setenv("MLC_CONFIG", str(file))
    assert "Nothing was compared." in mlc("reconcile", "--company", "NO01").output
    with pytest.raises(UnknownCompany, match="anaplan carries no company NO01"):
        CliRunner().invoke(app, ["reconcile", "anaplan", "--company", "NO01"], catch_exceptions=False)


def test_a_target_that_cannot_be_read_is_no_success(house: House) -> None:
    module = house.sandbox.anaplan.world.model.named("modules", MODULE)
    views, module.saved_views = module.saved_views, {}
    try:
        told = mlc("reconcile", NAME)
    finally:
        module.saved_views = views
    assert told.exit_code == 1
    assert "cannot be read" in told.output


def test_an_edited_cell_is_named_with_both_values_and_repaired_alone(house: House) -> None:
    before = house.modules()
    code = edit_one(house)
    told = mlc("reconcile", NAME, "--company", "NO01")
    assert told.exit_code == 1
    assert code in told.output
    assert "edited by hand" in told.output
    assert told.output.endswith(
        "`mlc reconcile DESTINATION --repair` shows what it would put right, and asks.\n"
    )
    [kept] = house.suite().comparisons.all()
    assert (kept.different, kept.differences[0].key, kept.differences[0].shown) == (1, code, "edited by hand")
    asked = mlc("reconcile", NAME, "--repair", answer="n\n")
    assert "Nothing was changed." in asked.output
    done = mlc("reconcile", NAME, "--repair", "--yes")
    assert f"{NAME} NO01: the next run sends 1 row again." in done.output
    assert house.run("NO01").success
    assert house.shown(NAME)["updated"] == 1
    assert house.modules() == before
    assert mlc("reconcile").exit_code == 0


def test_a_row_that_no_run_would_send_is_found_beside_the_lake_and_repaired(house: House) -> None:
    """Such as one whose confirmation was lost with a part of the database."""
    suite, before = house.suite(), house.modules()
    lose_a_confirmation(house)
    told = mlc("reconcile", NAME)
    assert told.exit_code == 1
    assert "is to be changed by what the lake holds, and no run would do it" in told.output
    assert suite.comparisons.all()[0].stale == 1
    mlc("reconcile", NAME, "--repair", "--yes")
    assert house.run("NO01").success
    assert house.shown(NAME)["updated"] == 1
    assert house.modules() == before
    assert mlc("reconcile").exit_code == 0


def test_a_row_that_the_ledger_has_lost_is_sent_again(house: House) -> None:
    suite, before = house.suite(), house.modules()
    with suite.engine.begin() as connection:
        mine = (records.c.destination == NAME, records.c.key == sorted(before[MODULE])[0])
        assert connection.execute(records.delete().where(*mine)).rowcount == 1
    told = mlc("reconcile", NAME, "--repair", "--yes")
    assert f"{NAME} NO01: the next run sends 1 row again." in told.output
    assert house.run("NO01").success
    assert house.modules() == before
    assert mlc("reconcile").exit_code == 0


@pytest.mark.usefixtures("surplus")
def test_the_first_of_each_kind_are_named_and_all_when_asked_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that nobody sent are met first; they hide none that is missing."""
    monkeypatch.setattr("mlc_dagster.cli.reconcile.NAMED", 1)
    items = house.sandbox.anaplan.world.model.named("lists", "Suppliers").items
    lost = [each for each in items.values() if each.code and each.code.startswith("NO01|5")][:2]
    for item in lost:
        del items[item.id]
    try:
        first, every = mlc("reconcile", NAME).output, mlc("reconcile", NAME, "--all").output
        asked = mlc("reconcile", NAME, "--repair", answer="n\nn\n").output
    finally:
        items.update({item.id: item for item in lost})
    assert f"{NAME} NO01: 2 missing, of which these are the first 1:\n  NO01|5" in first
    assert f"{NAME} NO01: 1 extra:\n  NO01|9999 was never sent" in first
    assert f"{NAME} NO01: 2 missing:\n" in every
    assert [f"  {item.code} was delivered and is not shown\n" in every for item in lost] == [True, True]
    assert [f"  {item.code} was delivered" in first for item in lost].count(True) == 1
    keys = ", ".join(sorted(str(item.code) for item in lost))
    assert f"{NAME} NO01: rows to be sent again: 2: {keys}.\n" in asked


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("name", ["anaplan/nothing", "nothing", "asana"])
def test_a_name_that_is_no_destination_and_no_pair_is_told(name: str) -> None:
    with pytest.raises(UnknownDestination, match="anaplan/suppliers"):
        CliRunner().invoke(app, ["reconcile", name], catch_exceptions=False)
