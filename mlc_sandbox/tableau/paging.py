"""Pages, filters and order of lists (section 1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from xml.etree.ElementTree import Element

from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.wire import node

_LARGEST = 1000
_COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "gt": lambda held, wanted: held > wanted,
    "gte": lambda held, wanted: held >= wanted,
    "lt": lambda held, wanted: held < wanted,
    "lte": lambda held, wanted: held <= wanted,
    "cieq": lambda held, wanted: held.casefold() == wanted.casefold(),
    "has": lambda held, wanted: wanted.casefold() in held.casefold(),
}


def page(tag: str, items: Sequence[Element], query: Mapping[str, str]) -> tuple[Element, Element]:
    """`<pagination/>` and the list, filtered, sorted, cut. Raises ApiError 400000, 400006, 400007, 403014."""
    size = _number(query, "pageSize", 100, 400007)
    number = _number(query, "pageNumber", 1, 400006)
    if size > _LARGEST:
        raise ApiError(403014, f"The page size is at most {_LARGEST}.")
    found = _sorted(
        [item for item in items if _matches(item, query.get("filter", ""))], query.get("sort", "")
    )
    if number > max(1, -(-len(found) // size)):
        raise ApiError(400006, f"There is no page {number}.")
    cut = found[(number - 1) * size : number * size]
    attributes = {"pageNumber": number, "pageSize": size, "totalAvailable": len(found)}
    return node("pagination", attributes), node(tag, {}, *cut)


def _number(query: Mapping[str, str], name: str, standard: int, code: int) -> int:
    text = query.get(name, str(standard))
    if not text.isdigit() or int(text) < 1:
        raise ApiError(code, f"{name} is not a positive number: {text}")
    return int(text)


def _matches(item: Element, text: str) -> bool:
    """All terms of FIELD:OP:VALUE, divided by commas outside of brackets."""
    return all(_holds(item, term) for term in re.split(r",(?![^\[]*\])", text) if term)


def _holds(item: Element, term: str) -> bool:
    field, _, rest = term.partition(":")
    operator, colon, wanted = rest.partition(":")
    if not colon:
        raise ApiError(400000, f"The filter {term!r} is not FIELD:OPERATOR:VALUE.")
    held = _value(item, field)
    if operator == "eq":
        return fnmatchcase(held, re.sub(r"([\[?])", r"[\1]", wanted))  # * is a wildcard
    if operator == "in":
        return held in wanted.strip("[]").split(",")
    if operator not in _COMPARED:
        raise ApiError(400000, f"The filter operator {operator!r} is not known.")
    return _COMPARED[operator](held, wanted)


def _sorted(items: list[Element], text: str) -> list[Element]:
    for term in reversed([term for term in text.split(",") if term]):
        field, _, direction = term.partition(":")
        items = sorted(items, key=lambda item: _value(item, field), reverse=direction == "desc")
    return items


def _value(item: Element, field: str) -> str:
    """An attribute, or one of a child: projectName is the name of project. Raises ApiError 400000."""
    if field in item.attrib:
        return item.attrib[field]
    child = item.find(field.removesuffix("Name"))
    if field.endswith("Name") and child is not None:
        return child.get("name", "")
    if field in _OPTIONAL:
        return ""
    raise ApiError(400000, f"{item.tag} cannot be filtered or sorted by {field!r}.")


_OPTIONAL = ("parentProjectId", "lastLogin", "endedAt", "startedAt", "minimumSiteRole", "description")
