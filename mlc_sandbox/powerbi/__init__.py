"""A simulated Power BI tenant: push datasets, their rows, refreshes and DAX queries."""

from mlc_sandbox.powerbi.vendor import PowerBIVendor
from mlc_sandbox.powerbi.world import World

__all__ = ["PowerBIVendor", "World"]
