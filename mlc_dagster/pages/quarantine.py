"""The quarantine page by page, by index."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import quarantine
from mlc_dagster.delivery import Entry

# Around numbers while JSON is indented; a private character that no ERP writes.
MARK = "\ue000"
MARKED = re.compile(f'"{MARK}([^"{MARK}]*){MARK}"')
COLUMNS = [quarantine.c[each.name] for each in fields(Entry)]


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; empty is all. before: the id that the page before ended at."""

    pair: str = ""
    company: str = ""
    stage: str = ""
    before: int | None = None

    def fields(self) -> dict[str, str]:
        """What is asked for, as fields of an address."""
        asked = {name: value for name, value in asdict(self).items() if name != "before"}
        return {name: value for name, value in asked.items() if value}


class QuarantineList:
    """Reads what is held back; the newest first."""

    SHOWN: ClassVar[int] = 50

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def some(self, wanted: Filter) -> Sequence[Entry]:
        """One page of entries."""
        query = sa.select(*COLUMNS).where(quarantine.c.resolved_at.is_(None))
        if wanted.pair:
            query = query.where(quarantine.c.place.startswith(f"{wanted.pair}/", autoescape=True))
        if wanted.company:
            query = query.where(quarantine.c.company == wanted.company)
        if wanted.stage:
            query = query.where(quarantine.c.stage == wanted.stage)
        if wanted.before is not None:
            query = query.where(quarantine.c.id < wanted.before)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(quarantine.c.id.desc()).limit(self.SHOWN))
            return [Entry(*row) for row in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """How much is held back, by place and company."""
        where = (quarantine.c.place, quarantine.c.company)
        query = sa.select(*where, sa.func.count()).where(quarantine.c.resolved_at.is_(None)).group_by(*where)
        with reading(self._engine) as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}

    def stages(self) -> list[str]:
        """The stages that hold something back."""
        query = sa.select(quarantine.c.stage).distinct().where(quarantine.c.resolved_at.is_(None))
        with reading(self._engine) as connection:
            return sorted(connection.execute(query).scalars())

    def one(self, number: int) -> Entry | None:
        """One entry, also when it is settled."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(*COLUMNS).where(quarantine.c.id == number)).first()
        return None if row is None else Entry(*row)


def pretty(raw: str) -> str:
    """A record's raw text, indented where it is JSON. Numbers keep every digit they came with."""
    try:
        found = json.loads(raw, parse_float=lambda number: f"{MARK}{number}{MARK}")
    except ValueError:
        return raw
    return MARKED.sub(r"\1", json.dumps(found, ensure_ascii=False, indent=2))
