"""`mlc replay` and `mlc quarantine`: what they show, that they ask, and that what was asked for happens."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_dagster.cli.workers import Work
from mlc_dagster.database.schema import batches, records
from mlc_dagster.delivery import Kind
from mlc_dagster.delivery import State as LedgerState
from mlc_dagster.operations.replay import By, NotAReplay, What, plan
from mlc_dagster.settings import UnknownCompany
from mlc_dagster.suite import UnknownDestination
from mlc_sandbox.anaplan.world import member_key
from tests.support.house import House, open_house, running_sandbox

NAME, MODULE = "anaplan/supplier_invoices", "DAT01 Supplier Invoices"
LINE = "supplierInvoice"
Mlc = Callable[..., Result]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("replay")
    names = ["suppliers", "supplier_invoices"]
    with running_sandbox() as sandbox, open_house(sandbox, folder, destinations=names) as house:
        assert house.run("NO01").success
        yield house


@pytest.fixture
def mlc(house: House, monkeypatch: pytest.MonkeyPatch) -> Mlc:
    """The command on this house: its Dagster instance, its clock."""
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: Borrowed(house.instance))
    monkeypatch.setattr("mlc_dagster.cli.replay.side_by_side", here)
    for room in ("replay", "quarantine"):
        monkeypatch.setattr(f"mlc_dagster.cli.{room}.Suite", lambda _: house.suite())

    def run(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=answer)

    return run


@contextmanager
def here(work: Work, names: Sequence[str]) -> Iterator[Iterator[tuple[str, Any]]]:
    """One after the other in this process, which alone knows the house's Dagster and clock."""
    told: list[tuple[str, Any]] = []
    for name in names:
        work(name, lambda what, name=name: told.append((name, what)))
    yield iter(told)


