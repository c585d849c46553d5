"""Adding and clearing rows: types, sequence numbers, lost answers, calls that happen too late."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from mlc_sandbox.powerbi.routes_rows import SEQUENCE_HEADER

from .conftest import Tenant, moment, order


@pytest.fixture
def erp(tenant: Tenant) -> str:
    return tenant.create()


def keys(tenant: Tenant, dataset: str) -> list[Any]:
    return [row["order_key"] for row in tenant.world.rows(dataset, "Orders")]


class TestTypes:
    def test_a_row_is_stored_exactly(self, tenant: Tenant, erp: str) -> None:
        body = (
            '{"rows":[{"order_key":9223372036854775806,"amount":12345678901234567890.1234,"rate":0.1,'
            '"status":"Øl","ordered_at":"2025-03-01T08:15:00Z","is_open":true}]}'
        )
        reply = tenant.group("POST", f"/datasets/{erp}/tables/Orders/rows", data=body.encode())
        assert (reply.status_code, reply.content) == (200, b"")
        assert tenant.world.rows(erp, "Orders") == [
            {
                "order_key": 9223372036854775806,
                "customer_key": None,
                "status": "Øl",
                "amount": Decimal("12345678901234567890.1234"),
                "rate": 0.1,
                "ordered_at": moment(2025, 3, 1, 8, 15),
                "is_open": True,
            }
        ]

    @pytest.mark.parametrize(
        ("column", "value", "text"),
        [
            ("order_key", 2**63 - 1, "not allowed"),
            ("order_key", -(2**63), "not allowed"),
            ("order_key", 1.5, "whole number"),
            ("order_key", "1", "whole number"),
            ("amount", "1.0", "no number"),
            ("amount", 10**25, "28 digits"),
            ("rate", True, "no number"),
            ("is_open", 1, "neither"),
            ("status", 5, "no text"),
            ("status", "x" * 4001, "4001 characters"),
            ("ordered_at", "yesterday", "ISO 8601"),
            ("nothing", 1, "no column 'nothing'"),
        ],
    )
    def test_a_value_that_does_not_fit_refuses_the_whole_post(
        self, tenant: Tenant, erp: str, column: str, value: Any, text: str
    ) -> None:
        reply = tenant.post(erp, "Orders", [order(1), order(2) | {column: value}])
        assert reply.status_code == 400
        assert text in reply.json()["error"]["details"][0]["message"]
        assert "Row 1" in reply.json()["error"]["details"][0]["message"]
        assert tenant.world.rows(erp, "Orders") == []

    @pytest.mark.parametrize(
        ("given", "stored"), [("0.00005", "0.0001"), ("0.00004", "0"), ("-1.23455", "-1.2346"), ("7", "7")]
    )
    def test_decimals_are_rounded_to_four_places(
        self, tenant: Tenant, erp: str, given: str, stored: str
    ) -> None:
        body = f'{{"rows":[{{"amount":{given}}}]}}'
        tenant.group("POST", f"/datasets/{erp}/tables/Orders/rows", data=body)
        assert tenant.world.rows(erp, "Orders")[0]["amount"] == Decimal(stored)

    @pytest.mark.parametrize(
        ("given", "stored"),
        [
            ("2025-03-01T08:15:00.001Z", moment(2025, 3, 1, 8, 15)),
            ("2025-03-01T08:15:00.002Z", moment(2025, 3, 1, 8, 15, 0, 3333)),
            ("2025-03-01T08:15:00.999Z", moment(2025, 3, 1, 8, 15, 1)),
            ("2025-03-01T08:15:00+02:00", moment(2025, 3, 1, 6, 15)),
            ("2025-03-01", moment(2025, 3, 1)),
            ("07/30/2014", moment(2014, 7, 30)),
        ],
    )
    def test_dates_are_stored_in_steps_of_a_300th_second(
        self, tenant: Tenant, erp: str, given: str, stored: datetime
    ) -> None:
        tenant.post(erp, "Orders", [order(1, ordered_at=given)])
        assert tenant.world.rows(erp, "Orders")[0]["ordered_at"] == stored

    def test_what_becomes_of_offsets_unknown_columns_and_long_texts_are_switches(
        self, tenant: Tenant, erp: str
    ) -> None:
        tenant.switches.update(datetime_offset="dropped", unknown_column="ignored", long_string="cut")
        row = order(1, ordered_at="2025-03-01T08:15:00+02:00", nothing=1, status="x" * 5000)
        assert tenant.post(erp, "Orders", [row]).status_code == 200
        stored = tenant.world.rows(erp, "Orders")[0]
        assert stored["ordered_at"] == moment(2025, 3, 1, 8, 15)
        assert len(stored["status"]) == 4000

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "[]",
            '{"row":[]}',
            '{"rows":{}}',
            '{"rows":[1]}',
            '{"rows":[{"rate":NaN}]}',
            '{"rows":[], "x":1}',
        ],
    )
    def test_a_body_of_another_shape_is_refused(self, tenant: Tenant, erp: str, body: str) -> None:
        assert tenant.group("POST", f"/datasets/{erp}/tables/Orders/rows", data=body).status_code == 400

    def test_identical_rows_are_stored_twice(self, tenant: Tenant, erp: str) -> None:
        for _ in range(2):
            tenant.post(erp, "Orders", [order(1)])
        assert keys(tenant, erp) == [1, 1]


class TestPlaces:
    @pytest.mark.parametrize("table", ["orders", "Nothing"])
    def test_a_table_has_one_exact_name(self, tenant: Tenant, erp: str, table: str) -> None:
        reply = tenant.post(erp, table, [order(1)])
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "ItemNotFound")
        assert f"Table '<pi>{table}</pi>' not found" in reply.json()["error"]["message"]

    def test_table_names_are_percent_encoded(self, tenant: Tenant) -> None:
        name = "Ordre @ Ærø #1"
        dataset = tenant.create({"name": "X", "tables": [{**ORDERS_ONLY, "name": name}]})
        assert tenant.post(dataset, requests.utils.quote(name, safe=""), [{"k": 1}]).status_code == 200
        assert tenant.world.rows(dataset, name) == [{"k": 1}]

    def test_only_push_datasets_take_rows(self, tenant: Tenant) -> None:
        imported = tenant.world.dataset("Finance Analysis").id
        for reply in (tenant.post(imported, "T", []), tenant.group("GET", f"/datasets/{imported}/tables")):
            assert reply.status_code == 404
            assert reply.json()["error"]["message"] == f"Dataset {imported} is not Push API dataset."


ORDERS_ONLY = {"name": "T", "columns": [{"name": "k", "dataType": "int64"}]}


class TestSequenceNumbers:
    def numbers(self, tenant: Tenant, dataset: str) -> Any:
        return tenant.group("GET", f"/datasets/{dataset}/tables/Orders/sequenceNumbers").json()["value"]

    def test_the_last_number_of_the_calling_app_is_remembered(self, tenant: Tenant, erp: str) -> None:
        assert self.numbers(tenant, erp) == []
        tenant.post(erp, "Orders", [order(1)])
        assert self.numbers(tenant, erp) == []
        tenant.post(erp, "Orders", [order(2)], headers={SEQUENCE_HEADER: "2"})
        client = tenant.world.principal.client_id
        assert self.numbers(tenant, erp) == [{"clientId": client, "sequenceNumber": 2}]
        assert tenant.post(erp, "Orders", [order(3)], headers={SEQUENCE_HEADER: "1"}).status_code == 200
        assert self.numbers(tenant, erp)[0]["sequenceNumber"] == 1

    def test_they_may_be_ignored(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["sequence_numbers"] = "ignored"
        tenant.post(erp, "Orders", [order(1)], headers={SEQUENCE_HEADER: "2"})
        assert self.numbers(tenant, erp) == []

    def test_they_may_have_to_rise(self, tenant: Tenant, erp: str) -> None:
        tenant.switches["sequence_numbers"] = "reject_not_greater"
        statuses = [
            tenant.post(erp, "Orders", [order(number)], headers={SEQUENCE_HEADER: str(number)}).status_code
            for number in (5, 5, 4, 6)
        ]
        assert statuses == [200, 400, 400, 200]
        assert keys(tenant, erp) == [5, 6]

    @pytest.mark.parametrize("resets", [True, False])
    def test_a_delete_resets_them_or_not(self, tenant: Tenant, erp: str, resets: bool) -> None:
        tenant.switches["delete_resets_sequence"] = resets
        tenant.post(erp, "Orders", [order(1)], headers={SEQUENCE_HEADER: "2"})
        tenant.clear(erp, "Orders")
        assert (self.numbers(tenant, erp) == []) is resets


class TestLostAnswers:
    @pytest.mark.parametrize(("when", "stored"), [("before", []), ("after", [1])])
    def test_the_connection_drops_before_or_after_the_rows_are_stored(
        self, tenant: Tenant, erp: str, when: str, stored: list[int]
    ) -> None:
        tenant.faults.arm("powerbi", "drop_connection", when=when, match="POST .*/rows")
        with pytest.raises(requests.ConnectionError):
            tenant.post(erp, "Orders", [order(1)])
        assert keys(tenant, erp) == stored

    def test_a_part_of_a_post_may_be_stored(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "partial_apply", rows=2, answer=504)
        reply = tenant.post(erp, "Orders", [order(number) for number in range(5)])
        assert reply.status_code == 504
        assert reply.headers["Content-Type"].startswith("text/html")
        assert keys(tenant, erp) == [0, 1]
        event = tenant.world.history(erp, "Orders")[-1]
        assert (event.rows, event.stored, event.note) == (5, 2, "partial")

    def test_a_late_post_arrives_after_the_next_delete(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "late_post")
        with pytest.raises(requests.ConnectionError):
            tenant.post(erp, "Orders", [order(1)])
        tenant.post(erp, "Orders", [order(2)])
        assert keys(tenant, erp) == [2]
        tenant.clear(erp, "Orders")
        assert keys(tenant, erp) == [1]
        assert [event.note for event in tenant.world.history(erp, "Orders")] == ["", "", "late"]

    def test_a_late_post_may_come_by_the_clock(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "late_post", seconds=60, answer=504)
        assert tenant.post(erp, "Orders", [order(1)]).status_code == 504
        assert tenant.count(erp) == 0
        tenant.pass_time(61)
        assert tenant.count(erp) == 1

    def test_a_late_delete_wipes_the_posts_that_followed(self, tenant: Tenant, erp: str) -> None:
        tenant.post(erp, "Orders", [order(1)])
        tenant.faults.arm("powerbi", "late_delete", posts=2)
        with pytest.raises(requests.ConnectionError):
            tenant.clear(erp, "Orders")
        tenant.post(erp, "Orders", [order(2)])
        assert keys(tenant, erp) == [1, 2]
        tenant.post(erp, "Orders", [order(3)])
        assert keys(tenant, erp) == []

    def test_what_is_late_can_be_released_by_hand(self, tenant: Tenant, erp: str) -> None:
        tenant.faults.arm("powerbi", "late_post", answer=504)
        tenant.post(erp, "Orders", [order(1)])
        reply = tenant.http.post(f"{tenant.root}/control/release", timeout=30)
        assert reply.json() == {"released": 1}
        assert keys(tenant, erp) == [1]
        assert tenant.world.release() == 0


def test_delete_clears_a_table_at_once_and_again(tenant: Tenant, erp: str) -> None:
    tenant.post(erp, "Orders", [order(1)])
    for _ in range(2):
        reply = tenant.clear(erp, "Orders")
        assert (reply.status_code, reply.content) == (200, b"")
    assert keys(tenant, erp) == []
