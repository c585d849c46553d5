"""Who wrote what and when: the stamps of entries, and what the audit trail is told of credentials."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import events
from mlc_dagster.database.trail import event

PLACE = "vault"


@dataclass(frozen=True)
class Stamp:
    """When (UTC) and by whom, a run id or a person, a version was written. Versions of a name only rise.

    ends_on: the day on which what the text opens comes to its end, as its writer noted it.
    """

    version: int
    written_at: datetime
    written_by: str
    ends_on: date | None = None


class Change(StrEnum):
    """What a person did; the audit trail's kinds know the same words."""

    SET = "credential set"
    REMOVED = "credential removed"
    END = "end of credential noted"
    KEY = "vault key changed"


def tell(connection: sa.Connection, change: Change, name: str, stamp: Stamp) -> None:
    """Write a change into the audit trail, in the transaction that makes it. It names no value."""
    ends = stamp.ends_on.isoformat() if stamp.ends_on else None
    detail = {"version": stamp.version, "ends": ends, "by": stamp.written_by}
    place = {"destination": PLACE, "company": "", "key": name, "number": _number(name)}
    connection.execute(events.insert(), event(stamp.written_at, stamp.written_by, change, detail, **place))


def told(engine: sa.Engine, name: str) -> list[tuple[Change, Stamp]]:
    """The changes of a name, in order of time."""
    own = (events.c.number == _number(name), events.c.destination == PLACE, events.c.key == name)
    query = sa.select(events).where(*own)
    with reading(engine) as connection:
        return [_change(row) for row in connection.execute(query.order_by(events.c.id))]


def _number(name: str) -> str:
    """What `mlc audit` finds it by: the name as mlc.yaml has it."""
    return name.rpartition("/")[2]


def _change(row: sa.Row[tuple[object, ...]]) -> tuple[Change, Stamp]:
    detail = json.loads(row.detail)
    ends_on = date.fromisoformat(detail["ends"]) if detail["ends"] else None
    return Change(row.kind), Stamp(detail["version"], row.at, row.run_id, ends_on)
