"""Reads of one dimension, one segment, one segment value (vendors/visma.md sections 5 and 6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.filters import condition, moment
from mlc_sandbox.world import Company
from mlc_sandbox.world.store import Row, wall


def dimension(company: Company, rest: tuple[str, ...], query: Mapping[str, str]) -> Row:
    """`rest` is id, id/segment, id/segment/base64 value, or id/segment/publicid/guid. Raises ApiError 404."""
    table = company.table("dimension")
    record = table.get(rest[0].upper())
    if record is None:
        raise ApiError(404, f"Dimension '{rest[0]}' cannot be found in the system.")
    row = table.row(record)
    if len(rest) == 1:
        return _whole(row, query)
    segment = _one(row["segments"], lambda item: str(item["segmentId"]) == rest[1], rest[1])
    if len(rest) == 2:
        return segment
    if len(rest) == 4 and rest[2].lower() == "publicid":
        return _one(segment["segmentValues"], lambda item: item["publicId"] == rest[3].lower(), rest[3])
    value = _decoded(rest[2])
    return _one(segment["segmentValues"], lambda item: item["valueId"] == value, value)


def _whole(row: Row, query: Mapping[str, str]) -> Row:
    """Values only when asked for; a change filter keeps the values stamped since."""
    keep: Callable[[Row], bool] = lambda _: True  # noqa: E731
    value, given = query.get("lastmodifieddatetime"), query.get("lastmodifieddatetimecondition")
    if value is not None:
        limit = moment("lastModifiedDateTime", value)
        if given is not None:
            compare = condition("lastModifiedDateTimeCondition", given)
            keep = lambda item: compare(wall(item["lastModified"]), limit)  # noqa: E731
    shows_values = query.get("expandsegmentsvalues", "").lower() in {"true", "1"}
    segments = []
    for segment in row["segments"]:
        shown = {name: content for name, content in segment.items() if name != "segmentValues"}
        if shows_values:
            shown["segmentValues"] = [item for item in segment["segmentValues"] if keep(item)]
        segments.append(shown)
    return row | {"segments": segments}


def _one(items: list[Row], test: Callable[[Row], bool], name: str) -> Row:
    found: Any = next((item for item in items if test(item)), None)
    if found is None:
        raise ApiError(404, f"'{name}' cannot be found in the system.")
    return dict(found)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ApiError(400, f"The value '{text}' is not Base64.") from error
