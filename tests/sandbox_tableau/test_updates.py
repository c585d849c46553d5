"""Updates of published data: actions on the real file, the key of a request, and what nobody could verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as tsc
from tableauserverclient.server.endpoint.exceptions import JobFailedException, ServerResponseError

from .conftest import INVOICES, TABLE, Tenant, action, code, invoice

KEYS = ("company TEXT", "number BIGINT")


@pytest.fixture
def source(tenant: Tenant) -> tsc.DatasourceItem:
    return tenant.published(invoice(1, "1.00"), invoice(2, "2.00"), invoice(3, "3.00"))


def apply(tenant: Tenant, source: Any, actions: Any, rows: Any = None, **options: Any) -> tsc.JobItem:
    return tenant.end(tenant.update(source, actions, rows, **options))


class TestActions:
    def test_upsert_changes_known_keys_and_inserts_the_others(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        rows = [invoice(2, "2.22"), invoice(4, "4.00"), invoice(1, "9.00", company="SE01")]
        job = apply(tenant, source, [action("upsert")], rows)
        assert (job.finish_code, job.type, job.datasource_id) == (0, "UpdateUploadedFile", source.id)
        assert tenant.rows("Invoices", "company", "number", "amount") == [
            ("NO01", 1, "1.00"),
            ("NO01", 2, "2.22"),
            ("NO01", 3, "3.00"),
            ("NO01", 4, "4.00"),
            ("SE01", 1, "9.00"),
        ]

    def test_update_inserts_nothing(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        apply(tenant, source, [action("update")], [invoice(2, "2.22"), invoice(4, "4.00")])
        assert tenant.rows("Invoices", "number", "amount") == [(1, "1.00"), (2, "2.22"), (3, "3.00")]

    def test_insert_adds_whatever_is_there(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        apply(tenant, source, [action("insert")], [invoice(1, "1.00")])
        assert tenant.rows("Invoices", "number") == [(1,), (1,), (2,), (3,)]

    def test_replace_leaves_what_was_sent(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        apply(tenant, source, [action("replace")], [invoice(7, "7.00")])
        assert tenant.rows("Invoices", "number") == [(7,)]

    def test_delete_takes_the_keys_that_were_sent(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        apply(tenant, source, [action("delete")], [invoice(1), invoice(3)], columns=KEYS)
        assert tenant.rows("Invoices", "number") == [(2,)]

    def test_delete_refuses_source_columns_it_does_not_compare(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        job = apply(tenant, source, [action("delete")], [invoice(1)])
        assert job.finish_code == 1
        assert "not used in the condition: amount" in job.notes[0]
        assert len(tenant.rows()) == 3

    @pytest.mark.parametrize(
        ("column", "constant", "left"),
        [
            ("due", {"type": "datetime", "v": "2026-02-01T00:00:00Z"}, [2, 3]),
            ("seen", {"type": "datetime", "v": "2026-02-01T00:00:00Z"}, [2, 3]),
            ("number", {"type": "integer", "v": 2}, [2, 3]),
            ("amount", {"type": "double", "v": 1.5}, [2, 3]),
            ("company", {"type": "string", "v": "O'Z"}, []),
        ],
    )
    def test_delete_compares_with_a_constant(
        self, tenant: Tenant, column: str, constant: dict[str, Any], left: list[int]
    ) -> None:
        dates = {1: "2026-01-31", 2: "2026-02-01", 3: "2026-02-02"}
        rows = [invoice(n, f"{n}.00", due=day, seen=f"{day} 00:00:00+00") for n, day in dates.items()]
        source = tenant.published(*rows)
        condition = {"op": "lt", "target-col": column, "const": constant}
        only_target = {name: value for name, value in TABLE.items() if name.startswith("target")}
        job = apply(tenant, source, [{"action": "delete", "condition": condition} | only_target])
        assert job.finish_code == 0, job.notes
        assert [number for (number,) in tenant.rows("Invoices", "number")] == left

    def test_several_actions_run_in_their_order(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        everything = {"op": "gte", "target-col": "number", "const": {"type": "integer", "v": 0}}
        window = {"action": "delete", "condition": everything, "target-table": "Extract"}
        apply(tenant, source, [window, action("insert")], [invoice(8), invoice(9)])
        assert tenant.rows("Invoices", "number") == [(8,), (9,)]

    def test_several_tables_of_one_payload(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        columns = ", ".join(INVOICES)
        payload = tenant.pen.run(
            [
                f"CREATE TABLE changed ({columns})",
                "INSERT INTO changed (company, number, amount) VALUES ('NO01', 2, 2.5)",
                "CREATE TABLE gone (company TEXT, number BIGINT)",
                "INSERT INTO gone VALUES ('NO01', 1)",
            ]
        )
        actions = [
            action("upsert", **{"source-schema": "public", "source-table": "changed"}),
            action("delete", **{"source-schema": "public", "source-table": "gone"}),
        ]
        apply(tenant, source, actions, payload)
        assert tenant.rows("Invoices", "number", "amount") == [(2, "2.50"), (3, "3.00")]

    def test_a_connection_item_names_the_data_source_as_well(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        tenant.server.datasources.populate_connections(source)
        assert apply(tenant, source.connections[0], [action("upsert")], [invoice(4)]).finish_code == 0
        assert len(tenant.rows()) == 4


class TestFailures:
    def test_a_table_that_does_not_exist_is_named_in_the_note(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        job = tenant.update(source, [action("upsert", **{"source-table": "Lines"})], [invoice(1)])
        with pytest.raises(JobFailedException) as error:
            tenant.server.jobs.wait_for_job(job, timeout=10)
        assert "Specified table does not exist: Lines. (errorCode=410012)" in error.value.notes[0]

    def test_a_payload_that_was_cut_off_fails_the_job(
        self, tenant: Tenant, source: tsc.DatasourceItem, tmp_path: Path
    ) -> None:
        cut = tmp_path / "cut.hyper"
        cut.write_bytes(tenant.pen.write([invoice(1)]).read_bytes()[:5000])
        job = apply(tenant, source, [action("upsert")], cut)
        assert job.finish_code == 1
        assert len(tenant.rows()) == 3

    @pytest.mark.parametrize(("atomic", "left"), [(True, [1, 2, 3]), (False, [1, 3])])
    def test_whether_earlier_actions_stay_when_a_later_one_fails(
        self, tenant: Tenant, source: tsc.DatasourceItem, atomic: bool, left: list[int]
    ) -> None:
        tenant.switches["actions_atomic"] = atomic
        actions = [action("delete"), action("upsert", **{"source-table": "Lines"})]
        assert apply(tenant, source, actions, [invoice(2)], columns=KEYS).finish_code == 1
        assert [number for (number,) in tenant.rows("Invoices", "number")] == left

    def test_a_value_the_column_does_not_take_changes_nothing(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        columns = ("company TEXT", "number BIGINT", "amount TEXT")
        job = apply(tenant, source, [action("upsert")], [invoice(1, "much")], columns=columns)
        assert job.finish_code == 1
        assert tenant.rows("Invoices", "amount") == [("1.00",), ("2.00",), ("3.00",)]

    def test_an_ordinary_extract_takes_no_data(self, tenant: Tenant) -> None:
        with pytest.raises(ServerResponseError, match="live-to-Hyper"):
            tenant.update(tenant.world.datasource("Exchange rates").id, [action("insert")], [invoice(1)])

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "{}",
            '{"actions": []}',
            '{"actions": [{"action": "merge", "target-table": "Extract"}]}',
            '{"actions": [{"action": "insert"}]}',
            '{"actions": [{"action": "delete", "target-table": "Extract"}]}',
            '{"actions": [{"action": "replace", "target-table": "Extract", "condition": {}}]}',
        ],
    )
    def test_a_body_of_another_shape_is_refused_at_once(
        self, tenant: Tenant, source: tsc.DatasourceItem, body: str
    ) -> None:
        reply = tenant.call("PATCH", f"/datasources/{source.id}/data", data=body, headers={"RequestID": "1"})
        assert (reply.status_code, code(reply)) == (400, "400000")

    def test_a_request_without_a_key_is_refused(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        reply = tenant.call("PATCH", f"/datasources/{source.id}/data", json={"actions": [action("insert")]})
        assert code(reply) == "400000"


class TestRequestId:
    def test_a_repeat_with_the_same_key_does_nothing(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        first = tenant.update(source, [action("insert")], [invoice(4)], "key")
        tenant.end(first)
        assert tenant.update(source, [action("insert")], [invoice(4)], "key").id == first.id
        assert tenant.rows("Invoices", "number") == [(1,), (2,), (3,), (4,)]

    def test_a_repeat_may_be_given_a_job_of_its_own_that_does_nothing(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        tenant.switches["duplicate_request"] = "empty_job"
        first = tenant.update(source, [action("insert")], [invoice(4)], "key")
        second = tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert second.id != first.id
        assert tenant.end(second).finish_code == 0
        assert len(tenant.rows()) == 4

    def test_a_key_is_forgotten_after_a_day(self, tenant: Tenant, source: tsc.DatasourceItem) -> None:
        tenant.update(source, [action("insert")], [invoice(4)], "key")
        tenant.pass_time(hours=25)
        tenant.server = tenant.sign_in()
        tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert len(tenant.rows()) == 5

    @pytest.mark.parametrize(("blocks", "rows"), [(True, 3), (False, 4)])
    def test_whether_the_key_of_a_failed_job_is_used_up(
        self, tenant: Tenant, source: tsc.DatasourceItem, blocks: bool, rows: int
    ) -> None:
        tenant.switches["failed_request_blocks"] = blocks
        tenant.faults.arm("tableau", "job_ends", code=1, match="PATCH")
        assert tenant.end(tenant.update(source, [action("insert")], [invoice(4)], "key")).finish_code == 1
        tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert len(tenant.rows()) == rows

    @pytest.mark.parametrize(("when", "rows"), [("before", 3), ("after", 4)])
    def test_after_a_lost_answer_the_same_key_is_safe_to_send_again(
        self, tenant: Tenant, source: tsc.DatasourceItem, when: str, rows: int
    ) -> None:
        tenant.faults.arm("tableau", "drop_connection", when=when, match="PATCH")
        with pytest.raises(requests.ConnectionError):
            tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert len(tenant.rows()) == rows
        tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert len(tenant.rows()) == 4

    def test_a_call_that_arrives_after_its_repeat_is_a_duplicate(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        tenant.faults.arm("tableau", "late_call", match="PATCH")
        with pytest.raises(requests.ConnectionError):
            tenant.update(source, [action("insert")], [invoice(4)], "key")
        tenant.update(source, [action("insert")], [invoice(4)], "key")
        assert len(tenant.rows()) == 4
        assert tenant.world.late == []

    def test_a_late_call_with_a_key_of_its_own_is_carried_out(
        self, tenant: Tenant, source: tsc.DatasourceItem
    ) -> None:
        tenant.faults.arm("tableau", "late_call", match="PATCH", seconds=60)
        with pytest.raises(requests.ConnectionError):
            tenant.update(source, [action("upsert")], [invoice(1, "1.10")], "old")
        tenant.update(source, [action("upsert")], [invoice(1, "1.20")], "new")
        assert ("1.20",) in tenant.rows("Invoices", "amount")
        tenant.pass_time(seconds=61)
        tenant.server.datasources.get_by_id(source.id)
        assert ("1.10",) in tenant.rows("Invoices", "amount")


class TestOpenQuestions:
    def test_columns_are_matched_by_name_or_by_position(self, tenant: Tenant, source: Any) -> None:
        columns = ("number BIGINT", "company TEXT", "amount NUMERIC(18, 2)")
        apply(tenant, source, [action("insert")], [invoice(4, "4.00")], columns=columns)
        assert ("NO01", 4, "4.00") in tenant.rows("Invoices", "company", "number", "amount")
        tenant.switches["column_matching"] = "position"
        job = apply(tenant, source, [action("insert")], [invoice(5)], columns=columns)
        assert job.finish_code == 1  # a number for a text
        apply(tenant, source, [action("insert")], [invoice(6)], columns=INVOICES)
        assert len(tenant.rows()) == 5

    @pytest.mark.parametrize(("rule", "finish"), [("fails", 1), ("ignored", 0)])
    def test_a_column_the_target_does_not_have(
        self, tenant: Tenant, source: Any, rule: str, finish: int
    ) -> None:
        tenant.switches["unknown_column"] = rule
        rows = [invoice(1, "1.10", extra="x")]
        assert (
            apply(tenant, source, [action("upsert")], rows, columns=(*INVOICES, "extra TEXT")).finish_code
            == finish
        )

    @pytest.mark.parametrize(("rule", "finish"), [("fails", 1), ("null", 0)])
    def test_a_column_the_source_does_not_have(
        self, tenant: Tenant, source: Any, rule: str, finish: int
    ) -> None:
        tenant.switches["missing_column"] = rule
        job = apply(tenant, source, [action("upsert")], [invoice(4)], columns=KEYS)
        assert job.finish_code == finish
        assert (("NO01", 4, None) in tenant.rows("Invoices", "company", "number", "amount")) is (finish == 0)

    @pytest.mark.parametrize(("rule", "finish", "rows"), [("as_sql", 0, 5), ("fails", 1, 3)])
    def test_a_key_twice_in_the_source(
        self, tenant: Tenant, source: Any, rule: str, finish: int, rows: int
    ) -> None:
        tenant.switches["duplicate_source_keys"] = rule
        job = apply(tenant, source, [action("upsert")], [invoice(4, "1.00"), invoice(4, "2.00")])
        assert job.finish_code == finish
        assert len(tenant.rows()) == rows

    @pytest.mark.parametrize(("rule", "rows"), [("never_equal", 2), ("equal", 1)])
    def test_a_key_that_is_null(self, tenant: Tenant, rule: str, rows: int) -> None:
        tenant.switches["null_keys"] = rule
        columns = ("company TEXT", "number BIGINT", "amount NUMERIC(18, 2)")
        row = {"company": "NO01", "number": None, "amount": "1.00"}
        source = tenant.publish(tenant.pen.write([row], columns))
        apply(tenant, source, [action("upsert")], [row], columns=columns)
        assert len(tenant.rows()) == rows

    @pytest.mark.parametrize(("more", "finish"), [(False, 1), (True, 0)])
    def test_operators_that_no_official_text_shows(
        self, tenant: Tenant, source: Any, more: bool, finish: int
    ) -> None:
        tenant.switches["more_operators"] = more
        first = {"op": "lte", "target-col": "number", "const": {"type": "integer", "v": 1}}
        last = {"op": "gt", "target-col": "number", "const": {"type": "integer", "v": 2}}
        outside = {"op": "not", "args": [{"op": "or", "args": [first, last]}]}
        job = apply(tenant, source, [{"action": "delete", "target-table": "Extract", "condition": outside}])
        assert job.finish_code == finish
        assert len(tenant.rows()) == (2 if more else 3)

    def test_one_update_at_a_time(self, tenant: Tenant, source: Any) -> None:
        tenant.switches.update(one_update_at_a_time=True, job_seconds=60)
        tenant.update(source, [action("upsert")], [invoice(4)])
        with pytest.raises(ServerResponseError, match="409093"):
            tenant.update(source, [action("upsert")], [invoice(5)])
        tenant.pass_time(seconds=61)
        tenant.update(source, [action("upsert")], [invoice(5)])

    @pytest.mark.parametrize(("fires", "events"), [(False, 0), (True, 1)])
    def test_whether_an_update_is_an_event(
        self, tenant: Tenant, source: Any, fires: bool, events: int
    ) -> None:
        tenant.switches["update_fires_event"] = fires
        hook = tsc.WebhookItem()
        hook.name, hook.url, hook.event = "w", "https://receiver.example/x", "datasource-updated"
        tenant.server.webhooks.create(hook)
        apply(tenant, source, [action("upsert")], [invoice(4)])
        assert len(tenant.world.webhooks.sent()) == events


def test_names_with_quotes_are_names(tenant: Tenant) -> None:
    column = 'amount "net"'
    create = ['CREATE TABLE "it\'s" ("company" TEXT, "amount ""net""" BIGINT)']
    source = tenant.publish(tenant.pen.run(create))
    payload = tenant.pen.run([*create, "INSERT INTO \"it's\" VALUES ('NO01', 5)"])
    condition = {"op": "eq", "source-col": "company", "target-col": "company"}
    names = {"source-table": "it's", "target-table": "it's"}
    job = apply(tenant, source, [{"action": "upsert", "condition": condition} | names], payload)
    assert job.finish_code == 0
    assert tenant.world.rows("Invoices") == [{"company": "NO01", column: 5}]


def test_what_is_sent_twice_in_a_row_stays_the_same(tenant: Tenant, source: tsc.DatasourceItem) -> None:
    """An upsert is idempotent by itself, whatever the key."""
    for _ in range(2):
        apply(tenant, source, [action("upsert")], [invoice(2, "2.22"), invoice(4, "4.00")])
    assert tenant.rows("Invoices", "number", "amount") == [
        (1, "1.00"),
        (2, "2.22"),
        (3, "3.00"),
        (4, "4.00"),
    ]
