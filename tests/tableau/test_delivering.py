"""What the downloaded extract holds after a delivery is what the ERP says, row for row."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest

from mlc_dagster.delivery import Quarantine, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.tableau.destination import DataSource
from mlc_sandbox.server import Sandbox
from mlc_sandbox.tableau import World
from tests.support.parts import TestParts
from tests.tableau.site import (
    INVOICES,
    SUPPLIERS,
    TITLE,
    Installation,
    changed_contract,
    changed_models,
    invoice,
    supplier,
)

UPDATE, PUBLISH = r"PATCH .*/data\?", r"POST .*/datasources\?"


def test_the_first_delivery_publishes_and_the_extract_holds_every_value_exactly(ours: Installation) -> None:
    rows = [
        invoice("1", "0.0001"),
        invoice("2", "-99999999999999.9999"),
        invoice("3", due_date=date(1999, 1, 2)),
    ]
    report = ours.deliver(rows)
    assert (report.created, report.complete) == (3, True)
    assert ours.shown() == ours.wanted(rows)


def test_changes_and_deletes_go_in_one_update_of_the_rows(ours: Installation, sandbox: Sandbox) -> None:
    first = [invoice("1"), invoice("2"), invoice("3")]
    ours.deliver(first)
    sandbox.log.reset()
    second = [invoice("1"), invoice("2", "20.5"), invoice("4")]
    report = ours.deliver(second, gone=[first[2]])
    assert (report.created, report.updated, report.deleted, report.unchanged) == (1, 1, 1, 1)
    assert ours.shown() == ours.wanted(second)
    assert sandbox.log.count("tableau", method="PATCH") == 1
    assert sandbox.log.count("tableau", method="POST", match=r"/datasources\?") == 0


def test_a_second_run_without_changes_makes_no_call(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver([invoice("1")])
    sandbox.log.reset()
    assert ours.deliver([invoice("1")]).unchanged == 1
    assert sandbox.log.count("tableau") == 0


def test_only_deletes_are_an_update_too(ours: Installation) -> None:
    rows = [invoice("1"), invoice("2")]
    ours.deliver(rows)
    assert ours.deliver([], gone=rows).deleted == 2
    assert ours.shown() == {}


def test_companies_share_a_data_source_and_leave_each_other_alone(ours: Installation) -> None:
    norway, sweden = [invoice("1")], [invoice("1", company="SE01"), invoice("2", company="SE01")]
    ours.deliver(norway)
    ours.deliver(sweden, company="SE01")
    ours.deliver([], gone=[sweden[1]], company="SE01")
    assert ours.shown() == ours.wanted([*norway, sweden[0]])


def test_a_deleted_data_source_is_published_again_with_everything(ours: Installation, world: World) -> None:
    rows = [invoice("1"), invoice("2")]
    ours.deliver(rows)
    world.remove(world.site(), world.datasource(TITLE))
    found = reconcile(
        ours.ledger, ours.tableau.read_back("supplier_invoices"), INVOICES, "NO01", tombstone=None
    )
    assert (found.missing, found.equal) == (2, False)
    with pytest.raises(Stop, match="mlc resend tableau/supplier_invoices"):
        ours.tableau.read_back("supplier_invoices").check()
    after = [invoice("1"), invoice("2", "7")]
    ours.deliver(after)
    assert ours.shown() == ours.wanted(after)


CHANGED_COLUMNS = [
    ("vat_amount: {caption: VAT amount}", "vat_amount: {caption: VAT}"),
    ('balance: {type: "decimal(18,4)"', 'balance: {type: "decimal(16,4)"'),
]


@pytest.mark.parametrize("change", CHANGED_COLUMNS, ids=["a caption", "a type"])
def test_columns_that_change_are_published_though_no_row_has_changed(
    ours: Installation,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
) -> None:
    rows = [invoice("1"), invoice("2")]
    ours.deliver(rows)
    # Part of each row's hash: another text than in the first release would send all rows again.
    assert ours.destination().target.endswith(f"|ERP|{TITLE}")
    monkeypatch.setattr(TestParts, "mappings", changed_contract(tmp_path / "models", *change))
    ours.deliver(rows)
    assert ours.shown() == ours.wanted(rows)
    assert [event.what for event in world.datasource(TITLE).history].count("overwrite") == 2
    assert ours.deliver(rows).unchanged == 2


@pytest.mark.parametrize("keeps", [True, False])
def test_an_overwritten_data_source_is_found_whether_or_not_it_keeps_its_id(
    ours: Installation, sandbox: Sandbox, keeps: bool
) -> None:
    sandbox.tableau.switches.update({"overwrite_keeps_id": keeps, "index_lag_lists": 2})
    ours.deliver([invoice("1")])
    ours.destination()._source().save(fingerprint="")
    ours.deliver([invoice("1", "2")])
    ours.deliver([invoice("1", "3")])
    assert ours.shown() == ours.wanted([invoice("1", "3")])


def test_a_data_source_of_that_name_that_is_not_ours_is_left_alone_until_it_is_taken_over(
    install: Callable[..., Installation], engine, tmp_path
) -> None:
    install().deliver([supplier("1")], name=SUPPLIERS)
    stranger = install()
    stranger.tableau.memory.write(
        "datasource:Suppliers", stranger.tableau.memory.read("datasource:Suppliers"), {}
    )
    with pytest.raises(Stop, match="mlc tableau setup"):
        stranger.deliver([supplier("2")], name=SUPPLIERS)
    setup = stranger.tableau.setup(None)
    plan = setup.plan()
    assert plan.steps == ["take over the data source 'Suppliers': the next delivery replaces its rows"]
    setup.apply(plan)
    stranger.deliver([supplier("1"), supplier("2")], name=SUPPLIERS)
    assert set(stranger.shown(SUPPLIERS)) == {"NO01|1", "NO01|2"}


@pytest.mark.parametrize("name", ["Finance", "Finance, tax & audit: [new]*"])
def test_set_up_makes_the_project(install: Callable[..., Installation], name: str) -> None:
    ours = install(project=name)
    with pytest.raises(Stop, match=f"no project {re.escape(repr(name))}"):
        ours.deliver([invoice("1")])
    setup = ours.tableau.setup(None)
    assert setup.plan().steps == [f"create the project {name!r}"]
    setup.apply(setup.plan())
    assert setup.plan().steps == []
    assert ours.deliver([invoice("1")]).complete


def test_a_row_without_its_key_is_refused_in_words(ours: Installation) -> None:
    assert ours.deliver([invoice("1", code=None), invoice("2")]).quarantined == 1
    (entry,) = Quarantine(ours.engine, ours.clock).open(INVOICES, "NO01")
    assert "code, which is its key, is empty" in entry.reason


def test_a_row_that_hyper_cannot_hold_is_refused_in_words_and_the_rest_goes(ours: Installation) -> None:
    report = ours.deliver([invoice("1", description="a\0b"), invoice("2")])
    assert (report.quarantined, report.created) == (1, 1)
    (entry,) = Quarantine(ours.engine, ours.clock).open(INVOICES, "NO01")
    assert "zero character" in entry.reason


def test_two_companies_may_not_share_a_row(ours: Installation) -> None:
    ours.deliver([supplier("1", company="X")], name=SUPPLIERS)
    ours.destination(SUPPLIERS)._source().save(fingerprint="")
    with pytest.raises(Stop, match="put the company into the key"):
        ours.deliver([supplier("1", company="X")], name=SUPPLIERS, company="SE01")


def test_rows_that_may_not_be_sent_hold_nothing_up_once_they_are_mended_though_their_sender_died(
    ours: Installation,
) -> None:
    ours.deliver([supplier("1", company="X")], name=SUPPLIERS)
    ours.destination(SUPPLIERS)._source().save(fingerprint="")
    with patch.object(DataSource, "send", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        ours.deliver([supplier("1", company="X")], name=SUPPLIERS, company="SE01")
    mended = [supplier("1", company="SE01")]
    assert ours.deliver(mended, name=SUPPLIERS, company="SE01", gone=[supplier("1", company="X")]).complete
    assert set(ours.shown(SUPPLIERS)) == {"X|1", "SE01|1"}


def test_a_data_source_that_people_renamed_gets_no_second_one_beside_it(
    ours: Installation, world: World
) -> None:
    ours.deliver([invoice("1")])
    source = world.datasource(TITLE)
    source.name = "Payables"
    ours.deliver([invoice("1", "2")])
    ours.destination()._source().save(fingerprint="")
    with pytest.raises(Stop, match="'Payables'"):
        ours.deliver([invoice("1", "3")])
    source.name = TITLE
    ours.deliver([invoice("1", "3")])
    assert ours.shown() == ours.wanted([invoice("1", "3")])


def test_another_key_column_is_published_though_the_other_company_s_rows_do_not_have_it_yet(
    ours: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norway, sweden = [invoice("1")], [invoice("1", company="SE01")]
    ours.deliver(norway)
    ours.deliver(sweden, company="SE01")
    keyed = "key: [{0}]\nnumber: reference_number\ncolumns:\n  {0}:"
    contract = ("yml", keyed.format("code"), keyed.format("record"))
    changed = changed_models(tmp_path / "models", contract, ("sql", " as code", " as record"))
    monkeypatch.setattr(TestParts, "mappings", changed)
    norway, sweden = [
        [invoice("1", company=row.payload["company"], record=row.key)] for (row,) in (norway, sweden)
    ]
    ours.deliver(norway)
    ours.deliver(sweden, company="SE01")
    assert ours.shown() == ours.wanted([*norway, *sweden])


@pytest.mark.parametrize("shape", ["tdsx", "hyper"])
def test_the_read_back_finds_what_somebody_changed(
    ours: Installation, sandbox: Sandbox, world: World, shape: str
) -> None:
    sandbox.tableau.switches.update({"download_as": shape})
    ours.deliver([invoice("1"), invoice("2")])
    back = ours.tableau.read_back("supplier_invoices")
    assert reconcile(ours.ledger, back, INVOICES, "NO01", tombstone=None).equal
    deleting = {
        "action": "delete",
        "target-schema": "Extract",
        "target-table": "Extract",
        "condition": {
            "op": "eq",
            "target-col": "Code",
            "const": {"type": "string", "v": "NO01|Invoice|1"},
        },
    }
    ours.tableau.client.update(world.datasource(TITLE).id, [deleting], "somebody else", None)
    assert not reconcile(ours.ledger, back, INVOICES, "NO01", tombstone=None).equal


def test_decimals_are_numeric_in_the_published_file(ours: Installation, world: World) -> None:
    ours.deliver([invoice("1", "1.005")])
    (row,) = world.rows(TITLE)
    assert Decimal(row["Amount"]) == Decimal("1.005")
    assert row["Amount"] == "1.0050"
