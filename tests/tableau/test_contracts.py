"""What a contract may say to Tableau; every mistake with its file, before anything runs."""

import shutil
from pathlib import Path

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import MappingErrors
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from mlc_dagster.tableau.shape import Shape

MISTAKES = [
    ("vat_amount: {caption: VAT amount}", "vat_amuont: {caption: X}", "`vat_amuont` is no column."),
    ("vat_amount: {caption: VAT amount}", "vat_amount: {caption: Balance}", "have one caption"),
    ("vat_amount: {caption: VAT amount}", "vat_amount: {caption: 'a,b'}", "should match pattern"),
    ('amount: {type: "decimal(18,4)"', 'amount: {type: "decimal(28,4)"', "a .hyper file keeps 18 digits"),
    ("key: [code]", "key: [company, reference_number]", "a key of one text column"),
    ("key: [code]", "deleted: {status: Gone}\nkey: [code]", "Deleted rows really go"),
    ("  datasource: Supplier invoices", "  datasource: Supplier invoices\n  users: nobody", "`nobody` is no"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    folder = tmp_path / "models"
    shutil.copytree(
        REPOSITORY / "dbt_like_mappings", folder, ignore=shutil.ignore_patterns("anaplan", "powerbi")
    )
    file = folder / "tableau" / "supplier_invoices.yml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(MappingErrors) as found:
        mappings_in(folder)
    assert any("supplier_invoices.yml" in each.file and said in str(each) for each in found.value.problems)


def test_a_changed_caption_lets_every_record_be_looked_at(tmp_path: Path) -> None:
    folder, lake = tmp_path / "models", Lake(str(tmp_path / "lake"))
    shutil.copytree(REPOSITORY / "dbt_like_mappings", folder)
    mappings, file = mappings_in(folder), folder / "tableau" / "supplier_invoices.yml"
    before = mappings.fingerprint("tableau/supplier_invoices", lake, "NO01")
    file.write_text(file.read_text("utf-8").replace("{caption: VAT amount}", "{caption: VAT}"), "utf-8")
    assert mappings.fingerprint("tableau/supplier_invoices", lake, "NO01") != before


def test_shipped_data_sources_have_names_and_captions_of_their_own() -> None:
    mappings = mappings_in(REPOSITORY / "dbt_like_mappings")
    shapes = [Shape.of(mappings.models[key]) for key in mappings.in_order("tableau")]
    assert len({shape.title.casefold() for shape in shapes}) == len(shapes) == 15
    invoices = next(shape for shape in shapes if shape.title == "Supplier invoices")
    assert {column.source: (column.name, column.sql) for column in invoices.columns}["vat_amount"] == (
        "VAT amount",
        "NUMERIC(18,4)",
    )
