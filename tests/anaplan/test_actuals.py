"""Balances on their way to Anaplan: each cell is the ERP's sum, whatever happens to a part of it."""

import pickle
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster import flow
from mlc_dagster.definitions import defs
from mlc_dagster.operations.sweeps import sweep
from mlc_dagster.settings import load_settings
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.server import Sandbox
from tests.graph.test_equality import told
from tests.support.house import House, open_house, running_sandbox
from tests.support.planning import GONE, Row, expected

MODULE, BALANCES, COMPANY = "ACT01 GL Actuals", "generalLedgerBalance", "NO01"
FEEDS = ("gl_accounts", "cost_centres", "gl_actuals")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(companies=(COMPANY,)) as sandbox:
        yield sandbox


@pytest.fixture
def house(sandbox: Sandbox, tmp_path: Path) -> Iterator[House]:
    """An installation after its first load; the ERP is as it was before when the test is over."""
    before = pickle.dumps(sandbox.visma.dump())
    with open_house(sandbox, tmp_path, destinations=FEEDS) as house:
        assert house.run().success
        yield house
    sandbox.visma.load(pickle.loads(before))


def held(house: House) -> dict[str, Row]:
    return house.modules()[MODULE]


def wanted(house: House, before: dict[str, Row] | None = None) -> dict[str, Row]:
    return expected(house.sandbox, [COMPANY], {MODULE: before or {}})[MODULE]


def again(house: House) -> Row:
    """Look for what is gone, read what changed, deliver both. The ERP's clock lags. Returns the counts."""
    sweep(house.suite(), ENTITIES["gl_balances"], COMPANY, run_id="sweep")
    run = house.run(first=house.days[-2])
    assert run.success
    return dict(run.metadata["anaplan/gl_actuals"])


def sums(house: House) -> dict[tuple[str, str, str], list[str]]:
    """Account, cost centre and period -> the keys of the balances in it, smallest first."""
    found = defaultdict(list)
    for record in sorted(house.sandbox.visma.table(COMPANY, BALANCES), key=lambda record: record.key):
        _, _, period, account, sub, _ = record.key.split("|")
        found[account, sub.split("-")[0], period].append(record.key)
    return found


def test_after_a_load_every_cell_is_the_erps_sum_and_a_replay_sends_nothing(house: House) -> None:
    assert held(house) == wanted(house) != {}
    assert any(len(keys) > 1 for keys in sums(house).values()), "the world has sums of several balances"
    house.sandbox.log.reset()
    assert house.run().success
    assert not house.imports()


def test_a_day_later_every_cell_is_the_erps_sum_and_read_back_so(house: House) -> None:
    before = held(house)
    house.sandbox.pass_day()
    assert house.run(first=house.days[-2]).success
    assert held(house) == wanted(house, before) != before
    proof = told(house, "gl_actuals")
    assert proof.passed, proof.description
    rows = sum(any(row.values()) for row in held(house).values())
    assert proof.metadata["NO01 expected"].value == proof.metadata["NO01 found"].value == rows


def test_a_clear_that_is_too_wide_for_a_few_changed_sums_turns_the_proof_red(house: House) -> None:
    house.sandbox.anaplan.world.import_named("GL Actuals data").clear = "items"
    before = held(house)
    for keys in list(sums(house).values())[::5]:
        change = {"periodToDateDebit": Decimal("1234567.89")}
        house.sandbox.visma.change(COMPANY, BALANCES, keys[0], change)
    again(house)
    wiped = len(before.keys() - held(house).keys())
    assert wiped
    proof = told(house, "gl_actuals")
    assert not proof.passed
    assert f"{wiped} are missing" in proof.description


def test_a_balance_that_changes_moves_its_own_sum_and_those_after_it_only(house: House) -> None:
    keys = next(keys for keys in sums(house).values() if len(keys) > 1)
    house.sandbox.visma.change(COMPANY, BALANCES, keys[-1], {"periodToDateDebit": Decimal("1234567.89")})
    before = held(house)
    assert again(house)["updated"] == 1
    assert held(house) == wanted(house)
    assert sum(before[code] != row for code, row in held(house).items()) == 1


