"""A simulated Anaplan tenant: Integration API v2, token and OAuth services, and a data hub model."""

from mlc_sandbox.anaplan.vendor import AnaplanVendor
from mlc_sandbox.anaplan.world import World

__all__ = ["AnaplanVendor", "World"]
