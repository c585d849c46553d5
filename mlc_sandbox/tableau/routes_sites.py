"""Sites and projects (section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import PUBLISH_ROLES, Method, Room
from mlc_sandbox.tableau.paging import page
from mlc_sandbox.tableau.store import Project, Site, luid
from mlc_sandbox.tableau.wire import node

_READ, _CREATE, _DELETE = "tableau:content:read", "tableau:projects:create", "tableau:projects:delete"


class SiteRoutes(Room):
    """Which site this is, and where content is put."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room."""
        return [
            self.gate.open("/sites", GET=self._sites),
            self.gate.route("", GET=Method(self._one, _READ)),
            self.gate.route(
                "/projects", GET=Method(self._projects, _READ), POST=Method(self._create, _CREATE)
            ),
            self.gate.route("/projects/{project}", DELETE=Method(self._delete, _DELETE)),
        ]

    def _sites(self, call: ApiCall) -> Reply:
        session = self.world.login.check(call.headers.get("x-tableau-auth"))
        if not self.world.switches["list_sites"]:
            raise ApiError(403069, "Listing sites is not supported here.")
        found = [
            _site(site)
            for site in self.world.sites.values()
            if any(user.name == session.name for user in site.users.values())
        ]
        return reply(*page("sites", found, call.query))

    def _one(self, call: ApiCall) -> Reply:
        return reply(_site(self.site(call)))

    def _projects(self, call: ApiCall) -> Reply:
        return reply(*page("projects", list(map(_project, self.site(call).projects.values())), call.query))

    def _create(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        site, wanted = self.site(call), call.item("project")
        name, parent = wanted.get("name", ""), wanted.get("parentProjectId")
        if not name:
            raise ApiError(400000, "The project has no name.")
        if parent is not None and parent not in site.projects:
            raise ApiError(404005, f"Project {parent} does not exist.")
        everywhere = self.world.switches["project_names"] == "per_site"
        for known in site.projects.values():
            if known.name.casefold() == name.casefold() and (everywhere or known.parent == parent):
                raise ApiError(409006, f"There is a project '{name}'.")
        made = Project(luid(), name, self.caller(call).id, self.world.clock.wire(), parent)
        made.description = wanted.get("description", "")
        made.permissions = wanted.get("contentPermissions", made.permissions)
        site.projects[made.id] = made
        return reply(_project(made), status=201)

    def _delete(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        site, project = self.site(call), call.ids["project"]
        if project not in site.projects:
            raise ApiError(404005, f"Project {project} does not exist.")
        del site.projects[project]
        for source in [one for one in site.datasources.values() if one.project == project]:
            self.world.remove(site, source)
        return NO_CONTENT


def _site(site: Site) -> Element:
    attributes = {"id": site.id, "name": site.name, "contentUrl": site.content_url, "state": "Active"}
    return node("site", attributes)


def _project(project: Project) -> Element:
    attributes = {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "createdAt": project.created,
        "updatedAt": project.created,
        "contentPermissions": project.permissions,
        "parentProjectId": project.parent,
        "topLevelProject": project.parent is None,
        "writeable": True,
    }
    return node("project", attributes, node("owner", {"id": project.owner}))
