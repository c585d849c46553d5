"""Mapped rows kept as Parquet beside the lake, so that a delivery need not map again what has not moved."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import pyarrow as pa

from mlc_dagster.lake import Lake
from mlc_dagster.mappings.mappings import Mappings
from mlc_dagster.mappings.model import CheckResult, Mapped, RefusedRow

FOLDER = "_rows"
SIDE = b"mlc.mapped"
# Rows are quick to make again; older ranges only take space.
KEPT_FILES = 8
# Of what stands beside the rows in a file. It rises when that changes, so that older files are made again.
FORMAT = "2"


def current(
    mappings: Mappings,
    model: str,
    lake: Lake,
    company: str,
    days: Sequence[date],
    *,
    also: Collection[str] = (),
    seen: str | None = None,
) -> Mapped:
    """What Mappings.run returns, from an earlier call's file while nothing it depends on has moved."""
    first, last = min(days), max(days)
    parts = [
        FORMAT,
        mappings.fingerprint(model, lake, company),
        # Of what changes no row, but what a test that only blocks or warns has found.
        mappings.digest,
        *(lake.fingerprint(entity, company) for entity in mappings.inputs(model)),
        *(day.isoformat() for day in sorted(days)),
        *sorted(also),
        str(seen),
    ]
    inputs = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    if (kept := load(lake, model, company, first=first, last=last, inputs=inputs)) is not None:
        return kept
    mapped = mappings.run(model, lake, company, days, also=also, seen=seen)
    save(lake, mapped, first, last, inputs)
    return mapped


def save(lake: Lake, mapped: Mapped, first: date, last: date, inputs: str) -> None:
    """Keep rows, scope, refused rows and check results in one file, replaced as a whole.

    `inputs` is what they were made from: `load` gives them back for the same inputs only.

    Raises:
        OSError: the file system refused; the previous file is intact.
    """
    side = {
        "inputs": inputs,
        "key": mapped.key,
        "number": mapped.number,
        "refused": [asdict(row) for row in mapped.refused],
        "scope": sorted(mapped.scope),
        "whole": mapped.whole,
        "fingerprint": mapped.fingerprint,
        "checks": [asdict(check) for check in mapped.checks],
    }
    metadata = {SIDE: json.dumps(side, ensure_ascii=False).encode()}
    path = _path(lake, mapped.model, mapped.company, first, last)
    lake.storage.replace(path, mapped.table.schema.with_metadata(metadata), [mapped.table])
    _prune(lake, path)


def load(lake: Lake, model: str, company: str, *, first: date, last: date, inputs: str) -> Mapped | None:
    """The rows kept for some days, or None when there are none or they were made from other inputs."""
    try:
        table = lake.storage.read(_path(lake, model, company, first, last))
    except FileNotFoundError:
        return None
    # What decoding the file took is not needed again, and a delivery is long.
    pa.default_memory_pool().release_unused()
    side: dict[str, Any] = json.loads(table.schema.metadata[SIDE])
    if side["inputs"] != inputs:
        return None
    return Mapped(
        model,
        company,
        table.replace_schema_metadata(None),
        tuple(side["key"]),
        side["number"],
        tuple(RefusedRow(**{**row, "checks": tuple(row["checks"])}) for row in side["refused"]),
        frozenset(side["scope"]),
        side["whole"],
        side["fingerprint"],
        tuple(CheckResult(**row) for row in side["checks"]),
    )


def _path(lake: Lake, model: str, company: str, first: date, last: date) -> str:
    return lake.storage.path(FOLDER, *model.split("/"), company, f"{first}_{last}.parquet")


def _prune(lake: Lake, written: str) -> None:
    files = [file for file in lake.storage.list(written.rsplit("/", 1)[0]) if file.name.endswith(".parquet")]
    for file in files[:-KEPT_FILES]:
        if file.path != written:
            lake.storage.remove(file.path)
