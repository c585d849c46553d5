from pathlib import Path

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mappings, docs, test
from mlc_dagster.mappings.lineage import trace
from tests.mappings.examples import CATALOG, COMPANY, INVOICES_YML, invoice, invoices_folder, record, write

ENTITIES = {name: list(CATALOG.schema(name).names) for name in CATALOG.entities()}
CASES = {
    "a plain column": ("select i.amount as x from changed_invoices i", [("invoices", "amount")]),
    "no alias on the relation": ("select amount as x from changed_invoices", [("invoices", "amount")]),
    "an expression": (
        "select i.amount || i.status as x from changed_invoices i",
        [("invoices", "amount"), ("invoices", "status")],
    ),
    "a field of a section": (
        "select i.supplier.name as x from changed_invoices i",
        [("invoices", "supplier")],
    ),
    "a join": (
        "select coalesce(s.name, i.supplier.name) as x "
        "from changed_invoices i join latest_suppliers s on true",
        [("suppliers", "name"), ("invoices", "supplier")],
    ),
    "through a CTE": (
        "with a as (select number as n, amount from changed_invoices), b as (select n || amount as m from a) "
        "select m as x from b",
        [("invoices", "number"), ("invoices", "amount")],
    ),
    "through a star": (
        "with a as (select * from changed_invoices) select amount as x from a",
        [("invoices", "amount")],
    ),
    "unnest in a select": (
        "with a as (select unnest(lines) as line from changed_invoices) select line.cost as x from a",
        [("invoices", "lines")],
    ),
    "unnest in a from": (
        "select t.line.cost as x from changed_invoices i, unnest(i.lines) as t(line)",
        [("invoices", "lines")],
    ),
    "a union": (
        "select number as x from changed_invoices union all select name from latest_suppliers",
        [("invoices", "number"), ("suppliers", "name")],
    ),
    "a subquery": (
        "select (select max(s.name) from latest_suppliers s) as x from changed_invoices i",
        [("suppliers", "name")],
    ),
    "a literal": ("select 'NO01' as x from changed_invoices", []),
    "a lookup": ("select l.name as x from changed_invoices i join lookup_names l on l.code = i.status", []),
    "the record's key": ("select _key as x from changed_invoices", [("invoices", "_key")]),
    "a window": (
        "select sum(i.amount) over (partition by i.status) as x from changed_invoices i",
        [("invoices", "amount"), ("invoices", "status")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_lineage_finds_the_entities_fields(case: str) -> None:
    sql, expected = CASES[case]
    assert trace(sql, ENTITIES, ["x"]) == {"x": expected}


def test_sql_beyond_the_parser_has_no_lineage_rather_than_a_wrong_one() -> None:
    assert trace("select from from where", ENTITIES, ["x"]) == {"x": []}


def test_columns_carry_type_and_description(tmp_path: Path) -> None:
    yml = INVOICES_YML.replace("{type: text}", "{type: text, description: The number in the ERP.}")
    mappings = Mappings.load(invoices_folder(tmp_path, yml=yml), CATALOG)
    columns = mappings.columns("target/invoices")
    assert [(column.name, column.type) for column in columns] == [
        ("code", "text"),
        ("number", "text"),
        ("supplier_name", "text"),
        ("amount", "decimal(18,2)"),
    ]
    assert columns[1].description == "The number in the ERP."


def test_docs_tell_columns_origins_and_tests(tmp_path: Path) -> None:
    yml = INVOICES_YML.replace("{type: text}", "{type: text, tests: [not_null]}") + "deleted: {amount: 0}\n"
    text = docs(Mappings.load(invoices_folder(tmp_path, yml=yml), CATALOG))
    assert "## target/invoices" in text
    assert "| `supplier_name` | text |  | `suppliers.name` |" in text
    assert "| `number_not_null` | quarantine | number is never empty. |" in text
    assert "- A deleted record is marked by `amount` = `0`" in text


def test_compiled_sql_is_what_duckdb_gets(tmp_path: Path) -> None:
    mappings = Mappings.load(invoices_folder(tmp_path), CATALOG)
    sql = mappings.compiled_sql("target/invoices")
    assert "'COMPANY' || '|' || invoice.number as code" in sql
    assert "from changed_invoices as invoice\nleft join latest_suppliers as supplier" in sql


def test_a_company_with_a_quote_cannot_break_out_of_its_literal(tmp_path: Path) -> None:
    model = Mappings.load(invoices_folder(tmp_path), CATALOG).models["target/invoices"]
    assert "'O''Neil' || '|'" in model.template.render("O'Neil", {})


def test_testing_covers_everything_in_the_lake(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    write(lake, "suppliers", record("50000", name="Alfa"))
    write(lake, "invoices", invoice("1"), invoice("2", "0.001"))
    mappings = Mappings.load(invoices_folder(tmp_path / "models"), CATALOG)
    (first, second) = test(mappings, lake, [COMPANY, "SE01"])
    assert (first.company, first.table.num_rows, len(first.refused), first.whole) == (COMPANY, 1, 1, True)
    assert (second.company, second.table.num_rows) == ("SE01", 0)
