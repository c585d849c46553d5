"""Mistakes in files people edit: each with its place and its remedy, all reported at once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class ProblemsFound(Exception):
    """Raised before anything runs; its text lists every problem on a line of its own."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = f"{len(self.problems)} problem" + ("" if len(self.problems) == 1 else "s")
        super().__init__("\n".join([f"{count} found:", *(f"  {problem}" for problem in self.problems)]))


def decoded(data: bytes, file: str, remedy: str = "Save it as UTF-8.") -> str:
    """The text of a file that people edit; `file` is its name in messages. Raises ProblemsFound."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProblemsFound([Problem(file, line, "This is not UTF-8.", remedy)]) from None