@pytest.mark.parametrize("order", [1, -1], ids=["smallest first", "largest first"])
def test_balances_of_a_sum_vanish_one_by_one_until_zeros_are_left(house: House, order: int) -> None:
    """The row goes by the smallest balance there is, so it changes hands when that one is the first to go."""
    before, place = held(house), max(sums(house).items(), key=lambda item: len(item[1]))
    account, centre, period = place[0]
    for key in place[1][::order]:
        house.sandbox.visma.delete(COMPANY, BALANCES, key)
        again(house)
        assert held(house) == wanted(house, before)
    zeros = [code for code, row in held(house).items() if row == GONE[MODULE]]
    assert len(zeros) == 1
    assert zeros[0].startswith(f"{COMPANY}|{account} / {COMPANY}|{centre} / ")
    assert zeros[0].split(" / ")[2][-2:] == period[2:4]


def test_a_sum_that_was_zeroed_comes_back(house: House) -> None:
    before, visma = held(house), house.sandbox.visma
    key = next(keys[0] for keys in sums(house).values() if len(keys) == 1)
    facts = visma.record(COMPANY, BALANCES, key).facts
    visma.delete(COMPANY, BALANCES, key)
    assert again(house)["deleted"] == 1
    visma.table(COMPANY, BALANCES).add(key, facts, visma.clock.now())
    again(house)
    assert held(house) == wanted(house) == before


def test_another_cost_centre_segment_moves_every_sum_and_zeroes_the_old_ones(
    house: House, tmp_path: Path
) -> None:
    """An edited mapping reaches every row, and what the former one made is not left behind."""
    shutil.copytree(house.suite().settings.mappings_folder, tmp_path / "mappings")
    variables = tmp_path / "mappings" / "vars.yml"
    variables.write_text(variables.read_text().replace("cost_centre_segment: 1", "cost_centre_segment: 2"))
    before = held(house)
    house.set("mappings", value=str(tmp_path / "mappings"))
    moved = reloaded(house)
    assert moved.run(first=moved.today).success
    rows = held(moved)
    assert {code: row for code, row in rows.items() if code in before} == dict.fromkeys(before, GONE[MODULE])
    assert total(rows) == total(before)


def total(rows: dict[str, Row]) -> Decimal:
    return sum((abs(row["debit"]) for row in rows.values()), Decimal(0))


def test_sums_are_not_made_of_half_a_lake(house: House) -> None:
    before = held(house)
    shutil.rmtree(Path(house.settings.lake_url))
    assert not house.run(first=house.today).success
    assert held(house) == before
    with pytest.raises(flow.LakeIncomplete, match=rf"gl_balances: \d+ days, the first is {house.days[0]}"):
        flow.rows(house.suite(), "anaplan/gl_actuals", COMPANY, [house.today])
    house.sandbox.log.reset()
    assert house.run().success
    assert held(house) == before
    assert not house.imports()


def test_a_month_outside_the_model_calendar_is_failed_with_anaplans_words(house: House) -> None:
    periods = house.sandbox.anaplan.world.model.periods
    last = next(iter(held(house))).split(" / ")[2]
    gone = next(key for key, period in periods.items() if period.name == last)
    house.sandbox.anaplan.world.model.named("modules", MODULE).cells.clear()
    del periods[gone]
    suite = house.suite()
    rows = flow.everything(suite, "anaplan/gl_actuals", COMPANY).rows()
    row = next(row for row in rows if row.payload["month"] == last)
    house.sandbox.visma.change(COMPANY, BALANCES, row.source_key, {"periodToDateDebit": Decimal(7)})
    assert again(house)["failed"] == 1
    assert "Time period not located" in str(suite.audit.history(row.number))


JOURNAL = {"list_import": "Journal Lines list", "data_import": "Journal Lines data"}


def reloaded(house: House) -> House:
    return replace(house, definitions=defs(), settings=load_settings())


def test_journal_lines_are_off_until_they_are_asked_for(house: House) -> None:
    assert house.modules()["DAT01 Journal Lines"] == {}
    house.set("pairs", "anaplan", "destinations", "journal_lines", value=JOURNAL)
    assert reloaded(house).run().success
    batches = house.sandbox.visma.truth(COMPANY, "journaltransaction")
    lines: dict[str, Any] = {
        f"{COMPANY}|{batch['module'].removeprefix('Module')}|{batch['batchNumber']}|{line['lineNumber']}": (
            Decimal(line["debitAmount"]) - Decimal(line["creditAmount"]),
            f"{COMPANY}|{line['accountNumber']}",
            f"{COMPANY}|{line['subaccount']['segments'][0]['segmentValue']}",
        )
        for batch in batches
        for line in batch["journalTransactionLines"]
    }
    rows = house.modules()["DAT01 Journal Lines"]
    assert {code: (row["amount"], row["account"], row["cost_centre"]) for code, row in rows.items()} == lines
