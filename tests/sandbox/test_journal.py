"""The journal is paged by line: totals count lines, and a batch may be spread over pages."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import chain
from typing import Any

from mlc_sandbox.server import Sandbox
from tests.sandbox.conftest import Erp

SINCE = {"lastModifiedDateTime": "2000-01-01"}


def lines_of(rows: list[dict[str, Any]]) -> int:
    return sum(len(row["journalTransactionLines"]) for row in rows)


def test_pages_and_totals_count_lines(erp: Erp) -> None:
    pages = list(erp.pages("v2/journaltransaction", 700, **SINCE))
    total = pages[0][0]["metadata"]["totalCount"]
    assert [lines_of(page) for page in pages[:-1]] == [700] * (len(pages) - 1)
    assert sum(lines_of(page) for page in pages) == total


def test_parts_of_a_batch_join_to_all_its_lines_in_order(erp: Erp) -> None:
    parts: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for page in erp.pages("v2/journaltransaction", 300, **SINCE):
        for row in page:
            numbers = [line["lineNumber"] for line in row["journalTransactionLines"]]
            parts[row["module"], row["batchNumber"]].append(numbers)
    truth = {
        (row["module"], row["batchNumber"]): [line["lineNumber"] for line in row["journalTransactionLines"]]
        for row in erp.visma.truth("NO01", "journaltransaction")
    }
    assert {key: list(chain.from_iterable(found)) for key, found in parts.items()} == truth
    assert any(len(found) > 3 for found in parts.values()), "no batch is larger than a page"


def test_some_batch_is_larger_than_the_default_page(erp: Erp) -> None:
    assert max(lines_of([row]) for row in erp.visma.truth("NO01", "journaltransaction")) > 1000


def test_every_batch_is_balanced_in_both_currencies(erp: Erp) -> None:
    for row in erp.visma.truth("NO01", "journaltransaction"):
        lines = row["journalTransactionLines"]
        for suffix in ("", "InCurrency"):
            debit = sum((line[f"debitAmount{suffix}"] for line in lines), Decimal(0))
            credit = sum((line[f"creditAmount{suffix}"] for line in lines), Decimal(0))
            assert debit == credit == row[f"debitTotal{suffix}"] == row[f"creditTotal{suffix}"]


def test_batch_numbers_repeat_over_modules(erp: Erp) -> None:
    modules = defaultdict(set)
    for row in erp.visma.truth("NO01", "journaltransaction"):
        modules[row["batchNumber"]].add(row["module"])
    assert modules["000001"] == {"ModuleGL", "ModuleAP", "ModuleAR"}
    assert erp.get("v2/journaltransaction/000001").json()["module"] == "ModuleGL"


def ledger(sandbox: Sandbox) -> dict[tuple[str, ...], Decimal]:
    """Movements by branch, period, account and subaccount, added up from the posted batches."""
    sums: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in sandbox.visma.truth("NO01", "journaltransaction"):
        if row["status"] == "Posted":
            for line in row["journalTransactionLines"]:
                place = (row["branch"], row["financialPeriod"], line["accountNumber"])
                key = (*place, line["subaccount"]["subaccountNumber"])
                sums[key] += line["debitAmount"] - line["creditAmount"]
    return dict(sums)


def balances(sandbox: Sandbox) -> dict[tuple[str, ...], Decimal]:
    return {
        (
            row["branch"]["number"],
            row["financialPeriod"],
            row["account"]["number"],
            row["subaccount"]["subaccountNumber"],
        ): row["periodToDateDebit"] - row["periodToDateCredit"]
        for row in sandbox.visma.truth("NO01", "generalLedgerBalance")
    }


def test_balances_add_up_the_journal_also_after_a_day(sandbox: Sandbox) -> None:
    assert balances(sandbox) == ledger(sandbox)
    sandbox.pass_day()
    assert balances(sandbox) == ledger(sandbox)


def test_balances_carry_forward(sandbox: Sandbox) -> None:
    last: dict[tuple[str, ...], dict[str, Any]] = {}
    rows = sorted(sandbox.visma.truth("NO01", "generalLedgerBalance"), key=lambda row: row["financialPeriod"])
    for row in rows:
        place = (row["branch"]["number"], row["account"]["number"], row["subaccount"]["subaccountNumber"])
        opening = Decimal(0)
        if (before := last.get(place)) is not None and (
            row["account"]["type"] in {"Asset", "Liability"}
            or before["financialPeriod"][:4] == row["financialPeriod"][:4]
        ):
            opening = before["yearToDateBalance"]
        assert row["beginningBalance"] == opening
        assert row["yearToDateBalance"] == opening + row["periodToDateDebit"] - row["periodToDateCredit"]
        last[place] = row
