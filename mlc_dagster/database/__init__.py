"""The one database: ledger, audit trail, leases and rate budgets, on SQLite or PostgreSQL."""

from mlc_dagster.database.engine import connect, insert_missing, migrate, reading, take_turns, upsert

__all__ = ["connect", "insert_missing", "migrate", "reading", "take_turns", "upsert"]
