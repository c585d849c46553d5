"""What we remember of the dataset and of its tables beside the ledger: in our database, safe at restarts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mlc_dagster.delivery.memory import Memory


class Step(StrEnum):
    """Where a load stands (vendors/powerbi.md section 13). A table without a load is ACTIVE.

    From any step but SWITCHING a load begins again at CLEARING. SWITCHING is behind the verification: its
    control row may be stored already, so the slot must not be cleared any more; the same row goes again.
    """

    CLEARING = "clearing"
    LOADING = "loading"
    VERIFYING = "verifying"
    SWITCHING = "switching"


@dataclass(frozen=True)
class Load:
    """A load under way. asked: a call was sent and its answer is not known. touched: when it was sent.

    check: the sum of all rows' check numbers. sent: of `rows`, how many were answered for.
    """

    id: str
    slot: str
    floor: int
    step: Step
    batch: str
    rows: int
    check: int
    sent: int
    asked: bool
    touched: str


@dataclass(frozen=True)
class TableState:
    """A table as we know it.

    active: the slot that measures read, empty before the first load. seq: of the newest control row. version:
    the highest that any row carries. floor: the version the active slot was loaded with. rows: at least so
    many are in it. load_id: of the load that made it. suspect: it was found to differ, and is loaded next.
    """

    active: str = ""
    seq: int = 0
    version: int = 0
    floor: int = 0
    rows: int = 0
    load_id: str = ""
    suspect: bool = False
    load: Load | None = None

    @property
    def switch(self) -> dict[str, Any]:
        """The newest control row: `seq` with the slot and the floor it was given to, never another's."""
        if self.load and self.load.step is Step.SWITCHING:
            return {"seq": self.seq, "slot": self.load.slot, "floor": self.load.floor}
        return {"seq": self.seq, "slot": self.active, "floor": self.floor}


class Table:
    """The state of one table, written before every call that may not be forgotten."""

    def __init__(self, memory: Memory, title: str) -> None:
        self._memory, self._name = memory, f"table:{title}"
        self._remembered = memory.read(self._name)

    @property
    def state(self) -> TableState:
        """The state as last written."""
        value = dict(self._remembered.value)
        load = value.pop("load", None)
        return TableState(**value, load=Load(**{**load, "step": Step(load["step"])}) if load else None)

    def save(self, **changes: Any) -> TableState:
        """Write changes; they are on disk before this returns. Raises LeaseLost."""
        state = replace(self.state, **changes)
        self._remembered = self._memory.write(self._name, self._remembered, asdict(state))
        return state

    def save_load(self, **changes: Any) -> Load:
        """Write changes of the load under way."""
        load = self.state.load
        if load is None:
            raise ValueError("no load is under way")
        changed = replace(load, **changes)
        self.save(load=changed)
        return changed


def biggest(memory: Memory) -> int:
    """The rows of the fullest table of the dataset, one that is being loaded included."""
    tables = [value.value for value in memory.all().values()]
    return max(
        (max(table.get("rows", 0), (table.get("load") or {}).get("sent", 0)) for table in tables), default=0
    )


class Dataset:
    """The dataset's id, the schema it was created with, and whether it answers queries."""

    NAME = "dataset"

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._remembered = memory.read(self.NAME)

    @property
    def id(self) -> str:
        """Its id; empty before `mlc powerbi setup`."""
        return str(self._remembered.value.get("id", ""))

    @property
    def queries(self) -> bool:
        """Whether executeQueries answered when it was tried."""
        return bool(self._remembered.value.get("queries", False))

    @property
    def creating_since(self) -> datetime | None:
        """When a creation was begun whose end is not known."""
        begun = self._remembered.value.get("creating_since")
        return datetime.fromisoformat(begun) if begun else None

    @property
    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Column types by table, as created and added to since."""
        return dict(self._remembered.value.get("tables", {}))

    @property
    def measures(self) -> Mapping[str, str]:
        """A hash of each measure's declaration."""
        return dict(self._remembered.value.get("measures", {}))

    @property
    def relationships(self) -> list[str]:
        """The relationships as created."""
        return list(self._remembered.value.get("relationships", []))

    def save(self, **changes: Any) -> None:
        """Write changes; they are on disk before this returns."""
        value = {**self._remembered.value, **changes}
        self._remembered = self.memory.write(self.NAME, self._remembered, value)
