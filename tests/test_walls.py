"""The walls of `make lint` stand around every target, one that was added yesterday too."""

import tomllib
from typing import get_args

from mlc_dagster.settings import REPOSITORY, TITLES, Pairs
from mlc_dagster.settings.alerts import PairName


def test_a_wall_that_names_several_targets_names_them_all() -> None:
    lint = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    targets = {f"mlc_dagster.{name}" for name in Pairs.model_fields}
    lists = ("modules", "source_modules", "forbidden_modules")
    lacking = {
        f"{contract['name']}: {part}": sorted(targets - named)
        for contract in lint["contracts"]
        for part in lists
        if len(targets & (named := set(contract.get(part, ())))) > 1
    }
    assert lacking
    assert not any(lacking.values()), lacking


def test_every_target_has_a_name_for_people_and_alerts_of_its_own() -> None:
    assert TITLES.keys() == set(get_args(PairName)) == Pairs.model_fields.keys()
