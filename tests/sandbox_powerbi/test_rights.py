"""Workspaces and roles: who sees what, the three faces of a missing role, roles that work later."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from mlc_sandbox.powerbi.world import FOREIGN_WORKSPACE, WORKSPACE

from .conftest import ERP, Tenant, order


def test_the_list_shows_workspaces_with_a_role_and_can_be_filtered(tenant: Tenant) -> None:
    def names(**query: Any) -> list[str]:
        return [group["name"] for group in tenant.call("GET", "/groups", params=query).json()["value"]]

    foreign = next(w for w in tenant.world.workspaces.values() if w.name == FOREIGN_WORKSPACE)
    assert names() == [WORKSPACE]
    tenant.world.grant(foreign.id, "Viewer", lag=False)
    assert names() == [WORKSPACE, FOREIGN_WORKSPACE]
    assert names(**{"$filter": f"name eq '{WORKSPACE}'"}) == [WORKSPACE]
    assert names(**{"$filter": "contains(name,'board') or name eq 'x'"}) == [FOREIGN_WORKSPACE]
    assert names(**{"$top": 1, "$skip": 1}) == [FOREIGN_WORKSPACE]
    assert tenant.call("GET", "/groups", params={"$filter": "id eq 1"}).status_code == 400


FACES: list[tuple[int, str | None]] = [
    (401, "PowerBINotAuthorizedException"),
    (403, None),
    (404, "PowerBIEntityNotFound"),
]


@pytest.mark.parametrize(("face", "code"), FACES)
def test_a_missing_role_has_three_faces(tenant: Tenant, face: int, code: str | None) -> None:
    dataset = tenant.create()
    tenant.switches["no_role_face"] = face
    tenant.world.grant(tenant.world.workspace_id, None)
    for reply in (
        tenant.group("GET", "/datasets"),
        tenant.post(dataset, "Orders", [order(1)]),
        tenant.ask(dataset, "EVALUATE Orders"),
    ):
        assert reply.status_code == face
        assert (reply.json()["error"]["code"] if reply.content else None) == code
    assert tenant.world.rows(dataset, "Orders") == []


@pytest.mark.parametrize(("face", "code"), FACES)
def test_rights_may_be_refused_for_a_while(tenant: Tenant, face: int, code: str | None) -> None:
    tenant.faults.arm("powerbi", "no_rights", face=face, times=2)
    assert [tenant.group("GET", "/datasets").status_code for _ in range(3)] == [face, face, 200]


def test_a_workspace_nobody_knows_looks_like_one_without_a_role(tenant: Tenant) -> None:
    nowhere = tenant.call("GET", "/groups/f089354e-8366-4e18-aea3-4cb4a3a50b48/datasets")
    assert nowhere.status_code == 401


@pytest.mark.parametrize(
    ("role", "least", "writes", "asks"),
    [
        ("Viewer", "Contributor", False, False),
        ("Contributor", "Contributor", True, True),
        ("Contributor", "Member", False, True),
        ("Member", "Member", True, True),
    ],
)
def test_what_each_role_may(tenant: Tenant, role: str, least: str, writes: bool, asks: bool) -> None:
    dataset = tenant.create()
    tenant.switches["least_write_role"] = least
    tenant.world.grant(tenant.world.workspace_id, role, lag=False)
    assert tenant.group("GET", f"/datasets/{dataset}").status_code == 200
    assert tenant.ask(dataset, 'EVALUATE ROW("x", 1)').ok is asks
    for reply in (
        tenant.group("POST", "/datasets", json=ERP),
        tenant.post(dataset, "Orders", [order(1)]),
        tenant.clear(dataset, "Orders"),
    ):
        assert reply.ok is writes


def test_a_new_role_works_two_minutes_after_permissions_were_refreshed(tenant: Tenant) -> None:
    tenant.world.grant(tenant.world.workspace_id, None)
    path = f"{tenant.root}/control/workspaces/{WORKSPACE}"
    assert requests.patch(path, json={"role": "Member"}, timeout=30).json()["role"] is None
    assert tenant.group("GET", "/datasets").status_code == 401
    assert tenant.call("POST", "/RefreshUserPermissions").status_code == 200
    assert tenant.group("GET", "/datasets").status_code == 401
    tenant.pass_time(121)
    assert tenant.group("GET", "/datasets").status_code == 200
    again = tenant.call("POST", "/RefreshUserPermissions")
    assert again.status_code == 429
    assert int(again.headers["Retry-After"]) > 3000


def test_a_member_adds_a_principal_by_its_object_id(tenant: Tenant) -> None:
    body = {"identifier": "7d3b", "groupUserAccessRight": "Contributor", "principalType": "App"}
    assert tenant.group("POST", "/users", json=body).status_code == 200
    assert body in tenant.group("GET", "/users").json()["value"]
    assert tenant.group("POST", "/users", json={"identifier": "7d3b"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/datasets"), ("POST", "/datasets/x/tables/y/rows"), ("DELETE", "/datasets/x")],
)
def test_a_service_principal_has_no_my_workspace(tenant: Tenant, method: str, path: str) -> None:
    assert tenant.call(method, path, json={}).status_code == 403


def test_unknown_paths_and_methods_are_404(tenant: Tenant) -> None:
    assert tenant.call("GET", "/reports").status_code == 404
    assert tenant.call("PATCH", "/groups").status_code == 404
