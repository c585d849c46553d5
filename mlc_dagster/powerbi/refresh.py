"""Asks for the refresh of a dataset that depends on ours (vendors/powerbi.md section 12)."""

from collections.abc import Mapping
from typing import Any

from mlc_dagster.powerbi.client import PowerBiClient
from mlc_dagster.transport.errors import CallFailed

POLL_SECONDS, PATIENCE_SECONDS = 10.0, 60.0
# Answers that say when, not how: a plain refresh would get the same one.
LATER = ("throttled", "already executing", "another refresh")
PLAIN: Mapping[str, Any] = {"notifyOption": "NoNotification"}
RUNNING = ("Unknown", "NotStarted", "InProgress")


def refresh(client: PowerBiClient, dataset: str) -> str:
    """Ask for it, and follow it for a minute where that is possible; what became of it, in words.

    Raises transport's CallFailed: it was not accepted.
    """
    try:
        refresh_id = client.start_refresh(dataset, {"type": "Full"})
    except CallFailed as failure:
        if failure.status != 400 or any(word in failure.excerpt.lower() for word in LATER):
            raise
        # Without a dedicated capacity there is only the plain one, which cannot be followed.
        client.start_refresh(dataset, PLAIN)
        return "refresh accepted"
    return f"refresh {_followed(client, dataset, refresh_id) if refresh_id else 'accepted'}"


def _followed(client: PowerBiClient, dataset: str, refresh_id: str) -> str:
    waited = 0.0
    while (state := client.refresh_state(dataset, refresh_id)) in RUNNING:
        if waited >= PATIENCE_SECONDS:
            return "still running"
        client.clock.sleep(POLL_SECONDS)
        waited += POLL_SECONDS
    return state.lower()
