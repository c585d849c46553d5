"""An ERP in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from mlc_sandbox.config import write_config
from tests.support.house import running_sandbox
from tests.support.late import COMPANY, Happened, happen


@dataclass(frozen=True)
class ItsClock:
    """The ERP's time in another process."""

    shift: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return monotonic()

    def sleep(self, seconds: float) -> None:
        sleep(seconds)


class ErpProcess:
    """Speaks with the process over a pipe. `file` is an mlc.yaml for it, `environment` what that needs."""

    def __init__(self, pipe: Connection, folder: Path) -> None:
        self._pipe = pipe
        now, secrets = pipe.recv()
        self.clock = ItsClock(now - datetime.now(UTC))
        self.file = folder / "mlc.yaml"
        self.environment: Mapping[str, str] = {**secrets, "MLC_CONFIG": str(self.file)}

    def happen(self) -> Happened:
        """See tests.support.late."""
        happened = self._ask("happen")
        assert isinstance(happened, Happened)
        return happened

    def page_cap(self, records: int) -> None:
        """The ERP gives so many records a page from now on."""
        self._ask("page_cap", records)

    def records(self, entity: str) -> dict[str, dict[str, Any]]:
        """The rows of an entity by key, as the ERP holds them."""
        rows = self._ask("records", entity)
        assert isinstance(rows, dict)
        return rows

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def erp_process(folder: Path) -> Iterator[ErpProcess]:
    """A small ERP with one company, and an installation's settings in the folder."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, folder), daemon=True)
    process.start()
    try:
        yield ErpProcess(ours, folder)
    finally:
        ours.send(None)
        process.join(timeout=10)


def _serve(pipe: Connection, folder: Path) -> None:
    os.environ.pop("MLC_CONFIG", None)
    with running_sandbox(scale=0.02, companies=(COMPANY,)) as sandbox:
        write_config(folder, sandbox.url, sandbox.vendors.values())
        secrets: dict[str, str] = {}
        for vendor in sandbox.vendors.values():
            secrets |= vendor.secrets()
        pipe.send((sandbox.clock.wire(), secrets))
        while (question := pipe.recv()) is not None:
            match question:
                case ("happen",):
                    pipe.send(happen(sandbox))
                case ("page_cap", records):
                    pipe.send(sandbox.visma.switches.update({"page_cap": records}))
                case ("records", entity):
                    table = sandbox.visma.table(COMPANY, entity)
                    pipe.send({record.key: dict(table.row(record)) for record in table})