class Borrowed:
    """An instance that stays open after a command."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def __enter__(self) -> dg.DagsterInstance:
        return self._instance

    def __exit__(self, *_: object) -> None:
        pass


def number_of(house: House, nth: int = 0) -> str:
    """The number of an invoice that no other document has."""
    numbers = Counter(str(row["referenceNumber"]) for row in house.sandbox.visma.truth("NO01", LINE))
    found = [row for row in house.sandbox.visma.truth("NO01", LINE) if row["documentType"] == "Invoice"]
    return [str(row["referenceNumber"]) for row in found if numbers[str(row["referenceNumber"])] == 1][nth]


def spoil(house: House, number: str) -> None:
    """Edit a document at the target."""
    model = house.sandbox.anaplan.world.model
    module = model.named("modules", MODULE)
    [dimension] = module.dimensions
    key = f"NO01|Invoice|{number}"
    (place,) = [place for place in module.cells if member_key(model, dimension, place[0]) == key]
    name = next(name for name, item in module.line_items.items() if item.formula is None)
    module.cells[place] = {name: "edited"}


def test_a_document_goes_again_though_nothing_changed_and_nothing_else_does(house: House, mlc: Mlc) -> None:
    number, before = number_of(house), house.modules()
    spoil(house, number)
    assert house.modules() != before
    told = mlc("replay", number, "--yes")
    assert told.exit_code == 0, told.output
    assert f"{NAME} 1" in told.output
    assert house.modules() == before
    events = house.suite().audit.history(number)
    assert [event.kind for event in events if event.key].count(Kind.UPDATED) == 1


def test_it_shows_the_plan_and_does_nothing_without_a_yes(house: House, mlc: Mlc) -> None:
    imports = house.imports()
    told = mlc("replay", number_of(house), answer="n\n")
    assert told.exit_code == 1
    assert f"{NAME} 1" in told.output
    assert "Nothing was changed." in told.output
    assert house.imports() == imports
    assert house.suite().ledger.outstanding(NAME, "NO01") == set()


def test_a_batch_goes_again(house: House, mlc: Mlc) -> None:
    before = house.modules()
    spoil(house, number_of(house, 1))
    with house.suite().engine.connect() as connection:
        first = sa.select(batches.c.id, batches.c.size).where(batches.c.destination == NAME)
        batch, size = connection.execute(first.order_by(batches.c.created_at)).first()
    told = mlc("replay", "--batch", batch, "--yes")
    assert told.exit_code == 0, told.output
    assert f"{NAME} {size}" in told.output
    assert "NO01, read for anaplan" in told.output, "the company and pair of what came of it"
    assert house.modules() == before


def test_what_is_gone_at_the_target_since_is_not_counted_among_what_goes(house: House) -> None:
    suite = house.suite()
    with suite.engine.begin() as connection:
        first = sa.select(batches.c.id, batches.c.run_id, batches.c.size).where(batches.c.destination == NAME)
        batch, run_id, size = connection.execute(first.order_by(batches.c.created_at).limit(1)).one()
        here = records.c.destination == NAME
        key = connection.execute(sa.select(sa.func.min(records.c.key)).where(here)).scalar_one()
        gone = records.update().where(here, records.c.key == key)
        connection.execute(gone.values(state=LedgerState.DELETED))
    for what in (What(By.BATCH, batch), What(By.RUN, run_id)):
        planned = plan(suite, what)
        assert len(planned.rows[NAME, "NO01"]) == size - 1
        assert "Rows that are deleted at their targets, and stay so: 1." in planned.notes
    with suite.engine.begin() as connection:
        connection.execute(gone.values(state=LedgerState.DELIVERED))


def test_a_run_goes_again_with_its_days(house: House, mlc: Mlc) -> None:
    runs = house.instance.get_runs()
    before = house.modules()
    spoil(house, number_of(house, 2))
    told = mlc("replay", "--run", runs[-1].run_id, "--yes")
    assert told.exit_code == 0, told.output
    assert f"{house.days[0]} to {house.today}" in told.output
    assert house.modules() == before


def test_days_are_compared_again_and_cost_no_import_where_nothing_changed(house: House, mlc: Mlc) -> None:
    imports = house.imports()
    days = ["--from", str(house.today - timedelta(days=1)), "--to", str(house.today)]
    told = mlc("replay", "--company", "NO01", *days, "--pair", "anaplan", "--yes")
    assert told.exit_code == 0, told.output
    assert "none: only what differs" in told.output
    assert house.imports() == imports


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "Nothing is known of nowhere"),
        (["--batch", "b"], "There is no batch b"),
        (["--run", "r"], "Nothing is known of the run r"),
        (["--company", "XX", "--from", "2026-11-01", "--to", "2026-11-02"], "There is no company XX"),
        (["--company", "NO01"], "Name one of NUMBER"),
        (["1", "--batch", "b"], "Name one of NUMBER"),
        (["1", "--pair", "asana"], "The pair asana is not switched on"),
    ],
)
def test_what_cannot_be_done_again_is_told(mlc: Mlc, arguments: list[str], words: str) -> None:
    raised = mlc("replay", *arguments).exception
    assert isinstance(raised, NotAReplay)
    assert words in str(raised)


@pytest.fixture
def refused(house: House) -> Iterator[str]:
    """The number of an invoice that the ERP tells with an amount that is a text."""
    number = number_of(house, 3)
    key = f"Invoice|{number}"
    (row,) = [row for row in house.sandbox.visma.truth("NO01", LINE) if row["referenceNumber"] == number]
    house.sandbox.visma.change("NO01", LINE, key, {"amount": "abc"})
    assert house.run("NO01", first=house.today).success
    yield number
    house.sandbox.visma.change("NO01", LINE, key, {"amount": row["amount"]})
    assert house.run("NO01", first=house.today).success


def test_the_quarantine_is_listed_shown_retried_and_released(house: House, mlc: Mlc, refused: str) -> None:
    (entry,) = house.suite().quarantine.open()
    listed = mlc("quarantine", "list")
    assert listed.exit_code == 1
    assert refused in listed.output
    elsewhere = mlc("quarantine", "list", "--company", "SE01")
    assert (elsewhere.exit_code, elsewhere.output) == (0, "Nothing of that is in quarantine.\n")
    shown = mlc("quarantine", "show", refused)
    assert shown.exit_code == 0
    assert re.search(r'^  "amount": "abc"', shown.output, re.MULTILINE), "a line for each field"
    assert "Correct the record in the ERP" in shown.output
    again = mlc("quarantine", "retry", str(entry.id), "--yes")
    assert again.exit_code == 1, "nothing was corrected"
    assert "0 of 1 passed" in again.output
    key, amount = f"Invoice|{refused}", 100
    house.sandbox.visma.change("NO01", LINE, key, {"amount": amount})
    again = mlc("quarantine", "retry", "--all", "--yes")
    assert again.exit_code == 0, again.output
    assert "1 of 1 passed" in again.output
    assert mlc("quarantine", "list").exit_code == 0


def test_a_list_of_what_there_cannot_be_is_not_called_empty(mlc: Mlc) -> None:
    assert isinstance(mlc("quarantine", "list", "--pair", "anaplann").exception, UnknownDestination)
    assert isinstance(mlc("quarantine", "list", "--company", "DK01").exception, UnknownCompany)
    assert mlc("quarantine", "list", "--stage", "contracts").exit_code == 2


def test_a_dismissed_record_stays_away_and_is_no_news(house: House, mlc: Mlc, refused: str) -> None:
    (entry,) = house.suite().quarantine.open()
    assert (
        mlc("quarantine", "dismiss", str(entry.id), "--reason", "a test", "--by", "controller").exit_code == 0
    )
    assert house.run("NO01", first=house.today).success
    assert mlc("quarantine", "list").exit_code == 0
    assert "dismissed by controller: a test" in mlc("quarantine", "list", "--dismissed").output
    assert mlc("quarantine", "dismiss", str(entry.id), "--reason", "again").exit_code == 1
