"""Starts refresh tasks and flows after our data sources have changed (section 8); fails no delivery."""

import logging
from collections.abc import Callable, Mapping

from mlc_dagster.delivery.errors import LeaseLost
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.transport.errors import CallFailed

NAME = "refresh"

logger = logging.getLogger(__name__)


class Refreshes:
    """What depends on our data sources. That it is due is remembered until it was started."""

    def __init__(self, memory: Memory, starts: Mapping[str, Callable[[], None]]) -> None:
        """`starts`: how each task or flow is started, by its name in the log."""
        self._memory, self._starts = memory, starts

    def delivered(self, *, changed: bool, last: bool) -> None:
        """Note that something changed; after the last destination of a run start what is due."""
        if changed and self._starts:
            self._write(due=True)
        if last and self._starts and self._memory.read(NAME).value.get("due"):
            # Noted first: what changes while they are started is due again.
            self._write(due=False)
            failed = self.start()
            for name, failure in failed.items():
                logger.warning("%s is started with the next run: %s", name, failure)
            if failed:
                self._write(due=True)

    def start(self) -> dict[str, CallFailed]:
        """Start each of them, due or not; returns those that could not be started."""
        failed = {}
        for name, start in self._starts.items():
            try:
                start()
            except CallFailed as failure:
                if failure.status != 409:  # queued already, it reads what we have written
                    failed[name] = failure
                    continue
            logger.info("%s was started", name)
        return failed

    def _write(self, *, due: bool) -> None:
        """Note whether something is due; runs of other companies do the same."""
        try:
            self._memory.change(NAME, lambda _: {"due": due})
        except LeaseLost:
            logger.warning("Whether something is due could not be noted: too many runs write it at once.")
