"""What the Makefile takes away, and what it must not touch."""

import subprocess
from pathlib import Path

from mlc_dagster.settings import REPOSITORY


def test_clean_takes_the_demo_and_the_environment_and_leaves_an_installation_beside_them(
    tmp_path: Path,
) -> None:
    kept = ["mlc.yaml", ".mlc/mlc.db", ".mlc/vault.key", ".mlc/lake/NO01/suppliers.parquet"]
    taken = [".venv/bin/python", ".mlc/demo/mlc.db", ".mypy_cache/state"]
    for name in [*kept, *taken]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a line", "utf-8")
    makefile = str(REPOSITORY / "Makefile")
    subprocess.run(["make", "--file", makefile, "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == set(kept)
