"""From a payload to what Power BI stores, without a silent loss (vendors/powerbi.md sections 3 and 5)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.delivery.rows import encode
from mlc_dagster.powerbi.section import DECIMAL_PRECISION, DECIMAL_SCALE, TEXT_LIMIT
from mlc_dagster.powerbi.star import Column, Shape
from mlc_dagster.transport.session import exact_json

# Below the vendor's 10,000 rows and 16 MB a call (section 8): 413 was seen near the limits.
POST_ROWS, POST_BYTES = 9_000, 8_000_000
INT64 = 2**63 - 1
# 40 bits: the sum over five million rows still fits Int64.
CHECK_DIGITS = 10


@dataclass(frozen=True)
class Sent:
    """What the audit trail tells of one call: `hash` is the SHA-256 of its body."""

    number: int
    rows: int
    hash: str


@dataclass(frozen=True)
class Post:
    """One call's body and what is in it."""

    number: int
    rows: int
    body: bytes

    @property
    def sent(self) -> Sent:
        """What is told of it."""
        return Sent(self.number, self.rows, hashlib.sha256(self.body).hexdigest())


@dataclass(frozen=True)
class Stamp:
    """What marks the rows of one load or append: see Shape.technical."""

    load_id: str
    version: int | None = None


def unfit(shape: Shape, payload: Mapping[str, Any], *, cut: bool) -> str | None:
    """Why Power BI cannot hold a row, or None. `cut` allows texts that are too long."""
    reasons = (_unfit(column, payload.get(column.source), cut=cut) for column in shape.columns)
    if payload.get(shape.key.source) in (None, ""):
        return f"{shape.key.source}: it is empty, and identifies the row"
    return next((reason for reason in reasons if reason), None)


def row(shape: Shape, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The values by column name: every declared column, null where there is none."""
    return {column.name: _json(payload.get(column.source)) for column in shape.columns}


def too_long(shape: Shape, payload: Mapping[str, Any]) -> list[str]:
    """The text columns that are shortened."""
    values = ((column.source, payload.get(column.source)) for column in shape.columns)
    return [name for name, value in values if isinstance(value, str) and len(value) > TEXT_LIMIT]


def check_number(payload: Mapping[str, Any]) -> int:
    """A number made of all values: equal rows have equal ones, and their sum tells two loads apart."""
    return int(hashlib.sha256(encode(payload).encode()).hexdigest()[:CHECK_DIGITS], 16)


def posts(
    shape: Shape, rows: Iterable[tuple[Mapping[str, Any], bool]], stamp: Stamp, at_most: int
) -> Iterator[Post]:
    """The calls that carry rows, each a payload and whether it is deleted; of at most so many rows each."""
    number, size = 1, 0
    texts: list[bytes] = []
    for payload, deleted in rows:
        text = exact_json(_marked(shape, payload, stamp, number, deleted=deleted)).encode()
        if texts and (len(texts) >= at_most or size + len(text) > POST_BYTES):
            yield _post(number, texts)
            number, texts, size = number + 1, [], 0
            text = exact_json(_marked(shape, payload, stamp, number, deleted=deleted)).encode()
        texts.append(text)
        size += len(text) + 1
    if texts:
        yield _post(number, texts)


def _post(number: int, texts: Sequence[bytes]) -> Post:
    return Post(number, len(texts), b'{"rows":[' + b",".join(texts) + b"]}")


def _marked(
    shape: Shape, payload: Mapping[str, Any], stamp: Stamp, number: int, *, deleted: bool
) -> dict[str, Any]:
    marks: dict[str, Any] = {"_load_id": stamp.load_id, "_batch_no": number}
    marks["_check"] = 0 if deleted else check_number(payload)
    if shape.fact:
        marks |= {"_version": stamp.version, "_deleted": int(deleted)}
    kept = {shape.key.source: payload.get(shape.key.source)} if deleted else payload
    return {**row(shape, kept), **marks}


def _json(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_LIMIT]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{value.isoformat()}T00:00:00Z" if isinstance(value, date) else value


def _unfit(column: Column, value: Any, *, cut: bool) -> str | None:
    if isinstance(value, str) and len(value) > TEXT_LIMIT and not cut:
        return f"{column.source}: text of {len(value)} characters; Power BI holds {TEXT_LIMIT}"
    if isinstance(value, int) and not isinstance(value, bool) and not -INT64 < value < INT64:
        return f"{column.source}: {value} is beyond what Int64 holds in Power BI"
    if isinstance(value, Decimal) and not _fits(value):
        return (
            f"{column.source}: {value} has more than {DECIMAL_SCALE} decimals or {DECIMAL_PRECISION} digits"
        )
    return None


def _fits(value: Decimal) -> bool:
    _, digits, exponent = value.normalize().as_tuple()
    if not isinstance(exponent, int):
        return False
    return exponent >= -DECIMAL_SCALE and len(digits) + max(0, exponent) <= DECIMAL_PRECISION
