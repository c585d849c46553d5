"""Start-up loads no more than it uses and builds nothing twice: modules are counted, not seconds."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from mlc_dagster.definitions import defs
from mlc_dagster.lake import DayNote, Lake
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.visma.entities import ENTITIES

HEAVY = (
    "dagster",
    "pandas",
    "pyarrow",
    "duckdb",
    "sqlalchemy",
    "sqlglot",
    "requests",
    "cryptography",
    "pydantic",
)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules in memory after a statement, in an interpreter of its own."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_help_loads_none_of_the_engine() -> None:
    assert loaded_by("import mlc_dagster.cli.main") & set(HEAVY) == set()


def test_a_run_without_dagster_loads_neither_dagster_nor_what_only_shows_lineage() -> None:
    loaded = loaded_by("import mlc_dagster.flow")
    assert "pyarrow" in loaded
    assert loaded & {"dagster", "sqlglot", "alembic", "mlc_sandbox", "rich", "typer"} == set()


def test_a_read_asks_the_lake_without_a_database_engine(tmp_path: Path) -> None:
    """DuckDB is 80 MB of memory, and a read that finds little new is what runs most often."""
    entity, note = ENTITIES["supplier_invoices"], DayNote(None, datetime.now(UTC), complete=True, total=0)
    Lake(str(tmp_path)).write_day(entity.name, "NO01", note.read_at.date(), entity.schema.empty_table(), note)
    look = (
        "import mlc_dagster.flow; from mlc_dagster.lake import Lake\n"
        "from mlc_dagster.visma.entities import ENTITIES; from mlc_dagster.visma.deletes import held\n"
        f"held(Lake({str(tmp_path)!r}), ENTITIES['supplier_invoices'], 'NO01')"
    )
    assert "duckdb" not in loaded_by(look)


def test_definitions_load_neither_the_command_line_nor_the_sandbox() -> None:
    assert loaded_by("import mlc_dagster.definitions") & {"typer", "mlc_sandbox", "alembic"} == set()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with mappings of its own."""
    shutil.copytree(REPOSITORY / "dbt_like_mappings", tmp_path / "models")
    settings = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    file = tmp_path / "mlc.yaml"
    file.write_text(yaml.safe_dump({**settings, "mappings": "models"}, sort_keys=False), "utf-8")
    monkeypatch.setenv("MLC_CONFIG", str(file))
    return file


def test_definitions_are_built_once_while_nothing_changes(config: Path) -> None:
    assert defs() is defs()


def test_a_changed_setting_builds_them_anew(config: Path) -> None:
    before = defs()
    text = config.read_text("utf-8")
    config.write_text(text.replace("0 6 * * *", "0 7 * * *"), "utf-8")
    after = defs()
    assert after is not before
    crons = {str(schedule.cron_schedule) for schedule in after.schedules or ()}
    assert "0 7 * * *" in crons
    assert "0 6 * * *" not in crons


def test_an_edited_contract_builds_them_anew(config: Path) -> None:
    before = defs()
    contract = config.parent / "models" / "anaplan" / "suppliers.yml"
    contract.write_text(
        contract.read_text("utf-8").replace("description:", "description: Edited.", 1), "utf-8"
    )
    assert defs() is not before
