from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import CheckResult, Mapped, Mappings
from mlc_dagster.mappings.types import ColumnType
from tests.mappings.examples import (
    CATALOG,
    COMPANY,
    DAY,
    INVOICES_YML,
    folder,
    invoice,
    invoices_folder,
    record,
    write,
)

MODEL = "target/invoices"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def run_column(tmp_path: Path, lake: Lake, expression: str, type_: str) -> Mapped:
    """Map invoices 1, 2, ... to one column `value` of a type."""
    sql = f"select _key as source_key, number, {expression} as value from {{{{ changed('invoices') }}}}"
    yml = f"""\
        description: One column.
        source: invoices
        key: [number]
        number: number
        columns:
          number: {{type: text}}
          value: {{{type_}}}
    """
    mappings = Mappings.load(invoices_folder(tmp_path / "models", sql=sql, yml=yml), CATALOG)
    return mappings.run(MODEL, lake, COMPANY, [DAY])


def values(mapped: Mapped) -> list[Any]:
    return mapped.table["value"].to_pylist()


FITS = [
    ("status", "type: text, max_length: 5", "æøå-ß", "æøå-ß"),
    ("status", 'type: "decimal(9,4)"', "-12345.6789", Decimal("-12345.6789")),
    ("status", 'type: "decimal(9,4)"', "+1.50000000", Decimal("1.5000")),
    ("status", "type: integer", "-42", -42),
    ("status", "type: date", "2026-02-28", date(2026, 2, 28)),
    ("status", "type: boolean", "false", False),
    ("status", "type: timestamp", "2026-02-28T01:00:00+01:00", datetime(2026, 2, 28, tzinfo=UTC)),
    ("cast(status as integer)", 'type: "decimal(9,4)"', "7", Decimal("7.0000")),
    ("cast(status as decimal(38,10))", 'type: "decimal(28,4)"', "1.2345", Decimal("1.2345")),
    ("cast(status as decimal(38,10))", "type: integer", "12", 12),
    ("cast(status as timestamp)", "type: date", "2026-02-28 00:00:00", date(2026, 2, 28)),
    ("cast(status as date)", "type: text", "2026-02-28", "2026-02-28"),
    ("null", "type: date", "anything", None),
]


@pytest.mark.parametrize(("expression", "type_", "given", "expected"), FITS)
def test_a_value_that_fits_is_exact(
    tmp_path: Path, lake: Lake, *, expression: str, type_: str, given: str, expected: Any
) -> None:
    write(lake, "invoices", invoice("1", status=given), invoice("2", status=None))
    mapped = run_column(tmp_path, lake, expression, type_)
    assert values(mapped) == [expected, None]
    assert mapped.refused == ()


MISFITS = [
    ("status", "type: text, max_length: 5", "123456", "value: text of 6 characters is longer than 5"),
    ("status", 'type: "decimal(9,4)"', "1.23456", "value: 1.23456 does not fit decimal(9,4) without loss"),
    ("status", 'type: "decimal(9,4)"', "123456", "value: 123456 does not fit decimal(9,4) without loss"),
    ("status", 'type: "decimal(9,4)"', "1e3", "value: 1e3 does not fit decimal(9,4) without loss"),
    ("status", 'type: "decimal(9,4)"', "12 kr", "value: 12 kr does not fit decimal(9,4) without loss"),
    ("status", "type: integer", "1.5", "value: 1.5 is no integer"),
    ("status", "type: integer", "99999999999999999999", "value: 99999999999999999999 is no integer"),
    ("status", "type: date", "28.02.2026", "value: 28.02.2026 is no date"),
    ("status", "type: date", "2026-02-30", "value: 2026-02-30 is no date"),
    ("status", "type: boolean", "yes", "value: yes is no boolean"),
    ("status", "type: integer", "1\x1e2\x1f3", "value: 1 2 3 is no integer"),
    ("status", "type: integer", "1\x002", "value: 1 2 is no integer"),
    (
        "cast(status as decimal(38,10))",
        'type: "decimal(28,4)"',
        "1.23456",
        "does not fit decimal(28,4) without loss",
    ),
    ("cast(status as decimal(38,10))", "type: integer", "1.5", "value: 1.5000000000 is no integer"),
    ("cast(status as hugeint)", "type: integer", "9223372036854775808", "is no integer"),
    (
        "cast(status as timestamp)",
        "type: date",
        "2026-02-28 12:00:00",
        "value: 2026-02-28 12:00:00 is no date",
    ),
]


@pytest.mark.parametrize(("expression", "type_", "given", "reason"), MISFITS)
def test_a_value_that_does_not_fit_refuses_its_row_only(
    tmp_path: Path, lake: Lake, *, expression: str, type_: str, given: str, reason: str
) -> None:
    write(lake, "invoices", invoice("1", status=given), invoice("2", status=None))
    mapped = run_column(tmp_path, lake, expression, type_)
    assert mapped.table["number"].to_pylist() == ["2"]
    (refused,) = mapped.refused
    assert (refused.key, refused.source_key, refused.number) == ("1", "1", "1")
    assert reason in refused.reason
    assert refused.checks == ("types",)
    assert mapped.scope == {"1", "2"}


