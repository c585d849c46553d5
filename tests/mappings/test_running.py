import os
import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mapped, MappingErrors, MappingFailed, Mappings
from tests.mappings.examples import (
    CATALOG,
    COMPANY,
    DAY,
    INVOICES_SQL,
    INVOICES_YML,
    NEXT_DAY,
    NOON,
    folder,
    invoice,
    invoices_folder,
    record,
    write,
)
from tests.support.object_store import fresh_folder

MODEL = "target/invoices"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def mappings(tmp_path: Path) -> Mappings:
    return Mappings.load(invoices_folder(tmp_path / "models"), CATALOG)


def amounts(mapped: Mapped) -> dict[str, Decimal]:
    return {row.key: row.payload["amount"] for row in mapped.rows()}


def seen(mappings: Mappings, lake: Lake) -> str:
    return mappings.fingerprint(MODEL, lake, COMPANY)


def test_rows_have_the_contracts_columns_types_and_values(lake: Lake, mappings: Mappings) -> None:
    write(lake, "suppliers", record("50000", name="Fjord AS"))
    write(lake, "invoices", invoice("10023", "12345678901234.5"))
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY])
    assert mapped.table.schema == mappings.models[MODEL].schema
    (row,) = mapped.rows()
    assert (row.key, row.source_key, row.number) == ("NO01|10023", "10023", "10023")
    assert row.payload == {
        "code": "NO01|10023",
        "number": "10023",
        "supplier_name": "Fjord AS",
        "amount": Decimal("12345678901234.50"),
    }


def test_a_run_covers_the_changed_days_keys_and_outstanding_ones(lake: Lake, mappings: Mappings) -> None:
    write(lake, "invoices", invoice("1"), invoice("2"), invoice("3"))
    write(lake, "invoices", invoice("4"), day=NEXT_DAY)
    mapped = mappings.run(MODEL, lake, COMPANY, [NEXT_DAY], also={"2"}, seen=seen(mappings, lake))
    assert not mapped.whole
    assert mapped.scope == {"2", "4"}
    assert set(amounts(mapped)) == {"NO01|2", "NO01|4"}


def test_replaying_an_old_day_delivers_its_records_as_they_are_now(lake: Lake, mappings: Mappings) -> None:
    write(lake, "invoices", invoice("1", "10"))
    write(lake, "invoices", invoice("1", "20", stamp=NOON + timedelta(days=1)), day=NEXT_DAY)
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY], seen=seen(mappings, lake))
    assert amounts(mapped) == {"NO01|1": 20}


def test_a_deleted_record_is_in_scope_and_has_no_row(lake: Lake, mappings: Mappings) -> None:
    write(lake, "invoices", invoice("1"), invoice("2", _deleted=True))
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY])
    assert mapped.scope == {"1", "2"}
    assert set(amounts(mapped)) == {"NO01|1"}


def test_a_key_the_lake_does_not_know_is_not_answered_for(lake: Lake, mappings: Mappings) -> None:
    """A lake that was lost and is being filled again must not look like deletions."""
    write(lake, "invoices", invoice("1"))
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY], also={"lost"}, seen=seen(mappings, lake))
    assert mapped.scope == {"1"}


def test_an_empty_lake_answers_for_nothing(lake: Lake, mappings: Mappings) -> None:
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY], also={"1"})
    assert (mapped.table.num_rows, mapped.scope, mapped.refused) == (0, frozenset(), ())


def test_companies_are_kept_apart(lake: Lake, mappings: Mappings) -> None:
    write(lake, "invoices", invoice("1"))
    assert mappings.run(MODEL, lake, "SE01", [DAY]).table.num_rows == 0


def test_a_joined_entity_that_moved_brings_every_record_back(lake: Lake, mappings: Mappings) -> None:
    write(lake, "suppliers", record("50000", name="Old name"))
    write(lake, "invoices", invoice("1"), invoice("2"))
    before = seen(mappings, lake)
    assert not mappings.run(MODEL, lake, COMPANY, [], seen=before).whole
    write(lake, "suppliers", record("50000", name="New name", stamp=NOON + timedelta(days=1)), day=NEXT_DAY)
    mapped = mappings.run(MODEL, lake, COMPANY, [], seen=before)
    assert mapped.whole
    assert {row.payload["supplier_name"] for row in mapped.rows()} == {"New name"}


def test_changed_records_alone_do_not_bring_every_record_back(lake: Lake, mappings: Mappings) -> None:
    write(lake, "invoices", invoice("1"))
    before = seen(mappings, lake)
    write(lake, "invoices", invoice("2"), day=NEXT_DAY)
    assert seen(mappings, lake) == before


