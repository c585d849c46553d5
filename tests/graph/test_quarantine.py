"""A record that does not parse is kept and shown, holds nobody up, and is released when it parses again."""

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console

from mlc_dagster import flow
from mlc_dagster.cli import audit
from mlc_dagster.graph.run import PairRun
from mlc_dagster.outlook import left_behind
from tests.graph.conftest import MakeHouse
from tests.support.house import House
from tests.support.planning import expected

LINE = "supplierInvoice"


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(destinations=["suppliers", "supplier_invoices"])


@pytest.fixture
def broken(house: House) -> Iterator[str]:
    """The number of an invoice whose amount the ERP tells as a text."""
    invoice = next(row for row in house.sandbox.visma.truth("NO01", LINE) if row["documentType"] == "Invoice")
    number = str(invoice["referenceNumber"])
    key = f"Invoice|{number}"
    house.sandbox.visma.change("NO01", LINE, key, {"amount": "abc"})
    yield number
    house.sandbox.visma.change("NO01", LINE, key, {"amount": invoice["amount"]})


def invoices(house: House) -> int:
    return len(house.sandbox.visma.truth("NO01", LINE))


def run(house: House) -> PairRun:
    done = house.run()
    assert done.success
    return done


def test_the_others_go_on_and_every_record_is_accounted_for(house: House, broken: str) -> None:
    read = run(house).metadata["visma/supplier_invoices"]
    assert (read["read"], read["quarantined"]) == (invoices(house), 1)
    latest = house.suite().lake.latest("supplier_invoices", "NO01")
    assert latest is not None
    assert read["read"] == len(latest) + read["quarantined"]
    codes = set(house.modules()["DAT01 Supplier Invoices"])
    assert len(codes) == invoices(house) - 1
    assert f"NO01|Invoice|{broken}" not in codes


def test_the_asset_shows_which_record_and_why(house: House, broken: str) -> None:
    assert house.read("supplier_invoices").success
    [record] = house.shown("visma/supplier_invoices")["quarantine"].records
    assert record.data == {
        "record": f"NO01 Invoice|{broken}",
        "reason": 'amount: "abc" is no number',
    }


def test_the_audit_shows_the_reason_and_the_record_as_it_came(
    house: House, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.read("supplier_invoices").success
    paper = io.StringIO()
    monkeypatch.setattr(audit, "console", Console(file=paper, markup=False, soft_wrap=True, width=200))
    assert audit.show_audit(broken) == 0
    told = paper.getvalue()
    assert f'visma/supplier_invoices NO01 Invoice|{broken}: amount: "abc" is no number' in told
    raw = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    assert (raw["referenceNumber"], raw["amount"]) == (broken, "abc")
    assert "quarantined" in told


def test_it_is_released_and_delivered_once_it_parses_again(house: House, broken: str) -> None:
    run(house)
    quarantine = house.suite().quarantine
    assert [entry.number for entry in quarantine.open("visma/supplier_invoices", "NO01")] == [broken]
    house.sandbox.visma.change("NO01", LINE, f"Invoice|{broken}", {"amount": 100})
    run(house)
    assert quarantine.open("visma/supplier_invoices") == []
    module = "DAT01 Supplier Invoices"
    assert house.modules()[module] == expected(house.sandbox, ["NO01"])[module]


def test_a_record_broken_only_on_the_wire_is_released_though_it_never_changed(house: House) -> None:
    run(house)
    number = house.sandbox.visma.truth("NO01", LINE)[0]["referenceNumber"]
    house.sandbox.faults.arm("visma", "broken_row", match=f"/{LINE}", number=number)
    assert house.read("supplier_invoices").success
    quarantine = house.suite().quarantine
    assert quarantine.open("visma/supplier_invoices") != []
    assert house.read("supplier_invoices").success
    assert quarantine.open("visma/supplier_invoices") == []


def test_its_last_good_version_stays_at_the_target(house: House) -> None:
    run(house)
    before = house.modules()
    number = house.sandbox.visma.truth("NO01", LINE)[0]["referenceNumber"]
    house.sandbox.faults.arm("visma", "broken_row", times=None, match=f"/{LINE}", number=number)
    done = run(house)
    assert done.metadata["visma/supplier_invoices"]["quarantined"] > 0
    assert house.modules() == before


@pytest.mark.usefixtures("broken")
def test_a_record_that_did_not_parse_shows_at_the_destination_that_lacks_it(house: House) -> None:
    run(house)
    left = left_behind(house.suite(), "anaplan/supplier_invoices", "NO01")
    assert left == {"quarantined when read from the ERP": 1}
    day = house.suite().settings.start_day
    assert flow.forecast(house.suite(), "anaplan/supplier_invoices", "NO01", [day]).refused == 1
