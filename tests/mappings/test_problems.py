from collections.abc import Mapping
from pathlib import Path

import pytest

from mlc_dagster.mappings import MappingErrors, Mappings
from tests.mappings.examples import CATALOG, INVOICES_SQL, INVOICES_YML, folder, invoices_folder


def problems(path: Path) -> list[tuple[str, int, str]]:
    """(file name, line, message and remedy) of everything wrong with a folder."""
    with pytest.raises(MappingErrors) as caught:
        Mappings.load(path, CATALOG)
    return [
        (Path(found.file).name, found.line, f"{found.message} {found.remedy}".strip())
        for found in caught.value.problems
    ]


def line_of(text: str, word: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if word in line)


SQL_MISTAKES = {
    "a missing column": (
        "invoice.number as number",
        "invoice.numbr as number",
        "no column `numbr`. Did you mean `number`?",
    ),
    "a missing field of a section": (
        "invoice.supplier.number",
        "invoice.supplier.nummer",
        "no column `nummer`. Did you mean `number`?",
    ),
    "an unknown entity": (
        "latest('suppliers')",
        "latest('supplier')",
        "no entity `supplier`. Did you mean `suppliers`?",
    ),
    "an unknown lookup": ("latest('suppliers')", "lookup('suppliers')", "There is no lookup `suppliers`."),
    "an unknown variable": ("invoice.amount", "{{ var('rate') }} as amount", "There is no variable `rate`."),
    "a syntax error": ("invoice.amount", "invoice.amount amount x", "syntax error at or near"),
    "an unknown function": (
        "invoice.amount",
        "amuont(1) as amount",
        "Scalar Function with name amuont does not exist",
    ),
    "an unknown relation": ("{{ latest('suppliers') }}", "suppliers", "There is no relation `suppliers`."),
    "broken Jinja": ("{{ latest('suppliers') }}", "{{ latest('suppliers') }", "Jinja: unexpected"),
    "an unknown name in Jinja": ("{{ company }}", "{{ firm }}", "Jinja: 'firm' is undefined."),
    "a computed name": ("latest('suppliers')", "latest(company)", "latest() takes one name in quotes."),
    "money that passed through a double": (
        "invoice.amount",
        "invoice.amount / 3 as amount",
        "`amount` is DOUBLE",
    ),
    "a type that cannot be cast": (
        "invoice.amount",
        "invoice.date as amount",
        "`amount` is DATE; the contract says decimal(18,2)",
    ),
    "an undeclared column": (
        "invoice.amount",
        "invoice.amount, 1 as extra",
        "returns `extra`, which the contract does not declare",
    ),
    "a column twice": ("invoice.amount", "invoice.amount, 1 as amount", "returns `amount` twice"),
}


@pytest.mark.parametrize("mistake", SQL_MISTAKES)
def test_a_mistake_in_sql_is_shown_on_its_line(tmp_path: Path, mistake: str) -> None:
    right, wrong, words = SQL_MISTAKES[mistake]
    sql = INVOICES_SQL.replace(right, wrong)
    found = problems(invoices_folder(tmp_path, sql=sql))
    assert ("invoices.sql", line_of(sql, wrong.split(", ")[-1])) == found[0][:2]
    assert words in found[0][2]


