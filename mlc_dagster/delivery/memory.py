"""What a target remembers beside the ledger: small values by name, safe against two writers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import target_state
from mlc_dagster.delivery.errors import LeaseLost

# Somebody who is overtaken so often in a row is stopped by more than others at work.
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Remembered:
    """A value and the revision it was read at; revision 0 when nothing is remembered yet."""

    value: Mapping[str, Any]
    revision: int = 0


class Memory:
    """The values of one target, such as one Power BI dataset. Values are JSON objects, without secrets."""

    def __init__(self, engine: sa.Engine, clock: Clock, target: str) -> None:
        self._engine, self._clock, self.target = engine, clock, target

    def read(self, name: str) -> Remembered:
        """One value."""
        mine = (target_state.c.target == self.target, target_state.c.name == name)
        query = sa.select(target_state.c.value, target_state.c.revision).where(*mine)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return Remembered({}) if row is None else Remembered(json.loads(row.value), row.revision)

    def all(self) -> dict[str, Remembered]:
        """All values by name."""
        query = sa.select(target_state).where(target_state.c.target == self.target)
        with reading(self._engine) as connection:
            return {
                row.name: Remembered(json.loads(row.value), row.revision) for row in connection.execute(query)
            }

    def write(self, name: str, before: Remembered, value: Mapping[str, Any]) -> Remembered:
        """Replace the value that was read; it is on disk before this returns.

        Raises LeaseLost when somebody else has written it since: make no further call then.
        """
        row = {"target": self.target, "name": name}
        values = {
            "revision": before.revision + 1,
            "value": json.dumps(value),
            "updated_at": self._clock.now(),
        }
        mine = sa.and_(*(target_state.c[column] == text for column, text in row.items()))
        with self._engine.begin() as connection:
            if before.revision == 0:
                insert_missing(connection, target_state, {**row, **values, "revision": 0})
            unchanged = sa.and_(mine, target_state.c.revision == before.revision)
            if connection.execute(target_state.update().where(unchanged).values(values)).rowcount != 1:
                raise LeaseLost(
                    f"Another process has written {name} of {self.target} since this one read it. "
                    "The other process finishes the work; a machine that sleeps may be why."
                )
        return Remembered(value, before.revision + 1)

    def change(self, name: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Change a value; where another process wrote it in between, change what that left.

        Raises LeaseLost when others wrote it each time.
        """
        for attempt in range(_TRIES):
            before = self.read(name)
            after = change(before.value)
            if after == before.value:
                return
            try:
                self.write(name, before, after)
            except LeaseLost:
                if attempt == _TRIES - 1:
                    raise
            else:
                return
