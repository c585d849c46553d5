"""What `mlc check` says of one thing it tried, and what it tries where the settings point nowhere."""

from pathlib import Path

import pytest

from mlc_dagster.cli import check
from mlc_dagster.delivery.errors import DeliveryError
from mlc_dagster.operations import health
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def test_what_fails_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> str:
        raise DeliveryError("anaplan/suppliers: the import lacks credit_terms.")

    assert not check.attempt("anaplan/suppliers", step)
    assert capsys.readouterr().out == "fails anaplan/suppliers: the import lacks credit_terms.\n"


def test_without_its_database_nothing_else_is_tried(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    password = "hunter2"
    monkeypatch.setenv("MLC_DATABASE_URL", f"postgresql://mlc:{password}@127.0.0.1:1/mlc")
    assert check.run_check() == 1
    configuration, database = capsys.readouterr().out.splitlines()
    assert configuration.startswith("ok    configuration")
    assert database.startswith("fails database: The database postgresql+psycopg2://mlc:***@127.0.0.1:1/mlc")
    assert "Connection refused" in database
    assert password not in database


@pytest.mark.parametrize("place", ["letter/lake", "letter"])
def test_a_lake_that_takes_no_files_is_no_lake(
    installed: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (installed / "letter").write_text("Dear controller")
    monkeypatch.setenv("MLC_LAKE_URL", str(installed / place))
    with pytest.raises(health.LakeUnusable, match=r"takes no files .* Check MLC_LAKE_URL"):
        health.lake(Suite(load_settings()))


def test_an_unknown_store_is_told_as_that(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLC_LAKE_URL", "wharf://lake")
    with pytest.raises(health.LakeUnusable, match="Protocol not known: wharf"):
        health.lake(Suite(load_settings()))


def test_looking_at_the_lake_leaves_nothing_there(installed: Path) -> None:
    health.lake(Suite(load_settings()))
    assert list((installed / "state" / "lake").iterdir()) == []
