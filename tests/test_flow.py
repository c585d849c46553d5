"""What a run of a few days does to other days' rows, when settings or another record touch them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster import flow
from mlc_dagster.mappings import Mapped
from mlc_dagster.outlook import entities, unsent
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox

COMPANY = "NO01"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(scale=0.02, companies=(COMPANY,)) as sandbox:
        yield sandbox


@contextmanager
def delivered(sandbox: Sandbox, folder: Path, *destinations: str, **settings: Any) -> Iterator[House]:
    """An installation of some destinations of a pair, after its first load."""
    pair = destinations[0].split("/")[0]
    section: dict[str, Any] = getattr(sandbox, pair).config_section(sandbox.url)
    wanted = [name.split("/")[1] for name in destinations]
    section[pair]["destinations"] = {name: section[pair]["destinations"][name] for name in wanted}
    with open_house(sandbox, folder, pairs=section, **settings) as house:
        set_up(house, pair)
        suite = now(house)
        for entity in entities(suite, pair):
            flow.read(suite, entity, COMPANY, house.days, run_id="first")
        for name in destinations:
            assert flow.send(suite, name, COMPANY, house.days, run_id="first").complete
        assert not unsent(now(house), pair, COMPANY)
        yield house


def set_up(house: House, pair: str) -> None:
    if pair != "anaplan":
        setup = getattr(now(house), pair).setup
        setup.apply(setup.plan())


def now(house: House) -> Suite:
    """What a run that starts now has, with the settings as they are."""
    return Suite(load_settings(house.settings.file), house.clock)


@pytest.mark.parametrize(
    ("destinations", "setting", "value"),
    [
        (
            ["anaplan/suppliers"],
            ["destinations", "suppliers"],
            {"process": "Suppliers load", "item_name": "name", "read_back": "DAT01 Suppliers.All"},
        ),
        (["powerbi/suppliers", "powerbi/currencies"], ["dataset"], "Another ERP"),
        (["asana/purchase_orders"], ["destinations", "purchase_orders", "lines"], "subtasks"),
    ],
    ids=["anaplan", "powerbi", "asana"],
)
def test_a_change_of_target_lets_every_row_go_again_with_a_run_of_today_alone(
    sandbox: Sandbox, tmp_path: Path, destinations: list[str], setting: list[str], value: Any
) -> None:
    pair = destinations[0].split("/")[0]
    with delivered(sandbox, tmp_path, *destinations) as house:
        house.set("pairs", pair, *setting, value=value)
        set_up(house, pair)
        suite = now(house)
        assert unsent(suite, pair, COMPANY), "a sensor would start a run"
        for name in destinations:
            assert flow.send(suite, name, COMPANY, [house.today], run_id="today").complete
            held = [held.row.key for held in suite.ledger.held(name, COMPANY)]
            assert held
            assert suite.ledger.unsure(name, COMPANY, held, suite.destination(name).target) == set()
            assert not flow.rows(suite, name, COMPANY, [house.today]).whole, "and only once"


SUPPLIERS = "anaplan/suppliers"


@pytest.fixture
def named(sandbox: Sandbox, tmp_path: Path) -> Iterator[House]:
    """An installation whose suppliers are told apart by their name, which the ERP lets two have."""
    models = shutil.copytree(REPOSITORY / "dbt_like_mappings", tmp_path / "models")
    sql = models / "anaplan" / "suppliers.sql"
    sql.write_text(sql.read_text().replace("supplier.number as code", "supplier.name as code"))
    with delivered(sandbox, tmp_path, SUPPLIERS, mappings=str(models)) as house:
        yield house


def rename(house: House, supplier: str, name: str) -> None:
    """Somebody renames a supplier, and what is new is read and sent. The ERP's clock lags."""
    house.sandbox.visma.change(COMPANY, "supplier", supplier, {"name": name})
    suite = now(house)
    flow.read(suite, ENTITIES["suppliers"], COMPANY, house.days[-2:], run_id="today")
    flow.send(suite, SUPPLIERS, COMPANY, [house.today], run_id="today")


def whose(house: House, key: str) -> str:
    return now(house).ledger.known(SUPPLIERS, COMPANY, keys=[key], source_keys=())[key].source_key


def refused(house: House, key: str) -> dict[str | None, str]:
    """Which records wait in quarantine with a key, and why."""
    waiting = now(house).quarantine.open(SUPPLIERS, COMPANY)
    return {entry.source_key: entry.reason for entry in waiting if entry.key == key}


def test_a_record_with_the_key_of_one_that_is_not_in_the_run_is_refused_and_so_is_that_one(
    named: House,
) -> None:
    suite = now(named)
    fresh = flow.rows(suite, SUPPLIERS, COMPANY, named.days[-2:]).scope
    held = {row.row.source_key: row.row for row in suite.ledger.held(SUPPLIERS, COMPANY)}
    first, second = sorted(held.keys() - fresh)[:2]
    key, name = held[first].key, held[first].payload["name"]

    rename(named, second, name)
    assert refused(named, key) == {
        first: f"more than one row has the key {key}",
        second: f"more than one row has the key {key}",
    }
    assert whose(named, key) == first, "the last good version stays"
    assert whose(named, held[second].key) == second

    rename(named, first, "Another name AS")
    assert refused(named, key) == {}
    assert whose(named, key) == second, "a key may pass on to another record"


def test_what_a_read_brings_while_all_rows_are_looked_at_is_not_left_behind(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with delivered(sandbox, tmp_path, SUPPLIERS) as house:
        suite, made = now(house), flow.everything
        supplier = next(suite.ledger.held(SUPPLIERS, COMPANY)).row.source_key
        sandbox.visma.change(COMPANY, "supplier", supplier, {"name": "Meanwhile AS"})

        def everything_after_a_read(*asked: Any) -> Mapped:
            flow.read(now(house), ENTITIES["suppliers"], COMPANY, house.days[-2:], run_id="meanwhile")
            return made(*asked)

        monkeypatch.setattr(flow, "everything", everything_after_a_read)
        assert flow.strays(suite, SUPPLIERS, COMPANY) == []
        assert flow.send(suite, SUPPLIERS, COMPANY, [], run_id="next").updated == 1
