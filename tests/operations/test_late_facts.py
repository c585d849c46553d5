"""Late facts at Asana, Cleo, Power BI and Tableau; Anaplan's are in tests/graph/test_late_facts.py."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from mlc_dagster import flow
from mlc_dagster.inbound import mailbox
from mlc_dagster.operations.sweeps import entities_of, sweep
from mlc_dagster.outlook import entities, first_open_day, span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.prove.equal import differences
from tests.prove.erp import Office
from tests.prove.readers import Asana, PowerBi, Tableau
from tests.prove.world import MAIN, World
from tests.support.house import running_sandbox
from tests.support.late import (
    COMPANY,
    LEFT,
    LINES,
    NEW_ACCOUNT,
    NEW_ORDER,
    NEW_SUPPLIER,
    Happened,
    account_of,
    happen,
)
from tests.support.sandbox_time import SandboxTime

LEDGER = {"gl_accounts", "journal_transactions"}
PAIRS = ("asana", "cleo", "powerbi", "tableau")


@dataclass(frozen=True)
class Installation:
    """One company at four targets. Each of its suites is another process."""

    sandbox: Sandbox
    world: World

    def suite(self) -> Suite:
        return Suite(load_settings(self.world.folder / "mlc.yaml"), SandboxTime(self.sandbox.clock))

    def read(self) -> None:
        """What a daily run reads: from the first day that is not wholly read."""
        suite = self.suite()
        last = today(suite)
        names = {each.name for pair in PAIRS for each in entities(suite, pair)} | LEDGER
        for name in sorted(names):
            first = first_open_day(suite, ENTITIES[name], COMPANY, last)
            flow.read(suite, ENTITIES[name], COMPANY, span(first, last), run_id="run")

    def send(self) -> None:
        suite = self.suite()
        for name in suite.destinations():
            flow.send(suite, name, COMPANY, [today(suite)], run_id="run")
        mailbox.receive(suite, run_id="run")

    def sweep(self) -> None:
        suite = self.suite()
        for entity in entities_of(suite, COMPANY):
            sweep(suite, entity, COMPANY, run_id="sweep")

    def unlike(self) -> list[str]:
        """Every difference between the ERP and a target, seen by code that is none of the product. What is
        at partners is looked at apart: they keep what they have.
        """
        suite = self.suite()
        refused = {
            f"{name} {entry.key or entry.source_key}": entry.reason
            for name in suite.destinations()
            for entry in suite.quarantine.open(name, COMPANY)
        }
        shown = replace(self.world, pairs=tuple(pair for pair in PAIRS if pair != "cleo"))
        return differences(
            shown, refused, known=frozenset(), asked=frozenset(), office=Office(shown, Random(1))
        )[1]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Loaded, with the main documents only."""
    folder = tmp_path_factory.mktemp("late")
    with running_sandbox(scale=0.02, companies=(COMPANY,)) as sandbox:
        file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
        settings = yaml.safe_load(file.read_text())
        settings["pairs"] = {pair: settings["pairs"][pair] for pair in PAIRS}
        for pair in ("powerbi", "tableau"):
            given = settings["pairs"][pair]["destinations"]
            kept = {name: given[name] for name in MAIN[pair]} if isinstance(given, dict) else list(MAIN[pair])
            settings["pairs"][pair]["destinations"] = kept
        file.write_text(yaml.safe_dump(settings))
        secrets = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
        environment = {**secrets, "MLC_CONFIG": str(file)}
        with patch.dict(os.environ, environment):
            world = World(sandbox.url, folder, (COMPANY,), PAIRS, environment, process=None)
            made = Installation(sandbox, world)
            for target in (made.suite().powerbi, made.suite().asana):
                target.setup.apply(target.setup.plan())
            made.read()
            made.send()
            assert made.unlike() == []
            yield made


@pytest.fixture(scope="module")
def facts(installation: Installation) -> Happened:
    """The ERP does it all, the keys are swept, and one daily run follows."""
    happened = happen(installation.sandbox)
    installation.sweep()
    installation.read()
    installation.send()
    return happened


@pytest.mark.usefixtures("facts")
def test_every_target_equals_the_erp_whatever_happened_there(installation: Installation) -> None:
    assert installation.unlike() == []


def test_asana_closes_the_task_of_a_document_that_vanished_and_nothing_is_left_to_pay_on_it(
    installation: Installation, facts: Happened
) -> None:
    for key in (facts.vanished, facts.retyped):
        task, fields = invoice_task(installation, key)
        assert task["completed"]
        assert (fields["ERP status"], Decimal(fields["Balance"])) == ("Deleted", 0)
    task, fields = invoice_task(installation, facts.retyped_now)
    assert fields["ERP status"] != "Deleted"


@pytest.mark.parametrize("reader", [PowerBi, Tableau])
def test_analysts_find_a_document_under_its_new_type_and_number_only(
    installation: Installation, facts: Happened, reader: type[PowerBi] | type[Tableau]
) -> None:
    at = reader(installation.world)
    rows = at.fact("Supplier invoices") if isinstance(at, PowerBi) else at.rows("Supplier invoices")
    codes = {row["Code"] for row in rows}
    assert f"{COMPANY}|{facts.retyped_now}" in codes
    assert not codes & {f"{COMPANY}|{facts.retyped}", f"{COMPANY}|{facts.vanished}"}
    assert next(row for row in rows if row["Code"] == f"{COMPANY}|{facts.backdated}")["Balance"] == LEFT


