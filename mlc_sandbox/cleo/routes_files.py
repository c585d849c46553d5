"""The mailbox over REST, and the list of jobs. ASSUMED: vendors/cleo.md section 9, points 6 and 7."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from starlette.responses import Response

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.harmony import moment
from mlc_sandbox.cleo.http import ApiCall, Way
from mlc_sandbox.cleo.mailbox import DOWNLOAD, File
from mlc_sandbox.cleo.routes_resources import listing
from mlc_sandbox.cleo.world import World
from mlc_sandbox.core import JsonResponse


class FileRoutes:
    """Every path, verb and field name is a switch."""

    def __init__(self, world: World) -> None:
        self.world, self.mailbox = world, world.mailbox

    def ways(self) -> Iterable[Way]:
        """As the switches have them now."""
        switches = self.world.switches
        folder, file = switches["folder_path"], switches["file_path"]
        multipart = switches["upload_form"] == "multipart"
        yield Way("GET", folder, self._list)
        yield Way("GET", file, self._get)
        yield Way("DELETE", file, self._delete)
        upload = self._upload_form if multipart else self._upload_raw
        yield Way(switches["upload_method"], folder if multipart else file, upload)
        yield Way("GET", switches["jobs_path"], self._jobs)

    def _list(self, call: ApiCall) -> Response:
        folder = self.mailbox.folder(call.ids["folder"])
        shown = [_entry(file) for file in shown_files(self.world, folder, call.line)]
        answer = listing(self.world, call, shown)
        if shown and self.world.fault("page_shift", call.line) is not None:
            # Somebody takes the first file away in the Portal, between this page and the next.
            self.mailbox.remove(folder, self.mailbox.files(folder)[0].name, "portal")
        return answer

    def _get(self, call: ApiCall) -> Response:
        folder = self.mailbox.folder(call.ids["folder"])
        return Response(
            read_file(self.world, folder, call.ids["name"]), media_type="application/octet-stream"
        )

    def _delete(self, call: ApiCall) -> Response:
        delete_file(self.world, self.mailbox.folder(call.ids["folder"]), call.ids["name"], call.line)
        return Response(status_code=204)

    def _upload_form(self, call: ApiCall) -> Response:
        name, content = _form_file(call, self.world.switches["upload_field"])
        return self._store(call, name, content)

    def _upload_raw(self, call: ApiCall) -> Response:
        return self._store(call, call.ids["name"], call.body)

    def _store(self, call: ApiCall, name: str, content: bytes) -> Response:
        folder = self.mailbox.folder(call.ids["folder"])
        file = store_file(self.world, folder, name, content)
        return JsonResponse(_entry(file), self.world.switches["upload_status"])

    def _jobs(self, call: ApiCall) -> Response:
        rows: list[dict[str, Any]] = [
            {
                "number": job.number,
                "payload": job.payload,
                "from": job.source,
                "to": job.target,
                "status": job.status,
                "message": job.message,
                "started": moment(job.started),
            }
            for job in self.world.jobs
        ]
        return listing(self.world, call, rows)


# What the protocols share


def shown_files(world: World, folder: str, line: str) -> list[File]:
    """The files of a folder as a list shows them. A ghost was there a moment ago."""
    files = world.mailbox.files(folder)
    if (ghost := world.fault("ghost_file", line)) is not None:
        name = ghost.get("name", "997_GONE_000000001.edi")
        files.insert(0, File(name, b"", world.clock.now(), world.clock.wire()))
    return files


def store_file(world: World, folder: str, name: str, content: bytes) -> File:
    """A file that a client uploads. Raises ApiError: 400 for its name, 403 for the folder, 409, 413."""
    check_target(folder, name)
    return world.mailbox.put(folder, name, content)


def check_target(folder: str, name: str) -> None:
    """Raises ApiError: 400 for a name with a path in it, 403 for the folder that partners write to."""
    if folder == DOWNLOAD:
        raise ApiError(403, "This folder has download permission only.")
    if not name or "/" in name or "\\" in name or name in {".", ".."}:
        raise ApiError(400, f"{name!r} is no file name.")


def read_file(world: World, folder: str, name: str) -> bytes:
    """What is there of a file now; a look lets its writer go on. Raises ApiError 404."""
    file = world.mailbox.get(folder, name)
    content = bytes(file.shown)
    file.unread_looks = max(0, file.unread_looks - 1)
    if world.switches["download_deletes"] and folder == DOWNLOAD:
        world.mailbox.remove(folder, name, "download")
    if folder == DOWNLOAD and (again := world.fault("rewritten_file", f"READ {name}")) is not None:
        world.drop_file(name, again["text"].encode() if "text" in again else 2 * file.content)
    return content


def delete_file(world: World, folder: str, name: str, line: str) -> None:
    """Take a file away; with the fault it is offered once more, under its own or another name."""
    file = world.mailbox.remove(folder, name, "client")
    if (again := world.fault("offered_twice", line)) is not None:
        other = f"{name.rpartition('.')[0]} (again).edi"
        copy = replace(file, name=other if again.get("under", "same") == "other" else name)
        world.mailbox.folders[folder][copy.name] = copy


def _entry(file: File) -> dict[str, Any]:
    return {"name": file.name, "size": len(file.shown), "modified": moment(file.modified)}


def _form_file(call: ApiCall, field: str) -> tuple[str, bytes]:
    """File name and content of a multipart field. Raises ApiError 400 and 415."""
    kind = Message()
    kind["content-type"] = call.headers.get("content-type", "")
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ApiError(415, "An upload is multipart/form-data.")
    for part in call.body.split(f"--{boundary}".encode())[1:-1]:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found:
            continue
        headers = Message()
        for line in head.decode("utf-8", "replace").strip().split("\r\n"):
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        disposition = "content-disposition"
        if headers.get_param("name", header=disposition) == field:
            filename = headers.get_param("filename", header=disposition)
            if filename is None:
                raise ApiError(400, f"The field {field} has no file name.")
            return collapse_rfc2231_value(filename), content.removesuffix(b"\r\n")
    raise ApiError(400, f"There is no field {field!r}.")
