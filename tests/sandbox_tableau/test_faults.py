"""Throttling, broken answers, lost answers, calls that are carried out too late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from tableauserverclient.server.endpoint.exceptions import (
    FailedSignInError,
    InternalServerError,
    NonXMLResponseError,
    ServerResponseError,
)

from .conftest import Tenant, action, code, invoice


class TestThrottling:
    @pytest.mark.parametrize(("kind", "limit"), [("content", 2), ("refreshes", 1)])
    def test_some_methods_have_a_limit_of_their_own(self, tenant: Tenant, kind: str, limit: int) -> None:
        tenant.switches[f"{kind}_per_hour"] = limit
        source = tenant.published(invoice(1))
        path, body = (
            (f"/datasources/{source.id}/refresh", "<tsRequest/>")
            if kind == "refreshes"
            else ("/datasources", "")
        )
        codes = [tenant.call("POST", path, data=body).status_code for _ in range(3)]
        assert codes.index(429) == limit - (kind == "content")

    def test_a_user_has_so_many_calls_an_hour(self, tenant: Tenant) -> None:
        tenant.switches["calls_per_hour"] = 3
        replies = [tenant.call("GET", "/projects") for _ in range(4)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
        assert code(replies[-1]) == "429000"
        assert "Please retry after 60 minutes." in replies[-1].text
        assert "Retry-After" not in replies[-1].headers
        tenant.switches["retry_after_header"] = True
        assert 3500 < int(tenant.call("GET", "/projects").headers["Retry-After"]) <= 3600
        tenant.pass_time(minutes=61)
        assert tenant.call("GET", "/projects").status_code == 200

    def test_a_call_can_be_throttled_on_demand(self, tenant: Tenant) -> None:
        tenant.faults.arm("tableau", "rate_limit", seconds=1740, match="GET .*/projects")
        with pytest.raises(ServerResponseError) as error:
            tenant.server.projects.get()
        assert (error.value.code, "after 29 minutes" in error.value.detail) == ("429000", True)

    def test_a_429_may_say_nothing_of_the_time(self, tenant: Tenant) -> None:
        tenant.switches["throttle_text"] = "none"
        tenant.faults.arm("tableau", "rate_limit", seconds=600, match="GET .*/projects")
        answer = tenant.call("GET", "/projects")
        assert (answer.status_code, "minutes" in answer.text) == (429, False)
        assert "Retry-After" not in answer.headers

    def test_limits_can_be_off(self, tenant: Tenant) -> None:
        tenant.switches.update(calls_per_hour=1, limits=False)
        assert [tenant.call("GET", "/projects").status_code for _ in range(3)] == [200] * 3


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"status": 503}, InternalServerError),
            ({"status": 504, "html": True}, InternalServerError),
            ({"status": 403, "html": True}, NonXMLResponseError),
        ],
    )
    def test_the_gateway_answers_instead(
        self, tenant: Tenant, fault: dict[str, object], error: type[Exception]
    ) -> None:
        tenant.faults.arm("tableau", "server_error", **fault)
        with pytest.raises(error):
            tenant.server.projects.get()
        assert tenant.server.projects.get()

    def test_signing_in_may_fail_for_a_while(self, tenant: Tenant) -> None:
        tenant.faults.arm("tableau", "sign_in_refused")
        with pytest.raises(FailedSignInError, match="401001"):
            tenant.sign_in()
        assert tenant.sign_in()


class TestLostAnswers:
    @pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
    def test_a_publish_without_an_answer_happened_or_not(
        self, tenant: Tenant, when: str, there: bool
    ) -> None:
        tenant.faults.arm("tableau", "drop_connection", when=when, match="POST .*/datasources")
        with pytest.raises(requests.ConnectionError):
            tenant.published(invoice(1))
        assert bool(list(tenant.server.datasources.filter(name="Invoices"))) is there

    def test_a_late_overwrite_undoes_the_update_that_followed(self, tenant: Tenant) -> None:
        source = tenant.published(invoice(1, "1.00"))
        tenant.faults.arm("tableau", "late_call", match="POST .*/datasources")
        with pytest.raises(requests.ConnectionError):
            tenant.publish(tenant.pen.write([invoice(1, "1.00")]), mode="Overwrite")
        tenant.end(tenant.update(source, [action("upsert")], [invoice(1, "2.00")]))
        assert tenant.rows("Invoices", "amount") == [("1.00",)]

    def test_what_is_late_happens_when_a_day_passes(self, tenant: Tenant) -> None:
        tenant.faults.arm("tableau", "late_call", match="POST .*/datasources", calls=99)
        with pytest.raises(requests.ConnectionError):
            tenant.published(invoice(1))
        assert "Invoices" not in [source.name for source in tenant.world.site().datasources.values()]
        assert tenant.sandbox.pass_day()["tableau"]["late"] == 1
        assert len(tenant.rows()) == 1


def test_every_fault_is_known_by_name(tenant: Tenant) -> None:
    body = {"vendor": "tableau", "name": "nonsense"}
    assert requests.post(f"{tenant.sandbox.url}/control/faults", json=body, timeout=30).status_code == 400


def test_a_download_is_whole_while_updates_go_on(tenant: Tenant, tmp_path: Path) -> None:
    """Each upsert sets every row to one amount: a download never shows two."""
    tenant.switches["download_as"] = "hyper"
    numbers = range(40)
    source = tenant.published(*(invoice(number, "0.00") for number in numbers))

    def change(amount: int) -> None:
        tenant.update(source, [action("upsert")], [invoice(number, f"{amount}.00") for number in numbers])

    def read(number: int) -> set[object]:
        folder = tmp_path / str(number)
        folder.mkdir()
        got = tenant.server.datasources.download(source.id, str(folder))
        return {row[2] for row in tenant.pen.read(Path(got))}

    with ThreadPoolExecutor(4) as pool:
        changes = [pool.submit(change, amount) for amount in range(1, 9)]
        seen = [pool.submit(read, number) for number in range(8)]
    assert [len(one.result()) for one in seen] == [1] * 8
    assert all(one.exception() is None for one in changes)
    assert len({amount for (amount,) in tenant.rows("Invoices", "amount")}) == 1
