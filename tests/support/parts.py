"""What targets are built from, without settings and a suite around it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.mappings import Mappings
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from mlc_dagster.transport.budget import Budgets
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.vault import KeyFile, KeyRing, Vault


@dataclass
class TestParts:
    """The parts over one database; `folder` holds the vault's key."""

    __test__ = False
    engine: sa.Engine
    clock: Clock
    folder: Path = Path()
    counter: CallCounter = field(default_factory=CallCounter)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.engine, self.clock)

    @property
    def mappings(self) -> Mappings:
        return mappings_in(REPOSITORY / "dbt_like_mappings")

    @cached_property
    def budgets(self) -> Budgets:
        return Budgets(self.engine, self.clock)

    @property
    def leases(self) -> Leases:
        return Leases(self.engine, self.clock)

    @property
    def vault(self) -> Vault:
        return Vault(
            self.engine, KeyRing(KeyFile(self.folder / "vault.key")), writer="run 1", now=self.clock.now
        )
