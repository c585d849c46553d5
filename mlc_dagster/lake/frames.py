"""pandas at the edges: frames that keep decimals, dates and nested values as they are."""

import pandas as pd
import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A frame with Arrow-backed columns: money stays decimal, days stay days."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def to_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The table of a frame, in exactly these columns and types.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit its column's type without loss.
    """
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
