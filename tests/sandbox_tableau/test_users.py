"""Users, groups and their members, with the official client."""

from __future__ import annotations

import pytest
import tableauserverclient as tsc
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from .conftest import Tenant, code

DOMAIN = "nordfjell.example"


def group(tenant: Tenant, name: str) -> tsc.GroupItem:
    [found] = tenant.server.groups.filter(name=name)
    return found


def members(tenant: Tenant, name: str) -> set[str]:
    found = group(tenant, name)
    tenant.server.groups.populate_users(found)
    return {user.name.partition("@")[0] for user in found.users}


def test_users_have_addresses_site_roles_and_groups(tenant: Tenant) -> None:
    users = {user.name: user for user in tsc.Pager(tenant.server.users)}
    controller = users[f"controller@{DOMAIN}"]
    assert (controller.site_role, controller.fullname) == ("Creator", "Finance controller")
    tenant.server.users.populate_groups(controller)
    assert {one.name for one in controller.groups} >= {"All Users", "Finance", "Finance NO"}
    assert users[f"integration@{DOMAIN}"].last_login is not None
    assert users[f"former@{DOMAIN}"].site_role == "Unlicensed"


def test_full_names_come_only_when_all_fields_are_asked_for(tenant: Tenant) -> None:
    assert "fullName" not in tenant.call("GET", "/users").text
    assert 'fullName="Finance controller"' in tenant.call("GET", "/users?fields=_all_").text


def test_groups_and_members_go_over_pages(tenant: Tenant) -> None:
    options = tsc.RequestOptions(pagesize=2)
    names = [one.name for one in tsc.Pager(tenant.server.groups, options)]
    assert names == ["All Users", "Finance", "Finance NO", "Finance SE", "Finance DK", "Purchasing", "Sales"]
    assert members(tenant, "Purchasing") == {"purchasing", "buyer.one", "buyer.two"}
    assert len(members(tenant, "All Users")) == 12


def test_a_user_comes_changes_and_goes(tenant: Tenant) -> None:
    made = tenant.server.users.add(tsc.UserItem(f"new@{DOMAIN}", "Viewer"))
    assert "new" in members(tenant, "All Users")
    with pytest.raises(ServerResponseError, match="409000"):
        tenant.server.users.add(tsc.UserItem(f"NEW@{DOMAIN}", "Viewer"))
    made.site_role, made.fullname = "Explorer", "New colleague"
    tenant.server.users.update(made)
    seen = tenant.server.users.get_by_id(made.id)
    assert (seen.site_role, seen.fullname, seen.email) == ("Explorer", "New colleague", f"new@{DOMAIN}")
    tenant.server.users.remove(made.id)
    assert "new" not in members(tenant, "All Users")
    with pytest.raises(ServerResponseError, match="404002"):
        tenant.server.users.get_by_id(made.id)


def test_members_join_one_by_one_or_many_at_once(tenant: Tenant) -> None:
    made = tenant.server.groups.create(tsc.GroupItem("Auditors"))
    with pytest.raises(ServerResponseError, match="409009"):
        tenant.server.groups.create(tsc.GroupItem("AUDITORS"))
    one, two, three = (tenant.world.id(f"user {name}") for name in ("sales", "buyer.one", "buyer.two"))
    assert tenant.server.groups.add_user(made, one).name == f"sales@{DOMAIN}"
    assert len(tenant.server.groups.add_users(made, [two, three])) == 2
    assert members(tenant, "Auditors") == {"sales", "buyer.one", "buyer.two"}
    with pytest.raises(ServerResponseError, match="409011"):
        tenant.server.groups.add_user(made, one)
    tenant.server.groups.populate_users(made)
    tenant.server.groups.remove_user(made, one)
    tenant.server.groups.remove_users(made, [two])
    assert members(tenant, "Auditors") == {"buyer.two"}
    made.name = "Internal audit"
    tenant.server.groups.update(made)
    tenant.server.groups.delete(group(tenant, "Internal audit").id)
    assert list(tenant.server.groups.filter(name="Internal audit")) == []


@pytest.mark.parametrize("path", ["/users", "/groups", "/webhooks"])
def test_only_site_administrators_may(tenant: Tenant, path: str) -> None:
    tenant.control("PATCH", f"/users/integration@{DOMAIN}", json={"site_role": "Creator"})
    assert code(tenant.call("GET", path)) == "403004"


def test_a_user_who_was_removed_is_out_at_once(tenant: Tenant) -> None:
    tenant.server.users.remove(tenant.server.user_id)
    assert code(tenant.call("GET", "/users")) == "401002"
