"""Refreshes other datasets after ours has changed (vendors/powerbi.md section 12); fails no delivery."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlc_dagster.delivery.errors import LeaseLost
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.powerbi.client import PowerBiClient
from mlc_dagster.transport.errors import CallFailed

NAME = "refresh"
POLL_SECONDS, PATIENCE_SECONDS = 10.0, 60.0
# Answers that say when, not how: a plain refresh would get the same one.
LATER = ("throttled", "already executing", "another refresh")
PLAIN: Mapping[str, Any] = {"notifyOption": "NoNotification"}
RUNNING = ("Unknown", "NotStarted", "InProgress")

logger = logging.getLogger(__name__)


class Refreshes:
    """What depends on our dataset. That a refresh is due is remembered until one was accepted."""

    def __init__(self, client: PowerBiClient, memory: Memory, datasets: Sequence[str]) -> None:
        self._client, self._memory, self._datasets = client, memory, datasets

    def delivered(self, *, changed: bool, last: bool) -> None:
        """Note that something changed; after the last destination of a run ask for what is due."""
        if not self._datasets:
            return
        if changed:
            self._update(lambda due: {name: due.get(name, 0) + 1 for name in {*due, *self._datasets}})
        due = self._due() if last else {}
        if accepted := {dataset for dataset in sorted(due) if self._accepted(dataset)}:
            # What another run has changed since we asked is still due.
            self._update(
                lambda now: {
                    name: times for name, times in now.items() if name not in accepted or times != due[name]
                }
            )

    def _due(self) -> dict[str, int]:
        """The datasets whose refresh is due, and after how many deliveries."""
        return dict(self._memory.read(NAME).value)

    def _update(self, change: Callable[[Mapping[str, int]], dict[str, int]]) -> None:
        """Write what is due; runs of other companies do the same."""
        try:
            self._memory.change(NAME, change)
        except LeaseLost:
            logger.warning("Which refreshes are due could not be noted: too many runs write it at once.")

    def _accepted(self, dataset: str) -> bool:
        """Ask for a refresh; False when it is to be asked for again."""
        try:
            said = self._refresh(dataset)
        except CallFailed as failure:
            logger.warning("Refresh of dataset %s is asked for again with the next run: %s", dataset, failure)
            return False
        logger.info("Refresh of dataset %s: %s", dataset, said)
        return True

    def _refresh(self, dataset: str) -> str:
        try:
            refresh_id = self._client.start_refresh(dataset, {"type": "Full"})
        except CallFailed as failure:
            if failure.status != 400 or any(word in failure.excerpt.lower() for word in LATER):
                raise
            # Without a dedicated capacity there is only the plain one, which cannot be followed.
            self._client.start_refresh(dataset, PLAIN)
            return "accepted"
        return self._follow(dataset, refresh_id) if refresh_id else "accepted"

    def _follow(self, dataset: str, refresh_id: str) -> str:
        waited = 0.0
        while (state := self._client.refresh_state(dataset, refresh_id)) in RUNNING:
            if waited >= PATIENCE_SECONDS:
                return "still running"
            self._client.clock.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        return state.lower()
