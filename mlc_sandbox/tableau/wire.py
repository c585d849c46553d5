"""XML and JSON of Tableau's API: one element tree, written as the caller accepts it (section 1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mlc_sandbox.core import json_text

NAMESPACE = "http://tableau.com/api"
# Elements whose children are a list, also when there is one child or none.
_LISTS = {
    "backgroundJobs": "backgroundJob",
    "connections": "connection",
    "datasources": "datasource",
    "flowRuns": "flowRun",
    "flows": "flow",
    "groups": "group",
    "intervals": "interval",
    "projects": "project",
    "sites": "site",
    "tags": "tag",
    "tasks": "task",
    "users": "user",
    "webhooks": "webhook",
}


class Malformed(ValueError):
    """The body is not what the API takes; the text says why."""


def stamp(moment: datetime) -> str:
    """Tableau's one form of a time: no fractions, Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def node(
    tag: str, attributes: Mapping[str, Any] | None = None, *children: Element | None, text: str | None = None
) -> Element:
    """An element; attributes and children that are None are left out."""
    made = Element(
        tag, {name: _text(value) for name, value in (attributes or {}).items() if value is not None}
    )
    made.extend(child for child in children if child is not None)
    made.text = text
    return made


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return stamp(value) if isinstance(value, datetime) else str(value)


def respond(
    status: int, elements: tuple[Element, ...], accept: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The elements inside `tsResponse`: JSON when Accept names it, else XML. Nothing at all is no body."""
    if not elements:
        return Response(status_code=status, headers=dict(headers or {}))
    if "json" in accept.lower():
        body = {element.tag: as_json(element) for element in elements}
        return Response(json_text(body).encode(), status, dict(headers or {}), "application/json")
    root = Element("tsResponse", {"xmlns": NAMESPACE})
    root.extend(elements)
    text = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return Response(text, status, dict(headers or {}), "application/xml")


def as_json(element: Element) -> Any:
    """Attributes and children as one object; an element of text alone is that text."""
    item = _LISTS.get(element.tag)
    if item is not None:
        children = [as_json(child) for child in element if child.tag == item]
        return {item: children} if children else {}  # an empty list is an empty object (section 14)
    if element.text and not element.attrib:
        return element.text
    made: dict[str, Any] = dict(element.attrib)
    made.update((child.tag, as_json(child)) for child in element)
    return made | ({"value": element.text} if element.text else {})


def read(body: bytes, content_type: str) -> Element:
    """A `tsRequest` without its namespace, from XML or JSON. Raises Malformed."""
    if "json" in content_type.lower():
        try:
            return _from_json("tsRequest", json.loads(body))
        except (ValueError, TypeError) as error:
            raise Malformed(f"The body is not valid JSON: {error}") from error
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - from this machine
    except ElementTree.ParseError as error:
        raise Malformed(f"The body is not valid XML: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "tsRequest":
        raise Malformed(f"The body begins with {root.tag}, not with tsRequest.")
    return root


def _from_json(tag: str, value: Any) -> Element:
    if not isinstance(value, dict):
        raise TypeError(f"{tag} is not an object")
    made = Element(tag)
    for name, inner in value.items():
        if isinstance(inner, list):
            made.extend(_from_json(name, one) for one in inner)
        elif isinstance(inner, dict):
            made.append(_from_json(name, inner))
        elif inner is not None:
            made.set(name, _text(inner))
    return made


def parts(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """Multipart: part name -> (file name, content). Raises Malformed.

    Parts are told by their name; order, `form-data;` and a file name do not matter (section 5).
    """
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if "multipart/" not in content_type or found is None:
        raise Malformed("The body is not multipart with a boundary.")
    delimiter = b"--" + found[1].encode()
    made: dict[str, tuple[str, bytes]] = {}
    begin = body.find(delimiter)
    while begin >= 0:
        begin += len(delimiter)
        if body.startswith(b"--", begin):
            return made
        end = body.find(b"\r\n" + delimiter, begin)
        name, file, content = _part(body, begin, end)
        made[name] = (file, content)
        begin = body.find(delimiter, end) if end >= 0 else -1
    raise Malformed("The last boundary is missing: the body was cut off.")


def _part(body: bytes, begin: int, end: int) -> tuple[str, str, bytes]:
    """Name, file name and content of the part between two boundaries; a chunk is large, so it is cut once."""
    blank = body.find(b"\r\n\r\n", begin)
    head = body[begin : max(blank, begin)]
    name = re.search(rb'[;\s]name="?([^";\r\n]*)"?', head)
    file = re.search(rb'[;\s]filename="?([^";\r\n]*)"?', head)
    if end < 0 or name is None:
        raise Malformed("A part has no name, or no end.")
    return name[1].decode(), file[1].decode() if file else "", body[blank + 4 : end]
