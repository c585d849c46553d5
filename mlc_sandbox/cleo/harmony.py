"""The configuration objects of the Harmony API: connections, authenticators, users, actions, certificates.

DOC: vendors/cleo.md sections 4 and 5. The form of paths inside `_links` follows the client's use [I].
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.switches import Switches
from mlc_sandbox.core import SandboxClock

Body = dict[str, Any]

# Collection -> meta.resourceType and the field people know an object by.
KINDS = {
    "connections": ("connection", "alias"),
    "authenticators": ("authenticator", "alias"),
    "users": ("user", "username"),
    "actions": ("action", "alias"),
    "certs": ("cert", "id"),
}
READ_ONLY = (
    "active editable runnable running ready notReadyReason nextRun lastStatus meta _links".split()  # noqa: SIM905
)
CONNECTION_DEFAULTS = {"enabled": True, "notes": "", "retryLimit": 0}  # shown with includeDefaults only


@dataclass(slots=True)
class Object:
    """One object as it was written, its password kept apart. `parent` is the id of what it belongs to."""

    kind: str
    id: str
    body: Body
    version: int = 1
    parent: str = ""
    secret: str = ""

    @property
    def name(self) -> str:
        """Its alias or user name."""
        return str(self.body.get(KINDS[self.kind][1], self.id))

    @property
    def etag(self) -> str:
        """Changes with every write."""
        return f'"{self.id[:6]}-{self.version}"'


class Harmony:
    """All objects by id, in the order they were made."""

    def __init__(self, clock: SandboxClock, switches: Switches, seed: int) -> None:
        self.clock, self.switches = clock, switches
        self.rng = random.Random(f"harmony {seed}")
        self.objects: dict[str, Object] = {}

    def id(self) -> str:
        """22 URL-safe characters."""
        return urlsafe_b64encode(self.rng.randbytes(16)).decode().rstrip("=")

    # Looking

    def listed(self, kind: str, parent: str = "") -> list[Object]:
        """The objects of a collection; users are those of one authenticator."""
        return [
            found
            for found in self.objects.values()
            if found.kind == kind and (not parent or found.parent == parent)
        ]

    def get(self, kind: str, id: str) -> Object:
        """One object. Raises ApiError 404."""
        found = self.objects.get(id)
        if found is None or found.kind != kind:
            raise ApiError(404, f"There is no {KINDS[kind][0]} {id}.")
        return found

    def named(self, kind: str, name: str) -> Object:
        """One object by its alias or user name. Raises KeyError."""
        for found in self.listed(kind):
            if found.name == name:
                return found
        raise KeyError(f"no {KINDS[kind][0]} {name!r}")

    def shown(self, found: Object, *, defaults: bool = False) -> Body:
        """The object as the API writes it: no password, read-only fields and links."""
        body = copy.deepcopy(found.body)
        if defaults and found.kind == "connections":
            body = CONNECTION_DEFAULTS | body
        state: Body = {"active": True, "editable": True}
        if found.kind == "connections":
            state |= {"ready": True}
        if found.kind == "actions":
            state |= {"runnable": True, "running": False}
        return {
            "id": found.id,
            **body,
            **state,
            "meta": {"resourceType": KINDS[found.kind][0]},
            "_links": self._links(found),
        }

    def _links(self, found: Object) -> Body:
        path = self.path(found)
        links: Body = {"self": {"href": path}}
        if found.kind == "authenticators":
            links["users"] = {"href": f"{path}/users"}
        if found.kind in {"connections", "authenticators"}:
            links["actions"] = [
                {"href": self.path(action)} for action in self.listed("actions") if action.parent == found.id
            ]
        if found.kind == "users":
            links["authenticator"] = {"href": f"/api/authenticators/{found.parent}"}
        if found.kind == "actions":
            parent = self.objects[found.parent]
            links[KINDS[parent.kind][0]] = {"href": self.path(parent)}
            links["run"] = {"href": f"{path}/run"}
        return links

    def path(self, found: Object) -> str:
        """Its own address."""
        if found.kind == "users":
            return f"/api/authenticators/{found.parent}/users/{found.id}"
        return f"/api/{found.kind}/{found.id}"

    # Writing

    def create(self, kind: str, body: Any, parent: str = "") -> Object:
        """A new object. Raises ApiError: 400 without name, type or parent; 409 (or 400) for a taken name."""
        body = self._writable(body)
        if kind == "certs":
            return self._import(body)
        if kind == "actions":
            parent = self._parent(body)
        found = Object(kind, self.id(), body, parent=parent)
        self._check_name(found)
        found.secret = _take_secret(found.body)
        self.objects[found.id] = found
        return found

    def replace(self, found: Object, body: Any, if_match: str | None) -> None:
        """PUT of the whole object. A missing password is kept [I]. Raises ApiError 400, 409, 412, 428."""
        self.check_match(found, if_match)
        if self.switches["read_only_fields"] == "refused" and isinstance(body, dict):
            present = [name for name in READ_ONLY if name in body]
            if present:
                raise ApiError(400, f"Read-only properties cannot be set: {', '.join(present)}.")
        body = self._writable(body)
        if found.kind == "actions" and not ({"connection", "authenticator"} & set(body)):
            body |= {name: found.body[name] for name in ("connection", "authenticator") if name in found.body}
        self._check_name(Object(found.kind, found.id, body, parent=found.parent))
        found.secret = _take_secret(body) or found.secret
        found.body = body
        found.version += 1

    def edit(self, found: Object, changes: Body) -> None:
        """Somebody changes fields in the web console."""
        found.body = _merged(found.body, changes)
        found.version += 1

    def check_match(self, found: Object, if_match: str | None) -> None:
        """ASSUMED. Raises ApiError: 412 for a stale If-Match, 428 when there is none and one is required."""
        mode = self.switches["if_match"]
        if mode == "required" and if_match is None:
            raise ApiError(428, "If-Match is required.")
        if mode != "ignored" and if_match not in (None, "*", found.etag):
            raise ApiError(412, "The object was changed since it was read.")

    def delete(self, found: Object) -> None:
        """The object, and what belongs to it."""
        for child in [child for child in self.objects.values() if child.parent == found.id]:
            self.delete(child)
        del self.objects[found.id]

    def run(self, action: Object, messages: int) -> Body:
        """A run report."""
        now = f"{self.clock.now():%Y/%m/%d %H:%M:%S}"
        lines = [
            f'{now}   Run: type="API"',
            *(f'{now}   Command: "{command}"' for command in action.body.get("commands", [])),
            f'{now}   End: result="Success"',
        ]
        return {"status": "completed", "result": "success", "messages": lines[:messages]}

    def _writable(self, body: Any) -> Body:
        if not isinstance(body, dict):
            raise ApiError(400, "The body must be a JSON object.")
        return {
            name: copy.deepcopy(value)
            for name, value in body.items()
            if name not in READ_ONLY and name != "id"
        }

    def _check_name(self, found: Object) -> None:
        field = KINDS[found.kind][1]
        if not isinstance(found.body.get(field), str) or not found.body[field]:
            raise ApiError(400, f"{field} is required.")
        if found.kind in {"connections", "authenticators", "actions"} and not found.body.get("type"):
            raise ApiError(400, "type is required.")
        for other in self.listed(found.kind, found.parent):
            if other.id != found.id and other.name == found.name:
                status = self.switches["duplicate_alias_status"]
                raise ApiError(status, f"There is a {KINDS[found.kind][0]} {found.name!r} already.")

    def _parent(self, body: Body) -> str:
        for name in ("connection", "authenticator"):
            href = (body.get(name) or {}).get("href", "")
            if href:
                return self.get(f"{name}s", href.rpartition("/")[2]).id
        raise ApiError(400, "An action needs connection.href or authenticator.href.")

    def _import(self, body: Body) -> Object:
        """A certificate; importing it twice is 409 (DOC)."""
        if body.get("requestType") != "importCert":
            raise ApiError(400, "requestType must be importCert.")
        try:
            der = b64decode(str(body.get("import", "")), validate=True)
            facts = _certificate(der)
        except ValueError as error:
            raise ApiError(400, "import is not a Base64 DER certificate.") from error
        thumb = hashlib.sha1(der).hexdigest()
        if thumb in self.objects:
            raise ApiError(409, "The certificate is there already.")
        self.objects[thumb] = Object("certs", thumb, facts)
        return self.objects[thumb]


def _certificate(der: bytes) -> Body:
    """What is shown of a certificate. Raises ValueError."""
    from cryptography import x509  # noqa: PLC0415 - heavy, and few need it

    read = x509.load_der_x509_certificate(der)
    return {
        "serialNumber": f"{read.serial_number:x}",
        "subject": read.subject.rfc4514_string(),
        "issuer": read.issuer.rfc4514_string(),
        "validFrom": read.not_valid_before_utc,
        "validUntil": read.not_valid_after_utc,
    }


def _take_secret(body: Body) -> str:
    """Take `password` out of `accept` and `connect`: it is never returned."""
    taken = ""
    for section in ("accept", "connect"):
        if isinstance(body.get(section), dict):
            taken = str(body[section].pop("password", "")) or taken
    return taken


def _merged(old: Body, new: Body) -> Body:
    merged = dict(old)
    for name, value in new.items():
        held = merged.get(name)
        merged[name] = (
            _merged(held, value)
            if isinstance(held, dict) and isinstance(value, dict)
            else copy.deepcopy(value)
        )
    return merged


def parse(body: bytes) -> Any:
    """A JSON body. Raises ApiError 400."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.") from error


def moment(at: datetime) -> str:
    """A time as the API writes it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