@pytest.mark.parametrize("reader", [PowerBi, Tableau])
def test_analysts_find_a_supplier_under_its_new_number_only(
    installation: Installation, facts: Happened, reader: type[PowerBi] | type[Tableau]
) -> None:
    at = reader(installation.world)
    rows = at.table("Suppliers") if isinstance(at, PowerBi) else at.rows("Suppliers")
    codes = {row["Code"] for row in rows}
    assert f"{COMPANY}|{NEW_SUPPLIER}" in codes
    assert not codes & {f"{COMPANY}|{facts.renumbered}", f"{COMPANY}|{facts.merged}"}


def test_cleo_cancels_nothing_by_itself_and_asks_a_person_about_each_document_that_is_gone(
    installation: Installation, facts: Happened
) -> None:
    received = installation.world.control("GET", "/cleo/control/received")
    assert received["refused"] == []
    assert {order["status"] for order in received["documents"]["850"]} == {"open"}
    waiting = {
        entry.key: entry.reason
        for name in ("cleo/purchase_orders", "cleo/supplier_invoices")
        for entry in installation.suite().quarantine.open(name, COMPANY)
    }
    for key in (facts.vanished, facts.retyped, facts.order_vanished, facts.order_renumbered):
        assert "is gone from the ERP" in waiting[f"{COMPANY}|{key}"]
    assert f"{COMPANY}|{facts.backdated}" not in waiting, "what changed of it is nothing that an 810 tells"


def test_the_file_of_suppliers_has_the_new_number_and_name_of_each(
    installation: Installation, facts: Happened
) -> None:
    held = installation.world.control("GET", "/cleo/control/suppliers")["held"]
    names = {row["number"]: row["name"] for row in held}
    for row in installation.sandbox.visma.truth(COMPANY, "supplier"):
        assert names[row["number"]] == row["name"]
    assert names[NEW_SUPPLIER] == names[facts.renumbered], "what the other side has stays there"


def test_a_partner_gets_the_new_number_of_an_order(installation: Installation, facts: Happened) -> None:
    received = installation.world.control("GET", "/cleo/control/received")["documents"]["850"]
    assert NEW_ORDER in {order["number"] for order in received}
    assert facts.order_renumbered.split("|")[1] in {order["number"] for order in received}


def test_a_partner_does_not_get_a_credit_note_under_the_number_of_the_invoice_it_was(
    installation: Installation, facts: Happened
) -> None:
    entries = installation.suite().quarantine.open("cleo/supplier_invoices", COMPANY)
    [entry] = [entry for entry in entries if entry.key == f"{COMPANY}|{facts.retyped_now}"]
    assert f"has {COMPANY}|{facts.retyped} under the number" in entry.reason


@pytest.mark.parametrize(
    ("entity", "api"),
    [
        ("supplier_invoices", "supplierInvoice"),
        ("journal_transactions", "journaltransaction"),
    ],
)
def test_lines_show_the_new_number_of_an_account_though_no_stamp_of_theirs_moved(
    installation: Installation, facts: Happened, entity: str, api: str
) -> None:
    latest = installation.suite().lake.latest(entity, COMPANY)
    assert latest is not None
    alive = [row for row in latest.to_pylist() if not row["_deleted"]]
    numbers = {account_of(line) for row in alive for line in row[LINES[api]]}
    assert NEW_ACCOUNT in numbers
    assert facts.account not in numbers


@pytest.mark.usefixtures("facts")
def test_an_account_nobody_names_costs_no_read_of_documents(installation: Installation) -> None:
    visma = installation.sandbox.visma
    named = {
        account_of(line)
        for api, lines in LINES.items()
        for row in visma.truth(COMPANY, api)
        for line in row[lines]
    }
    unused = min({account.key for account in visma.table(COMPANY, "account")} - named)
    visma.delete(COMPANY, "account", unused)
    swept = sweep(installation.suite(), ENTITIES["gl_accounts"], COMPANY, run_id="sweep")
    assert (swept.vanished, swept.read_again) == (1, ())


@pytest.mark.usefixtures("facts")
def test_a_second_sweep_finds_nothing_and_changes_nothing(installation: Installation) -> None:
    suite = installation.suite()
    installation.read()
    for entity in entities_of(suite, COMPANY):
        swept = sweep(suite, entity, COMPANY, run_id="sweep")
        assert (swept.vanished, swept.renumbered, swept.late_days) == (0, 0, 0), entity.name
    for name in suite.destinations():
        report = flow.send(suite, name, COMPANY, [today(suite)], run_id="run")
        assert (report.created, report.updated, report.deleted) == (0, 0, 0), name


def invoice_task(installation: Installation, key: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The task of an invoice, and its fields by name as people see them."""
    for task in Asana(installation.world).tasks("supplier_invoices"):
        fields = {field["name"]: field["display_value"] for field in task["custom_fields"]}
        if fields["SupplierInvoiceId"] == f"{COMPANY}|{key}":
            return task, fields
    raise AssertionError(f"{key} has no task")
