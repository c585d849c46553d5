"""gl_actuals and journal_lines: what of the ledger comes to which account, cost centre and month."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mapped, Mappings
from mlc_dagster.suite import mappings_in
from mlc_dagster.visma.entities import CATALOG
from tests.mappings.examples import COMPANY, DAY, NEXT_DAY, NOON, record, write
from tests.mappings.test_anaplan_models import FOLDER

ACCOUNTS = {"1920": "Asset", "3000": "Income", "4000": "Expense"}
SEGMENTS = {"100-00": ("100", "00"), "100-07": ("100", "07"), "200-00": ("200", "00")}


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return mappings_in(FOLDER)


def segments(number: str) -> list[dict[str, Any]]:
    return [{"segmentId": place, "segmentValue": value} for place, value in enumerate(SEGMENTS[number], 1)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three accounts, two cost centres and three subaccounts, no balances yet."""
    lake = Lake(str(tmp_path))
    put(lake, "gl_accounts", *({"_key": number, "accountCD": number} for number in ACCOUNTS))
    values = [{"valueId": value, "active": True} for value in ("100", "200")]
    centres = {"segmentId": 1, "description": "Avdeling", "segmentValues": values}
    put(lake, "dimensions", {"_key": "SUBACCOUNT", "id": "SUBACCOUNT", "segments": [centres]})
    put(
        lake,
        "subaccounts",
        *({"_key": number, "subaccountNumber": number, "segments": segments(number)} for number in SEGMENTS),
    )
    return lake


def put(lake: Lake, entity: str, *rows: dict[str, Any], day: date = DAY) -> None:
    found = [{**record(**row), "number": None} for row in ({**row, "key": row["_key"]} for row in rows)]
    write(
        lake,
        entity,
        *({name: value for name, value in row.items() if name != "number"} for row in found),
        day=day,
        catalog=CATALOG,
    )


def balance(period: str, debit: str, credit: str, closing: str, **part: Any) -> dict[str, Any]:
    """One balance; account 4000, subaccount 100-00 and branch 1 unless told otherwise."""
    account, sub, branch = (part.pop(name, value) for name, value in
                            (("account", "4000"), ("sub", "100-00"), ("branch", "1")))  # fmt: skip
    return {
        "_key": "|".join([branch, "ACTUAL", period, account, sub or "", "NOK"]),
        "branch": {"number": branch},
        "ledger": {"id": "ACTUAL"},
        "balanceType": "Actual",
        "financialPeriod": period,
        "account": {"number": account, "type": ACCOUNTS.get(account, "Expense")},
        "subaccount": {"subaccountNumber": sub},
        "currencyId": "NOK",
        "periodToDateDebit": Decimal(debit),
        "periodToDateCredit": Decimal(credit),
        "yearToDateBalance": Decimal(closing),
        **part,
    }


def actuals(mappings: Mappings, lake: Lake) -> Mapped:
    return mappings.run("anaplan/gl_actuals", lake, COMPANY, [DAY])


def rows(mappings: Mappings, lake: Lake) -> dict[str, tuple[str, ...]]:
    """Account, cost centre and month -> debit, credit, amount, balance."""
    return {
        " ".join(row.payload[name].split("|")[-1] for name in ("account", "cost_centre", "month")): tuple(
            f"{row.payload[name]:.2f}" for name in ("debit", "credit", "amount", "balance")
        )
        for row in actuals(mappings, lake).rows()
    }


def test_a_row_has_the_code_of_its_place_and_the_months_name_in_anaplan(
    mappings: Mappings, lake: Lake
) -> None:
    put(lake, "gl_balances", balance("202611", "100.1234", "30", "70.1234"))
    (row,) = actuals(mappings, lake).rows()
    assert (row.key, row.number) == ("NO01|4000|NO01|100|Nov 26", "4000")
    assert row.payload == {
        "account": "NO01|4000",
        "cost_centre": "NO01|100",
        "month": "Nov 26",
        "debit": Decimal("100.1234"),
        "credit": Decimal("30.0000"),
        "amount": Decimal("70.1234"),
        "balance": Decimal("70.1234"),
    }


def test_branches_and_subaccounts_of_one_cost_centre_add_up(mappings: Mappings, lake: Lake) -> None:
    put(
        lake,
        "gl_balances",
        balance("202611", "100", "0", "100"),
        balance("202611", "10", "3", "7", branch="2"),
        balance("202611", "1", "0", "1", sub="100-07"),
        balance("202611", "5", "0", "5", sub="200-00"),
        balance("202611", "0", "40", "-40", account="3000"),
    )
    assert rows(mappings, lake) == {
        "3000 100 Nov 26": ("0.00", "40.00", "-40.00", "-40.00"),
        "4000 100 Nov 26": ("111.00", "3.00", "108.00", "108.00"),
        "4000 200 Nov 26": ("5.00", "0.00", "5.00", "5.00"),
    }


