"""Refreshes: never of a push dataset; plain and enhanced ones of the import model."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Tenant


@pytest.fixture
def model(tenant: Tenant) -> str:
    return tenant.world.dataset("Finance Analysis").id


def start(tenant: Tenant, dataset: str, **body: Any) -> Any:
    return tenant.group(
        "POST", f"/datasets/{dataset}/refreshes", json=body or {"notifyOption": "NoNotification"}
    )


def statuses(tenant: Tenant, dataset: str, **query: Any) -> list[str]:
    reply = tenant.group("GET", f"/datasets/{dataset}/refreshes", params=query)
    return [entry["status"] for entry in reply.json()["value"]]


def test_a_push_dataset_is_never_refreshed(tenant: Tenant) -> None:
    assert start(tenant, tenant.create()).status_code == 400


def test_a_plain_refresh_is_accepted_runs_and_completes(tenant: Tenant, model: str) -> None:
    reply = start(tenant, model)
    assert (reply.status_code, reply.content, "Location" in reply.headers) == (202, b"", False)
    assert [statuses(tenant, model) for _ in range(2)] == [["Unknown"], ["Completed"]]


@pytest.mark.parametrize("status", [400, 409])
def test_a_second_one_while_it_runs_is_refused(tenant: Tenant, model: str, status: int) -> None:
    tenant.switches["refresh_conflict"] = status
    start(tenant, model)
    assert start(tenant, model).status_code == status


def test_it_may_take_time(tenant: Tenant, model: str) -> None:
    tenant.switches.update(refresh_seconds=300, refresh_polls=0)
    start(tenant, model)
    assert statuses(tenant, model) == ["Unknown"]
    tenant.pass_time(301)
    assert statuses(tenant, model) == ["Completed"]


def test_a_failed_refresh_tells_its_code(tenant: Tenant, model: str) -> None:
    tenant.faults.arm("powerbi", "refresh_fails")
    start(tenant, model)
    statuses(tenant, model)
    (entry,) = tenant.group("GET", f"/datasets/{model}/refreshes").json()["value"]
    assert entry["status"] == "Failed"
    assert "ModelRefreshFailed_CredentialsNotSpecified" in entry["serviceExceptionJson"]


@pytest.mark.parametrize("status", [400, 429])
def test_eight_a_day_on_shared_capacity(tenant: Tenant, model: str, status: int) -> None:
    tenant.switches.update(refresh_polls=0, refresh_quota_status=status)
    assert [start(tenant, model).status_code for _ in range(8)] == [202] * 8
    reply = start(tenant, model)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, "Request Throttled")
    tenant.pass_time(86_400)
    tenant.token = tenant.login().json()["access_token"]
    assert start(tenant, model).status_code == 202


def test_history_shows_the_newest_first_and_no_more_than_asked_for(tenant: Tenant, model: str) -> None:
    tenant.switches.update(refresh_polls=0, limits=False)
    for _ in range(61):
        start(tenant, model)
    assert len(statuses(tenant, model)) == 60
    (newest,) = tenant.group("GET", f"/datasets/{model}/refreshes", params={"$top": 1}).json()["value"]
    assert newest["requestId"] == tenant.world.dataset(model).refreshes[-1].id


class TestEnhanced:
    def test_it_needs_a_dedicated_capacity(self, tenant: Tenant, model: str) -> None:
        assert start(tenant, model, type="Full").status_code == 400
        tenant.switches["dedicated_capacity"] = True
        assert start(tenant, model, type="Full").status_code == 202

    def test_it_is_polled_at_its_location(self, tenant: Tenant, model: str) -> None:
        tenant.switches["dedicated_capacity"] = True
        body = {"type": "Full", "commitMode": "Transactional", "objects": [{"table": "Sales"}]}
        reply = start(tenant, model, **body)
        headers = {"Authorization": f"Bearer {tenant.token}"}
        polls = [tenant.http.get(reply.headers["Location"], headers=headers, timeout=30) for _ in range(2)]
        assert [poll.status_code for poll in polls] == [202, 200]
        assert [poll.json()["extendedStatus"] for poll in polls] == ["InProgress", "Completed"]
        assert polls[1].json()["objects"] == [{"table": "Sales"}]
        assert reply.headers["Location"].endswith(reply.headers["x-ms-request-id"])

    def test_it_can_be_cancelled(self, tenant: Tenant, model: str) -> None:
        tenant.switches["dedicated_capacity"] = True
        path = f"/datasets/{model}/refreshes/{start(tenant, model, type='Full').headers['x-ms-request-id']}"
        assert tenant.group("DELETE", path).status_code == 200
        assert tenant.group("GET", path).json()["extendedStatus"] == "Cancelled"
        assert tenant.group("DELETE", path).status_code == 400

    @pytest.mark.parametrize(
        "body", [{"type": "All"}, {"type": "Full", "notifyOption": "NoNotification"}, {"kind": "Full"}]
    )
    def test_a_request_that_does_not_fit_is_refused(
        self, tenant: Tenant, model: str, body: dict[str, Any]
    ) -> None:
        tenant.switches["dedicated_capacity"] = True
        assert start(tenant, model, **body).status_code == 400
