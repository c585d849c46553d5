"""Exact delivery: ledger, planner, engine, audit trail, leases. Knows no vendor."""

from mlc_dagster.delivery.audit import Audit, Event, Kind
from mlc_dagster.delivery.comparisons import Compared, Comparisons
from mlc_dagster.delivery.deferrals import Deferral, Deferrals
from mlc_dagster.delivery.destination import Batch, Destination, FoundRow, Outcome, ReadBack
from mlc_dagster.delivery.engine import condemn, deliver, distrust
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.delivery.ledger import Ledger, State
from mlc_dagster.delivery.planner import Plan, plan
from mlc_dagster.delivery.quarantine import Entry, Quarantine, Refused
from mlc_dagster.delivery.reconcile import Comparison, Difference, Surplus, reconcile
from mlc_dagster.delivery.report import Report
from mlc_dagster.delivery.rows import Change, Op, Refusal, Row

__all__ = [
    "Audit",
    "Batch",
    "Change",
    "Compared",
    "Comparison",
    "Comparisons",
    "Deferral",
    "Deferrals",
    "Destination",
    "Difference",
    "Entry",
    "Event",
    "FoundRow",
    "Kind",
    "Leases",
    "Ledger",
    "Op",
    "Outcome",
    "Plan",
    "Quarantine",
    "ReadBack",
    "Refusal",
    "Refused",
    "Report",
    "Row",
    "State",
    "Surplus",
    "condemn",
    "deliver",
    "distrust",
    "plan",
    "reconcile",
]