def test_a_refused_row_says_everything_that_is_wrong_with_it(tmp_path: Path, lake: Lake) -> None:
    write(lake, "suppliers", record("50000", name="A name of more than twenty characters"))
    write(lake, "invoices", invoice("1", "0.001"))
    mappings = Mappings.load(invoices_folder(tmp_path / "models"), CATALOG)
    (refused,) = mappings.run(MODEL, lake, COMPANY, [DAY]).refused
    assert refused.reason == (
        "supplier_name: text of 37 characters is longer than 20; "
        "amount: 0.00100000 does not fit decimal(18,2) without loss"
    )
    assert refused.row["amount"] == "0.00100000"


@pytest.mark.parametrize("test", ["unique", "accepted_values: [A]"])
def test_a_reason_stays_on_one_line_whatever_the_value_holds(tmp_path: Path, lake: Lake, test: str) -> None:
    """Scanners type the separators of their codes into a text, which also part our reasons."""
    write(lake, "suppliers", record("50000", name="Alfa\x1e\nBeta"))
    write(lake, "invoices", invoice("1", "1"), invoice("2", "2"))
    one, _ = run_tests(tmp_path, lake, f", tests: [{test}]").refused
    assert one.checks == (f"supplier_name_{test.partition(':')[0]}",)
    assert one.reason.startswith("supplier_name Alfa  Beta ")


