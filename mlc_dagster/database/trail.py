"""The row of an event: every room that tells the audit trail something makes it here."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def event(
    at: datetime,
    by: str,
    kind: str,
    detail: Mapping[str, Any],
    *,
    destination: str,
    company: str,
    source_key: str | None = None,
    key: str | None = None,
    number: str | None = None,
    batch_id: str | None = None,
) -> dict[str, Any]:
    """A row of the table `events`. by: the run or the person that did it; detail: what is told, as JSON."""
    return {
        "at": at,
        "run_id": by,
        "destination": destination,
        "company": company,
        "source_key": source_key,
        "key": key,
        "number": number,
        "batch_id": batch_id,
        "kind": str(kind),
        "detail": json.dumps(detail, ensure_ascii=False, default=str),
    }
