"""What a read that waits for a window was configured with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.add_column("deferrals", sa.Column("config", sa.Text, nullable=True))
