"""What a contract may say to Power BI; every mistake with its file and line, before anything runs."""

import shutil
from pathlib import Path

import pytest

from mlc_dagster.mappings import MappingErrors
from mlc_dagster.powerbi.star import star
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from tests.powerbi.tenant import shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "models"
    shutil.copytree(REPOSITORY / "dbt_like_mappings", copied)
    shutil.rmtree(copied / "anaplan")
    return copied


def edit(folder: Path, model: str, old: str, new: str) -> int:
    """Replace a text of a contract; the line it was in."""
    file = folder / "powerbi" / f"{model}.yml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    return text[: text.index(old)].count("\n") + 1


MISTAKES = [
    ("sum: amount", "sum: amuont", "`amuont` is no column."),
    ("balance: open_balance, due", "balance: open_balnce, due", "`open_balnce` is no column."),
    ("due: due_date", "due: description", "`description` is text. It must be date."),
    ("{count: true, format", "{count: true, sum: amount, format", "exactly one of sum, count, dax"),
    ("kind: fact", "kind: fakt", "'dimension' or 'fact'"),
    ("  table: Supplier invoices", "  tabel: Supplier invoices", "`tabel` is no key here."),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_line(folder, old, new, said):
    line = edit(folder, "supplier_invoices", old, new)
    with pytest.raises(MappingErrors) as found:
        mappings_in(folder)
    place = "supplier_invoices.yml"
    assert any(place in problem.file and said in str(problem) for problem in found.value.problems)
    assert any(abs(problem.line - line) <= 2 for problem in found.value.problems)


def test_a_contract_without_its_section_is_told(folder):
    file = folder / "powerbi" / "companies.yml"
    file.write_text(file.read_text("utf-8").split("powerbi:")[0], "utf-8")
    with pytest.raises(MappingErrors, match="`powerbi` is missing"):
        mappings_in(folder)


def test_more_decimals_than_power_bi_keeps_are_refused_in_the_contract(folder):
    edit(folder, "supplier_payments", 'amount: {type: "decimal(28,4)"', 'amount: {type: "decimal(28,8)"')
    with pytest.raises(MappingErrors, match="keeps four decimals"):
        mappings_in(folder)


def test_a_relationship_leads_to_a_dimension(folder):
    edit(folder, "supplier_invoices", "supplier: suppliers", "supplier: journal_lines")
    mappings = mappings_in(folder)
    with pytest.raises(ProblemsFound, match="`journal_lines`, which is no dimension"):
        star(mappings.models[key] for key in mappings.in_order("powerbi"))


def test_names_that_differ_by_case_only_are_one_to_power_bi(folder):
    edit(folder, "suppliers", "table: Suppliers", "table: COMPANIES")
    mappings = mappings_in(folder)
    with pytest.raises(ProblemsFound, match="Two are called table"):
        star(mappings.models[key] for key in mappings.in_order("powerbi"))


def test_more_relationships_than_a_dataset_takes_are_refused(folder):
    edit(
        folder,
        "timecards",
        "employee: employees,",
        "employee: employees, project: suppliers, status: suppliers,",
    )
    mappings = mappings_in(folder)
    with pytest.raises(ProblemsFound, match="76 relationships; Power BI takes 75"):
        star(mappings.models[key] for key in mappings.in_order("powerbi"))


def test_the_shipped_star_hides_facts_keys_and_technical_columns():
    body = shipped().body("ERP")
    tables = {table["name"]: table for table in body["tables"]}
    assert tables["Supplier invoices A"]["isHidden"]
    assert not tables["Suppliers"]["isHidden"]
    shown = {column["name"] for column in tables["Suppliers"]["columns"] if not column["isHidden"]}
    assert "Supplier" in shown
    assert not any(name.startswith("_") or name == "Code" for name in shown)


def test_both_slots_of_a_fact_have_the_same_columns_and_relationships():
    made = shipped()
    by_name = {table.name: table.columns for table in made.tables}
    links = {(link.from_table, link.from_column, link.to_table) for link in made.relationships}
    for shape in made.shapes.values():
        if shape.fact:
            assert by_name[shape.physical("A")] == by_name[shape.physical("B")]
            of_a, of_b = ({link[1:] for link in links if link[0] == shape.physical(slot)} for slot in "AB")
            assert of_a == of_b


def test_no_column_adds_up_by_itself():
    columns = [column for table in shipped().body("ERP")["tables"] for column in table["columns"]]
    assert {column["summarizeBy"] for column in columns} == {"none"}
