"""Companies, pairs, schedules and targets: one YAML file plus the environment, checked before any run.

Each pair's section has its module; `whole` puts them together and reads the file.
"""

from mlc_dagster.settings.section import PairSettings, Secret, SecretMissing
from mlc_dagster.settings.visma import CompanySettings, VismaSettings
from mlc_dagster.settings.whole import (
    REPOSITORY,
    TITLES,
    Pairs,
    Settings,
    UnknownCompany,
    config_file,
    load_settings,
    pair_of,
)

__all__ = [
    "REPOSITORY",
    "TITLES",
    "CompanySettings",
    "PairSettings",
    "Pairs",
    "Secret",
    "SecretMissing",
    "Settings",
    "UnknownCompany",
    "VismaSettings",
    "config_file",
    "load_settings",
    "pair_of",
]
