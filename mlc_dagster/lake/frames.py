"""pandas for people: frames that keep decimals, dates and nested values as they are (docs/mappings.md)."""

import pandas as pd
import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A frame with Arrow-backed columns: money stays decimal, days stay days, lines stay lists."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
