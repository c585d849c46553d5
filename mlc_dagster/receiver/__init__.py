"""The one door for vendors' calls: it checks who calls and keeps a signal. Knows no vendor."""

from mlc_dagster.receiver.app import Source, Verdict, receiver
from mlc_dagster.receiver.rates import Rates, network_of
from mlc_dagster.receiver.server import server
from mlc_dagster.receiver.signals import Signals

__all__ = ["Rates", "Signals", "Source", "Verdict", "network_of", "receiver", "server"]
