"""From records to the JSON of the API: system fields, sections on demand, stamps in the switched form."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from mlc_sandbox.core import json_text
from mlc_sandbox.visma.entities import Entity
from mlc_sandbox.visma.switches import Switches
from mlc_sandbox.world.store import OSLO, Record, Row, Table, wall


def moment_text(moment: date, form: str, digits: int) -> str:
    """Business dates as midnight without a zone, system stamps as switched (vendors/visma.md section 6)."""
    if not isinstance(moment, datetime):
        return f"{moment.isoformat()}T00:00:00"
    local = wall(moment) if form == "none" else moment.astimezone(UTC if form == "z" else OSLO)
    text = local.replace(tzinfo=None).isoformat(timespec="milliseconds" if digits else "seconds")
    text = text[:-1] if digits == 2 else text + "0" * max(0, digits - 3)
    if form == "none":
        return text
    return text + ("Z" if form == "z" else local.isoformat()[-6:])


class Rows:
    """Renders rows; keeps the text of each record until it is written or another variant is asked for."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches

    def json(self, value: Any) -> str:
        """JSON with exact numbers and stamps in the switched form."""
        form, digits = self.switches["stamp_form"], self.switches["stamp_digits"]
        return json_text(value, lambda moment: moment_text(moment, form, digits))

    def text(self, entity: Entity, table: Table, record: Record, shown: frozenset[str]) -> bytes:
        """The row's JSON without its closing brace: in lists metadata follows, the same for all rows."""
        variant = (shown, self.switches["stamp_form"], self.switches["stamp_digits"])
        if record.text is None or record.variant != variant:
            record.text = self.json(self.visible(entity, table, record, shown))[:-1].encode()
            record.variant = variant
        return record.text

    def visible(self, entity: Entity, table: Table, record: Record, shown: Iterable[str]) -> Row:
        """The row as served, system fields included, without the sections whose flag is not in `shown`."""
        row = dict(table.row(record))
        for flag, names in entity.sections.items():
            if flag not in shown:
                for name in names:
                    row.pop(name, None)
        hidden = {name for flag, names in entity.line_sections.items() if flag not in shown for name in names}
        if hidden and isinstance(row.get(entity.lines), list):
            row[entity.lines] = [
                {name: value for name, value in line.items() if name not in hidden}
                for line in row[entity.lines]
            ]
        return row | system_fields(entity, record)


def system_fields(entity: Entity, record: Record) -> Row:
    """Stamp, creation time and row version, where the resource has them."""
    fields: Row = {}
    if entity.modified != "none":
        fields["lastModifiedDateTime"] = record.stamp
    if entity.created:
        fields["createdDateTime"] = record.created
    if entity.time_stamp:
        fields["timeStamp"] = record.time_stamp
    return fields
