"""The lake: what was read from the ERP, as Parquet files by entity, company and day."""

from mlc_dagster.lake.columns import SYSTEM, with_system
from mlc_dagster.lake.errors import LakeBusy, LakeError, LakeWriteFailed, TableRefused
from mlc_dagster.lake.frames import to_frame, to_table
from mlc_dagster.lake.lake import Lake, Version
from mlc_dagster.lake.note import DayNote

__all__ = [
    "SYSTEM",
    "DayNote",
    "Lake",
    "LakeBusy",
    "LakeError",
    "LakeWriteFailed",
    "TableRefused",
    "Version",
    "to_frame",
    "to_table",
    "with_system",
]
