"""Progress of long terminal work: a bar on a terminal, plain lines elsewhere."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Counts the parts of a piece of work. Use it as a context manager."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._part = title, ""
        self._console = Console()
        self._bar: RichProgress | None = None
        if self._console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._bar = RichProgress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, part: str) -> None:
        """A part starts."""
        self._part = part
        if self._bar:
            self._bar.update(self._task, description=f"{self._title}: {part}")

    def step(self, name: str) -> None:
        """Something inside the part is under way; shown on a terminal only."""
        if self._bar:
            self._bar.update(self._task, description=f"{self._title}: {self._part}: {name}")

    def end(self, seconds: float) -> None:
        """The part is done."""
        if self._bar:
            self._bar.advance(self._task)
        self._console.print(f"{self._title}: {self._part} done in {seconds:.1f} s", highlight=False)
