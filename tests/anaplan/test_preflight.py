"""What is checked before anything is sent, and whom each message names."""

from dataclasses import replace

import pytest

from mlc_dagster.anaplan.answers import FileFormat, ImportAction
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.preflight import (
    LIST,
    MODULE,
    PreflightFailed,
    check_layout,
    code_problem,
    find_import,
)
from mlc_dagster.delivery import errors
from mlc_sandbox.anaplan.world import World
from tests.anaplan.conftest import invoice_feed
from tests.anaplan.rows import batch, change

INVOICE_LIST = ImportAction("112000000001", "Invoices list", LIST, "113000000001")
INVOICE_DATA = ImportAction("112000000002", "Invoices data", MODULE, "113000000002")
LAYOUT = FileFormat(headers=("code", "amount", "date"))


def test_an_import_is_found_by_name_and_by_id() -> None:
    for wanted in ("Invoices data", "112000000002"):
        assert find_import([INVOICE_LIST, INVOICE_DATA], wanted, MODULE) is INVOICE_DATA


@pytest.mark.parametrize(
    ("imports", "wanted", "kind", "words"),
    [
        ([INVOICE_LIST], "Orders list", LIST, "model builder must create it"),
        ([INVOICE_LIST], "invoices LIST", LIST, "Did you mean 'Invoices list'"),
        (
            [INVOICE_LIST, replace(INVOICE_LIST, id="112000000009")],
            "Invoices list",
            LIST,
            "name one of the ids",
        ),
        ([INVOICE_LIST], "Invoices list", MODULE, "HIERARCHY_DATA; a module import"),
        ([replace(INVOICE_LIST, source_id="102000000001")], "Invoices list", LIST, "no uploaded file"),
    ],
)
def test_an_import_that_does_not_fit_is_explained(
    imports: list[ImportAction], wanted: str, kind: str, words: str
) -> None:
    with pytest.raises(PreflightFailed, match=words):
        find_import(imports, wanted, kind)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("code", "amount", "date", "status"), "the import lacks status"),
        (("code", "amount"), "the mapping lacks date"),
        (("code", "amount", "day"), "the import lacks day; the mapping lacks date"),
        (("amount", "code", "date"), "the order differs, the import has code, amount, date"),
    ],
)
def test_a_header_that_differs_is_described_column_by_column(columns: tuple[str, ...], words: str) -> None:
    with pytest.raises(PreflightFailed, match=words):
        check_layout("Invoices data", LAYOUT, columns)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (replace(LAYOUT, encoding="EBCDIC-9"), "not known here"),
        (replace(LAYOUT, separator="||"), "single characters"),
        (replace(LAYOUT, first_data_row=4), "data from row 4"),
    ],
)
def test_a_file_layout_that_cannot_be_written_is_explained(layout: FileFormat, words: str) -> None:
    with pytest.raises(PreflightFailed, match=words):
        check_layout("Invoices data", layout, LAYOUT.headers)


def test_codes_of_sixty_characters_fit_and_blanks_at_the_ends_do_not() -> None:
    assert code_problem("x" * 60) is None
    assert "begins or ends with a blank" in (code_problem(" x") or "")


def test_a_code_with_a_line_break_is_refused_because_the_file_would_hold_another() -> None:
    assert "line break" in (code_problem("a\u2028b") or "")


def test_imports_may_be_named_by_id_in_the_settings(client: AnaplanClient, world: World) -> None:
    ids = [world.import_named(f"Supplier Invoices {part}").id for part in ("list", "data")]
    feed = invoice_feed(client, list_import=ids[0], data_import=ids[1])
    feed.preflight([change("1001")])
    assert feed.send(batch(change("1001"))).refused == {}


def test_list_and_data_import_mixed_up_in_the_settings_stop(client: AnaplanClient) -> None:
    feed = invoice_feed(client, list_import="Supplier Invoices data", data_import="Supplier Invoices list")
    with pytest.raises(errors.Stop, match="Correct the settings"):
        feed.preflight([change("1001")])
