"""Creating, listing, changing and dropping push datasets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from .conftest import CUSTOMERS, ERP, ORDERS, RELATIONSHIP, Tenant, order


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    definition = copy.deepcopy(ERP)
    change(definition)
    return definition


class TestCreate:
    @pytest.mark.parametrize("status", [201, 202])
    def test_it_answers_with_id_name_and_retention(self, tenant: Tenant, status: int) -> None:
        tenant.switches["create_status"] = status
        reply = tenant.group("POST", "/datasets", json=ERP, params={"defaultRetentionPolicy": "basicFIFO"})
        assert reply.status_code == status
        dataset = tenant.world.dataset("ERP")
        assert reply.json() == {"id": dataset.id, "name": "ERP", "defaultRetentionPolicy": "basicFIFO"}

    def test_names_are_not_unique(self, tenant: Tenant) -> None:
        first, second = tenant.create(), tenant.create()
        listed = [
            data["id"] for data in tenant.group("GET", "/datasets").json()["value"] if data["name"] == "ERP"
        ]
        assert listed == [first, second]

    def test_a_new_dataset_shows_after_some_reads(self, tenant: Tenant) -> None:
        tenant.switches["create_polls"] = 2
        dataset = tenant.create()
        path = f"/datasets/{dataset}"
        assert [tenant.group("GET", path).status_code for _ in range(3)] == [404, 404, 200]

    @pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
    def test_the_answer_to_a_create_may_be_lost(self, tenant: Tenant, when: str, made: int) -> None:
        tenant.faults.arm("powerbi", "drop_connection", when=when, match="POST .*/datasets$")
        with pytest.raises(OSError, match="Connection"):
            tenant.group("POST", "/datasets", json=ERP)
        names = [data["name"] for data in tenant.group("GET", "/datasets").json()["value"]]
        assert names.count("ERP") == made

    def test_creation_may_be_switched_off_for_ever(self, tenant: Tenant) -> None:
        tenant.switches["create_push"] = "deprecated"
        reply = tenant.group("POST", "/datasets", json=ERP)
        assert reply.json()["error"]["code"] == "FeatureDeprecatedError"
        details = reply.json()["error"]["pbi.error"]["details"]
        assert details[0]["code"] == "FeatureDeprecatedMessage"

    @pytest.mark.parametrize(
        "kind", ["Int64", "int64", "String", "string", "bool", "Boolean", "dateTime", "Decimal"]
    )
    def test_types_are_matched_without_regard_to_case(self, tenant: Tenant, kind: str) -> None:
        table = {"name": "T", "columns": [{"name": "x", "dataType": kind}]}
        tenant.create({"name": "X", "tables": [table]})

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda d: d.update(tablez=[]), "'tablez' does not exist on type 'dataset'"),
            (lambda d: d.pop("name"), "'name' of the dataset is required"),
            (lambda d: d.update(tables={}), "'tables' of the dataset takes list"),
            (lambda d: d.update(tables=[]), "1 to 75 tables"),
            (lambda d: d["tables"][0].update(ishidden=True), "'ishidden' does not exist on type 'table'"),
            (lambda d: d["tables"][0].pop("columns"), "'columns' of the table is required"),
            (lambda d: d["tables"][0].update(name="a/b"), "table name 'a/b' is not allowed"),
            (lambda d: d["tables"][0].update(name="x" * 101), "is not allowed"),
            (lambda d: d["tables"][1].update(name="ORDERS"), "'ORDERS' is given to more than one table"),
            (lambda d: d["tables"][0]["columns"][0].update(datatype="x"), "'datatype' does not exist"),
            (lambda d: d["tables"][0]["columns"][0].pop("dataType"), "'dataType' of the column is required"),
            (lambda d: d["tables"][0]["columns"][0].update(dataType="Guid"), "'Guid' of Orders[order_key]"),
            (lambda d: d["tables"][0]["columns"][0].update(summarizeBy="all"), "summarizeBy 'all'"),
            (lambda d: d["tables"][0]["columns"][0].update(sortByColumn="z"), "sortByColumn 'z'"),
            (lambda d: d["tables"][0]["columns"][1].update(name="Order_Key"), "more than one column"),
            (
                lambda d: d["tables"][0].update(
                    columns=[{"name": f"c{n}", "dataType": "Int64"} for n in range(76)]
                ),
                "76 columns; 1 to 75 are allowed",
            ),
            (
                lambda d: d.update(tables=[{**CUSTOMERS, "name": f"t{n}"} for n in range(76)]),
                "1 to 75 tables",
            ),
            (
                lambda d: d["tables"][1].update(measures=[{"name": "order COUNT", "expression": "1"}]),
                "more than one measure",
            ),
            (lambda d: d["tables"][0]["measures"][0].pop("expression"), "'expression' of the measure"),
            (lambda d: d["relationships"][0].update(toColumn="id"), "no column Customers[id]"),
            (lambda d: d["relationships"][0].update(fromColumn="status"), "joins String to Int64"),
            (lambda d: d["relationships"][0].update(isActive=False), "'isActive' does not exist"),
            (lambda d: d["relationships"][0].update(crossFilteringBehavior="None"), "is one of OneDirection"),
            (lambda d: d["relationships"].append({**RELATIONSHIP, "name": "again"}), "ambiguous paths"),
            (lambda d: d.update(defaultMode="AsAzure"), None),
        ],
    )
    def test_what_is_wrong_is_refused_by_name(
        self, tenant: Tenant, change: Callable[[dict[str, Any]], object], text: str | None
    ) -> None:
        reply = tenant.group("POST", "/datasets", json=changed(change))
        assert reply.status_code == 400
        if text is None:
            assert reply.json()["error"]["code"] == "InvalidRequest"
        else:
            messages = [detail["message"] for detail in reply.json()["error"]["details"]]
            assert any(text in message for message in messages), messages
        assert "ERP" not in [data.name for data in tenant.world.datasets.values()]

    def test_push_streaming_columns_have_a_name_and_a_type_alone(self, tenant: Tenant) -> None:
        table = {"name": "T", "columns": [{"name": "x", "dataType": "Int64", "isHidden": True}]}
        body = {"name": "X", "defaultMode": "PushStreaming", "tables": [table]}
        reply = tenant.group("POST", "/datasets", json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "InvalidRequest")
        del table["columns"][0]["isHidden"]
        assert tenant.group("POST", "/datasets", json=body).status_code == 201

    def test_a_retention_nobody_knows_is_refused(self, tenant: Tenant) -> None:
        reply = tenant.group("POST", "/datasets", json=ERP, params={"defaultRetentionPolicy": "FIFO"})
        assert reply.status_code == 400


class TestReadAndDrop:
    def test_a_push_dataset_is_known_by_addrowsapienabled(self, tenant: Tenant) -> None:
        tenant.create()
        kinds = {
            data["name"]: (data["addRowsAPIEnabled"], data["isRefreshable"])
            for data in tenant.group("GET", "/datasets").json()["value"]
        }
        assert kinds == {"ERP": (True, False), "Finance Analysis": (False, True)}

    def test_tables_are_listed_by_name(self, tenant: Tenant) -> None:
        dataset = tenant.create()
        reply = tenant.group("GET", f"/datasets/{dataset}/tables")
        assert reply.json() == {"value": [{"name": "Orders"}, {"name": "Customers"}]}

    def test_a_dropped_dataset_is_gone(self, tenant: Tenant) -> None:
        dataset = tenant.create()
        assert tenant.group("DELETE", f"/datasets/{dataset}").status_code == 200
        reply = tenant.group("GET", f"/datasets/{dataset}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "PowerBIEntityNotFound")


class TestChangeTable:
    def put(self, tenant: Tenant, dataset: str, table: dict[str, Any], name: str = "Orders") -> Any:
        return tenant.group("PUT", f"/datasets/{dataset}/tables/{name}", json=table)

    def wider(self) -> dict[str, Any]:
        return {**ORDERS, "columns": [*ORDERS["columns"], {"name": "note", "dataType": "String"}]}

    def test_a_column_is_added_and_old_rows_are_null_there(self, tenant: Tenant) -> None:
        dataset = tenant.create()
        tenant.post(dataset, "Orders", [order(1)])
        reply = self.put(tenant, dataset, self.wider())
        assert (reply.status_code, reply.json()) == (200, {"name": "Orders"})
        tenant.post(dataset, "Orders", [order(2, note="new")])
        query = "EVALUATE VALUES(Orders[note])"
        assert tenant.rows_of(dataset, query) == [{"Orders[note]": None}, {"Orders[note]": "new"}]

    def test_an_unknown_table_is_404(self, tenant: Tenant) -> None:
        reply = self.put(tenant, tenant.create(), {**ORDERS, "name": "Nothing"}, "Nothing")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "ItemNotFound")

    def test_the_body_names_the_table_of_the_path(self, tenant: Tenant) -> None:
        assert self.put(tenant, tenant.create(), {**ORDERS, "name": "Other"}).status_code == 400

    @pytest.mark.parametrize("kept", ["kept", "removed"])
    def test_measures_left_out_stay_or_go(self, tenant: Tenant, kept: str) -> None:
        tenant.switches["put_without_measures"] = kept
        dataset = tenant.create()
        body = self.wider()
        del body["measures"]
        self.put(tenant, dataset, body)
        assert tenant.ask(dataset, 'EVALUATE ROW("n", [Order count])').ok is (kept == "kept")

    def test_measures_can_be_added(self, tenant: Tenant) -> None:
        dataset = tenant.create()
        measures = [*ORDERS["measures"], {"name": "Total", "expression": "SUM(Orders[amount]) + 0"}]
        assert self.put(tenant, dataset, {**ORDERS, "measures": measures}).status_code == 200
        assert tenant.rows_of(dataset, 'EVALUATE ROW("t", [Total])') == [{"[t]": 0}]
        taken = {**CUSTOMERS, "measures": [{"name": "Total", "expression": "1"}]}
        assert self.put(tenant, dataset, taken, "Customers").status_code == 400

    def retyped(self) -> dict[str, Any]:
        """`status` is gone, `amount` is text."""
        columns = [column for column in ORDERS["columns"] if column["name"] != "status"]
        columns = [{**c, "dataType": "String"} if c["name"] == "amount" else c for c in columns]
        return {**ORDERS, "columns": columns}

    def test_columns_that_go_or_change_their_type_are_refused(self, tenant: Tenant) -> None:
        dataset = tenant.create()
        tenant.post(dataset, "Orders", [order(1)])
        reply = self.put(tenant, dataset, self.retyped())
        assert reply.status_code == 400
        messages = [detail["message"] for detail in reply.json()["error"]["details"]]
        assert messages == [
            "Column 'status' cannot be removed.",
            "The dataType of column 'amount' cannot be changed.",
        ]
        assert tenant.world.rows(dataset, "Orders")[0]["amount"] == Decimal(10)

    def test_or_applied_with_the_loss_of_their_values(self, tenant: Tenant) -> None:
        tenant.switches["put_breaking_change"] = "applied"
        dataset = tenant.create()
        tenant.post(dataset, "Orders", [order(1)])
        assert self.put(tenant, dataset, self.retyped()).status_code == 200
        row = tenant.world.rows(dataset, "Orders")[0]
        assert (row["order_key"], row["amount"], "status" in row) == (1, None, False)

    def test_a_column_of_a_relationship_stays(self, tenant: Tenant) -> None:
        tenant.switches["put_breaking_change"] = "applied"
        columns = [column for column in ORDERS["columns"] if column["name"] != "customer_key"]
        reply = self.put(tenant, tenant.create(), {**ORDERS, "columns": columns})
        assert reply.status_code == 400
        assert "orders_customers" in reply.json()["error"]["details"][0]["message"]
