"""What was written back into the ERP. The audit trail is the memory: a remark that stands there went back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import events
from mlc_dagster.database.trail import event
from mlc_dagster.delivery.audit import Kind


@dataclass(frozen=True, slots=True)
class Document:
    """A document in the ERP. place: such as visma/supplier_invoices; key: of the record in the ERP."""

    place: str
    company: str
    key: str
    number: str


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a remark: written, or why not."""

    kind: Kind
    line: str
    reason: str | None


class Notes:
    """The remarks of each document, by a mark of their own. Writes one event for each."""

    def __init__(self, engine: sa.Engine, clock: Clock, run_id: str) -> None:
        self._engine, self._clock, self._run_id = engine, clock, run_id

    def told(self, document: Document) -> dict[str, Told]:
        """What the trail says of a document's remarks, by mark; of several events the newest."""
        query = sa.select(events.c.kind, events.c.detail).where(
            events.c.number == document.number,
            events.c.destination == document.place,
            events.c.company == document.company,
            events.c.key == document.key,
            events.c.kind.in_([Kind.NOTED, Kind.REFUSED]),
        )
        found: dict[str, Told] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query.order_by(events.c.id)):
                detail = json.loads(row.detail)
                found[detail["mark"]] = Told(Kind(row.kind), detail["line"], detail.get("reason"))
        return found

    def add(self, document: Document, told: Mapping[str, Told]) -> None:
        """Write what became of remarks, by mark; all or nothing, on disk before this returns."""
        rows = [
            event(
                self._clock.now(),
                self._run_id,
                each.kind,
                {"line": each.line, "mark": mark} | ({"reason": each.reason} if each.reason else {}),
                destination=document.place,
                company=document.company,
                source_key=document.key,
                key=document.key,
                number=document.number,
            )
            for mark, each in told.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(events.insert(), rows)
