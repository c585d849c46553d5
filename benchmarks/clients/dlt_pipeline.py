"""dlt, as its documentation advises for speed: `dlt_pipeline.py ERP FOLDER filesystem|duckdb doubles|exact`.

- Pages are yielded whole, never row by row, and the pages after the first are read in parallel.
- Extract and normalize rotate their files, so that normalize can use a process for each processor; load uses
  threads.
- The writers' buffers are large, and the loader's files are Parquet for both destinations.
- Incremental by lastModifiedDateTime. Files are appended to, as dlt does; DuckDB merges by key after a first
  append.

`doubles` is dlt's own JSON, which makes doubles of money; `exact` parses decimals, as the others here do.
"""

import json as exact_json
import os
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

FOLDER, DESTINATION, NUMBERS = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
PROCESSORS = len(os.sched_getaffinity(0))
os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": "8",
    "EXTRACT__MAX_PARALLEL_ITEMS": "16",
    "NORMALIZE__WORKERS": str(PROCESSORS),
    "NORMALIZE__START_METHOD": "spawn",
    "LOAD__WORKERS": "8",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "20000",
    "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "100000",
}

import dlt  # noqa: E402 - it reads the environment
from bare import PAGE_SIZE, Erp, tell  # noqa: E402
from dlt.common import json as dlt_json  # noqa: E402

KEY = ("documentType", "referenceNumber")
taken = {"rows": 0}


def parse(text: str) -> Any:
    return exact_json.loads(text, parse_float=Decimal) if NUMBERS == "exact" else dlt_json.loads(text)


@dlt.resource(name="supplier_invoices", primary_key=KEY, parallelized=True)
def supplier_invoices(
    modified: Any = dlt.sources.incremental("lastModifiedDateTime"),  # noqa: B008 - dlt's way
) -> Iterator[list[Any] | Callable[[], list[Any]]]:
    company, since = Erp(sys.argv[1]), modified.last_value

    def page(number: int) -> list[Any]:
        records: list[Any] = parse(company.page(number, since))
        taken["rows"] += len(records)
        return records

    first = page(1)
    total = first[0]["metadata"]["totalCount"] if first else 0
    yield without_totals(first)
    for number in range(2, ceil(total / PAGE_SIZE) + 1):
        yield lambda number=number: without_totals(page(number))


@dlt.source(root_key=DESTINATION == "duckdb")
def erp() -> Any:
    """The root key on lines is what lets a first append be followed by merges."""
    return supplier_invoices


def without_totals(records: list[Any]) -> list[Any]:
    for record in records:
        record.pop("metadata", None)
    return records


def main() -> None:
    """Run the pipeline over what changed since its last run."""
    home = FOLDER / "pipelines"
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = FOLDER / "invoices.duckdb"
    target = (
        dlt.destinations.duckdb(str(database))
        if DESTINATION == "duckdb"
        else dlt.destinations.filesystem(str((FOLDER / "files").resolve()))
    )
    merge = DESTINATION == "duckdb" and database.exists()
    pipeline = dlt.pipeline(
        "invoices", destination=target, dataset_name="visma", pipelines_dir=str(home.resolve())
    )
    pipeline.run(erp(), loader_file_format="parquet", write_disposition="merge" if merge else "append")
    trace = pipeline.last_trace
    counts = trace.last_normalize_info.row_counts if trace.last_normalize_info else {}
    finished = [
        job.finished_at.timestamp()
        for info in ([trace.last_load_info] if trace.last_load_info else [])
        for metrics in info.metrics.values()
        for metric in metrics
        for job in metric["job_metrics"].values()
        if not job.table_name.startswith("_dlt")
    ]
    tell(
        rows=taken["rows"],
        changed=counts.get("supplier_invoices", 0),
        first_row_at=min(finished, default=None),
        tables={name: count for name, count in counts.items() if not name.startswith("_dlt")},
    )


if __name__ == "__main__":
    main()
