"""What depends on a target's data, such as reports: it is started after a run that changed something."""

import logging
from collections.abc import Callable, Collection, Mapping

from mlc_dagster.delivery.errors import LeaseHeld, LeaseLost
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.transport.errors import CallFailed

NAME = "refresh"

logger = logging.getLogger(__name__)


class Refreshes:
    """That one is due is remembered until it was started, whatever becomes of the run. Fails no delivery."""

    def __init__(self, memory: Memory, starts: Mapping[str, Callable[[], str]]) -> None:
        """`starts`: how each is started, by its name for people. It returns what became of that, in a word,
        and raises transport's CallFailed, or LeaseHeld while another process signs in.
        """
        self._memory, self._starts = memory, starts

    def delivered(self, *, changed: bool, last: bool) -> None:
        """Note that something changed; after the last destination of a run start what is due."""
        if not self._starts:
            return
        if changed:
            self._note(lambda due: {name: due.get(name, 0) + 1 for name in self._starts})
        if last and (due := self._known(self._memory.read(NAME).value)):
            failed = self.start(due)
            # What another run has changed since then is still due.
            self._note(
                lambda now: {
                    name: times
                    for name, times in self._known(now).items()
                    if name in failed or times != due.get(name)
                }
            )

    def start(self, names: Collection[str] | None = None) -> dict[str, CallFailed | LeaseHeld]:
        """Start those of these names, all by default, due or not; returns those that could not be started."""
        failed: dict[str, CallFailed | LeaseHeld] = {}
        for name in self._starts if names is None else names:
            try:
                logger.info("%s: %s", name, self._starts[name]())
            except (CallFailed, LeaseHeld) as failure:
                logger.warning("%s was not started: %s", name, failure)
                failed[name] = failure
        return failed

    def _known(self, noted: Mapping[str, int]) -> dict[str, int]:
        """What is due, and after how many changes. Names that mlc.yaml has no more are left out."""
        if noted.get("due"):  # as earlier versions noted it: all of them
            return dict.fromkeys(self._starts, 0)
        return {name: times for name, times in noted.items() if name in self._starts}

    def _note(self, change: Callable[[Mapping[str, int]], dict[str, int]]) -> None:
        """Write what is due; runs of other companies do the same."""
        try:
            self._memory.change(NAME, change)
        except LeaseLost:
            logger.warning("Which refreshes are due could not be noted: too many runs write it at once.")
