"""Published data sources: find, change, download, delete (sections 5 and 9)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import PUBLISH_ROLES, Method, Room
from mlc_sandbox.tableau.paging import page
from mlc_sandbox.tableau.publishing import existing
from mlc_sandbox.tableau.store import DataSource, Site
from mlc_sandbox.tableau.wire import node

_READ, _UPDATE = "tableau:content:read", "tableau:datasources:update"


class DatasourceRoutes(Room):
    """What is published already."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room; the list's POST is the publisher's."""
        one = "/datasources/{datasource}"
        return [
            self.gate.route(
                one,
                GET=Method(self._one, _READ),
                PUT=Method(self._update, _UPDATE),
                DELETE=Method(self._delete, "tableau:datasources:delete"),
            ),
            self.gate.route(f"{one}/connections", GET=Method(self._connections, _READ)),
            self.gate.route(f"{one}/content", GET=Method(self._download, "tableau:datasources:download")),
            self.gate.route(f"{one}/tags", PUT=Method(self._add_tags, _UPDATE)),
            self.gate.route(f"{one}/tags/{{tag}}", DELETE=Method(self._remove_tag, _UPDATE)),
        ]

    def all(self, call: ApiCall) -> Reply:
        """The list; a new data source may be missing from the first ones."""
        shown: list[Element] = []
        for source in self.site(call).datasources.values():
            if source.hidden_lists > 0:
                source.hidden_lists -= 1
            else:
                shown.append(self.element(self.site(call), source))
        return reply(*page("datasources", shown, call.query))

    def element(self, site: Site, source: DataSource) -> Element:
        """`<datasource/>` with project, owner and tags."""
        project = site.projects[source.project]
        attributes = {
            "id": source.id,
            "name": source.name,
            "description": source.description,
            "contentUrl": source.name.replace(" ", ""),
            "type": self.world.switches["datasource_type"] if source.file else "sqlserver",
            "createdAt": source.created,
            "updatedAt": source.updated,
            "isCertified": source.certified,
            "hasExtracts": True,
            "size": max(1, self.world.size(source) // 2**20),
            "webpageUrl": f"https://tableau.example/#/site/{site.content_url}/datasources/{source.id}",
        }
        return node(
            "datasource",
            attributes,
            node("project", {"id": project.id, "name": project.name}),
            node("owner", {"id": source.owner}),
            node("tags", {}, *(node("tag", {"label": tag}) for tag in sorted(source.tags))),
        )

    def find(self, call: ApiCall) -> DataSource:
        """The data source of the path. Raises ApiError 404004."""
        found = self.site(call).datasources.get(call.ids["datasource"])
        if found is None:
            code = 404011 if call.route.endswith("/connections") else 404004
            raise ApiError(code, f"Data source {call.ids['datasource']} does not exist.")
        return found

    def _one(self, call: ApiCall) -> Reply:
        return reply(self.element(self.site(call), self.find(call)))

    def _update(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES, 403032)
        site, source, wanted = self.site(call), self.find(call), call.item("datasource")
        project, owner = wanted.find("project"), wanted.find("owner")
        project_id = source.project if project is None else project.get("id", "")
        if project_id not in site.projects:
            raise ApiError(404005, f"Project {project_id} does not exist.")
        name = wanted.get("name", source.name)
        if existing(site, name, project_id) not in (None, source):
            raise ApiError(409015, f"There is a data source '{name}'.")
        if owner is not None and owner.get("id") not in site.users:
            raise ApiError(404002, "The owner does not exist.")
        source.name, source.project = name, project_id
        source.owner = source.owner if owner is None else owner.get("id", "")
        source.description = wanted.get("description", source.description)
        if "isCertified" in wanted.attrib:
            source.certified = wanted.get("isCertified") == "true"
        return reply(self.element(site, source))

    def _delete(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        self.world.remove(self.site(call), self.find(call))
        return NO_CONTENT

    def _connections(self, call: ApiCall) -> Reply:
        source = self.find(call)
        attributes = {
            "id": source.connection,
            "type": "hyper" if source.file else "sqlserver",
            "serverAddress": "" if source.file else "db.nordfjell.example",
            "serverPort": "" if source.file else "1433",
            "userName": "",
            "embedPassword": False,
        }
        return reply(node("connections", {}, node("connection", attributes)))

    def _add_tags(self, call: ApiCall) -> Reply:
        source = self.find(call)
        source.tags |= {tag.get("label", "") for tag in call.item("tags")}
        return reply(node("tags", {}, *(node("tag", {"label": tag}) for tag in sorted(source.tags))))

    def _remove_tag(self, call: ApiCall) -> Reply:
        self.find(call).tags.discard(call.ids["tag"])
        return NO_CONTENT

    def _download(self, call: ApiCall) -> Response:
        """A .hyper as it is, or inside a .tdsx; without the extract, and for other sources, a .tds."""
        source = self.find(call)
        extract = call.query.get("includeExtract", "true").lower() == "true"
        if source.file is None or not extract:
            return _file(f"{source.name}.tds", _tds(source))
        content = self.world.files.path(source.file).read_bytes()
        if self.world.switches["download_as"] == "hyper":
            return _file(f"{source.name}.hyper", content)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(f"{source.name}.tds", _tds(source))
            archive.writestr(f"Data/Extracts/{source.name}.hyper", content)
        return _file(f"{source.name}.tdsx", packed.getvalue())


def _file(name: str, content: bytes) -> Response:
    plain = name.encode("ascii", "replace").decode().replace('"', "")
    headers = {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
    return Response(content, headers=headers, media_type="application/octet-stream")


def _tds(source: DataSource) -> bytes:
    local = {"class": "hyper", "dbname": f"Data/Extracts/{source.name}.hyper", "tablename": "Extract"}
    remote = {"class": "sqlserver", "server": "db.nordfjell.example", "dbname": "rates"}
    connection = node("connection", local if source.file else remote)
    described = node("datasource", {"formatted-name": source.name, "version": "18.1"}, connection)
    text: bytes = ElementTree.tostring(described, encoding="UTF-8", xml_declaration=True)
    return text
