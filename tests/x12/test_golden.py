"""Awkward documents as bytes: pinned, valid by our own validator, and the same bytes when read and written
again.
"""

import pytest

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import Document
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.writer import write
from tests.x12.cases import CASES
from tests.x12.examples import ENVELOPE, judged, only_set
from tests.x12.golden import golden

cases = pytest.mark.parametrize(
    ("told", "dialect", "name"), [(*case, name) for name, case in CASES.items()], ids=CASES
)


@cases
def test_a_document_is_written_as_it_always_was(told: Document, dialect: Dialect, name: str) -> None:
    assert write([told], ENVELOPE, dialect).content == golden(name)


@cases
def test_what_is_written_is_valid_without_a_warning(told: Document, dialect: Dialect, name: str) -> None:
    assert [str(finding) for finding in judged(golden(name)).everything()] == []


@cases
def test_what_is_written_is_the_same_bytes_when_read_and_written_again(
    told: Document, dialect: Dialect, name: str
) -> None:
    again = document(only_set(golden(name)), dialect)
    assert write([again], ENVELOPE, dialect).content == golden(name)


PLAIN = {
    name: case
    for name, case in CASES.items()
    if name
    not in {
        "order_long_nordic_names",  # letters and lengths were made to fit
        "order_latin1",
        "order_delimiters_inside_text",
        "order_005010_utf8",  # a text that ends in a blank loses it
        "order_changed_860",  # what is left to receive is said of every line
        "invoice_base_too_long",
        "receipt_856",  # says what was shipped
    }
}


@pytest.mark.parametrize(
    ("told", "dialect", "name"), [(*case, name) for name, case in PLAIN.items()], ids=PLAIN
)
def test_a_document_without_awkward_letters_reads_back_equal(
    told: Document, dialect: Dialect, name: str
) -> None:
    assert document(only_set(golden(name)), dialect) == told
