"""The VersaLex HTTP server's commands on the same mailbox. DOC: vendors/cleo.md section 6.

The path they live under and the layout of the list's answer could not be read anywhere: both are switches.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.responses import PlainTextResponse, Response

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.http import ApiCall, Way
from mlc_sandbox.cleo.mailbox import File
from mlc_sandbox.cleo.routes_files import delete_file, read_file, shown_files, store_file
from mlc_sandbox.cleo.world import World

_INBOX, _OUTBOX = "inbox/", "outbox/payload/"


class VersalexRoutes:
    """POST ?request=..., with user and password."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ways(self) -> Iterable[Way]:
        """One path; plain PUT, GET and DELETE below it work too."""
        path = self.world.switches["versalex_path"]
        yield Way("POST", path, self._command, login="basic")
        for method in ("PUT", "GET", "DELETE"):
            for deep in ("{folder}", "{folder}/{deeper}"):
                yield Way(method, f"{path}/{deep}/{{name}}", self._plain, login="basic")

    def _command(self, call: ApiCall) -> Response:
        """Parameters stand on the URL or, form-urlencoded, in the body; an upload's body is the file."""
        given = dict(call.query)
        form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if form and given.get("request", "") != "send":
            given |= dict(parse_qsl(call.body.decode("utf-8", "replace")))
        commands = {
            "connect0": self._connect,
            "send": self._send,
            "list": self._list,
            "receive": self._receive,
            "delete": self._delete,
        }
        command = commands.get(given.get("request", ""))
        if command is None:
            raise ApiError(400, f"Unknown request {given.get('request')!r}.")
        return command(call, given)

    def _connect(self, call: ApiCall, given: dict[str, str]) -> Response:  # noqa: ARG002
        return Response(status_code=200)

    def _send(self, call: ApiCall, given: dict[str, str]) -> Response:
        store_file(self.world, self._folder(given, _INBOX), _name(given), call.body)
        return Response(status_code=200)

    def _list(self, call: ApiCall, given: dict[str, str]) -> Response:
        files = shown_files(self.world, self._folder(given, _OUTBOX), call.line)
        unix = self.world.switches["versalex_list"] == "unix"
        lines = [_unix(file) if unix else file.name for file in files]
        return PlainTextResponse("".join(f"{line}\r\n" for line in lines))

    def _receive(self, call: ApiCall, given: dict[str, str]) -> Response:  # noqa: ARG002
        content = read_file(self.world, self._folder(given, _OUTBOX), _name(given))
        return Response(content, media_type="application/octet-stream")

    def _delete(self, call: ApiCall, given: dict[str, str]) -> Response:
        delete_file(self.world, self._folder(given, _OUTBOX), _name(given), call.line)
        return Response(status_code=200)

    def _plain(self, call: ApiCall) -> Response:
        folder = "/".join(filter(None, (call.ids["folder"], call.ids.get("deeper"))))
        given = {"directory": folder, "filename": call.ids["name"]}
        verb = {"PUT": self._send, "GET": self._receive, "DELETE": self._delete}[call.method]
        return verb(call, given)

    def _folder(self, given: dict[str, str], default: str) -> str:
        return self.world.mailbox.folder(given.get("directory", default))


def _name(given: dict[str, str]) -> str:
    if not given.get("filename"):
        raise ApiError(400, "filename is required.")
    return given["filename"]


def _unix(file: File) -> str:
    return f"-rw-r--r-- 1 cleo cleo {len(file.shown)} {file.modified:%b %d %H:%M} {file.name}"
