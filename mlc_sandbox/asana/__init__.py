"""A simulated Asana organisation: tasks, projects, custom fields, events, webhooks, and people who edit."""

from mlc_sandbox.asana.vendor import AsanaVendor
from mlc_sandbox.asana.world import World

__all__ = ["AsanaVendor", "World"]
