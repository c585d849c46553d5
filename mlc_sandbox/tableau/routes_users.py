"""Users and groups (section 11). Only site administrators see and change them."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import ADMIN_ROLES, Method, Room
from mlc_sandbox.tableau.paging import page
from mlc_sandbox.tableau.store import Group, User, luid
from mlc_sandbox.tableau.wire import node

_USERS, _GROUPS = "tableau:users", "tableau:groups"
ROLES = (
    "Creator",
    "Explorer",
    "ExplorerCanPublish",
    "Guest",
    "ServerAdministrator",
    "SiteAdministratorCreator",
    "SiteAdministratorExplorer",
    "SupportUser",
    "Unlicensed",
    "Viewer",
)


class UserRoutes(Room):
    """Who is on the site, and in which groups."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room."""
        read, write = f"{_USERS}:read", f"{_USERS}:update"
        members = "/groups/{group}/users"
        return [
            self.gate.route(
                "/users", GET=Method(self._users, read), POST=Method(self._add, f"{_USERS}:create")
            ),
            self.gate.route(
                "/users/{user}",
                GET=Method(self._one, read),
                PUT=Method(self._update, write),
                DELETE=Method(self._remove, f"{_USERS}:delete"),
            ),
            self.gate.route("/users/{user}/groups", GET=Method(self._groups_of, read)),
            self.gate.route(
                "/groups",
                GET=Method(self._groups, f"{_GROUPS}:read"),
                POST=Method(self._create, f"{_GROUPS}:create"),
            ),
            self.gate.route(
                "/groups/{group}",
                PUT=Method(self._rename, f"{_GROUPS}:update"),
                DELETE=Method(self._delete, f"{_GROUPS}:delete"),
            ),
            self.gate.route(
                members,
                GET=Method(self._members, f"{_GROUPS}:read"),
                POST=Method(self._join, f"{_GROUPS}:update"),
            ),
            self.gate.route(f"{members}/remove", PUT=Method(self._leave_many, f"{_GROUPS}:update")),
            self.gate.route(f"{members}/{{user}}", DELETE=Method(self._leave, f"{_GROUPS}:update")),
        ]

    # Users

    def _users(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        # Name and address come with fields=_all_ only.
        everything = "_all_" in call.query.get("fields", "")
        found = [_user(user, everything=everything) for user in self.site(call).users.values()]
        return reply(*page("users", found, call.query))

    def _one(self, call: ApiCall) -> Reply:
        return reply(_user(self._find_user(call, call.ids["user"]), everything=True))

    def _add(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        site, wanted = self.site(call), call.item("user")
        name, role = wanted.get("name", ""), _role(wanted.get("siteRole", ""))
        if not name:
            raise ApiError(400000, "The user has no name.")
        if any(user.name.casefold() == name.casefold() for user in site.users.values()):
            raise ApiError(409000, f"User {name} is on the site already.")
        made = User(luid(), name, name, role, wanted.get("authSetting", "ServerDefault"))
        site.users[made.id] = made
        self.everyone(call).members.append(made.id)
        return reply(_user(made), status=201)

    def _update(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        user, wanted = self._find_user(call, call.ids["user"]), call.item("user")
        user.site_role = _role(wanted.get("siteRole", user.site_role))
        user.full_name = wanted.get("fullName", user.full_name)
        return reply(_user(user, everything=True))

    def _remove(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        site, user = self.site(call), self._find_user(call, call.ids["user"])
        del site.users[user.id]
        for group in site.groups.values():
            if user.id in group.members:
                group.members.remove(user.id)
        return NO_CONTENT

    def _groups_of(self, call: ApiCall) -> Reply:
        user = self._find_user(call, call.ids["user"])
        found = [_group(group) for group in self.site(call).groups.values() if user.id in group.members]
        return reply(*page("groups", found, call.query))

    # Groups

    def everyone(self, call: ApiCall) -> Group:
        """The group all users of a site are in. Raises ApiError 404012."""
        for group in self.site(call).groups.values():
            if group.name == "All Users":
                return group
        raise ApiError(404012, "The site has no group All Users.")

    def _groups(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        return reply(*page("groups", list(map(_group, self.site(call).groups.values())), call.query))

    def _create(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        site, wanted = self.site(call), call.item("group")
        self._refuse_name(call, wanted.get("name", ""))
        made = Group(luid(), wanted.get("name", ""), minimum_role=wanted.get("minimumSiteRole"))
        site.groups[made.id] = made
        return reply(_group(made), status=201)

    def _rename(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        group, wanted = self._find_group(call), call.item("group")
        name = wanted.get("name", group.name)
        if name != group.name:
            self._refuse_name(call, name)
        group.name, group.minimum_role = name, wanted.get("minimumSiteRole", group.minimum_role)
        return reply(_group(group))

    def _refuse_name(self, call: ApiCall, name: str) -> None:
        if not name:
            raise ApiError(400000, "The group has no name.")
        if any(group.name.casefold() == name.casefold() for group in self.site(call).groups.values()):
            raise ApiError(409009, f"There is a group '{name}'.")

    def _delete(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        del self.site(call).groups[self._find_group(call).id]
        return NO_CONTENT

    def _members(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        users = self.site(call).users
        found = [_user(users[member]) for member in self._find_group(call).members]
        return reply(*page("users", found, call.query))

    def _join(self, call: ApiCall) -> Reply:
        """One user, or many: the same address, two forms of the body."""
        self.require(call, ADMIN_ROLES)
        group, request = self._find_group(call), call.request()
        one, many = request.find("user"), request.find("users")
        wanted = [one] if one is not None else [] if many is None else list(many)
        users = [self._find_user(call, user.get("id", "")) for user in wanted]
        if not users:
            raise ApiError(400000, "The request names no user.")
        for user in users:
            if user.id in group.members:
                raise ApiError(409011, f"User {user.name} is in group '{group.name}' already.")
        group.members += [user.id for user in users]
        shown = [_user(user) for user in users]
        return reply(shown[0] if one is not None else node("users", {}, *shown))

    def _leave(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        return self._without(call, [call.ids["user"]])

    def _leave_many(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        return self._without(call, [user.get("id", "") for user in call.item("users")])

    def _without(self, call: ApiCall, leaving: list[str]) -> Reply:
        group = self._find_group(call)
        for user in leaving:
            if user not in group.members:
                raise ApiError(404002, f"User {user} is not in group '{group.name}'.")
        group.members = [member for member in group.members if member not in leaving]
        return NO_CONTENT

    def _find_user(self, call: ApiCall, number: str) -> User:
        found = self.site(call).users.get(number)
        if found is None:
            raise ApiError(404002, f"User {number} does not exist.")
        return found

    def _find_group(self, call: ApiCall) -> Group:
        found = self.site(call).groups.get(call.ids["group"])
        if found is None:
            raise ApiError(404012, f"Group {call.ids['group']} does not exist.")
        return found


def _role(name: str) -> str:
    if name not in ROLES:
        raise ApiError(400000, f"There is no site role {name!r}.")
    return name


def _user(user: User, *, everything: bool = False) -> Element:
    attributes = {
        "id": user.id,
        "name": user.name,
        "siteRole": user.site_role,
        "authSetting": user.auth,
        "lastLogin": user.last_login,
        "externalAuthUserId": "",
        "fullName": user.full_name if everything else None,
        "email": user.name if everything and "@" in user.name else None,
    }
    return node("user", attributes, node("domain", {"name": "external"}) if everything else None)


def _group(group: Group) -> Element:
    attributes = {
        "id": group.id,
        "name": group.name,
        "minimumSiteRole": group.minimum_role,
        "userCount": len(group.members),
    }
    return node("group", attributes, node("domain", {"name": "local"}))
