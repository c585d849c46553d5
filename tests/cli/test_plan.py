"""`mlc plan` before anything was read."""

from pathlib import Path

import pytest
import yaml

from mlc_dagster.cli.plan import show_plan
from mlc_dagster.settings import REPOSITORY, UnknownCompany


@pytest.fixture(autouse=True)
def nothing_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    settings |= {"home": "state", "mappings": str(REPOSITORY / "dbt_like_mappings")}
    (tmp_path / "mlc.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    monkeypatch.setenv("MLC_CONFIG", str(tmp_path / "mlc.yaml"))
    monkeypatch.setenv("ASANA_TOKEN", "none")
    for name in ("MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_an_empty_lake_is_named_and_budgets_of_other_pairs_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_plan("asana/purchase_orders", "NO01", None, None)
    told = " ".join(capsys.readouterr().out.split())
    assert "Nothing was read from the ERP yet for asana NO01" in told
    assert "Budget asana" in told
    assert "Budget anaplan" not in told


def test_a_company_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownCompany, match=r"no company DK01\. Known: NO01"):
        show_plan("asana/purchase_orders", "DK01", None, None)
