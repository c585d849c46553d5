"""executeQueries: what is visible when, the form of answers, cut results, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from .conftest import ERP, Tenant, order


@pytest.fixture
def erp(tenant: Tenant) -> str:
    return tenant.create()


class TestVisibility:
    def test_rows_show_some_seconds_after_they_were_accepted(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["visible_after_seconds"] = 60
        tenant.post(erp, "Orders", [order(1)])
        tenant.pass_time(30)
        tenant.post(erp, "Orders", [order(2)])
        assert tenant.count(erp) == 0
        tenant.pass_time(31)
        assert tenant.count(erp) == 1
        tenant.pass_time(31)
        assert tenant.count(erp) == 2

    def test_or_after_some_queries(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["visible_after_queries"] = 2
        tenant.post(erp, "Orders", [order(1)])
        assert [tenant.count(erp) for _ in range(3)] == [0, 0, 1]

    def test_a_delete_acts_at_once(self, tenant: Tenant, erp: str) -> None:
        tenant.post(erp, "Orders", [order(1)])
        assert tenant.count(erp) == 1
        tenant.switches["visible_after_seconds"] = 60
        tenant.clear(erp, "Orders")
        tenant.post(erp, "Orders", [order(2)])
        assert tenant.count(erp) == 0

    def test_the_sandbox_itself_sees_everything(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["visible_after_seconds"] = 60
        tenant.post(erp, "Orders", [order(1)])
        assert tenant.world.query(erp, "EVALUATE VALUES(Orders[order_key])") == [{"Orders[order_key]": 1}]
        assert tenant.count(erp) == 0


class TestAnswers:
    def test_values_come_in_their_json_form(self, tenant: Tenant, erp: str) -> None:
        row = order(1, amount=Decimal("12.50"), rate=Decimal("0.1"), is_open=True)
        body = '{"rows":[{"order_key":1,"amount":12.50,"rate":0.1,"ordered_at":"2025-03-01T08:15:00.003Z",'
        body += '"is_open":true,"status":"Ø"}]}'
        assert row["amount"] == Decimal("12.5")
        tenant.group("POST", f"/datasets/{erp}/tables/Orders/rows", data=body.encode())
        reply = tenant.ask(erp, "EVALUATE Orders")
        assert '"Orders[amount]":12.5,' in reply.text
        assert reply.json()["results"][0]["tables"][0]["rows"] == [
            {
                "Orders[order_key]": 1,
                "Orders[customer_key]": None,
                "Orders[status]": "Ø",
                "Orders[amount]": 12.5,
                "Orders[rate]": 0.1,
                "Orders[ordered_at]": "2025-03-01T08:15:00.003",
                "Orders[is_open]": True,
            }
        ]

    def test_large_amounts_keep_every_digit(self, tenant: Tenant, erp: str) -> None:
        body = '{"rows":[{"amount":12345678901234567890.1234}]}'
        for _ in range(2):
            tenant.group("POST", f"/datasets/{erp}/tables/Orders/rows", data=body)
        found = tenant.rows_of(erp, 'EVALUATE ROW("t", SUM(Orders[amount]))')
        assert found == [{"[t]": Decimal("24691357802469135780.2468")}]

    def test_blanks_vanish_unless_they_are_asked_for(self, tenant: Tenant, erp: str) -> None:
        query = 'EVALUATE ROW("a", BLANK(), "b", 1)'
        assert tenant.ask(erp, query, nulls=False).json()["results"][0]["tables"][0]["rows"] == [{"[b]": 1}]
        assert tenant.rows_of(erp, query) == [{"[a]": None, "[b]": 1}]

    def test_measures_and_relationships_of_the_dataset_work(self, tenant: Tenant, erp: str) -> None:
        tenant.post(erp, "Customers", [{"customer_key": 1, "country": "NO"}])
        tenant.post(erp, "Orders", [order(1), order(2, customer_key=2)])
        query = 'EVALUATE SUMMARIZECOLUMNS(Customers[country], "n", COUNTROWS(Orders), "all", [Order count])'
        assert tenant.rows_of(erp, query) == [
            {"Customers[country]": "NO", "[n]": 1, "[all]": 1},
            {"Customers[country]": None, "[n]": 1, "[all]": 1},
        ]

    def test_today_is_the_sandboxs_day(self, tenant: Tenant, erp: str) -> None:
        today = f"{tenant.clock.now():%Y-%m-%dT00:00:00}"
        assert tenant.rows_of(erp, 'EVALUATE ROW("d", TODAY())') == [{"[d]": today}]

    def test_relationships_that_filter_both_ways(self, tenant: Tenant) -> None:
        both = {**ERP["relationships"][0], "crossFilteringBehavior": "BothDirections"}
        dataset = tenant.create({**ERP, "relationships": [both]})
        tenant.post(dataset, "Customers", [{"customer_key": 1}, {"customer_key": 2}])
        tenant.post(dataset, "Orders", [order(1)])
        query = 'EVALUATE ROW("n", CALCULATE(COUNTROWS(Customers), Orders[order_key] = 1))'
        assert tenant.rows_of(dataset, query) == [{"[n]": 1}]


class TestCutResults:
    """HTTP 200 with fewer rows than there are, and an error object beside them."""

    def answer(self, tenant: Tenant, dataset: str, rows: int = 10) -> tuple[list[Any], str]:
        tenant.post(dataset, "Orders", [order(key) for key in range(rows)])
        reply = tenant.ask(dataset, 'EVALUATE SELECTCOLUMNS(Orders, "k", Orders[order_key], "l", 1)')
        assert reply.status_code == 200
        shown = reply.json()["results"][0]["tables"][0]
        return shown["rows"], shown.get("error", {}).get("message", "")

    @pytest.mark.parametrize(
        ("limit", "value", "shown", "text"),
        [
            ("query_rows", 4, 4, "More than 4 rows"),
            ("query_values", 6, 3, "More than 6 values"),
            ("query_bytes", 70, 4, "More than 70 bytes"),  # {"[k]":0,"[l]":1} has 17
            ("query_rows", 10, 10, ""),
        ],
    )
    def test_rows_values_and_bytes(
        self, tenant: Tenant, erp: str, *, limit: str, value: int, shown: int, text: str
    ) -> None:
        tenant.switches[limit] = value
        rows, message = self.answer(tenant, erp)
        assert len(rows) == shown
        assert message.startswith(text)
        assert bool(message) is bool(text)

    @pytest.mark.parametrize("place", ["table", "result", "response"])
    def test_the_error_stands_at_one_of_three_places(self, tenant: Tenant, erp: str, place: str) -> None:
        tenant.switches.update(query_rows=1, over_limit_error_at=place)
        tenant.post(erp, "Orders", [order(1), order(2)])
        body = tenant.ask(erp, "EVALUATE Orders").json()
        result = body["results"][0]
        places = {"response": body, "result": result, "table": result["tables"][0]}
        assert [name for name, at in places.items() if "error" in at] == [place]

    def test_a_second_result_table_is_left_out(self, tenant: Tenant, erp: str) -> None:
        reply = tenant.ask(erp, 'EVALUATE ROW("a", 1) EVALUATE ROW("b", 2)')
        (result,) = reply.json()["results"]
        assert (reply.status_code, result["tables"][0]["rows"]) == (200, [{"[a]": 1}])
        assert "More than one result table" in result["tables"][0]["error"]["message"]


class TestRefusals:
    def details(self, reply: requests.Response) -> str:
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert error["code"] == "DatasetExecuteQueriesError"
        return error["pbi.error"]["details"][0]["detail"]["value"]

    def test_a_wrong_query_says_where(self, tenant: Tenant, erp: str) -> None:
        reply = tenant.ask(erp, "EVALUATE\n  FILTERS(Orders, 1)")
        assert self.details(reply).startswith("Query (2, 3) Failed to resolve name 'FILTERS'")

    def test_the_tenants_setting_may_be_off(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["execute_queries"] = "tenant_off"
        assert tenant.ask(erp, "EVALUATE Orders").status_code == 403

    def test_push_datasets_may_not_be_supported(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["execute_queries"] = "not_for_push"
        assert "not supported" in self.details(tenant.ask(erp, "EVALUATE Orders"))
        imported = tenant.world.dataset("Finance Analysis").id
        assert tenant.ask(imported, 'EVALUATE ROW("x", 1)').status_code == 200

    def test_duplicates_on_the_one_side_may_break_every_query_over_them(
        self, tenant: Tenant, erp: str
    ) -> None:
        tenant.switches["one_side_duplicates"] = "query_error"
        tenant.post(erp, "Customers", [{"customer_key": 1}])
        tenant.post(erp, "Orders", [order(1)])
        assert tenant.count(erp) == 1
        tenant.post(erp, "Customers", [{"customer_key": 1}])
        query = 'EVALUATE ROW("n", CALCULATE(COUNTROWS(Orders), Customers[customer_key] = 1))'
        assert "contains a duplicate value '1'" in self.details(tenant.ask(erp, query))

    @pytest.mark.parametrize(
        "body", [{}, {"queries": []}, {"queries": [{"query": "a"}] * 2}, {"queries": [{}]}]
    )
    def test_one_query_a_call(self, tenant: Tenant, erp: str, body: dict[str, Any]) -> None:
        assert tenant.group("POST", f"/datasets/{erp}/executeQueries", json=body).status_code == 400