def test_a_date_that_would_depend_on_a_zone_does_not_compile(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(Exception, match="`value` is TIMESTAMP WITH TIME ZONE; the contract says date"):
        run_column(tmp_path, lake, "changedAt", "type: date")


@pytest.mark.parametrize("expression", ["rate", "amount * 1e2", "avg(amount) over ()", "amount / 2"])
def test_a_double_does_not_compile_whatever_the_contract_says(
    tmp_path: Path, lake: Lake, expression: str
) -> None:
    with pytest.raises(Exception, match="`value` is DOUBLE, which cannot hold money exactly"):
        run_column(tmp_path, lake, expression, 'type: "decimal(18,2)"')


def test_no_two_rows_share_a_key(tmp_path: Path, lake: Lake) -> None:
    sql = """\
        select _key as source_key, status as code, number, null as supplier_name, amount
        from {{ changed('invoices') }}
    """
    mappings = Mappings.load(invoices_folder(tmp_path / "models", sql=sql), CATALOG)
    write(
        lake,
        "invoices",
        invoice("1", status="A"),
        invoice("2", status="A"),
        invoice("3", status="B"),
        invoice("4", status=None),
    )
    mapped = mappings.run(MODEL, lake, COMPANY, [DAY])
    assert mapped.table["code"].to_pylist() == ["B"]
    assert [(row.source_key, row.reason) for row in mapped.refused] == [
        ("1", "more than one row has the key A"),
        ("2", "more than one row has the key A"),
        ("4", "the key code is empty"),
    ]


COLUMN = "supplier_name: {type: text, max_length: 20"


def run_tests(
    tmp_path: Path, lake: Lake, column_tests: str = "", model_tests: str = "", **files: str
) -> Mapped:
    yml = INVOICES_YML.replace(COLUMN, f"{COLUMN}{column_tests}") + model_tests
    path = folder(invoices_folder(tmp_path / "models", yml=yml), files)
    return Mappings.load(path, CATALOG).run(MODEL, lake, COMPANY, [DAY])


def result(mapped: Mapped, name: str) -> CheckResult:
    return next(check for check in mapped.checks if check.name == name)


@pytest.fixture
def three(lake: Lake) -> Lake:
    """Invoices 1 and 2 of supplier Alfa, 3 of nobody."""
    write(lake, "suppliers", record("50000", name="Alfa"))
    nobody = {"number": "99", "name": None}
    write(lake, "invoices", invoice("1", "1"), invoice("2", "2"), invoice("3", "3", supplier=nobody))
    return lake


@pytest.mark.parametrize(
    ("test", "name", "failing", "reason"),
    [
        ("not_null", "supplier_name_not_null", ["3"], "supplier_name is empty"),
        ("unique", "supplier_name_unique", ["1", "2"], "supplier_name Alfa stands in more than one row"),
        (
            "{accepted_values: [Beta]}",
            "supplier_name_accepted_values",
            ["1", "2"],
            "supplier_name Alfa is not among the accepted values",
        ),
        (
            "{sql: {name: not_two, query: 'select code from {{ rows }} where amount = 2'}}",
            "not_two", ["2"], "supplier_name Alfa fails the test not_two",
        ),
    ],
)  # fmt: skip
def test_a_columns_test_sends_failing_rows_to_quarantine(
    tmp_path: Path, three: Lake, *, test: str, name: str, failing: Sequence[str], reason: str
) -> None:
    mapped = run_tests(tmp_path, three, f", tests: [{test}]")
    assert [row.source_key for row in mapped.refused] == failing
    assert reason in mapped.refused[0].reason
    found = result(mapped, name)
    assert (found.passed, found.blocking, found.severity, found.failing_rows) == (
        False,
        False,
        "error",
        len(failing),
    )
    assert found.message.endswith(f"such as {', '.join(f'NO01|{key}' for key in failing)}.")
    assert len(mapped.table) == 3 - len(failing)
    assert mapped.blocked == ()


@pytest.mark.parametrize("test", ["not_null: true", "accepted_values: [Alfa, Beta]", "unique: true"])
def test_a_warning_refuses_nothing(tmp_path: Path, three: Lake, test: str) -> None:
    mapped = run_tests(tmp_path, three, f", tests: [{{{test}, severity: warn}}]")
    assert len(mapped.table) == 3
    found = mapped.checks[-1]
    assert found.severity == "warn"
    assert found.passed == (test.startswith("accepted"))


def test_relationships_look_into_another_models_rows_or_a_lookup(tmp_path: Path, three: Lake) -> None:
    known = {
        "lookups/names.csv": "name\nBeta\n",
        "target/suppliers.sql": "select _key as source_key, name as code from {{ changed('suppliers') }}",
        "target/suppliers.yml": INVOICES_YML.split("columns")[0]
        .replace("invoices", "suppliers")
        .replace("number: number", "number: code")
        + "columns:\n  code: {type: text}\n",
    }
    mapped = run_tests(
        tmp_path, three, ", tests: [{relationships: {model: suppliers, column: code}}]", **known
    )
    assert mapped.refused == ()
    assert result(mapped, "supplier_name_in_suppliers_code").passed
    mapped = run_tests(tmp_path, three, ", tests: [{relationships: {lookup: names, column: name}}]", **known)
    assert [row.reason for row in mapped.refused] == ["supplier_name Alfa is not in names.name"] * 2


def test_a_relationship_that_refuses_is_part_of_the_fingerprint(tmp_path: Path, three: Lake) -> None:
    files = {
        "target/names.sql": "select _key as source_key, name as code from {{ changed('suppliers') }}",
        "target/names.yml": "description: Names.\nsource: suppliers\nkey: [code]\nnumber: code\n"
        "columns: {code: {type: text}}\n",
        "target/bare.sql": "select _key as source_key, supplier.name as code from {{ changed('invoices') }}",
        "target/bare.yml": "description: Bare.\nsource: invoices\nkey: [code]\nnumber: code\n"
        "columns: {code: {type: text, tests: [{relationships: {model: names, column: code}}]}}\n",
    }
    mappings = Mappings.load(folder(tmp_path / "models", files), CATALOG)
    before = mappings.fingerprint("target/bare", three, COMPANY)
    write(three, "suppliers", record("50001", name="as printed"))
    assert mappings.fingerprint("target/bare", three, COMPANY) != before


MODEL_TESTS = """\
tests:
  - unique: [supplier_name]
  - sql: {name: small, query: "select code, amount from {{ rows }} where amount > 1", severity: SEVERITY}
"""


@pytest.mark.parametrize(
    ("severity", "blocked"), [("error", ["unique_of", "small"]), ("warn", ["unique_of"])]
)
def test_a_models_test_blocks_unless_it_only_warns(
    tmp_path: Path, three: Lake, severity: str, blocked: list[str]
) -> None:
    mapped = run_tests(tmp_path, three, model_tests=MODEL_TESTS.replace("SEVERITY", severity))
    assert len(mapped.table) == 3
    names = {"supplier_name_unique": "unique_of"}
    assert [names.get(check.name, check.name) for check in mapped.blocked] == blocked
    found = result(mapped, "small")
    assert found.failing_rows == 2
    assert found.message == "2 rows fail small, such as NO01|2, NO01|3."


def test_checks_are_known_before_a_run_and_come_in_the_same_order(tmp_path: Path, three: Lake) -> None:
    mapped = run_tests(tmp_path, three, ", tests: [not_null]", MODEL_TESTS.replace("SEVERITY", "warn"))
    mappings = Mappings.load(tmp_path / "models", CATALOG)
    infos = mappings.check_names(MODEL)
    assert [info.name for info in infos] == [check.name for check in mappings.checks(MODEL, mapped)]
    assert [info.name for info in infos if info.blocking] == ["supplier_name_unique"]
    with pytest.raises(ValueError, match="rows of target/invoices"):
        mappings.checks("target/other", mapped)


def test_marks_of_deletion_have_the_columns_types(tmp_path: Path) -> None:
    mappings = Mappings.load(
        invoices_folder(tmp_path, yml=INVOICES_YML + "deleted: {amount: 0, supplier_name: Deleted}\n"),
        CATALOG,
    )
    tombstone = mappings.models[MODEL].tombstone
    assert tombstone == {"amount": Decimal(0), "supplier_name": "Deleted"}
    assert isinstance(tombstone["amount"], Decimal)


@pytest.mark.parametrize("text", ["varchar", "decimal", "decimal(4,5)", "decimal(0,0)", "Text", ""])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no type"):
        ColumnType.parse(text)
