"""The lake: what was read from the ERP, as Parquet files by entity, company and day."""

from mlc_dagster.lake.columns import DAY, SYSTEM, with_system
from mlc_dagster.lake.errors import (
    LakeBusy,
    LakeError,
    LakeOvertaken,
    LakeWriteFailed,
    PageGone,
    TableRefused,
)
from mlc_dagster.lake.lake import Lake, Version
from mlc_dagster.lake.memory import spare_memory
from mlc_dagster.lake.note import DayNote
from mlc_dagster.lake.partitions import month_of
from mlc_dagster.lake.spool import Spool

__all__ = [
    "DAY",
    "SYSTEM",
    "DayNote",
    "Lake",
    "LakeBusy",
    "LakeError",
    "LakeOvertaken",
    "LakeWriteFailed",
    "PageGone",
    "Spool",
    "TableRefused",
    "Version",
    "month_of",
    "with_system",
]

spare_memory()
