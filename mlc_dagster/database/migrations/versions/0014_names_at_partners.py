"""The number by which a partner knows a document."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.add_column("interchange_documents", sa.Column("name", sa.Text, nullable=True))
    op.create_index("ix_interchange_documents_name", "interchange_documents", ["name"])
