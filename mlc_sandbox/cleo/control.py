"""Routes under /cleo/control: the partners' side of the mailbox, on demand. See docs/sandbox-cleo.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.receiver import Partner
from mlc_sandbox.cleo.sftp import SftpServer
from mlc_sandbox.cleo.world import World
from mlc_sandbox.core import JsonResponse

Handler = Callable[[Mapping[str, str], Any], Any]


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Cleo's."""

    def __init__(self, world: World, sftp: SftpServer) -> None:
        self.world, self.sftp = world, sftp

    def routes(self) -> list[Route]:
        """All control routes."""
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/received", self._received),
            ("GET", "/mailbox", self._mailbox),
            ("GET", "/jobs", self._jobs),
            ("POST", "/ship", self._ship),
            ("GET", "/notices", self._notices),
            ("POST", "/supplier-change", self._supplier_change),
            ("GET", "/suppliers", self._suppliers),
            ("POST", "/files", self._drop),
            ("GET", "/partners", self._partners),
            ("PUT", "/partners", self._partner),
            ("PUT", "/companies", self._companies),
            ("PATCH", "/resources/{kind}/{name}", self._edit),
            ("GET", "/sftp", self._sftp),
            ("POST", "/sftp/keys", self._key),
            ("POST", "/release", self._release),
        )
        return [_route(path, method, self._locked(handler)) for method, path, handler in handlers]

    def _locked(self, handler: Handler) -> Handler:
        def run(path: Mapping[str, str], body: Any) -> Any:
            with self.world.lock:
                self.world.catch_up()
                return handler(path, body)

        return run

    def _received(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.received()

    def _mailbox(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        box = self.world.mailbox
        folders = {
            folder: [
                {"name": file.name, "size": len(file.content), "writing": file.writing} for file in files
            ]
            for folder, files in ((folder, box.files(folder)) for folder in box.folders)
        }
        return folders | {"removed": [asdict(removed) for removed in box.removed]}

    def _jobs(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return [asdict(job) for job in self.world.jobs]

    def _ship(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        given = dict(body)
        return asdict(self.world.shipping.ship(given.pop("order"), **given))

    def _notices(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.shipping.describe()

    def _supplier_change(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        given = dict(body)
        return self.world.suppliers.change(given.pop("company"), given.pop("number"), **given)

    def _suppliers(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        suppliers = self.world.suppliers
        return {
            "held": [suppliers.held[key] for key in sorted(suppliers.held)],
            "files": suppliers.files,
            "changes": suppliers.changes,
        }

    def _drop(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        self.world.drop_file(body["name"], body["text"].encode(body.get("encoding", "utf-8")))
        return {"file": body["name"]}

    def _partners(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return [asdict(partner) for partner in self.world.partners.values()]

    def _partner(self, path: Mapping[str, str], body: Any) -> Any:
        partner = Partner(**body)
        self.world.partners[partner.address] = partner
        return self._partners(path, None)

    def _companies(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        if not all(isinstance(code, str) for code in body.values()):
            raise ValueError("The body maps ISA ids to company codes.")
        self.world.companies = dict(body)
        return self.world.companies

    def _edit(self, path: Mapping[str, str], body: Any) -> Any:
        found = self.world.harmony.named(path["kind"], path["name"])
        self.world.harmony.edit(found, body)
        return self.world.harmony.shown(found)

    def _sftp(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {
            "host": "127.0.0.1",
            "port": self.sftp.port,
            "user": self.world.login.user,
            "host_key": self.sftp.host_key,
        }

    def _key(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        self.world.login.keys.append(body["public_key"].strip())
        return {"keys": len(self.world.login.keys)}

    def _release(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {"released": self.world.release()}


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()

        def run() -> Response:
            try:
                return JsonResponse(handler(request.path_params, json.loads(raw) if raw else None))
            except KeyError as error:
                return JsonResponse({"error": f"Not found or missing: {error.args[0]}"}, 404)
            except (ValueError, TypeError, ApiError) as error:
                return JsonResponse({"error": str(error)}, 400)

        return await run_in_threadpool(run)

    return Route(f"/control{path}", endpoint, methods=[method])
