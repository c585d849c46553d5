"""`mlc cleo receive`, `held` and `release`: what a person sees and decides."""

from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.inbound.mailbox import NothingWaits
from tests.cleo.dock import COMPANY, Dock


def mlc(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["cleo", *words])


def test_nothing_waits_at_first(dock: Dock) -> None:
    told = mlc("held")
    assert (told.exit_code, told.output) == (0, "Nothing waits for a person.\n")
    assert isinstance(mlc("release", "1").exception, NothingWaits)


def test_what_is_held_is_listed_with_its_reason_and_released(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "over")
    assert mlc("receive").output == "Cleo's mailbox: 1 file, 1 held.\n"
    assert mlc("receive").output == "Cleo's mailbox: nothing new.\n"
    told = mlc("held")
    assert told.exit_code == 1
    assert notice.number in told.output
    assert "More than is open" in told.output
    done = mlc("release", notice.number)
    assert (done.exit_code, done.output) == (0, f"Notice {notice.number} of NO01 is done.\n")
    assert len(dock.receipts(notice.number)) == 1
    assert mlc("held").exit_code == 0


def test_what_nobody_can_carry_out_goes_on_waiting_until_it_is_settled(dock: Dock) -> None:
    notice = dock.ship(dock.order(), "unit")
    mlc("receive")
    told = mlc("release", notice.number)
    assert told.exit_code == 1
    assert "goes on waiting. Shipped in" in told.output
    assert mlc("release", notice.number, "--settled").exit_code == 0
    assert mlc("held").exit_code == 0


def test_what_a_person_decides_is_told_from_what_the_partner_has_to_correct(dock: Dock) -> None:
    notice, supplier = dock.ship(dock.order(), "over"), dock.supplier()
    dock.move(supplier, invalid="postcode")
    mlc("receive")
    lines = [line.split() for line in mlc("held").output.splitlines()]
    told = {words[3]: words[4] for words in lines if len(words) > 4 and words[2] == COMPANY}
    assert told == {notice.number: "held", supplier: "refused"}
    for number in told:
        mlc("release", number, "--settled")
