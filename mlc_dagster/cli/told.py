"""What `mlc alerts` does: what is wrong now, and whether people would hear of it."""

from rich.text import Text

from mlc_dagster.alerts.finding import Severity
from mlc_dagster.alerts.message import by_cause, entry
from mlc_dagster.alerts.round import look, try_all
from mlc_dagster.cli.console import console
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

STYLES = {Severity.WARNING: "yellow", Severity.ERROR: "red"}


def show_alerts() -> int:
    """Print what is open, one entry for each cause; 1 when anything is."""
    settings = load_settings()
    found = look(Suite(settings)).open()
    for group in by_cause(found):
        first, *others = entry(group, settings.alerts.dagster_url).splitlines()
        console.print(Text(first, STYLES[max(alert.finding.severity for alert in group)]))
        console.print(Text("\n".join(others)))
    if not found:
        console.print("Nothing is wrong that the database or Dagster's finished runs tell of.")
    console.print("Failed runs and checks are as the sensor `alerts` last read them, every minute.")
    if not settings.alerts.channels:
        console.print("Nobody is told: mlc.yaml names no channel (docs/alerts.md).")
    return 1 if found else 0


def try_channels() -> int:
    """Print a line a channel; 1 when one fails or there is none."""
    settings = load_settings()
    if not settings.alerts.channels:
        console.print("mlc.yaml names no channel: add one under `alerts: channels:` (docs/alerts.md).")
        return 1
    healthy = True
    for sent in try_all(settings.alerts):
        healthy &= sent.trouble is None
        verdict, style = ("ok", "green") if sent.trouble is None else ("fails", "red")
        words = "took the message" if sent.trouble is None else sent.trouble
        console.print(Text.assemble((f"{verdict:<6}", style), f"{sent.channel}: {words}"))
    return 0 if healthy else 1