def test_a_branch_that_is_quiet_in_a_month_keeps_its_share_of_the_balance(
    mappings: Mappings, lake: Lake
) -> None:
    put(
        lake,
        "gl_balances",
        balance("202609", "100", "0", "100", account="1920"),
        balance("202610", "7", "0", "7", account="1920", branch="2"),
        balance("202611", "0", "30", "70", account="1920"),
    )
    assert {place: row[-1] for place, row in rows(mappings, lake).items()} == {
        "1920 100 Sep 26": "100.00",
        "1920 100 Oct 26": "107.00",
        "1920 100 Nov 26": "77.00",
    }


def test_income_and_expense_begin_the_year_at_nothing_and_assets_go_on(
    mappings: Mappings, lake: Lake
) -> None:
    put(
        lake,
        "gl_balances",
        balance("202612", "100", "0", "100"),
        balance("202701", "5", "0", "5", branch="2"),
        balance("202612", "100", "0", "100", account="1920"),
        balance("202701", "5", "0", "5", account="1920", branch="2"),
    )
    found = rows(mappings, lake)
    assert (found["4000 100 Jan 27"][-1], found["1920 100 Jan 27"][-1]) == ("5.00", "105.00")


def test_a_closing_period_counts_in_the_last_month(mappings: Mappings, lake: Lake) -> None:
    put(lake, "gl_balances", balance("202612", "100", "0", "100"), balance("202613", "0", "40", "60"))
    assert rows(mappings, lake) == {"4000 100 Dec 26": ("100.00", "40.00", "60.00", "60.00")}


def test_budgets_and_statistics_are_no_actuals(mappings: Mappings, lake: Lake) -> None:
    put(lake, "gl_balances", balance("202611", "100", "0", "100", balanceType="Budget"))
    assert rows(mappings, lake) == {}


@pytest.mark.parametrize("sub", [None, "999-99"])
def test_what_is_booked_without_a_cost_centre_is_on_the_one_for_it(
    mappings: Mappings, lake: Lake, sub: str | None
) -> None:
    put(lake, "gl_balances", balance("202611", "100", "0", "100", sub=sub))
    assert list(rows(mappings, lake)) == ["4000 none Nov 26"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"account": "9999"}, "account NO01|9999 is not in gl_accounts.code"),
        ({"period": "2026XX"}, "the key month is empty; month is empty"),
        ({"period": "202600"}, "the key month is empty; month is empty"),
    ],
)
def test_a_sum_that_has_no_place_is_refused_and_the_others_stand(
    mappings: Mappings, lake: Lake, part: Mapping[str, str], reason: str
) -> None:
    bad = {"period": "202611", **part}
    put(
        lake,
        "gl_balances",
        balance(bad.pop("period"), "1", "0", "1", **bad),
        balance("202610", "100", "0", "100"),
    )
    mapped = actuals(mappings, lake)
    assert [refused.reason for refused in mapped.refused] == [reason]
    assert [row.payload["month"] for row in mapped.rows()] == ["Oct 26"]


def test_one_changed_balance_brings_its_whole_sum_and_every_other(mappings: Mappings, lake: Lake) -> None:
    put(
        lake,
        "gl_balances",
        balance("202611", "100", "0", "100"),
        balance("202611", "1", "0", "1", branch="2"),
    )
    before = mappings.fingerprint("anaplan/gl_actuals", lake, COMPANY)
    later = NOON + timedelta(days=1)
    put(lake, "gl_balances", balance("202611", "2", "0", "2", branch="2", stamp=later), day=NEXT_DAY)
    mapped = mappings.run("anaplan/gl_actuals", lake, COMPANY, [NEXT_DAY], seen=before)
    assert [row.payload["debit"] for row in mapped.rows()] == [Decimal("102.0000")]


def test_journal_lines_have_their_batch_and_the_cost_centre_of_their_subaccount(
    mappings: Mappings, lake: Lake
) -> None:
    line = {
        "lineNumber": 2,
        "accountNumber": "4000",
        "subaccount": {"subaccountNumber": "100-07", "segments": segments("100-07")},
        "debitAmount": Decimal("12.34"),
        "creditAmount": Decimal(0),
        "referenceNumber": "10023",
        "transactionDescription": "Tannhjul",
    }
    batch = {
        "_key": "ModuleAP|000123",
        "module": "ModuleAP",
        "batchNumber": "000123",
        "status": "Posted",
        "ledger": "ACTUAL",
        "transactionDate": date(2026, 11, 20),
        "financialPeriod": "202611",
        "currencyId": "EUR",
        "journalTransactionLines": [line, {**line, "lineNumber": 3, "subaccount": None}],
    }
    put(lake, "journal_transactions", batch)
    first, second = mappings.run("anaplan/journal_lines", lake, COMPANY, [DAY]).rows()
    assert first.payload == {
        "code": "NO01|AP|000123|2",
        "company": "NO01",
        "module": "AP",
        "batch_number": "000123",
        "line_number": 2,
        "status": "Posted",
        "ledger": "ACTUAL",
        "date": date(2026, 11, 20),
        "financial_period": "202611",
        "account": "NO01|4000",
        "cost_centre": "NO01|100",
        "subaccount": "100-07",
        "currency": "EUR",
        "debit": Decimal("12.3400"),
        "credit": Decimal("0.0000"),
        "amount": Decimal("12.3400"),
        "reference_number": "10023",
        "description": "Tannhjul",
    }
    assert second.payload["cost_centre"] == "NO01|none"
