"""Publishing, uploads in chunks, and updates of published data (sections 5 and 6)."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from starlette.routing import Route

from mlc_sandbox.tableau import actions
from mlc_sandbox.tableau.calls import ApiCall, Reply, item, reply, request
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import PUBLISH_ROLES, Gate, Method, Room
from mlc_sandbox.tableau.jobs import PUBLISH, UPDATE, Update
from mlc_sandbox.tableau.publishing import Publication, check, publish
from mlc_sandbox.tableau.routes_datasources import DatasourceRoutes
from mlc_sandbox.tableau.routes_jobs import job_element
from mlc_sandbox.tableau.store import DataSource, Job, Site, Upload, luid
from mlc_sandbox.tableau.wire import node
from mlc_sandbox.tableau.world import VENDOR, World

_KINDS = ("hyper", "parquet", "tdsx")
_MEGABYTE = 2**20


class PublishRoutes(Room):
    """How data comes in."""

    def __init__(self, world: World, gate: Gate) -> None:
        super().__init__(world, gate)
        self.sources = DatasourceRoutes(world, gate)
        self._numbers = itertools.count(7720)

    def routes(self) -> Sequence[Route]:
        """All routes of this room, and those of the data sources it publishes."""
        upload = "tableau:file_uploads:create"
        update = Method(self._update, "tableau:hyper_data:update", "content")
        return [
            self.gate.route("/fileUploads", POST=Method(self._begin, upload)),
            self.gate.route("/fileUploads/{upload}", PUT=Method(self._append, upload)),
            self.gate.route(
                "/datasources",
                GET=Method(self.sources.all, "tableau:content:read"),
                POST=Method(self._publish, "tableau:datasources:create", "content"),
            ),
            self.gate.route("/datasources/{datasource}/data", PATCH=update),
            self.gate.route("/datasources/{datasource}/connections/{connection}/data", PATCH=update),
            *self.sources.routes(),
        ]

    # Uploads

    def _begin(self, call: ApiCall) -> Reply:
        number = f"{next(self._numbers)}:{uuid.uuid4().hex}-1:0"
        made = Upload(number, self.world.files.new(), self.world.clock.wire())
        self.site(call).uploads[number] = made
        return reply(node("fileUpload", {"uploadSessionId": number, "fileSize": 0}), status=201)

    def _append(self, call: ApiCall) -> Reply:
        upload = self._upload(call, call.ids["upload"])
        parts = call.parts()
        if parts.get("request_payload", ("", b""))[1]:
            raise ApiError(400019, "The request_payload of a chunk is empty.")
        if "tableau_file" not in parts:
            raise ApiError(400020, "The chunk has no part tableau_file.")
        content = parts["tableau_file"][1]
        if len(content) > self.world.switches["chunk_mb"] * _MEGABYTE:
            raise ApiError(400016, f"A chunk is at most {self.world.switches['chunk_mb']} MB.")
        size = self.world.files.append(upload.file, content)
        # Whole megabytes; a client that asks for a number gets one.
        return reply(node("fileUpload", {"uploadSessionId": upload.id, "fileSize": -(-size // _MEGABYTE)}))

    def _upload(self, call: ApiCall, number: str) -> Upload:
        self.world.expire_uploads()
        uploads = self.site(call).uploads
        if self.world.faults.take(VENDOR, "upload_lost", call.line) is not None:
            uploads.pop(number, None)
        if number not in uploads:
            raise ApiError(404015, f"Upload session {number} does not exist.")
        return uploads[number]

    def _committed(self, call: ApiCall, number: str) -> str:
        """The uploaded file, now the caller's own; the session ends unless it may be used again."""
        upload = self._upload(call, number)
        if self.world.switches["upload_reuse"] == "allowed":
            return self.world.files.copy(upload.file)
        del self.site(call).uploads[number]
        return upload.file

    # Publishing

    def _publish(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES, 403007)
        parts = call.parts()
        mode = self._mode(call)
        site = self.site(call)
        name, project, description = _described(site, parts)
        kind = call.query.get("datasourceType", "")
        attached = parts.get("tableau_datasource")
        number = call.query.get("uploadSessionId")
        if attached is not None and number is not None:
            raise ApiError(400010, "There is an uploadSessionId and an attachment.")
        if kind not in _KINDS or (attached and not attached[0].lower().endswith(f".{kind}")):
            raise ApiError(400010, f"datasourceType and file suffix are the same one of {', '.join(_KINDS)}.")
        if attached is None and number is None:
            raise ApiError(400000, "There is neither an attachment nor an uploadSessionId.")
        wanted = Publication(name, project, self.caller(call).id, kind, mode, "", description)
        check(site, wanted)
        wanted.file = self._attached(attached[1]) if attached else self._committed(call, number or "")
        if call.flag("asJob"):
            job = Job(luid(), PUBLISH, self.world.clock.wire(), name, wanted)
            return reply(job_element(site, self.world.jobs.start(site, job, call.line)), status=202)
        return reply(self.sources.element(site, publish(self.world, site, wanted)), status=201)

    def _mode(self, call: ApiCall) -> str:
        overwrite, append = call.flag("overwrite"), call.flag("append")
        if overwrite and append:
            raise ApiError(400055, "overwrite and append are both true.")
        replaces = self.world.switches["replace_mode"] == "overwrite" and call.flag("replace")
        if overwrite or replaces:
            return "overwrite"
        return "append" if append else "create"

    def _attached(self, content: bytes) -> str:
        most = self.world.switches["single_request_mb"]
        if len(content) >= most * _MEGABYTE:
            raise ApiError(400011, f"A single request carries less than {most} MB; upload in chunks.")
        return self.world.files.new(content)

    # Updates of published data

    def _update(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES, 403032)
        site, source = self.site(call), self.sources.find(call)
        key = call.headers.get("requestid")
        if not key:
            raise ApiError(400000, "There is no RequestID.")
        if source.file is None:
            raise ApiError(400000, f"'{source.name}' is not live-to-Hyper: its data cannot be updated.")
        if call.ids.get("connection", source.connection) != source.connection:
            raise ApiError(404011, f"Connection {call.ids['connection']} does not exist.")
        known = self._known(site, key)
        if known is not None:
            return self._again(site, source, known, call)
        if self.world.switches["one_update_at_a_time"]:
            self.world.jobs.refuse_second(site, UPDATE, source.id)
        body = _body(call)
        number = call.query.get("uploadSessionId")
        work = Update(body["actions"], self._committed(call, number) if number else None)
        job = self.world.jobs.update(site, source, work, call.line)
        site.requests[key] = (job.created, job.id)
        self.world.note(source, "update requested", job.id, key)
        return reply(job_element(site, job), status=202)

    def _known(self, site: Site, key: str) -> Job | None:
        """The job of a RequestID that counts as used."""
        when, number = site.requests.get(key, (None, ""))
        if when is None:
            return None
        age = self.world.clock.wire() - when
        job = site.jobs[number]
        free_again = job.code == 1 and not self.world.switches["failed_request_blocks"]
        old = age >= timedelta(hours=self.world.switches["request_hours"])
        return None if old or free_again else job

    def _again(self, site: Site, source: DataSource, known: Job, call: ApiCall) -> Reply:
        self.world.note(source, "update repeated", known.id)
        if self.world.switches["duplicate_request"] == "empty_job":
            known = self.world.jobs.update(site, source, Update([], None), call.line)
        return reply(job_element(site, known), status=202)


def _described(site: Site, parts: dict[str, tuple[str, bytes]]) -> tuple[str, str, str]:
    """Name, project and description from the payload. Raises ApiError 400000."""
    if "request_payload" not in parts:
        raise ApiError(400000, "There is no part request_payload.")
    described = item(request(parts["request_payload"][1], "text/xml"), "datasource")
    if not described.get("name"):
        raise ApiError(400000, "The data source has no name.")
    project = described.find("project")
    standard = next((one.id for one in site.projects.values() if one.name == "default"), "")
    wanted = standard if project is None else project.get("id", standard)
    return described.get("name", ""), wanted, described.get("description", "")


def _body(call: ApiCall) -> Any:
    try:
        body = json.loads(call.body)
    except ValueError as error:
        raise ApiError(400000, f"The body is not valid JSON: {error}") from error
    wrong = actions.malformed(body)
    if wrong is not None:
        raise ApiError(400000, wrong)
    return body
