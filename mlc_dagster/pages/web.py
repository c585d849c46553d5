"""What every page has: headers that leave a browser no choice, a bounded form, templates that escape all."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

FORM_BYTES = 10_000
CONTENT_TYPES = {"pages.css": "text/css", "keys.js": "text/javascript", "icon.svg": "image/svg+xml"}
# Nothing but our own style and one small script, nothing from elsewhere, and in nobody's frame.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Templates:
    """The templates. Everything put into them is escaped, and a name that is not given is an error."""

    def __init__(self, **everywhere: Any) -> None:
        self._environment = Environment(
            loader=PackageLoader("mlc_dagster.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["at"] = everywhere.pop("at")
        self._environment.globals.update(everywhere)

    def page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page as an answer."""
        text = self._environment.get_template(name).render(**values)
        return HTMLResponse(text, status_code=status, headers=dict(HEADERS))


class Static:
    """The style, the script and the icon: three files by name, read once. No path reaches a disk."""

    @cached_property
    def _files(self) -> Mapping[str, bytes]:
        folder = files("mlc_dagster.pages") / "static"
        return {name: (folder / name).read_bytes() for name in CONTENT_TYPES}

    @cached_property
    def version(self) -> str:
        """Changes with any of the files, so that browsers may keep them."""
        return hashlib.sha256(b"".join(self._files.values())).hexdigest()[:12]

    def answer(self, request: Request) -> Response:
        """One of the files."""
        name = request.path_params["name"]
        if name not in self._files:
            return Response(status_code=404)
        kept = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self._files[name], media_type=CONTENT_TYPES[name], headers=kept)


async def form(request: Request) -> dict[str, str] | None:
    """The fields of a form, each once; None for a body that is none or too long."""
    if request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        return None
    return {name: values[0].strip() for name, values in fields.items()}


def go_to(path: str) -> Response:
    """Send the browser to another page of ours."""
    return PlainTextResponse("", status_code=303, headers={**HEADERS, "Location": path})


def own_path(asked: str) -> str:
    """Where to go after the login: a path of ours, never another site's address."""
    ours = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return quote(asked, safe="/?&=%+-_.~") if ours else "/"
