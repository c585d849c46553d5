"""When a credential ends, as somebody noted it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    op.add_column("vault", sa.Column("ends_on", sa.Date, nullable=True))
