"""The ERP's contents: deterministic, Nordic, consistent to the cent; a day changes them as told."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.server import Sandbox, build
from mlc_sandbox.world import ENTITIES, Company

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Rows = list[dict[str, Any]]


def clock(days_behind: float = 1, now: datetime = NOON) -> SandboxClock:
    return SandboxClock(days_behind, real_now=lambda: now)


def company(code: str = "NO01", seed: int = 1, scale: float = 0.3) -> Company:
    return Company(code, seed=seed, scale=scale, clock=clock())


def rows(of: Company, entity: str) -> Rows:
    table = of.table(entity)
    return [table.row(record) for record in table]


@pytest.fixture(scope="module", params=["NO01", "SE01", "DK01"])
def world(request: pytest.FixtureRequest) -> Company:
    return company(request.param, scale=1)


class TestGeneration:
    def test_the_same_seed_gives_the_same_rows_and_stamps_in_any_order_of_asking(self) -> None:
        one, other = company(), company()
        for entity in ENTITIES:
            one.table(entity)
        for entity in reversed(ENTITIES):
            other.table(entity)
        for entity in ENTITIES:
            assert rows(one, entity) == rows(other, entity)
            assert [r.stamp for r in one.table(entity)] == [r.stamp for r in other.table(entity)]

    def test_another_seed_gives_other_rows(self) -> None:
        assert rows(company(seed=1), "supplierInvoice") != rows(company(seed=2), "supplierInvoice")

    def test_scale_multiplies(self) -> None:
        assert len(company(scale=1).table("supplierInvoice")) == 400
        assert len(company(scale=2).table("supplierInvoice")) == 800

    def test_unknown_companies_are_refused(self) -> None:
        with pytest.raises(ValueError, match="NO, SE or DK"):
            company("FI01")

    def test_stamps_lie_in_the_past_mostly_beyond_a_month_and_some_in_every_last_day(
        self, world: Company
    ) -> None:
        ages = [(world.base - r.stamp) / timedelta(days=1) for e in ENTITIES for r in world.table(e)]
        assert min(ages) >= 0
        assert sum(age > 30 for age in ages) > 0.6 * len(ages)
        assert set(range(7)) <= {int(age) for age in ages if age < 7}

    def test_documents_reach_back_24_months(self, world: Company) -> None:
        days = [row["date"] for row in rows(world, "supplierInvoice")]
        assert timedelta(days=700) < max(days) - min(days) < timedelta(days=740)
        periods = {row["period"] for row in rows(world, "financialPeriod")}
        assert {row["financialPeriod"] for row in rows(world, "supplierInvoice")} <= periods

    def test_names_are_nordic_and_some_very_long(self, world: Company) -> None:
        names = "".join(row["name"] for row in rows(world, "supplier"))
        assert set("åäöøæÅÄÖØÆ") & set(names)
        assert max(len(row["name"]) for row in rows(world, "supplier")) > 120


class TestSupplierInvoices:
    def test_lines_vat_and_totals_add_up(self, world: Company) -> None:
        for row in rows(world, "supplierInvoice"):
            lines, taxes = row["invoiceLines"], row["taxDetailLines"]
            assert 1 <= len(lines) <= 6
            assert sum(line["costInCurrency"] for line in lines) == row["detailTotalInCurrency"]
            assert sum(line["cost"] for line in lines) == row["detailTotal"]
            assert sum(tax["vatAmount"] for tax in taxes) == row["vatAmount"] == row["vatTotalInCurrency"]
            assert sum(tax["taxableAmount"] for tax in taxes) == row["detailTotalInCurrency"]
            assert row["amount"] == row["detailTotalInCurrency"] + row["vatAmount"]
            assert row["vatTaxableTotal"] + row["vatExemptTotal"] == row["detailTotal"]
            for tax in taxes:
                exact = tax["taxableAmount"] * tax["vatRate"] / 100
                assert abs(exact - tax["vatAmount"]) <= Decimal("0.005")

    def test_currencies_types_statuses_and_periods_vary(self, world: Company) -> None:
        invoices = rows(world, "supplierInvoice")
        assert {row["currencyId"] for row in invoices} >= {world.currency, "EUR", "USD"}
        assert {row["documentType"] for row in invoices} == {"Invoice", "CreditAdj", "DebitAdj", "Prepayment"}
        assert {row["status"] for row in invoices} >= {"Hold", "Balanced", "Open", "Closed"}
        assert all(
            row["postPeriod"] == row["financialPeriod"][4:] + row["financialPeriod"][:4] for row in invoices
        )
        assert any("description" not in row for row in invoices)
        units = [line["unitCostInCurrency"] for row in invoices for line in row["invoiceLines"]]
        assert any(unit != unit.quantize(Decimal("0.01")) for unit in units)

    def test_purchase_order_references_are_real(self, world: Company) -> None:
        orders = {row["orderNbr"]: row for row in rows(world, "purchaseorder")}
        receipts = {row["receiptNbr"]: row for row in rows(world, "purchaseReceipt")}
        lines = [(row, line) for row in rows(world, "supplierInvoice") for line in row["invoiceLines"]]
        referring = [(row, line) for row, line in lines if "poNumber" in line]
        assert len(referring) > 100
        for row, line in referring:
            receipt = receipts[line["poReceiptNbr"]]
            arrived = receipt["lines"][line["poReceiptLineNbr"] - 1]
            assert receipt["supplier"]["number"] == row["supplier"]["number"]
            assert (arrived["poOrderNbr"], arrived["poOrderLineNbr"]) == (line["poNumber"], line["poLineNr"])
            assert (arrived["receiptQty"], arrived["amount"]) == (line["quantity"], line["costInCurrency"])
            assert line["poNumber"] in orders

    def test_payments_settle_real_invoices_in_full(self, world: Company) -> None:
        invoices = {
            (row["documentType"], row["referenceNumber"]): row for row in rows(world, "supplierInvoice")
        }
        paid: Counter[tuple[str, str]] = Counter()
        for payment in rows(world, "supplierPayment"):
            for line in payment["paymentLines"]:
                invoice = invoices[line["docType"], line["invoiceRefNbr"]]
                assert invoice["supplier"] == payment["supplier"]
                assert (line["amountPaid"], invoice["status"], invoice["balance"]) == (
                    invoice["amount"],
                    "Closed",
                    0,
                )
                paid[line["docType"], line["invoiceRefNbr"]] += 1
            assert sum(line["amountPaid"] for line in payment["paymentLines"]) == payment["paymentAmount"]
        assert set(paid.values()) == {1}


def test_order_lines_count_what_released_receipts_brought(world: Company) -> None:
    arrived: dict[tuple[str, str, int], Decimal] = defaultdict(Decimal)
    for receipt in rows(world, "purchaseReceipt"):
        for line in receipt["lines"]:
            if receipt["status"] == "Released":
                arrived[line["poOrderType"], line["poOrderNbr"], line["poOrderLineNbr"]] += line["receiptQty"]
    short = 0
    for order in rows(world, "purchaseorder"):
        for line in order["lines"]:
            assert line["qtyOnReceipts"] == arrived[order["orderType"], order["orderNbr"], line["lineNbr"]]
            assert line["completed"] is (order["status"] in {"Closed", "Cancelled"})
            assert line["canceled"] is (order["status"] == "Cancelled")
            short += order["status"] == "Closed" and line["qtyOnReceipts"] < line["orderQty"]
    assert short > 0, "quantity would be a test of completion, which it is not in a live company"


def test_customer_documents_add_up(world: Company) -> None:
    for entity, lines in (("customerinvoice", "invoiceLines"), ("customerCreditNote", "lines")):
        for row in rows(world, entity):
            assert row["amountInCurrency"] == row["detailTotalInCurrency"] + row["vatTotalInCurrency"]
            assert sum(line["amountInCurrency"] for line in row[lines]) == row["detailTotalInCurrency"]
            assert row["postPeriod"] == row["financialPeriod"]


class TestADay:
    @pytest.fixture
    def sandbox(self) -> Sandbox:
        return build(scale=1, companies=("NO01", "SE01"))

    def snapshot(self, sandbox: Sandbox) -> dict[tuple[str, str, str], tuple[Any, int]]:
        return {
            (code, entity, record.key): (world.table(entity).row(record), record.counter)
            for code, world in sandbox.visma.companies.items()
            for entity in ENTITIES
            for record in world.table(entity)
        }

    def test_about_one_percent_change_a_few_arrive_and_one_draft_vanishes(self, sandbox: Sandbox) -> None:
        before, start = self.snapshot(sandbox), sandbox.clock.now()
        happened = sandbox.pass_day()["visma"]
        after = self.snapshot(sandbox)
        gone, new = set(before) - set(after), set(after) - set(before)
        assert len(gone) == 1 == sum(counts["deleted"] for counts in happened.values())
        ((code, entity, key),) = gone
        assert entity == "supplierInvoice"
        assert before[code, entity, key][0]["status"] in {"Hold", "Balanced"}
        documents = {
            "supplierInvoice",
            "purchaseorder",
            "purchaseReceipt",
            "customerinvoice",
            "customerPayment",
        }
        assert documents | {"supplierPayment", "journaltransaction", "timeCard"} <= {
            entity for _, entity, _ in new
        }
        same = set(before) & set(after)
        changed = {key for key in same if before[key][0] != after[key][0]}
        stamped = {key for key in same if before[key][1] != after[key][1]}
        assert changed < stamped, "every change is stamped, and some stamps come without a change"
        assert {entity for _, entity, _ in changed} >= documents | {"supplier", "customer"}
        share = len([key for key in changed if key[1] in documents]) / len(
            [key for key in same if key[1] in documents]
        )
        assert 0.005 < share < 0.04
        for code, entity, key in stamped | new:
            stamp = sandbox.visma.record(code, entity, key).stamp
            assert start - timedelta(milliseconds=1) <= stamp <= sandbox.clock.now()

    def test_served_rows_are_those_of_the_world_after_a_day(self, sandbox: Sandbox) -> None:
        visma = sandbox.visma
        world = visma.companies["NO01"]
        for entity in ("supplierInvoice", "purchaseReceipt", "supplierPayment", "journaltransaction"):
            declared, table = visma.entity(entity), world.table(entity)
            for record in table:
                visma.rows.text(declared, table, record, frozenset())
        sandbox.pass_day()
        for entity in ("supplierInvoice", "purchaseReceipt", "supplierPayment", "journaltransaction"):
            declared, table = visma.entity(entity), world.table(entity)
            for record in table:
                kept = visma.rows.text(declared, table, record, frozenset())
                record.text = None
                assert kept == visma.rows.text(declared, table, record, frozenset())

    def test_the_books_still_agree(self, sandbox: Sandbox) -> None:
        sandbox.pass_day()
        for row in rows(sandbox.visma.companies["SE01"], "supplierInvoice"):
            assert (
                row["amount"]
                == sum(line["costInCurrency"] for line in row["invoiceLines"]) + row["vatAmount"]
            )


class TestTheClock:
    def test_starts_a_day_behind_and_never_passes_the_real_now(self) -> None:
        sandbox_clock = clock(days_behind=1.5)
        assert sandbox_clock.now() == NOON - timedelta(days=1.5)
        assert sandbox_clock.pass_day() == NOON - timedelta(days=0.5)
        assert sandbox_clock.pass_day() == NOON
        assert sandbox_clock.pass_day() == NOON
        assert sandbox_clock.passed == timedelta(0)

    def test_moves_forward_only(self) -> None:
        with pytest.raises(ValueError, match="forward"):
            clock().advance(timedelta(seconds=-1))


def test_only_what_is_asked_for_is_built() -> None:
    """The invoices of a large company cost no journal and no balances."""
    world = company(scale=10)
    assert len(world.table("supplierInvoice")) == 4000
    assert not {"journaltransaction", "generalLedgerBalance", "customerinvoice"} & set(world._tables)
