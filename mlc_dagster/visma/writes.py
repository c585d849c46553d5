"""Writes that lose nobody's change and happen once: PUT under an ETag, POST guarded by a look-up.

The API has neither idempotency keys nor transactions (vendors/visma.md sections 7 and 8).
"""

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

from mlc_dagster.transport import CallFailed, Conflict, InDoubt
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.entity import Entity

MOST_MERGES = 5
# Sent as they are; everything else is wrapped as {"value": ...} (section 8).
UNWRAPPED = frozenset({"operation", "overrideWithClassValues", "changeDatesOnLines", "timeStamp"})
UNWRAPPED_LISTS = frozenset({"subaccount"})


class RecordMissing(Exception):
    """The record to change is not in the ERP."""

    def __init__(self, entity: str, key: str) -> None:
        super().__init__(
            f"{entity} {key} is not at its address in the ERP: deleted, renumbered, or of a type that the "
            "address does not name. Read the entity again."
        )


def wrapped(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body for POST and PUT: scalars and sections wrapped, lists of lines not, nulls left out.

    An empty text clears a field. Dates are sent as local time without zone: a zone once moved the posting
    date. Raises ValueError for a date-time with a zone.
    """
    return {name: _wrapped(name, value) for name, value in values.items() if value is not None}


def update(
    client: VismaClient,
    entity: Entity,
    key: str,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
) -> bool:
    """Change one record. ``change`` gets it as it is now and returns the values to set, or None.

    When somebody else wrote in between (412) the record is read again and ``change`` asked again, at most
    five times; then Conflict is raised. ``change`` must return None for a record that already is as wanted:
    a repeated PUT whose first answer was lost ends there. Returns whether anything was sent. Raises
    RecordMissing.
    """
    for attempt in range(1, MOST_MERGES + 1):
        found = client.single_with_etag(entity, key)
        if found is None:
            raise RecordMissing(entity.name, key)
        record, etag = found
        values = change(record)
        if values is None:
            return False
        headers = {"If-Match": etag} if etag else {}
        path = client.single_path(entity, key, write=True)
        try:
            client.call("PUT", path, json=wrapped(values), headers=headers)
        except Conflict as conflict:
            if conflict.status != 412 or attempt == MOST_MERGES:
                raise
            continue
        return True
    raise AssertionError("unreachable")


def create(
    client: VismaClient,
    path: str,
    values: Mapping[str, Any],
    *,
    look_up: Callable[[], str | None],
    leaving: Callable[[], None] | None = None,
) -> str:
    """Create one record and return its id, unless ``look_up`` finds it by a reference of our own.

    When the answer is lost ``look_up`` is asked again. Raises InDoubt when it finds nothing even then: the
    ERP may still be working on it, so it must be asked before the next try, which this function does. What
    is answered by then may still be made later: ``leaving`` is called right before the call goes out, for a
    note of when.
    """
    found = look_up()
    if found is not None:
        return found
    try:
        response = client.call("POST", path, json=wrapped(values), leaving=leaving)
    except InDoubt:
        found = look_up()
        if found is None:
            raise
        return found
    created = _last_segment(response.headers.get("Location", "")) or look_up()
    if created is None:
        remedy = "The record was accepted but cannot be found by its reference; look for it in the ERP."
        raise CallFailed("visma", "POST", path, status=response.status_code, remedy=remedy)
    return created


def _wrapped(name: str, value: Any) -> Any:
    if name in UNWRAPPED:
        return value
    if isinstance(value, list | tuple):
        return list(value) if name in UNWRAPPED_LISTS else [wrapped(line) for line in value]
    if isinstance(value, Mapping):
        return {"value": wrapped(value)}
    return {"value": _local(value)}


def _local(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ValueError(f"{value} has a zone; the ERP wants its own wall time without one.")
        return value.isoformat(timespec="seconds")
    return f"{value.isoformat()}T00:00:00" if isinstance(value, date) else value


def _last_segment(location: str) -> str | None:
    """Return the id a Location ends in. Its host may be another generation's (section 8)."""
    text = unquote(location.rstrip("/").rpartition("/")[2])
    if text.startswith("b64(") and text.endswith(")"):
        inner = text[4:-1]
        return base64.urlsafe_b64decode(inner + "=" * (-len(inner) % 4)).decode()
    return text or None
