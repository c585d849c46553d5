"""Tableau's XML and its multipart bodies (vendors/tableau.md sections 1 and 5)."""

import re
import uuid
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

import requests
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

NAMESPACE = "{http://tableau.com/api}"
# A 429 says its minutes in words, and rarely in a header (section 12); where it says nothing, this long.
LOCKOUT_SECONDS = 120
MINUTES = re.compile(r"retry after (\d{1,4}) minute", re.IGNORECASE)
XML = {"Content-Type": "text/xml", "Accept": "application/xml"}


def read(response: requests.Response) -> Element | None:
    """The answer's root; None when it is not Tableau's XML, such as a gateway's page."""
    try:
        root: Element = fromstring(response.content)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    return root if root.tag == f"{NAMESPACE}tsResponse" else None


def words(response: requests.Response) -> str:
    """`code summary: detail` of an error, else the text (section 1)."""
    root = read(response)
    error = root.find(f"{NAMESPACE}error") if root is not None else None
    if error is None:
        return response.text
    parts = [error.findtext(f"{NAMESPACE}{name}") or "" for name in ("summary", "detail")]
    return f"{error.get('code', '')} {': '.join(part for part in parts if part)}"


def lockout(response: requests.Response) -> int:
    """The seconds a 429 asks us to wait, by its words: `Please retry after 29 minutes.`"""
    told = MINUTES.search(words(response))
    return int(told[1]) * 60 if told else LOCKOUT_SECONDS


def find(root: Element, path: str) -> Element | None:
    """The first element below, such as `credentials/site`."""
    return root.find("/".join(f"{NAMESPACE}{name}" for name in path.split("/")))


def every(root: Element, path: str) -> list[Element]:
    """All elements of a path below."""
    return root.findall("/".join(f"{NAMESPACE}{name}" for name in path.split("/")))


def request(name: str, attributes: Mapping[str, str], *children: tuple[str, Mapping[str, str]]) -> bytes:
    """A `tsRequest` about one element with its children."""
    root = Element("tsRequest")
    element = SubElement(root, name, dict(attributes))
    for child, own in children:
        SubElement(element, child, dict(own))
    return body(root)


def body(root: Element) -> bytes:
    """An element as the body of a request."""
    text: bytes = tostring(root, encoding="utf-8")
    return text


def multipart(payload: bytes, file: bytes | None = None) -> tuple[bytes, dict[str, str]]:
    """A body with its headers: the payload, and the chunk of a file (section 5)."""
    boundary = uuid.uuid4().hex
    parts = [_part(boundary, "request_payload", "", "text/xml", payload)]
    if file is not None:
        parts.append(_part(boundary, "tableau_file", "file", "application/octet-stream", file))
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "Accept": "application/xml"}
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), headers


def _part(boundary: str, name: str, filename: str, kind: str, content: bytes) -> bytes:
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"