YML_MISTAKES = {
    "an unknown key": (
        "number: number",
        "number: number\nnumbers: x",
        5,
        "`numbers` is no key here. Did you mean `number`?",
    ),
    "an unknown type": ("{type: text}", "{type: string}", 7, "`string` is no type; use text, integer"),
    "too many digits": ("decimal(18,2)", "decimal(39,2)", 9, "`decimal(39,2)` is no type"),
    "a key that is no column": (
        "key: [code]",
        "key: [codes]",
        3,
        "The key `codes` is no column. Did you mean `code`?",
    ),
    "a number that is no column": ("number: number", "number: nr", 4, "`nr` is no column"),
    "a missing key": ("description: Invoices.\n", "", 1, "`description` is missing."),
    "a key twice": ("number: number", "number: number\nnumber: code", 5, "`number` stands here twice."),
    "a length of a number": (
        '"decimal(18,2)"',
        '"decimal(18,2)", max_length: 3',
        9,
        "Only text has a `max_length`.",
    ),
    "an unknown test": (
        "{type: text}",
        "{type: text, tests: [nonull]}",
        7,
        "`nonull` is no key here. Did you mean `not_null`?",
    ),
    "two kinds in one test": (
        "{type: text}",
        "{type: text, tests: [{not_null: true, unique: true}]}",
        7,
        "exactly one of",
    ),
    "an unknown model in a test": (
        "{type: text}",
        "{type: text, tests: [{relationships: {model: invoicez, column: code}}]}",
        7,
        "There is no model or lookup `invoicez`. Did you mean `invoices`?",
    ),
    "an unknown column in a test": (
        "{type: text}",
        "{type: text, tests: [{relationships: {model: invoices, column: cod}}]}",
        7,
        "`invoices` has no column `cod`. Did you mean `code`?",
    ),
    "a mark of deletion that is no column": ("key:", "deleted: {state: x}\nkey:", 3, "`state` is no column."),
    "a mark of deletion of another type": (
        "key:",
        "deleted: {amount: none}\nkey:",
        3,
        "`none` does not fit decimal(18,2)",
    ),
    "a mark of deletion with a float": ("key:", "deleted: {amount: 0.5}\nkey:", 3, "put it in quotes"),
    "an unknown destination to wait for": ("key:", "after: [supplier]\nkey:", 3, "`after` names `supplier`"),
    "a source that is not the changed entity": (
        "source: invoices",
        "source: suppliers",
        2,
        "reads changed('invoices')",
    ),
    "no YAML": ("key: [code]", "key: [code", 4, "This is not YAML"),
    "a column the model lacks": (
        "columns:",
        "columns:\n  total: {type: text}",
        6,
        "The model does not return `total`.",
    ),
}


@pytest.mark.parametrize("mistake", YML_MISTAKES)
def test_a_mistake_in_a_contract_is_shown_on_its_line(tmp_path: Path, mistake: str) -> None:
    right, wrong, line, words = YML_MISTAKES[mistake]
    found = problems(invoices_folder(tmp_path, yml=INVOICES_YML.replace(right, wrong)))
    assert ("invoices.yml", line) in [place[:2] for place in found]
    assert words in next(place[2] for place in found if place[:2] == ("invoices.yml", line))


def test_a_mistake_in_a_test_query_is_shown_on_its_line(tmp_path: Path) -> None:
    tests = "tests:\n  - sql: {name: positive, query: 'select code from {{ rows }} where amuont < 0'}\n"
    assert problems(invoices_folder(tmp_path, yml=INVOICES_YML + tests)) == [
        ("invoices.yml", 11, "There is no column `amuont`. Did you mean `amount`?")
    ]


def test_a_query_of_a_column_must_say_which_rows_fail(tmp_path: Path) -> None:
    query = "{type: text, tests: [{sql: {name: filled, query: 'select number from {{ rows }}'}}]}"
    found = problems(invoices_folder(tmp_path, yml=INVOICES_YML.replace("{type: text}", query)))
    assert found == [
        (
            "invoices.yml",
            7,
            "The query `filled` does not return code. A column's query says by key which rows fail.",
        )
    ]


def test_two_changed_entities_are_refused(tmp_path: Path) -> None:
    sql = INVOICES_SQL.replace("latest(", "changed(")
    found = problems(invoices_folder(tmp_path, sql=sql))
    message = (
        "The model has two changed(): invoices and suppliers. Keep one, and read the other with latest()."
    )
    assert found == [("invoices.sql", 8, message)]


def test_a_model_without_changed_is_refused(tmp_path: Path) -> None:
    found = problems(invoices_folder(tmp_path, sql=INVOICES_SQL.replace("changed(", "latest(")))
    assert found[0][2].startswith("The model has no changed(), so nothing says which records a run is about.")


def test_a_model_without_source_key_is_refused(tmp_path: Path) -> None:
    found = problems(invoices_folder(tmp_path, sql=INVOICES_SQL.replace("invoice._key as source_key,", "")))
    assert [place[2].split(" Select")[0] for place in found] == ["The model returns no `source_key`."]