def test_an_edited_model_takes_effect_with_the_next_run(
    lake: Lake, tmp_path: Path, mappings: Mappings
) -> None:
    write(lake, "invoices", invoice("1", "10"))
    before = seen(mappings, lake)
    invoices_folder(
        tmp_path / "models", sql=INVOICES_SQL.replace("invoice.amount", "-invoice.amount as amount")
    )
    mapped = mappings.run(MODEL, lake, COMPANY, [], seen=before)
    assert mapped.whole
    assert amounts(mapped) == {"NO01|1": -10}


def test_a_model_that_was_broken_by_an_edit_is_refused_until_it_is_mended(
    lake: Lake, tmp_path: Path, mappings: Mappings
) -> None:
    write(lake, "invoices", invoice("1"))
    invoices_folder(
        tmp_path / "models", sql=INVOICES_SQL.replace("invoice.amount", "invoice.amuont as amount")
    )
    for _ in range(2):
        with pytest.raises(MappingErrors, match="amuont"):
            mappings.run(MODEL, lake, COMPANY, [DAY])
    invoices_folder(tmp_path / "models")
    assert mappings.run(MODEL, lake, COMPANY, [DAY]).table.num_rows == 1


def test_lookups_and_variables_reach_the_rows_and_the_fingerprint(lake: Lake, tmp_path: Path) -> None:
    sql = """\
        select i._key as source_key, i._key as code, i.number,
            coalesce(s.words, {{ var('unknown') }}) as supplier_name,
            cast(i.amount * {{ var('factor') }} as decimal(28,8)) as amount
        from {{ changed('invoices') }} i left join {{ lookup('states') }} s on s.status = i.status
    """
    files = {
        "lookups/states.csv": 'status,words\nOpen,"Open, to be paid"\n',
        "vars.yml": "unknown: don't know\nfactor: 2\n",
    }
    path = folder(invoices_folder(tmp_path / "models", sql=sql), files)
    mappings = Mappings.load(path, CATALOG)
    write(lake, "invoices", invoice("1"), invoice("2", status="Voided"))
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY])
    assert {row.key: row.payload["supplier_name"] for row in mapped.rows()} == {
        "1": "Open, to be paid",
        "2": "don't know",
    }
    assert amounts(mapped)["1"] == 20
    prints = {mapped.fingerprint}
    folder(path, {"lookups/states.csv": "status,words\nOpen,To be paid\n"})
    prints.add(seen(mappings, lake))
    folder(path, {"vars.yml": "unknown: nobody knows\nfactor: 2\n"})
    prints.add(seen(mappings, lake))
    assert len(prints) == 3


def test_the_business_number_may_be_no_column(lake: Lake, tmp_path: Path) -> None:
    sql = INVOICES_SQL.replace(
        "invoice._key as source_key,", "invoice._key as source_key, 'N' || invoice.number as source_number,"
    )
    yml = INVOICES_YML.replace("number: number", "number: source_number")
    mappings = Mappings.load(invoices_folder(tmp_path / "models", sql=sql, yml=yml), CATALOG)
    write(lake, "invoices", invoice("1", "0.001"), invoice("2"))
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY])
    (row,) = mapped.rows()
    assert row.number == "N2"
    assert set(row.payload) == {"code", "number", "supplier_name", "amount"}
    assert mapped.refused[0].number == "N1"


def test_rows_of_other_records_than_the_changed_ones_are_an_error(lake: Lake, tmp_path: Path) -> None:
    sql = INVOICES_SQL.replace("invoice._key as source_key", "invoice.status as source_key")
    mappings = Mappings.load(invoices_folder(tmp_path / "models", sql=sql), CATALOG)
    write(lake, "invoices", invoice("1"))
    with pytest.raises(MappingFailed, match=r"source_key `Open` is not of changed\('invoices'\)"):
        mappings.run(MODEL, lake, COMPANY, [DAY])


def test_sql_that_fails_on_a_value_names_file_and_line(lake: Lake, tmp_path: Path) -> None:
    sql = INVOICES_SQL.replace("invoice.amount", "cast(invoice.status as decimal(18,2)) as amount")
    mappings = Mappings.load(invoices_folder(tmp_path / "models", sql=sql), CATALOG)
    write(lake, "invoices", invoice("1"))
    with pytest.raises(MappingFailed, match=r"invoices\.sql:6: Conversion Error: .*\"?Open"):
        mappings.run(MODEL, lake, COMPANY, [DAY])


