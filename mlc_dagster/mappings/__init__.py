"""Mappings: SQL models with contracts that turn the lake's records into rows for destinations."""

from mlc_dagster.mappings.docs import docs
from mlc_dagster.mappings.errors import MappingErrors, MappingFailed
from mlc_dagster.mappings.mappings import Mappings
from mlc_dagster.mappings.model import (
    CheckInfo,
    CheckResult,
    ColumnInfo,
    Mapped,
    MappedRow,
    Model,
    RefusedRow,
)
from mlc_dagster.mappings.rows import current, load, save
from mlc_dagster.mappings.running import Catalog
from mlc_dagster.mappings.testing import test

__all__ = [
    "Catalog",
    "CheckInfo",
    "CheckResult",
    "ColumnInfo",
    "Mapped",
    "MappedRow",
    "MappingErrors",
    "MappingFailed",
    "Mappings",
    "Model",
    "RefusedRow",
    "current",
    "docs",
    "load",
    "save",
    "test",
]
