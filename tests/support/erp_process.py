"""An ERP in a process of its own, so that tests may fork and kill theirs."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.support import elsewhere
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


class ErpProcess(elsewhere.Elsewhere):
    """`file` is an mlc.yaml for it, `environment` what that needs."""

    def __init__(self, pipe: Connection, folder: Path) -> None:
        super().__init__(pipe)
        now, secrets = self.told
        self.clock = ItsClock(now - datetime.now(UTC))
        self.file = folder / "mlc.yaml"
        self.environment: Mapping[str, str] = {**secrets, "MLC_CONFIG": str(self.file)}

    def happen(self) -> Happened:
        """See tests.support.late."""
        happened = self.ask("happen")
        assert isinstance(happened, Happened)
        return happened

    def page_cap(self, records: int) -> None:
        """The ERP gives so many records a page from now on."""
        self.ask("page_cap", records)

    def records(self, entity: str) -> dict[str, dict[str, Any]]:
        """The rows of an entity by key, as the ERP holds them."""
        rows = self.ask("records", entity)
        assert isinstance(rows, dict)
        return rows


def erp_process(folder: Path) -> AbstractContextManager[ErpProcess]:
    """A small ERP with one company, and an installation's settings in the folder."""
    return elsewhere.running(partial(ErpProcess, folder=folder), _serve, folder)


def _serve(pipe: Connection, folder: Path) -> None:
    os.environ.pop("MLC_CONFIG", None)
    with running_sandbox(scale=0.02, companies=(COMPANY,)) as sandbox:
        write_config(folder, sandbox.url, sandbox.vendors.values())
        secrets: dict[str, str] = {}
        for vendor in sandbox.vendors.values():
            secrets |= vendor.secrets()
        elsewhere.answer(
            pipe,
            (sandbox.clock.wire(), secrets),
            happen=lambda: happen(sandbox),
            page_cap=lambda records: sandbox.visma.switches.update({"page_cap": records}),
            records=lambda entity: _records(sandbox, entity),
        )


def _records(sandbox: Sandbox, entity: str) -> dict[str, dict[str, Any]]:
    table = sandbox.visma.table(COMPANY, entity)
    return {record.key: dict(table.row(record)) for record in table}
