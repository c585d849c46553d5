"""Lists: bare arrays, totals in the rows, caps, filters that fail loudly or silently as the real ones do."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.server import Sandbox
from mlc_sandbox.visma.entities import ENTITIES, Entity
from mlc_sandbox.world.store import wall
from tests.sandbox.conftest import Erp


def numbers(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['documentType']}|{row['referenceNumber']}" for row in rows]


def test_totals_stand_in_every_row_and_pages_join_to_the_whole(erp: Erp) -> None:
    pages = list(erp.pages("v1/supplierInvoice", 50))
    rows = [row for page in pages for row in page]
    assert (
        {row["metadata"]["totalCount"] for row in rows}
        == {len(erp.records("supplierInvoice"))}
        == {len(rows)}
    )
    assert {row["metadata"]["maxPageSize"] for row in rows} == {1000}
    assert [len(page) for page in pages] == [50, 50, 20]
    assert numbers(rows) == sorted(numbers(rows)) == [record.key for record in erp.records("supplierInvoice")]


def test_past_the_last_page_an_empty_array_carries_no_totals(erp: Erp) -> None:
    assert erp.rows("v1/supplierInvoice", pageNumber=99) == []


def test_a_page_size_above_the_cap_is_lowered_without_a_word(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.visma.switches["page_cap"] = 30
    sandbox.visma.switches["page_caps"] = {"purchaseReceipt": 10}
    rows = erp.rows("v1/supplierInvoice", pageSize=5000)
    assert (len(rows), rows[0]["metadata"]["maxPageSize"]) == (30, 30)
    assert len(erp.rows("v1/supplierInvoice")) == 30
    assert len(erp.rows("v2/PurchaseReceipt")) == 10


def test_receipts_have_a_smaller_cap_by_default(erp: Erp) -> None:
    assert erp.rows("v2/PurchaseReceipt")[0]["metadata"]["maxPageSize"] == 500


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_metadata_and_row_versions_are_where_the_vendor_has_them(erp: Erp, entity: Entity) -> None:
    rows = erp.rows(entity.path, lastModifiedDateTime="2000-01-01", lastModifiedDateTimeCondition=">=")
    if entity.name == "dimension":
        assert all(isinstance(row, str) for row in rows)
        return
    assert all(("metadata" in row) is entity.metadata for row in rows)
    assert all(("timeStamp" in row) is entity.time_stamp for row in rows)
    assert all(("createdDateTime" in row) is entity.created for row in rows)


def test_paths_and_parameter_names_are_matched_without_case(erp: Erp) -> None:
    assert erp.rows("V1/SUPPLIERINVOICE", PAGESIZE=3) == erp.rows("v1/supplierinvoice", pageSize=3)


def test_an_unknown_parameter_reads_everything(erp: Erp) -> None:
    assert erp.rows("v1/supplierInvoice", stauts="Hold", skip=10) == erp.rows("v1/supplierInvoice")


def test_lists_that_need_a_filter_refuse_without_one(erp: Erp) -> None:
    for path in ("v1/timeCard", "v2/generalLedgerBalance", "v2/journaltransaction"):
        refused = erp.get(path)
        assert refused.status_code == 400
        assert refused.json()["message"]
    assert erp.rows("v1/timeCard", status="Released")


class TestChangeFilter:
    def since(self, erp: Erp, value: str, condition: str | None = ">=") -> list[str]:
        params = {"lastModifiedDateTime": value, "lastModifiedDateTimeCondition": condition}
        return numbers(
            erp.rows("v1/supplierInvoice", **{name: text for name, text in params.items() if text})
        )

    def test_compares_oslo_wall_time(self, erp: Erp) -> None:
        records = sorted(erp.records("supplierInvoice"), key=lambda record: record.stamp)
        middle = records[60]
        text = wall(middle.stamp).isoformat(sep=" ", timespec="milliseconds")
        later = {record.key for record in records if record.stamp > middle.stamp}
        assert set(self.since(erp, text, ">=")) == later | {middle.key}
        assert set(self.since(erp, text, ">")) == later
        assert set(self.since(erp, text, "<")) == {r.key for r in records} - later - {middle.key}

    def test_greater_than_may_include_equality(self, sandbox: Sandbox, erp: Erp) -> None:
        text = wall(max(r.stamp for r in erp.records("supplierInvoice"))).isoformat(timespec="milliseconds")
        assert self.since(erp, text, ">") == []
        sandbox.visma.switches["greater_than"] = "inclusive"
        assert len(self.since(erp, text, ">")) == 1

    def test_a_lone_timestamp_returns_everything(self, erp: Erp) -> None:
        assert len(self.since(erp, "2099-01-01", None)) == len(erp.records("supplierInvoice"))

    @pytest.mark.parametrize(
        "text",
        [
            "2026-01-02",
            "2026-01-02 10:11:12",
            "2026-01-02T10:11:12",
            "2026-01-02 10:11:12.123",
            "2026-01-02T10:11:12.12",
        ],
    )
    def test_accepted_formats(self, erp: Erp, text: str) -> None:
        assert self.since(erp, text)

    @pytest.mark.parametrize(
        "text",
        [
            "2026-01-02T10:11:12Z", "2026-01-02T10:11:12+01:00", "02.01.2026", "2026-13-01", "yesterday",
            "2026-01-02T10:11:12.1234567", "",
        ],
    )  # fmt: skip
    def test_zones_and_what_does_not_parse_are_400(self, erp: Erp, text: str) -> None:
        params = {"lastModifiedDateTime": text, "lastModifiedDateTimeCondition": ">="}
        assert erp.get("v1/supplierInvoice", **params).status_code == 400

    def test_an_unknown_condition_is_400(self, erp: Erp) -> None:
        params = {"lastModifiedDateTime": "2026-01-01", "lastModifiedDateTimeCondition": "=>"}
        assert erp.get("v1/supplierInvoice", **params).status_code == 400

    def test_balances_take_the_timestamp_alone(self, erp: Erp) -> None:
        records = erp.records("generalLedgerBalance")
        limit = sorted(record.wall for record in records)[-40]
        rows = erp.rows(
            "v2/generalLedgerBalance", lastModifiedDateTime=limit.isoformat(timespec="milliseconds")
        )
        assert len(rows) == sum(record.wall >= limit for record in records)


class TestStamps:
    def test_forms_of_one_moment(self, sandbox: Sandbox, erp: Erp) -> None:
        record = erp.records("supplier")[0]

        def text(form: str, digits: int) -> str:
            sandbox.visma.switches.update(stamp_form=form, stamp_digits=digits)
            return str(erp.rows("v1/supplier")[0]["lastModifiedDateTime"])

        local, utc = wall(record.stamp), record.stamp.replace(tzinfo=None)
        assert text("none", 3) == local.isoformat(timespec="milliseconds")
        assert text("none", 0) == local.isoformat(timespec="seconds")
        assert text("z", 2) == utc.isoformat(timespec="milliseconds")[:-1] + "Z"
        assert re.fullmatch(rf"{local.isoformat(timespec='milliseconds')}0000\+0[12]:00", text("offset", 7))

    def test_business_dates_are_midnight_without_a_zone_whatever_the_form(
        self, sandbox: Sandbox, erp: Erp
    ) -> None:
        sandbox.visma.switches["stamp_form"] = "offset"
        assert all(row["date"].endswith("T00:00:00") for row in erp.rows("v1/supplierInvoice"))


class TestOtherFilters:
    @pytest.mark.parametrize(
        ("path", "params", "fits"),
        [
            ("v1/supplierInvoice", {"status": "Open"}, lambda r: r["status"] == "Open"),
            ("v1/supplierInvoice", {"documentType": "CreditAdj"}, lambda r: r["documentType"] == "CreditAdj"),
            ("v1/supplierInvoice", {"released": "0"}, lambda r: r["status"] in {"Hold", "Balanced"}),
            ("v1/supplierInvoice", {"released": "1"}, lambda r: r["status"] not in {"Hold", "Balanced"}),
            (
                "v1/supplierInvoice",
                {"balance": "0", "balanceCondition": ">"},
                lambda r: r["balance"] > 0,
            ),
            ("v1/supplierPayment", {"paymentType": "Payment"}, lambda r: r["type"] == "Payment"),
            ("v1/purchaseorder", {"orderStatus": "Closed"}, lambda r: r["status"] == "Closed"),
            ("v1/purchaseorder", {"orderType": "RegularOrder"}, lambda r: r["orderType"] == "RegularOrder"),
            ("v2/PurchaseReceipt", {"status": "released"}, lambda r: r["status"] == "Released"),
            (
                "v2/journaltransaction",
                {"module": "AP", "periodId": None},
                lambda r: r["module"] == "ModuleAP",
            ),
            ("v1/account", {"active": "false"}, lambda r: r["active"] is False),
            ("v1/employee", {"greaterThanValue": "E00005"}, lambda r: r["employeeNumber"] > "E00005"),
        ],
    )
    def test_filters_select(self, erp: Erp, path: str, params: dict[str, Any], fits: Any) -> None:
        if "periodId" in params:
            params = params | {"lastModifiedDateTime": "2000-01-01", "periodId": None}
        rows = erp.rows(path, **params)
        assert rows
        assert all(fits(row) for row in rows)

    def test_filters_join(self, erp: Erp) -> None:
        invoice = erp.rows("v1/supplierInvoice", status="Closed")[0]
        supplier, period = invoice["supplier"]["number"], invoice["financialPeriod"]
        rows = erp.rows("v1/supplierInvoice", supplier=supplier, financialPeriod=period, status="Closed")
        assert invoice["referenceNumber"] in {row["referenceNumber"] for row in rows}
        assert {(r["supplier"]["number"], r["financialPeriod"], r["status"]) for r in rows} == {
            (supplier, period, "Closed")
        }

    def test_a_receipt_is_found_by_order_and_period(self, erp: Erp) -> None:
        receipt = erp.rows("v2/PurchaseReceipt")[0]
        order = receipt["lines"][0]["poOrderNbr"]
        period = receipt["postPeriod"][2:] + receipt["postPeriod"][:2]
        found = erp.rows("v2/PurchaseReceipt", poOrderNbr=order, finPeriod=period)
        assert receipt["receiptNbr"] in {row["receiptNbr"] for row in found}
        assert all(order in {line["poOrderNbr"] for line in row["lines"]} for row in found)

    def test_greater_than_value_is_broken_on_customer(self, erp: Erp) -> None:
        assert len(erp.rows("v1/customer", greaterThanValue="99999")) == len(erp.records("customer"))

    def test_branch_alone_can_be_ordered(self, erp: Erp) -> None:
        assert [row["number"] for row in erp.rows("v1/branch", orderBy="LastModifiedDateTime")] == ["2", "1"]


class TestSections:
    @pytest.mark.parametrize("entity", [e for e in ENTITIES if e.sections], ids=lambda entity: entity.name)
    def test_appear_only_when_asked_for(self, erp: Erp, entity: Entity) -> None:
        since = {"lastModifiedDateTime": "2000-01-01", "lastModifiedDateTimeCondition": ">="}
        truth = erp.visma.truth("NO01", entity.name)
        plain = erp.rows(entity.path, **since)
        for flag, names in entity.sections.items():
            assert not any(name in row for row in plain for name in names)
            shown = erp.rows(entity.path, **{flag: "true"}, **since)
            for name in names:
                assert [name in row for row in shown] == [name in row for row in truth[: len(shown)]], name

    def test_sections_of_lines_too(self, erp: Erp) -> None:
        plain = erp.rows("v1/supplierInvoice")[0]["invoiceLines"][0]
        shown = erp.rows("v1/supplierInvoice", expandLinePrebookAccounts="true")[0]["invoiceLines"][0]
        assert set(shown) - set(plain) == {"prebookAccount", "prebookSubaccount"}


class TestOrder:
    def test_rows_come_by_their_stamps_where_the_switch_says_so(self, sandbox: Sandbox, erp: Erp) -> None:
        sandbox.visma.switches["order"] = "modified"
        stamps = [row["lastModifiedDateTime"] for row in erp.rows("v1/supplierInvoice")]
        assert stamps == sorted(stamps)

    def test_unstable_pages_double_and_miss_rows(self, sandbox: Sandbox, erp: Erp) -> None:
        sandbox.visma.switches["order"] = "unstable"
        found = Counter(number for page in erp.pages("v1/supplierInvoice", 20) for number in numbers(page))
        assert max(found.values()) > 1
        assert len(found) < len(erp.records("supplierInvoice"))


def test_amounts_are_exact_numbers(erp: Erp) -> None:
    line = erp.rows("v1/purchaseorder")[0]["lines"][0]
    assert isinstance(line["unitCost"], Decimal)
    assert -line["unitCost"].as_tuple().exponent == 4


def test_toggled_balances_turn_the_sign_of_liability_and_income(erp: Erp) -> None:
    period = erp.rows("v2/generalLedgerBalance", lastModifiedDateTime="2000-01-01")[0]["financialPeriod"]
    plain = erp.rows("v2/generalLedgerBalance", periodId=period)
    toggled = erp.rows("v2/generalLedgerBalance", periodId=period, toggleBalanceSigns="true")
    assert {row["account"]["type"] for row in plain} >= {"Liability", "Asset"}
    for before, after in zip(plain, toggled, strict=True):
        sign = -1 if before["account"]["type"] in {"Liability", "Income"} else 1
        assert after["yearToDateBalance"] == sign * before["yearToDateBalance"]


def test_a_list_follows_every_write(sandbox: Sandbox, erp: Erp) -> None:
    before = erp.rows("v1/supplierInvoice")
    key = erp.records("supplierInvoice")[0].key
    sandbox.clock.advance(timedelta(seconds=1))
    sandbox.visma.change("NO01", "supplierInvoice", key, {"description": "Særlig avtale"})
    after = erp.rows("v1/supplierInvoice")
    assert after[0]["description"] == "Særlig avtale"
    assert after[0]["timeStamp"] > before[0]["timeStamp"]
    assert after[0]["lastModifiedDateTime"] > before[0]["lastModifiedDateTime"]
    sandbox.visma.delete("NO01", "supplierInvoice", key)
    assert numbers(erp.rows("v1/supplierInvoice")) == numbers(before[1:])
