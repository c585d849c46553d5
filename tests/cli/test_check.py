"""What `mlc check` says of one thing it tried."""

import pytest

from mlc_dagster.cli import check
from mlc_dagster.delivery.errors import DeliveryError


def test_what_fails_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> str:
        raise DeliveryError("anaplan/suppliers: the import lacks credit_terms.")

    assert not check.attempt("anaplan/suppliers", step)
    assert capsys.readouterr().out == "fails anaplan/suppliers: the import lacks credit_terms.\n"