def test_fields_that_older_files_lack_are_null(lake: Lake, tmp_path: Path, mappings: Mappings) -> None:
    class Older:
        def schema(self, entity: str):  # type: ignore[no-untyped-def]
            schema = CATALOG.schema(entity)
            return schema.remove(schema.get_field_index("amount"))

    write(lake, "invoices", invoice("1"), catalog=Older())
    assert amounts(mappings.run(MODEL, lake, COMPANY, [DAY])) == {"NO01|1": None}


@pytest.mark.parametrize("place", [lambda: f"memory://mappings-{os.getpid()}", fresh_folder])
def test_a_lake_in_memory_or_an_object_store_works_the_same(
    place: Callable[[], str], mappings: Mappings
) -> None:
    lake = Lake(place())
    write(lake, "suppliers", record("50000", name="Fjord AS"))
    write(lake, "invoices", invoice("1"))
    (row,) = mappings.run(MODEL, lake, COMPANY, [DAY]).rows()
    assert row.payload["supplier_name"] == "Fjord AS"


def test_runs_while_days_are_replaced_see_whole_days(lake: Lake, mappings: Mappings) -> None:
    """Rows swap places between versions: a run that mixed two of them would lose or mix up amounts."""
    keys = [f"{number}" for number in range(200)]
    versions = [
        [
            invoice(key, f"{number}", stamp=NOON + timedelta(seconds=number))
            for key in keys[number:] + keys[:number]
        ]
        for number in range(12)
    ]
    write(lake, "invoices", *versions[0])
    done = threading.Event()

    def replace() -> None:
        for version in versions[1:]:
            write(lake, "invoices", *version)
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not done.is_set():
        mapped = mappings.run(MODEL, lake, COMPANY, [DAY], seen=seen(mappings, lake))
        assert len(amounts(mapped)) == len(mapped.scope) == 200
        assert len(set(amounts(mapped).values())) == 1
    writer.join()


def test_models_stand_after_those_they_wait_for(tmp_path: Path) -> None:
    files = {
        "target/invoices.yml": INVOICES_YML + "after: [zebras]\n",
        "target/zebras.sql": INVOICES_SQL,
        "target/zebras.yml": INVOICES_YML,
    }
    mappings = Mappings.load(folder(invoices_folder(tmp_path), files), CATALOG)
    assert mappings.in_order("target") == ["target/zebras", "target/invoices"]


def test_an_unknown_model_names_the_known_ones(lake: Lake, mappings: Mappings) -> None:
    with pytest.raises(KeyError, match="Known: target/invoices"):
        mappings.run("target/orders", lake, COMPANY, [date(2026, 1, 1)])


SUMS_SQL = """\
select min(_key) as source_key, 'all' as number, status as code, sum(amount) as amount
from {{ changed('invoices') }} group by status
"""
SUMS_YML = """\
description: Invoices added up by status.
source: invoices
whole: true
key: [code]
number: number
columns:
  code: {type: text}
  number: {type: text}
  amount: {type: "decimal(18,2)"}
"""


@pytest.fixture
def sums(tmp_path: Path) -> Mappings:
    return Mappings.load(invoices_folder(tmp_path / "models", sql=SUMS_SQL, yml=SUMS_YML), CATALOG)


def test_rows_that_add_up_records_are_made_of_all_of_them_though_one_changed(
    lake: Lake, sums: Mappings
) -> None:
    write(lake, "invoices", invoice("1", "10"), invoice("2", "5"), invoice("3", "7", status="Paid"))
    before = seen(sums, lake)
    write(lake, "invoices", invoice("2", "6", stamp=NOON + timedelta(days=1)), day=NEXT_DAY)
    mapped = sums.run(MODEL, lake, COMPANY, [NEXT_DAY], seen=before)
    assert mapped.whole
    assert amounts(mapped) == {"Open": Decimal("16.00"), "Paid": Decimal("7.00")}
    assert mapped.scope == {"1", "2", "3"}


def test_a_sum_goes_by_a_record_that_is_there_and_answers_for_those_that_went(
    lake: Lake, sums: Mappings
) -> None:
    """The record a row went by stays in scope as a tombstone: where no sum is left, the row is deleted."""
    later = NOON + timedelta(days=1)
    write(lake, "invoices", invoice("1"), invoice("2"), invoice("3", status="Paid"))
    gone = [invoice("1", stamp=later, _deleted=True), invoice("3", status="Paid", stamp=later, _deleted=True)]
    write(lake, "invoices", *gone, day=NEXT_DAY)
    mapped = sums.run(MODEL, lake, COMPANY, [NEXT_DAY], seen=seen(sums, lake))
    assert {(row.key, row.source_key) for row in mapped.rows()} == {("Open", "2")}
    assert mapped.scope == {"1", "2", "3"}
