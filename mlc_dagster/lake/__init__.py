"""The lake: what was read from the ERP, as Parquet files by entity, company and day."""

import pyarrow as pa

from mlc_dagster.lake.columns import SYSTEM, with_system
from mlc_dagster.lake.errors import LakeBusy, LakeError, LakeWriteFailed, TableRefused
from mlc_dagster.lake.lake import Lake, Version
from mlc_dagster.lake.note import DayNote
from mlc_dagster.lake.spool import Spool

__all__ = [
    "SYSTEM",
    "DayNote",
    "Lake",
    "LakeBusy",
    "LakeError",
    "LakeWriteFailed",
    "Spool",
    "TableRefused",
    "Version",
    "with_system",
]

# Arrow's own allocators keep what was freed, by thread: a large read would need 50 MB more, for no less CPU.
pa.set_memory_pool(pa.system_memory_pool())
