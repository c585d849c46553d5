"""A request as the handlers see it, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from mlc_sandbox.tableau import wire
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.store import Session


@dataclass(slots=True)
class ApiCall:
    """One request with its body. Faults are matched with `line`. Picklable: it may be carried out late."""

    route: str
    method: str
    line: str
    ids: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    session: Session | None = None

    @property
    def content_type(self) -> str:
        """The body's type."""
        return self.headers.get("content-type", "")

    def request(self) -> Element:
        """The `tsRequest`, of XML or JSON. Raises ApiError 400000."""
        return request(self.body, self.content_type)

    def item(self, tag: str) -> Element:
        """The one element a request is about. Raises ApiError 400000."""
        return item(self.request(), tag)

    def parts(self) -> dict[str, tuple[str, bytes]]:
        """The parts of a multipart body. Raises ApiError 400000."""
        try:
            return wire.parts(self.body, self.content_type)
        except wire.Malformed as error:
            raise ApiError(400000, str(error)) from error

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false. Raises ApiError 400008."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise ApiError(400008, f"{name} is neither true nor false: {text}")
        return text == "true"


@dataclass(slots=True)
class Late:
    """A call nobody got an answer to, and that is carried out later."""

    call: ApiCall
    calls: int | None
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a status, and the elements of the body."""

    status: int
    elements: tuple[Element, ...] = ()


def reply(*elements: Element, status: int = 200) -> Reply:
    """An answer with a body."""
    return Reply(status, elements)


NO_CONTENT = Reply(204)


def request(body: bytes, content_type: str) -> Element:
    """A `tsRequest`, of XML or JSON. Raises ApiError 400000."""
    try:
        return wire.read(body, content_type)
    except wire.Malformed as error:
        raise ApiError(400000, str(error)) from error


def item(asked: Element, tag: str) -> Element:
    """The element a request is about. Raises ApiError 400000."""
    found = asked.find(tag)
    if found is None:
        raise ApiError(400000, f"The request has no element {tag}.")
    return found
