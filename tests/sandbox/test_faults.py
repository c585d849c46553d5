"""Faults on demand: counted, matched, seeded, and visible in what the client gets."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import timedelta

import pytest
import requests
from starlette.responses import Response
from starlette.types import Message

from mlc_sandbox.core import CallLog, Dropped, Faults, JsonResponse, SandboxClock
from mlc_sandbox.server import Logged, Sandbox
from tests.sandbox.conftest import Erp


class TestArming:
    def test_a_fault_fires_as_often_as_told_after_the_calls_told(self) -> None:
        faults = Faults()
        faults.arm("visma", "slow", times=2, after=1, seconds=3)
        assert [faults.take("visma", "slow") for _ in range(4)] == [
            None,
            {"seconds": 3},
            {"seconds": 3},
            None,
        ]
        assert faults.armed() == []

    def test_matches_the_request_line_and_the_vendor(self) -> None:
        faults = Faults()
        faults.arm("visma", "slow", match=r"GET .*supplierinvoice", times=None)
        assert faults.take("visma", "slow", "GET /visma/api/v1/supplierInvoice?x=1") == {}
        assert faults.take("visma", "slow", "PUT /visma/api/v1/supplierInvoice/1") is None
        assert faults.take("anaplan", "slow", "GET /visma/api/v1/supplierInvoice") is None

    def test_the_same_seed_gives_the_same_failures(self) -> None:
        def hits(seed: int) -> list[bool]:
            faults = Faults()
            faults.arm("visma", "slow", times=None, probability=0.3, seed=seed)
            return [faults.take("visma", "slow") is not None for _ in range(40)]

        assert hits(7) == hits(7) != hits(8)
        assert 0 < sum(hits(7)) < 40

    def test_clearing_by_vendor_and_name(self) -> None:
        faults = Faults()
        for vendor, name in (("visma", "slow"), ("visma", "drift"), ("anaplan", "slow")):
            faults.arm(vendor, name)
        faults.clear("visma", "slow")
        assert {(fault.vendor, fault.name) for fault in faults.armed()} == {
            ("visma", "drift"),
            ("anaplan", "slow"),
        }
        faults.clear()
        assert faults.armed() == []


@pytest.mark.parametrize(("status", "kind"), [(500, "json"), (502, "html"), (503, "html")])
def test_server_errors_look_like_the_gateway(sandbox: Sandbox, erp: Erp, status: int, kind: str) -> None:
    sandbox.faults.arm("visma", "server_error", status=status)
    answer = erp.get("v1/supplier")
    assert answer.status_code == status
    assert kind in answer.headers["Content-Type"]
    assert erp.get("v1/supplier").status_code == 200


@pytest.mark.parametrize(("when", "note"), [("before", None), ("after", "Skrevet")])
def test_a_dropped_connection_leaves_the_write_undone_or_done(
    sandbox: Sandbox, erp: Erp, when: str, note: str | None
) -> None:
    sandbox.faults.arm("visma", "drop_connection", match="^PUT", when=when)
    with pytest.raises(requests.ConnectionError):
        erp.call("PUT", "v1/supplier/50001", json={"note": {"value": "Skrevet"}})
    assert erp.get("v1/supplier/50001").json().get("note") == note
    assert sandbox.log.calls("visma", method="PUT")[-1].status == 0


@pytest.mark.parametrize(("answer", "status"), [(JsonResponse({}), 200), (Dropped(), 0)])
def test_a_call_is_in_the_log_before_its_client_sees_the_end_of_it(answer: Response, status: int) -> None:
    log, clock = CallLog(), SandboxClock()
    known_at_the_end: list[list[int]] = []

    def end() -> None:
        known_at_the_end.append([call.status for call in log.calls()])

    class Transport:
        def close(self) -> None:
            end()
            gone.set()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        end()

    gone = asyncio.Event()
    scope = {"type": "http", "method": "GET", "path": "/visma/x", "query_string": b""}
    asyncio.run(Logged(answer, log, clock)(scope | {"transport": Transport()}, receive, send))
    assert known_at_the_end
    assert all(known == [status] for known in known_at_the_end)


def test_a_stalled_connection_runs_into_the_clients_timeout(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "stall")
    with pytest.raises(requests.ReadTimeout):
        erp.http.get(f"{sandbox.url}/visma/api/v1/branch", timeout=(30, 0.1))


@pytest.mark.parametrize(("when", "note"), [("before", None), ("after", "Skrevet")])
def test_a_stalled_connection_is_closed_in_the_end_and_leaves_the_write_undone_or_done(
    sandbox: Sandbox, erp: Erp, when: str, note: str | None
) -> None:
    sandbox.faults.arm("visma", "stall", match="^PUT", when=when, seconds=0)
    with pytest.raises(requests.ConnectionError):
        erp.call("PUT", "v1/supplier/50001", json={"note": {"value": "Skrevet"}})
    assert erp.get("v1/supplier/50001").json().get("note") == note
    assert sandbox.log.calls("visma", method="PUT")[-1].status == 0


def test_an_answer_may_stall_in_its_body(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "stall", half=True, seconds=0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="bytes read"):
        erp.get("v1/supplier")
    assert sandbox.log.calls("visma")[-1].status == 200


def test_an_answer_that_trickles_is_whole_in_the_end(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "trickle", seconds=0)
    assert erp.get("v1/supplier").json() == erp.get("v1/supplier").json()


@pytest.mark.parametrize("vendor", ["visma", "anaplan", "asana", "cleo", "tableau", "powerbi"])
def test_every_vendor_may_stall(sandbox: Sandbox, vendor: str) -> None:
    sandbox.faults.arm(vendor, "stall", seconds=0)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sandbox.url}/{vendor}/anything", timeout=60)


def test_slow_answers_run_into_the_clients_timeout(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "slow", seconds=2)
    with pytest.raises(requests.ReadTimeout):
        erp.http.get(f"{sandbox.url}/visma/api/v1/branch", timeout=(30, 0.1))


@pytest.mark.parametrize("name", ["truncated_body", "invalid_json"])
def test_a_page_that_is_no_json(sandbox: Sandbox, erp: Erp, name: str) -> None:
    sandbox.faults.arm("visma", name)
    answer = erp.get("v1/supplier")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_an_empty_list_in_place_of_the_rows(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "empty_list", match="supplierInvoice")
    assert erp.rows("v1/supplier")
    assert erp.rows("v1/supplierInvoice") == []
    assert erp.rows("v1/supplierInvoice")


def test_one_row_with_a_text_amount(sandbox: Sandbox, erp: Erp) -> None:
    number = erp.rows("v1/supplierInvoice")[3]["referenceNumber"]
    sandbox.faults.arm("visma", "broken_row", times=None, number=number)
    broken = [row for row in erp.rows("v1/supplierInvoice") if row["amount"] == "abc"]
    assert {row["referenceNumber"] for row in broken} == {number}
    sandbox.faults.clear()
    assert all(row["amount"] != "abc" for row in erp.rows("v1/supplierInvoice"))


def test_wrapped_values_and_unknown_fields(sandbox: Sandbox, erp: Erp) -> None:
    plain = erp.rows("v1/supplier")
    sandbox.faults.arm("visma", "wrapped_values")
    wrapped = erp.rows("v1/supplier")
    assert wrapped[0]["number"] == {"value": plain[0]["number"]}
    assert wrapped[0]["mainAddress"] == plain[0]["mainAddress"]
    sandbox.faults.arm("visma", "extra_fields")
    assert set(erp.rows("v1/supplier")[0]) - set(plain[0]) == {"newVendorField", "anotherFlag"}


def test_somebody_else_writes_between_read_and_put(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "changed_meanwhile", match="^PUT")
    headers = {"If-Match": erp.get("v1/supplier/50000").headers["ETag"]}
    assert erp.call("PUT", "v1/supplier/50000", json={}, headers=headers).status_code == 412
    headers = {"If-Match": erp.get("v1/supplier/50000").headers["ETag"]}
    assert erp.call("PUT", "v1/supplier/50000", json={}, headers=headers).status_code == 204


def test_a_late_write_is_done_when_its_client_has_long_heard_of_a_failure(sandbox: Sandbox, erp: Erp) -> None:
    sandbox.faults.arm("visma", "late_commit", match="^PUT", seconds=60)
    assert erp.call("PUT", "v1/supplier/50001", json={"note": {"value": "Sent"}}).status_code == 504
    assert erp.get("v1/supplier/50001").json().get("note") is None
    sandbox.clock.advance(timedelta(seconds=60))
    assert erp.get("v1/supplier/50001").json()["note"] == "Sent"


def test_a_bulk_restamp_gives_all_rows_one_stamp(sandbox: Sandbox, erp: Erp) -> None:
    before = erp.rows("v1/supplierInvoice")
    sandbox.faults.arm("visma", "restamp_all", match="supplierInvoice")
    after = erp.rows("v1/supplierInvoice")
    assert len({row["lastModifiedDateTime"] for row in after}) == 1
    moving = {"lastModifiedDateTime", "timeStamp"}
    content = [{name: row[name] for name in row if name not in moving} for row in after]
    assert content == [{name: row[name] for name in row if name not in moving} for row in before]


class TestDrift:
    def sweep(self, erp: Erp) -> Counter[str]:
        return Counter(
            f"{row['documentType']}|{row['referenceNumber']}"
            for page in erp.pages("v1/supplierInvoice", 20, lastModifiedDateTime="2000-01-01",
                                  lastModifiedDateTimeCondition=">=")
            for row in page
        )  # fmt: skip

    def test_rows_that_vanish_during_a_sweep_make_it_miss_others(self, sandbox: Sandbox, erp: Erp) -> None:
        sandbox.faults.arm("visma", "drift", match="supplierInvoice", delete=1, times=2, seed=1)
        found = self.sweep(erp)
        assert {record.key for record in erp.records("supplierInvoice")} - set(found)

    def test_rows_restamped_during_a_sweep_by_time_are_doubled_or_missed(
        self, sandbox: Sandbox, erp: Erp
    ) -> None:
        sandbox.visma.switches["order"] = "modified"
        sandbox.faults.arm("visma", "drift", match="supplierInvoice", restamp=5, times=4, seed=1)
        found = self.sweep(erp)
        assert max(found.values()) > 1 or {r.key for r in erp.records("supplierInvoice")} - set(found)

    def test_rows_arrive_during_a_sweep(self, sandbox: Sandbox, erp: Erp) -> None:
        count = len(erp.records("supplierInvoice"))
        sandbox.faults.arm("visma", "drift", match="supplierInvoice", insert=3, times=2, seed=1)
        self.sweep(erp)
        assert len(erp.records("supplierInvoice")) == count + 6

    def test_the_seed_decides_what_drifts(self) -> None:
        def moved(seed: int) -> list[str]:
            with Sandbox.running(seed=1, scale=0.3, companies=("NO01",)) as sandbox:
                sandbox.faults.arm("visma", "drift", match="supplierInvoice", restamp=5, times=2, seed=seed)
                erp = Erp(sandbox)
                self.sweep(erp)
                latest = sorted(erp.records("supplierInvoice"), key=lambda record: record.counter)[-5:]
                return [record.key for record in latest]

        assert moved(1) == moved(1) != moved(2)


class TestEcho:
    def test_any_vendors_answer_repeats_the_call_with_its_headers_and_body(self, erp: Erp) -> None:
        sandbox = erp.sandbox
        for vendor, form in (("anaplan", "text"), ("tableau", "json")):
            sandbox.faults.arm(vendor, "echo", status=502, form=form, match="POST")
            url = f"{sandbox.url}/{vendor}/anything"
            answer = requests.post(url, data="a=1&b=2", headers={"X-Proof": "hunter2"}, timeout=10)
            assert answer.status_code == 502
            said = answer.json()["message"] if form == "json" else answer.text
            assert said.startswith("a=1&b=2\n")
            assert "x-proof: hunter2" in said
            assert said.endswith(f"POST {url}")
            assert requests.post(url, timeout=10).status_code == 404
