"""Workspaces, users, teams, memberships, typeahead (vendors/asana.md section 5)."""

from __future__ import annotations

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import ApiError, bad, unknown
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.store import (
    Entity,
    Field,
    Membership,
    Project,
    Team,
    TeamMembership,
    Template,
    User,
    Workspace,
)
from mlc_sandbox.asana.world import World

LEVELS = ("admin", "editor", "commenter", "viewer")
USERS_SHOWN = 2000


class PeopleRoutes:
    """Who is there, and who may do what."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        gate.add("/workspaces", GET=lambda call: call.listing([self.world.workspace]))
        gate.add("/workspaces/{workspace}", GET=lambda call: call.one(self._workspace(call)))
        gate.add("/users", GET=self._users)
        gate.add("/users/{user}", GET=lambda call: call.one(self._user(call)))
        gate.add("/workspaces/{workspace}/users", GET=self._workspace_users)
        gate.add("/workspaces/{workspace}/users/{user}", GET=self._workspace_user)
        gate.add("/teams/{team}", GET=lambda call: call.one(self._team(call)))
        gate.add("/teams/{team}/users", GET=self._team_users)
        gate.add("/workspaces/{workspace}/teams", GET=self._teams)
        gate.add("/users/{user}/teams", GET=self._teams_of)
        gate.add("/team_memberships", GET=self._team_memberships)
        gate.add("/team_memberships/{membership}", GET=self._team_membership)
        gate.add("/teams/{team}/team_memberships", GET=self._team_memberships)
        gate.add("/memberships", GET=self._memberships, POST=self._add_membership)
        gate.add(
            "/memberships/{membership}",
            GET=lambda call: call.one(self._membership(call)),
            PUT=self._update_membership,
            DELETE=self._delete_membership,
        )
        gate.add("/workspaces/{workspace}/typeahead", GET=self._typeahead)

    def _workspace(self, call: ApiCall) -> Workspace:
        return self.world.in_path(Workspace, call.ids["workspace"], call.actor)

    def _team(self, call: ApiCall) -> Team:
        return self.world.in_path(Team, call.ids["team"], call.actor)

    def _user(self, call: ApiCall) -> User:
        try:
            gid = self.world.person("user", call.ids["user"])
        except ApiError:
            raise unknown("user", call.ids["user"]) from None
        return self.world.in_path(User, gid, call.actor)

    def _users(self, call: ApiCall) -> Reply:
        """Sorted by gid; by name where a workspace or a team lists its own."""
        if call.query.get("workspace"):
            self.world.named(Workspace, "workspace", call.query["workspace"], call.actor)
        users = self.world.all(User)
        if call.query.get("team"):
            team = self.world.named(Team, "team", call.query["team"], call.actor)
            users = [user for user in users if user.gid in team.members]
        return call.listing(sorted(users, key=lambda user: user.gid))

    def _workspace_users(self, call: ApiCall) -> Reply:
        self._workspace(call)
        return self._by_name(call, self.world.all(User))

    def _workspace_user(self, call: ApiCall) -> Reply:
        self._workspace(call)
        return call.one(self._user(call))

    def _team_users(self, call: ApiCall) -> Reply:
        return self._by_name(call, [self.world.get(User, gid) for gid in self._team(call).members])

    def _by_name(self, call: ApiCall, users: list[User]) -> Reply:
        return call.listing(sorted(users, key=lambda user: user.name)[:USERS_SHOWN], paged=False)

    def _teams(self, call: ApiCall) -> Reply:
        self._workspace(call)
        return call.listing(self.world.all(Team))

    def _teams_of(self, call: ApiCall) -> Reply:
        user = self._user(call)
        self.world.named(Workspace, "organization", call.ask("organization"), call.actor)
        return call.listing([team for team in self.world.all(Team) if user.gid in team.members])

    def _team_memberships(self, call: ApiCall) -> Reply:
        team = call.ids.get("team") or call.query.get("team")
        found = self.world.all(TeamMembership)
        if team is not None:
            self.world.in_path(Team, team, call.actor)
            found = [membership for membership in found if membership.team == team]
        if call.query.get("user"):
            user = self.world.person("user", call.query["user"])
            found = [membership for membership in found if membership.user == user]
        return call.listing(found)

    def _team_membership(self, call: ApiCall) -> Reply:
        return call.one(self.world.in_path(TeamMembership, call.ids["membership"], call.actor))

    # Access to projects

    def _memberships(self, call: ApiCall) -> Reply:
        project = self.world.named(Project, "parent", call.ask("parent"), call.actor)
        found = [member for member in self.world.all(Membership) if member.project == project.gid]
        if call.query.get("member"):
            member = self._member("member", call.query["member"])
            found = [membership for membership in found if membership.member == member]
        return call.listing(found)

    def _member(self, field: str, value: str) -> str:
        team = self.world.get(Team, value)
        return self.world.person(field, value) if team is None else str(team.gid)

    def _add_membership(self, call: ApiCall) -> Reply:
        call.only("parent", "member", "access_level")
        project = self.world.named(Project, "parent", call.need("parent"), call.actor)
        member, level = self._member("member", call.need("member")), call.data.get("access_level", "editor")
        if level not in LEVELS:
            raise bad(f"access_level: Not a valid access level: {level}")
        for found in self.world.all(Membership):
            if (found.project, found.member) == (project.gid, member):
                found.level = level
                return call.created(found, "memberships")
        membership = self.world.add(Membership(self.world.new_gid(), project.gid, member, level))
        return call.created(membership, "memberships")

    def _membership(self, call: ApiCall) -> Membership:
        return self.world.in_path(Membership, call.ids["membership"], call.actor)

    def _update_membership(self, call: ApiCall) -> Reply:
        call.only("access_level")
        membership, level = self._membership(call), call.need("access_level")
        if level not in LEVELS:
            raise bad(f"access_level: Not a valid access level: {level}")
        membership.level = level
        return call.one(membership)

    def _delete_membership(self, call: ApiCall) -> Reply:
        self.world.remove(self._membership(call))
        return nothing()

    # Typeahead: approximate, one page, and as late as search

    def _typeahead(self, call: ApiCall) -> Reply:
        self._workspace(call)
        kind, wanted = call.ask("resource_type"), call.query.get("query", "").lower()
        count = call.query.get("count", "20")
        if not count.isdigit() or not 1 <= int(count) <= 100:
            raise bad(f"count: Must be between 1 and 100: {count}")
        kinds: dict[str, type[Entity]] = {
            "custom_field": Field,
            "project": Project,
            "project_template": Template,
            "team": Team,
            "user": User,
        }
        if kind != "task" and kind not in kinds:
            raise bad(f"resource_type: Not a valid resource type: {kind}")
        items: list[Entity] = list(self.world.searchable()) if kind == "task" else self.world.all(kinds[kind])
        found = [item for item in items if wanted in item.name.lower()]  # type: ignore[attr-defined]
        if kind == "project":
            found = [item for item in found if self.world.sees(item, call.actor.user)]  # type: ignore[arg-type]
        return call.listing(found[: int(count)], paged=False)
