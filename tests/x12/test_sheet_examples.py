"""The examples of the vendor sheet: valid, and the same bytes again, whichever way round."""

import pytest

from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.writer import serialise, write
from tests.x12.examples import SHEET, content, envelope_of, judged, only_set


@pytest.mark.parametrize("name", SHEET)
def test_an_example_is_valid(name: str) -> None:
    assert [str(finding) for finding in judged(content(name)).everything()] == []


@pytest.mark.parametrize("name", SHEET)
def test_read_and_written_without_a_thought_it_is_the_same_bytes(name: str) -> None:
    (interchange,) = read(content(name))
    assert serialise(interchange).encode() == content(name)


@pytest.mark.parametrize("name", SHEET)
def test_understood_as_a_document_and_said_again_it_is_the_same_bytes(name: str) -> None:
    (interchange,) = read(content(name))
    told = document(only_set(content(name)), Dialect())
    assert write([told], envelope_of(interchange), Dialect()).content == content(name)
