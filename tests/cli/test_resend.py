"""`mlc resend`: what it shows, that it asks, and that the next run makes an edited target equal again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.delivery import Kind, State
from mlc_dagster.suite import UnknownDestination
from tests.support.house import House, open_house, running_sandbox

NAME, MODULE = "anaplan/suppliers", "DAT01 Suppliers"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("resend")
    with running_sandbox() as sandbox, open_house(sandbox, folder, destinations=["suppliers"]) as house:
        assert house.run("NO01").success
        assert house.run("SE01").success
        yield house


def mlc(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def delivered(house: House, company: str = "NO01") -> int:
    return house.suite().ledger.counts(NAME, company).get(State.DELIVERED, 0)


def test_an_edited_target_is_equal_again_after_the_next_run(house: House) -> None:
    before, rows = house.modules(), delivered(house)
    module = house.sandbox.anaplan.world.model.named("modules", MODULE)
    for coordinates in list(module.cells):
        module.cells[coordinates] = {"name": "edited"}
    assert house.run("NO01").success
    assert house.modules() != before, "unchanged rows are not sent"
    told = mlc("resend", NAME, "--company", "NO01", "--yes")
    assert told.exit_code == 0, told.output
    assert f"{NAME} NO01: the next run sends {rows} rows again." in told.output
    assert house.run("NO01").success
    assert house.shown(NAME)["updated"] == rows
    assert mlc("resend", NAME, "--company", "SE01", "--yes").exit_code == 0
    assert house.run("SE01").success
    assert house.modules() == before


def test_it_shows_rows_and_calls_of_each_company_and_does_nothing_without_a_yes(house: House) -> None:
    rows = delivered(house)
    told = mlc("resend", NAME, answer="n\n")
    assert told.exit_code == 1
    (cost,) = re.findall(rf"NO01 +\D +{rows} +\D +(\d+)", told.output)
    assert int(cost) > 5
    assert "SE01" in told.output
    assert "Nothing was changed." in told.output
    assert delivered(house) == rows


def test_where_nobody_can_answer_nothing_is_changed(house: House) -> None:
    rows = delivered(house)
    assert mlc("resend", NAME).exit_code == 1
    assert delivered(house) == rows


def test_what_was_never_delivered_is_not_asked_about(house: House) -> None:
    assert mlc("resend", NAME, "--company", "NO01", "--yes").exit_code == 0
    told = mlc("resend", NAME, "--company", "NO01")
    assert told.exit_code == 0
    assert "nothing to send again" in told.output
    assert house.run("NO01").success


def test_unknown_destinations_and_companies_name_the_known_ones(house: House) -> None:
    for wanted in ("anaplan/nothing", "anaplan"):
        assert isinstance(mlc("resend", wanted).exception, UnknownDestination), (
            "a whole pair is no destination"
        )
    told = mlc("resend", NAME, "--company", "DK01")
    assert "Known: NO01, SE01" in str(told.exception)


def test_the_audit_trail_notes_it(house: House) -> None:
    assert mlc("resend", NAME, "--company", "NO01", "--yes").exit_code == 0
    suite = house.suite()
    noted = suite.audit.newest(NAME, Kind.PENDING)
    assert noted is not None
    assert (noted.company, noted.run_id, noted.detail["records"]) == (
        "NO01",
        "mlc resend",
        sum(suite.ledger.counts(NAME, "NO01").values()),
    )
