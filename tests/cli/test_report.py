"""The report of runs, as a terminal of 100 signs shows it."""

import io

from rich.console import Console

from mlc_dagster.cli.report import COLUMNS, Line, table_of


def shown(lines: list[Line]) -> list[str]:
    paper = io.StringIO()
    Console(file=paper, width=100).print(table_of("First load", lines))
    return paper.getvalue().splitlines()


def test_numbers_and_names_stay_whole() -> None:
    counts = dict.fromkeys(COLUMNS, 1234)
    [line] = [
        line
        for line in shown(
            [Line("NO01", "anaplan", "supplier_invoice_lines", counts | {"read": 12345}, 271, 107.5)]
        )
        if "supplier_invoice_lines" in line
    ]
    assert line.split() == ["supplier_invoice_lines", "12345", *["1234"] * 6, "271", "107.5"]


def test_a_section_begins_with_what_was_read_for_a_company_and_pair() -> None:
    counts = dict.fromkeys(COLUMNS, 1)
    lines = [
        Line(company, "asana", model, counts, 1, 1.0)
        for company in ("NO01", "SE01")
        for model in (None, "purchase_orders")
    ]
    body = [line.split("  ")[0] or line.split()[0] if line.strip() else "" for line in shown(lines)]
    assert body[-6:-1] == [
        "NO01, read for asana",
        "purchase_orders",
        "",
        "SE01, read for asana",
        "purchase_orders",
    ]
