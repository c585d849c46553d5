"""A pass of the way back killed anywhere is healed by the next one: each remark stands once in the note.

Only the database, the ERP and Asana outlive the process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml

from mlc_dagster import flow
from mlc_dagster.cli.sandbox import Sandbox, read_credentials
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.notes import Notes
from mlc_dagster.inbound.wayback import carry_back
from mlc_dagster.outlook import entities, span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from tests.support.kill import chosen, count, die, http_points, method_points
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

COMPANY = "NO01"
INSTRUMENTS = [http_points, method_points(Notes, "add"), method_points(Memory, "write")]
# A dead one's lease has ended by then.
LATER = timedelta(minutes=2)


@dataclass
class World:
    """An installation with one task that people talk at. Each suite is another process."""

    url: str
    file: Path
    task: str = ""
    key: str = ""
    now: timedelta = timedelta(0)

    def suite(self) -> Suite:
        return Suite(load_settings(self.file), ManualClock(datetime.now(UTC) + self.now))

    def begin(self) -> None:
        suite = self.suite()
        setup = suite.asana.setup
        setup.apply(setup.plan())
        days = span(suite.settings.start_day, today(suite))
        for entity in entities(suite, "asana"):
            flow.read(suite, entity, COMPANY, days, run_id="run 0")
        flow.send(suite, "asana/supplier_invoices", COMPANY, days, run_id="run 0")
        project = suite.asana.settings.destinations["supplier_invoices"].project
        tasks = requests.get(f"{self.url}/asana/control/projects/{project}/tasks", timeout=10).json()
        self.task, key = tasks[0]["gid"], tasks[0]["custom_fields"]["SupplierInvoiceId"]
        self.key = key.partition("|")[2]
        suite.engine.dispose()
        self.back()

    def say(self, text: str) -> None:
        answer = requests.post(
            f"{self.url}/asana/control/tasks/{self.task}/edit", json={"comment": text}, timeout=10
        )
        assert answer.ok, answer.text

    def back(self) -> None:
        suite = self.suite()
        try:
            carry_back(suite, run_id="run b")
        finally:
            suite.engine.dispose()

    def lines(self) -> list[str]:
        """What the note says, without days and names."""
        record = self.suite().visma(COMPANY).single(ENTITIES["supplier_invoices"], self.key)
        assert record is not None
        return [line.rpartition(": ")[2] for line in str(record.get("note") or "").splitlines()]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    with Sandbox.started(tmp_path, seed=3, scale="0.02", companies=(COMPANY,)) as sandbox:
        for name, value in read_credentials(tmp_path).items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "mlc.yaml"
        settings = yaml.safe_load(file.read_text())
        asana = settings["pairs"]["asana"]
        invoices = {**asana["destinations"]["supplier_invoices"], "way_back": {"comments": True}}
        settings["pairs"] = {"asana": {**asana, "destinations": {"supplier_invoices": invoices}}}
        file.write_text(yaml.safe_dump(settings))
        world = World(sandbox.url, file)
        world.begin()
        yield world


def test_a_pass_killed_anywhere_writes_each_line_once(world: World) -> None:
    world.say("at 0")
    points = count(world.back, INSTRUMENTS)
    assert "before Notes.add" in points
    for number in chosen(points, share=0.2, seed=1):
        world.say(f"at {number}")
        name = die(world.back, INSTRUMENTS, at=number)
        world.now += LATER
        world.back()
        assert world.lines().count(f"at {number}") == 1, name
    history = world.suite().audit.history(world.key.partition("|")[2])
    assert {event.kind for event in history if event.destination == "visma/supplier_invoices"} == {Kind.NOTED}
