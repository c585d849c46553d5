"""One command, measured from outside: wall, CPU and memory of its process tree, and its first durable row."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Cost:
    """What a command took.

    `cpu` is user and system seconds of the process and its children; `peak` is the memory in bytes of the
    largest of them; `told` is the JSON it printed; `durable_at` is the Unix time of the first file watched
    for.
    """

    wall: float
    cpu: float
    peak: int
    told: Mapping[str, Any]
    durable_at: float | None = None


class CommandFailed(Exception):
    """A measured command ended with an error."""


def measure(
    command: Sequence[str], *, env: Mapping[str, str], log: Path, watch: tuple[Path, str] | None = None
) -> Cost:
    """Run a command to its end; `watch` is a folder and the pattern of the files that hold rows.

    Raises:
        CommandFailed: with the end of its log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        lookout = _Lookout(*watch) if watch else None
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)  # also counts the children it has waited for
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    durable_at = lookout.end() if lookout else None
    if process.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, _json(printed), durable_at)


class _Lookout:
    """Looks for the first file with rows, every few milliseconds, until there is one."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder, self._pattern = folder, pattern
        self._known = set(files_in(folder, pattern))
        self._found: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float | None:
        """When the first one appeared; None when none did."""
        self._over.set()
        self._thread.join()
        return self._found

    def _look(self) -> None:
        while self._found is None and not self._over.wait(LOOK_SECONDS):
            if new := set(files_in(self._folder, self._pattern)) - self._known:
                self._found = min(changed_ns for _, changed_ns in new) / 1e9


def files_in(folder: Path, pattern: str) -> Iterator[tuple[Path, int]]:
    """The finished files in a folder that have some content, with their time of change in nanoseconds.

    Names that begin with a dot are not finished, and dlt's own tables hold no rows.
    """
    for path in folder.glob(pattern):
        if path.name.startswith(".") or path.parent.name.startswith("_dlt"):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if status.st_size:
            yield path, status.st_mtime_ns


def _json(printed: str) -> Mapping[str, Any]:
    """The last line a client printed, when it is JSON."""
    last = printed.strip().splitlines()[-1:]
    return dict(json.loads(last[0])) if last and last[0].startswith("{") else {}
