"""Routes under /cleo/control: the partners' side of the mailbox, on demand. See docs/sandbox-cleo.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.routing import Route

from mlc_sandbox.asked import Asked, Handler, control_route
from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.receiver import Partner
from mlc_sandbox.cleo.sftp import SftpServer
from mlc_sandbox.cleo.world import World


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
        return [
            control_route(method, f"/control{path}", self._locked(handler), refusals=(ApiError,))
            for method, path, handler in handlers
        ]

    def _locked(self, handler: Handler) -> Handler:
        def run(asked: Asked) -> Any:
            with self.world.lock:
                self.world.catch_up()
                return handler(asked)

        return run

    def _received(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.world.received()

    def _mailbox(self, asked: Asked) -> Any:  # noqa: ARG002
        box = self.world.mailbox
        folders = {
            folder: [
                {"name": file.name, "size": len(file.content), "writing": file.writing} for file in files
            ]
            for folder, files in ((folder, box.files(folder)) for folder in box.folders)
        }
        return folders | {"removed": [asdict(removed) for removed in box.removed]}

    def _jobs(self, asked: Asked) -> Any:  # noqa: ARG002
        return [asdict(job) for job in self.world.jobs]

    def _ship(self, asked: Asked) -> Any:
        given = dict(asked.body)
        return asdict(self.world.shipping.ship(given.pop("order"), **given))

    def _notices(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.world.shipping.describe()

    def _supplier_change(self, asked: Asked) -> Any:
        given = dict(asked.body)
        return self.world.suppliers.change(given.pop("company"), given.pop("number"), **given)

    def _suppliers(self, asked: Asked) -> Any:  # noqa: ARG002
        suppliers = self.world.suppliers
        return {
            "held": [suppliers.held[key] for key in sorted(suppliers.held)],
            "files": suppliers.files,
            "changes": suppliers.changes,
        }

    def _drop(self, asked: Asked) -> Any:
        name, text = asked.body["name"], asked.body["text"]
        self.world.drop_file(name, text.encode(asked.body.get("encoding", "utf-8")))
        return {"file": name}

    def _partners(self, asked: Asked) -> Any:  # noqa: ARG002
        return [asdict(partner) for partner in self.world.partners.values()]

    def _partner(self, asked: Asked) -> Any:
        partner = Partner(**asked.body)
        self.world.partners[partner.address] = partner
        return self._partners(asked)

    def _companies(self, asked: Asked) -> Any:
        if not all(isinstance(code, str) for code in asked.body.values()):
            raise ValueError("The asked.body maps ISA ids to company codes.")
        self.world.companies = dict(asked.body)
        return self.world.companies

    def _edit(self, asked: Asked) -> Any:
        found = self.world.harmony.named(asked.path["kind"], asked.path["name"])
        self.world.harmony.edit(found, asked.body)
        return self.world.harmony.shown(found)

    def _sftp(self, asked: Asked) -> Any:  # noqa: ARG002
        return {
            "host": "127.0.0.1",
            "port": self.sftp.port,
            "user": self.world.login.user,
            "host_key": self.sftp.host_key,
        }

    def _key(self, asked: Asked) -> Any:
        self.world.login.keys.append(asked.body["public_key"].strip())
        return {"keys": len(self.world.login.keys)}

    def _release(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"released": self.world.release()}
