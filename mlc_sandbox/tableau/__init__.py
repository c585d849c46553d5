"""A simulated Tableau site: sign-in, published .hyper files that are really opened, jobs, users, webhooks."""

from mlc_sandbox.tableau.vendor import TableauVendor
from mlc_sandbox.tableau.world import World

__all__ = ["TableauVendor", "World"]
