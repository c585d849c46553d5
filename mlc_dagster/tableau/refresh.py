"""Starts what reads our data sources: refresh tasks and flows (vendors/tableau.md section 8)."""

from collections.abc import Callable

from mlc_dagster.transport.errors import CallFailed

QUEUED = 409


def started(start: Callable[[str], None], id: str) -> str:
    """Start one of them, or find it in the queue already: then it reads what we have written.

    Raises transport's CallFailed.
    """
    try:
        start(id)
    except CallFailed as failure:
        if failure.status != QUEUED:
            raise
        return "in the queue already"
    return "started"