LOOKUP_MISTAKES: Mapping[str, tuple[str, int, str]] = {
    "a header twice": ("a,b,a\n1,2,3\n", 1, "The column `a` stands there twice."),
    "a value too many": ("a,b\n1,2\n3,4,5\n", 3, "3 values, but the header names 2 columns."),
    "semicolons": ("a;b\n1;2\n", 1, "separated by semicolons"),
    "nothing": ("", 1, "The file is empty."),
    "a nameless column": ("a,\n1,2\n", 1, "Column 2 has no name."),
}


@pytest.mark.parametrize("mistake", LOOKUP_MISTAKES)
def test_a_mistake_in_a_lookup_is_shown_on_its_line(tmp_path: Path, mistake: str) -> None:
    text, line, words = LOOKUP_MISTAKES[mistake]
    path = folder(invoices_folder(tmp_path), {"lookups/names.csv": text})
    found = problems(path)
    assert [place[:2] for place in found] == [("names.csv", line)]
    assert words in found[0][2]


@pytest.mark.parametrize(
    "name", ["target/invoices.sql", "target/invoices.yml", "lookups/names.csv", "vars.yml"]
)
def test_a_file_that_windows_saved_in_its_own_code_page_is_told_with_the_line(
    tmp_path: Path, name: str
) -> None:
    place = folder(invoices_folder(tmp_path), {"lookups/names.csv": "a,b\n", "vars.yml": "one: 1\n"}) / name
    text = place.read_text("utf-8")
    place.write_bytes(f"{text}-- Leverand\xf8r\n".encode("cp1252"))
    [(file, line, words)] = problems(tmp_path)
    assert (file, line) == (place.name, text.count("\n") + 1)
    assert words.startswith("This is not UTF-8. Save it")


def test_a_file_without_its_pair_is_refused(tmp_path: Path) -> None:
    found = problems(folder(invoices_folder(tmp_path), {"target/orders.sql": "select 1"}))
    assert found == [
        (
            "orders.sql",
            0,
            "A model is a pair of files, and orders.yml is missing. Add it, or remove this one.",
        )
    ]


def test_destinations_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    files = {
        "target/invoices.yml": INVOICES_YML + "after: [others]\n",
        "target/others.sql": INVOICES_SQL,
        "target/others.yml": INVOICES_YML + "after: [invoices]\n",
    }
    found = problems(folder(invoices_folder(tmp_path), files))
    assert "`after` goes in a circle" in found[0][2]


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    files = {
        "lookups/names.csv": "a,a\n",
        "vars.yml": "rate: 1.5\n",
        "target/one.sql": INVOICES_SQL.replace("invoice.number as number", "invoice.numbr as number"),
        "target/one.yml": INVOICES_YML,
        "target/two.sql": INVOICES_SQL,
        "target/two.yml": INVOICES_YML.replace("{type: text}", "{type: string}").replace(
            "key: [code]", "kye: [code]"
        ),
        "target/three.sql": INVOICES_SQL.replace("latest('suppliers')", "latest('supplier')"),
        "target/three.yml": INVOICES_YML.replace("number: number", "number: numbr"),
    }
    found = problems(folder(tmp_path, files))
    assert sorted(place[:2] for place in found) == [
        ("names.csv", 1),
        ("one.sql", 4),
        ("three.sql", 8),
        ("three.yml", 4),
        ("two.yml", 1),
        ("two.yml", 3),
        ("two.yml", 7),
        ("vars.yml", 1),
    ]


def test_sql_is_checked_even_where_its_contract_is_broken(tmp_path: Path) -> None:
    sql = INVOICES_SQL.replace("invoice.number as number", "invoice.numbr as number")
    yml = INVOICES_YML.replace("{type: text}", "{type: string}")
    found = problems(invoices_folder(tmp_path, sql=sql, yml=yml))
    assert [place[:2] for place in found] == [("invoices.sql", 4), ("invoices.yml", 7)]


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere")[0][2].startswith("There is no such folder.")
