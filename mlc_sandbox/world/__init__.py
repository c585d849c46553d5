"""The contents of the simulated ERP: companies, their records, and what happens to them in a day."""

# Importing the modules registers their tables with mlc_sandbox.world.company.
from mlc_sandbox.world import accounting, changes, master, orders, parties, payables, people, receivables
from mlc_sandbox.world.company import BUILDERS, Company

ENTITIES = tuple(BUILDERS)

__all__ = [
    "ENTITIES",
    "Company",
    "accounting",
    "changes",
    "master",
    "orders",
    "parties",
    "payables",
    "people",
    "receivables",
]
