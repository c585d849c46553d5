"""The windows of the service, by the sandbox clock."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from .conftest import Tenant, order


@pytest.fixture
def erp(tenant: Tenant) -> str:
    return tenant.create()


def refused(reply: requests.Response) -> int:
    """Seconds of a 429, whose body has no error wrapper."""
    assert reply.status_code == 429, reply.text
    seconds = int(reply.headers["Retry-After"])
    assert f"Retry in {seconds} seconds." in reply.json()["message"]
    assert set(reply.json()) == {"message"}
    return seconds


def test_ten_thousand_rows_a_post(tenant: Tenant, erp: str) -> None:
    assert tenant.post(erp, "Orders", [{"order_key": key} for key in range(10_000)]).status_code == 200
    reply = tenant.post(erp, "Orders", [{"order_key": key} for key in range(10_001)])
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "RequestEntityTooLarge")
    assert len(tenant.world.rows(erp, "Orders")) == 10_000


def test_sixteen_megabytes_a_post(tenant: Tenant, erp: str) -> None:
    body = b'{"rows":[]' + b" " * (16 * 1024 * 1024 - 10) + b"}"
    path = f"/datasets/{erp}/tables/Orders/rows"
    assert tenant.group("POST", path, data=body).status_code == 413
    assert tenant.group("POST", path, data=body.replace(b" ", b"", 1)).status_code == 200


def test_120_posts_a_minute_and_dataset(tenant: Tenant, erp: str) -> None:
    statuses = [tenant.post(erp, "Orders", [order(1)]).status_code for _ in range(120)]
    assert set(statuses) == {200}
    assert 50 <= refused(tenant.post(erp, "Customers", [])) <= 60
    assert tenant.post(tenant.create(), "Orders", [order(1)]).status_code == 200
    tenant.pass_time(61)
    assert tenant.post(erp, "Orders", [order(1)]).status_code == 200
    assert len(tenant.world.rows(erp, "Orders")) == 121


def test_a_million_rows_an_hour_over_all_tables(tenant: Tenant, erp: str) -> None:
    tenant.switches["rows_per_hour"] = 25
    ten = [order(1)] * 10
    assert tenant.post(erp, "Orders", ten).status_code == 200
    tenant.pass_time(1800)
    assert tenant.post(erp, "Customers", [{"customer_key": 1}] * 10).status_code == 200
    reply = tenant.post(erp, "Orders", ten)
    assert 1790 <= refused(reply) <= 1800  # until the first ten are an hour old
    assert "Maximum number of rows exceeded in time window" in reply.json()["message"]
    assert tenant.post(erp, "Orders", ten[:5]).status_code == 200
    tenant.clear(erp, "Orders")
    assert refused(tenant.post(erp, "Orders", ten)), "a DELETE gives nothing back"
    tenant.pass_time(1801)
    assert tenant.post(erp, "Orders", ten).status_code == 200


@pytest.mark.parametrize("scope", ["dataset", "table"])
def test_a_large_table_allows_120_posts_an_hour(tenant: Tenant, erp: str, scope: str) -> None:
    tenant.switches.update(large_table_rows=4, large_table_posts_per_hour=3, large_table_scope=scope)
    for _ in range(3):
        assert tenant.post(erp, "Orders", [order(1)] * 2).status_code == 200
    assert refused(tenant.post(erp, "Orders", [order(1)])) > 3500
    neighbour = tenant.post(erp, "Customers", [{"customer_key": 1}])
    assert neighbour.status_code == (429 if scope == "dataset" else 200)
    tenant.clear(erp, "Orders")
    assert tenant.post(erp, "Orders", [order(1)]).status_code == 200, "an emptied table is small again"


def test_a_table_holds_no_more_than_five_million_rows(tenant: Tenant, erp: str) -> None:
    tenant.switches["table_rows"] = 3
    assert tenant.post(erp, "Orders", [order(1)] * 3).status_code == 200
    assert tenant.post(erp, "Orders", [order(1)]).status_code == 400


def test_basic_fifo_drops_the_oldest_rows_in_a_band(tenant: Tenant) -> None:
    tenant.switches.update(fifo_rows=20, fifo_slack=10)
    dataset = tenant.create(retention="basicFIFO")
    sizes = []
    for start in range(0, 60, 5):
        tenant.post(dataset, "Orders", [order(key) for key in range(start, start + 5)])
        sizes.append(len(tenant.world.rows(dataset, "Orders")))
    assert sizes == [5, 10, 15, 20, 25, 30, 20, 25, 30, 20, 25, 30]
    assert tenant.world.rows(dataset, "Orders")[0]["order_key"] == 30
    assert tenant.count(dataset) == 30


class Upload:
    """A POST whose body the service is still waiting for."""

    def __init__(self, tenant: Tenant, dataset: str) -> None:
        self.body = b'{"rows":[{"order_key":1}]}'
        path = f"/powerbi/v1.0/myorg/groups/{tenant.world.workspace_id}/datasets/{dataset}/tables/Orders/rows"
        where = urlsplit(tenant.root)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=10)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {tenant.token}\r\n"
            f"Content-Length: {len(self.body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        assert b" 100 " in self.socket.recv(1000)  # now the service asks for the body

    def finish(self) -> int:
        self.socket.sendall(self.body)
        answer = b""
        while more := self.socket.recv(1000):
            answer += more
        self.socket.close()
        return int(answer.split(b" ")[1])


def test_five_posts_may_be_pending(tenant: Tenant, erp: str) -> None:
    uploads = [Upload(tenant, erp) for _ in range(5)]
    assert refused(tenant.post(erp, "Orders", [order(1)])) == 1
    assert tenant.post(tenant.create(), "Orders", [order(1)]).status_code == 200
    assert [upload.finish() for upload in uploads] == [200] * 5
    assert tenant.post(erp, "Orders", [order(1)]).status_code == 200
    assert len(tenant.world.rows(erp, "Orders")) == 6


def test_pending_may_mean_not_visible_yet(tenant: Tenant, erp: str) -> None:
    tenant.switches.update(pending_until="visible", visible_after_seconds=10)
    statuses = [tenant.post(erp, "Orders", [order(1)]).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    tenant.pass_time(11)
    assert tenant.post(erp, "Orders", [order(1)]).status_code == 200


def test_every_call_of_a_caller_counts(tenant: Tenant) -> None:
    tenant.switches["calls_per_minute"] = 3
    assert [tenant.call("GET", "/groups").status_code for _ in range(3)] == [200] * 3
    assert 0 < refused(tenant.call("GET", "/groups")) <= 60
    tenant.pass_time(61)
    assert tenant.call("GET", "/groups").status_code == 200


def test_120_queries_a_minute(tenant: Tenant, erp: str) -> None:
    tenant.switches["queries_per_minute"] = 2
    query = 'EVALUATE ROW("x", 1)'
    assert [tenant.ask(erp, query).status_code for _ in range(2)] == [200, 200]
    assert refused(tenant.ask(erp, query))


def test_limits_can_be_off_or_shorter(tenant: Tenant, erp: str) -> None:
    tenant.switches.update(posts_per_minute=1, minute_seconds=10)
    tenant.post(erp, "Orders", [order(1)])
    assert refused(tenant.post(erp, "Orders", [order(1)])) <= 10
    tenant.switches["limits"] = False
    assert tenant.post(erp, "Orders", [{"order_key": 1}] * 10_001).status_code == 200


class TestBursts:
    @pytest.mark.parametrize("wait", [10, 3392])
    def test_429_with_any_wait(self, tenant: Tenant, erp: str, wait: int) -> None:
        tenant.faults.arm("powerbi", "rate_limit", retry_after=wait, times=2, match="POST .*/rows")
        replies: list[Any] = [tenant.post(erp, "Orders", [order(1)]) for _ in range(3)]
        assert [refused(reply) for reply in replies[:2]] == [wait, wait]
        assert replies[2].status_code == 200
        assert len(tenant.world.rows(erp, "Orders")) == 1

    @pytest.mark.parametrize("html", [True, False])
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_server_errors_as_json_or_a_gateways_page(
        self, tenant: Tenant, erp: str, status: int, html: bool
    ) -> None:
        tenant.faults.arm("powerbi", "server_error", status=status, html=html, match="POST .*/rows")
        reply = tenant.post(erp, "Orders", [order(1)])
        assert reply.status_code == status
        assert reply.headers["Content-Type"].startswith("text/html" if html else "application/json")
        assert tenant.world.rows(erp, "Orders") == []
