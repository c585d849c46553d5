"""Progress of long terminal work: a bar on a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

WATCH_SECONDS = 0.5


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

    @contextmanager
    def watching(self, steps: Callable[[], int]) -> Iterator[None]:
        """Show, on a terminal, how many steps of the part are done, while the block runs."""
        done = threading.Event()

        def watch() -> None:
            while self._bar and not done.wait(WATCH_SECONDS):
                text = f"{self._title}: {self._part}, {steps()} steps"
                self._bar.update(self._task, description=text)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def end(self, seconds: float) -> None:
        """The part is done."""
        if self._bar:
            self._bar.advance(self._task)
        self._console.print(f"{self._title}: {self._part} done in {seconds:.1f} s", highlight=False)
