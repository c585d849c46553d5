"""What steps did, added up, and indexes for counting what stands where."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.create_table(
        "tallies",
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("place", "company", "name", name="pk_tallies"),
    )
    op.create_index("ix_records_destination_company_state", "records", ["destination", "company", "state"])
    op.create_index("ix_batches_state", "batches", ["state"])
    op.create_index(
        "ix_quarantine_resolved_at_place_company", "quarantine", ["resolved_at", "place", "company"]
    )
