"""Reads under way are known by their pages in the lake; no table is needed for them."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.drop_table("sweeps")
