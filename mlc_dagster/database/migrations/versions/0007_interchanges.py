"""EDI interchanges, their documents and their control numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.create_table(
        "control_numbers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_control_numbers"),
    )
    op.create_table(
        "interchanges",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("control", sa.BigInteger, nullable=False),
        sa.Column("group_control", sa.BigInteger, nullable=False),
        sa.Column("batch_id", sa.Text, nullable=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_interchanges"),
    )
    op.create_index(
        "ix_interchanges_direction_partner_control", "interchanges", ["direction", "partner", "control"]
    )
    op.create_index("ix_interchanges_batch_id", "interchanges", ["batch_id"])
    op.create_index("ix_interchanges_state", "interchanges", ["state"])
    op.create_table(
        "interchange_documents",
        sa.Column("interchange_id", sa.Text, nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("interchange_id", "control", name="pk_interchange_documents"),
    )
    op.create_index(
        "ix_interchange_documents_destination_key", "interchange_documents", ["destination", "key"]
    )
    op.create_index("ix_interchange_documents_number", "interchange_documents", ["number"])
