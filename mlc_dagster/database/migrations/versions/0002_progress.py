"""How far reads and deliveries have come: the days a destination has received, the reads under way."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.create_table(
        "sent_days",
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("read_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("destination", "company", "day", name="pk_sent_days"),
    )
    op.create_table(
        "sweeps",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("reached", sa.Date, nullable=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("entity", "company", "first_day", "last_day", name="pk_sweeps"),
    )
