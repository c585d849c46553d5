"""The one door for vendors' calls: it checks who calls and keeps a signal. Knows no vendor."""

from mlc_dagster.receiver.app import Source, Verdict, receiver
from mlc_dagster.receiver.signals import Signals

__all__ = ["Signals", "Source", "Verdict", "receiver"]
