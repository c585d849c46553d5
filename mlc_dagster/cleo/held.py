"""What waits for a person: changes of partners that cannot be carried out as they are, with every reason.

They stand in the quarantine of `cleo/inbox`, stage `held`, with all that is needed to carry them out later.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.delivery.quarantine import Quarantine, Refused

PLACE, STAGE = "cleo/inbox", "held"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why something is not done. `decidable`: a person may say that it is to be done all the same."""

    text: str
    decidable: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Something that waits. `kind`: notice or supplier; `said`: what the partner said, as JSON values."""

    company: str
    key: str
    number: str
    kind: str
    said: Mapping[str, Any]
    reason: str = ""


class Review:
    """The list of what waits."""

    def __init__(self, engine: sa.Engine, clock: Clock, run_id: str) -> None:
        self._quarantine, self._run_id = Quarantine(engine, clock), run_id

    def hold(self, item: Held, doubts: Sequence[Doubt]) -> None:
        """Put something on the list, or change why it is there."""
        raw = json.dumps({"kind": item.kind, "said": item.said}, ensure_ascii=False, sort_keys=True)
        reason = " ".join(doubt.text for doubt in doubts)
        self._settle(item.company, [Refused(STAGE, item.key, item.key, item.number, reason, raw)])

    def done(self, company: str, keys: Collection[str]) -> int:
        """Take what is settled off the list; how many there were."""
        return self._settle(company, (), keys)

    def waiting(self, number: str | None = None) -> list[Held]:
        """All that waits, or what has a number (of a notice, of a supplier); oldest first."""
        found = []
        for entry in self._quarantine.open(PLACE, number=number):
            if entry.stage == STAGE:
                raw = json.loads(entry.raw)
                where = (entry.company, entry.key, entry.number or "")
                found.append(Held(*where, raw["kind"], raw["said"], entry.reason))
        return found

    def _settle(self, company: str, refused: Sequence[Refused], passed: Collection[str] = ()) -> int:
        return self._quarantine.settle(
            stage=STAGE, place=PLACE, company=company, refused=refused, passed=passed, run_id=self._run_id
        )
