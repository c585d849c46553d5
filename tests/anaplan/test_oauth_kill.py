"""A process killed anywhere in a refresh leaves a grant that goes on, or words that tell why it cannot."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from mlc_dagster.anaplan.connect import GRANT
from mlc_dagster.anaplan.oauth import Client, open_oauth_service
from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.grant import StoredGrant
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.vault import KeyFile, KeyRing, Vault
from mlc_sandbox.anaplan.oauth import DEVICE_CLIENT
from tests.anaplan import tenant
from tests.support.kill import count, die, http_points, method_points
from tests.support.postgres import sqlite_url
from tests.transport.clocks import ManualClock

__all__ = ["sqlite_url"]

pytestmark = pytest.mark.kill

INSTRUMENTS = [http_points, method_points(Vault, "write")]
# Between the answer and its storing nobody but the dead process knew the new refresh token.
LOST = {"after Session.send", "before Vault.write"}


@pytest.fixture(scope="module")
def anaplan() -> Iterator[str]:
    with tenant.running() as started:
        yield f"{started.url}/anaplan"


class Process:
    """The grant as a new process sees it, on a clock that is some minutes away from now."""

    def __init__(self, database: str, folder: Path, anaplan: str, minutes: float, writer: str) -> None:
        clock = ManualClock(datetime.now(UTC) + timedelta(minutes=minutes))
        self.engine = connect(database)
        migrate(self.engine)
        vault = Vault(self.engine, KeyRing(KeyFile(folder / "vault.key")), writer=writer, now=clock.now)
        service = open_oauth_service(anaplan, Client(DEVICE_CLIENT), clock=clock)
        self.grant = StoredGrant(GRANT, service, vault=vault, leases=Leases(self.engine, clock), clock=clock)

    def log_in(self) -> None:
        service = self.grant.service
        self.grant.keep(service.by_device(service.device_code()))
        self.engine.dispose()

    def fetch(self) -> str:
        try:
            return self.grant.fetch().value
        finally:
            self.engine.dispose()


def test_a_process_killed_in_a_refresh_costs_at_most_a_login_and_says_so(
    sqlite_url: str, tmp_path: Path, anaplan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLC_VAULT_KEY", raising=False)

    def process(minutes: float, writer: str) -> Process:
        return Process(sqlite_url, tmp_path, anaplan, minutes, writer)

    def refresh() -> None:
        process(0, "run 7").fetch()

    process(-34, "cli").log_in()
    points = count(refresh, INSTRUMENTS)
    assert points.count("before Session.send") == 1
    for number, name in enumerate(points, start=1):
        process(-34, "cli").log_in()
        assert die(refresh, INSTRUMENTS, at=number) == name
        answered = "after Session.send" in points[:number] and number < len(points)
        later = process(3, "run 8")  # when the dead one's lease has ended
        if answered:
            assert name in LOST
            with pytest.raises(Misconfigured, match=r"by run 7.* Run `mlc anaplan login` again"):
                later.fetch()
        else:
            bearer = {"Authorization": f"Bearer {later.fetch()}"}
            assert requests.get(f"{anaplan}/2/0/models", headers=bearer, timeout=30).status_code == 200
