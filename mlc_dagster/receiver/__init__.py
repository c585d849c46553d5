"""The one door for vendors' calls: it checks who calls and keeps a signal. Knows no vendor.

`app` and `server` are imported from their modules: who only takes up signals needs no web server.
"""

from mlc_dagster.receiver.signals import Signals
from mlc_dagster.receiver.source import Source, Verdict

__all__ = ["Signals", "Source", "Verdict"]
