"""How a long command is told to stop."""

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

MOMENT_SECONDS = 0.05


def stop_on_signals() -> None:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt, also where our starter ignores them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.unraisablehook = _raise_again


def _raise_again(ignored: "UnraisableHookArgs") -> None:
    """Python drops what is raised while it collects garbage, a stop too: let that come once more, when this
    is over.
    """
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        threading.Timer(MOMENT_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(ignored)
