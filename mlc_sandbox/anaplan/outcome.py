"""What a run of an import, export or action leaves: counts, rejected rows, details, the failure dump."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mlc_sandbox.anaplan.sheet import Row

Error = tuple[str, str]  # row type of vendors/anaplan.md section 7, text


@dataclass(slots=True)
class Problem:
    """A rejected row (E) or one that loaded with a warning (W)."""

    status: str
    row: Row
    errors: list[Error]


@dataclass(slots=True)
class Outcome:
    """One object's result; a process has one per step."""

    object_id: str
    object_name: str
    successful: bool = True
    details: list[dict[str, Any]] = field(default_factory=list)
    headers: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def has_dump(self) -> bool:
        """Whether there are rows to download."""
        return bool(self.problems)

    def reject(self, row: Row, errors: list[Error], status: str = "E") -> None:
        """Note a rejected row, or a warned one."""
        self.problems.append(Problem(status, row, errors))

    def count(self, status: str) -> int:
        """Rows rejected (E) or warned (W)."""
        return sum(1 for problem in self.problems if problem.status == status)

    def fail(self, kind: str, text: str) -> None:
        """The whole step failed."""
        self.successful = False
        self.details = [detail(kind, text)]

    def dump_text(self) -> str:
        """The failure dump: `_Status_`, the source columns, `_Line_`, `_Error_1_` ...; every field quoted."""
        width = max((len(problem.errors) for problem in self.problems), default=1)
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["_Status_", *self.headers, "_Line_", *(f"_Error_{n}_" for n in range(1, width + 1))])
        for problem in self.problems:
            cells = (problem.row.cells + [""] * len(self.headers))[: len(self.headers)]
            errors = [text for _, text in problem.errors]
            padding = [""] * (width - len(errors))
            writer.writerow([problem.status, *cells, problem.row.line, *errors, *padding])
        return out.getvalue()


def detail(
    kind: str, text: str, values: dict[str, Any] | None = None, occurrences: int = 0
) -> dict[str, Any]:
    """One entry of `result.details`; `values` goes out as a flat list of texts, or not at all."""
    flat = [str(part) for pair in (values or {}).items() for part in pair]
    entry: dict[str, Any] = {"type": kind, "localMessageText": text, "occurrences": occurrences}
    return entry | ({"values": flat} if flat else {})


def error_details(problems: list[Problem]) -> list[dict[str, Any]]:
    """One detail per kind of row error, with how often it occurred."""
    kinds = Counter(kind for problem in problems for kind, _ in problem.errors)
    first = {kind: text for problem in reversed(problems) for kind, text in problem.errors}
    return [detail(kind, first[kind], occurrences=times) for kind, times in kinds.items()]
