"""Progress of long terminal work: a line for each part of it on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from mlc_dagster.cli.console import console


class Progress:
    """Counts the steps of works that go on side by side. Use it as a context manager.

    `works` names the steps of each work, in order.
    """

    def __init__(self, title: str, works: Mapping[str, Sequence[str]]) -> None:
        self._title, self._left = title, {name: list(steps) for name, steps in works.items()}
        name, step = TextColumn("{task.description}"), TextColumn("{task.fields[step]}")
        columns = (SpinnerColumn(), name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), step)
        self._bars = Bars(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks = {
            name: self._bars.add_task(f"{title}: {name}", total=len(steps), step=self._next(name))
            for name, steps in works.items()
        }

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def done(self, name: str, seconds: float) -> None:
        """The step of a work that was under way is done."""
        step = self._left[name].pop(0)
        self._bars.update(self._tasks[name], advance=1, step=self._next(name))
        console.print(f"{self._title}: {step} to {name} done in {seconds:.1f} s")

    def _next(self, name: str) -> str:
        return next(iter(self._left[name]), "done")
