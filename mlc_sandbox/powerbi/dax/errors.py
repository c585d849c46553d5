"""What the engine says about a query it cannot answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the text: line and column count from 1; `measure` names whose text, None for the query's."""

    line: int
    column: int
    measure: str | None = None

    def __str__(self) -> str:
        place = "Query" if self.measure is None else f"Measure [{self.measure}]"
        return f"{place} ({self.line}, {self.column})"


class DaxError(Exception):
    """The query is wrong, or uses what this subset lacks; the text starts with the position."""

    def __init__(self, text: str, position: Position | None = None) -> None:
        super().__init__(text if position is None else f"{position} {text}")
        self.position = position

    def located(self, position: Position) -> DaxError:
        """The same error with a position, unless it has one."""
        return self if self.position is not None else DaxError(str(self), position)
