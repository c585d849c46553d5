"""The first tables: ledger, audit trail, quarantine, leases, deliveries, deferrals, budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply the revision. There is no way back: restore a copy of the database instead."""
    _ledger()
    _audit()
    _coordination()


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _ledger() -> None:
    op.create_table(
        "records",
        *map(_text, ["destination", "company", "key", "source_key", "number", "state"]),
        *(_text(name, null=True) for name in ["hash", "payload", "target_id", "batch_id", "reason"]),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("destination", "company", "key", name="pk_records"),
    )
    op.create_index(
        "ix_records_destination_company_source_key", "records", ["destination", "company", "source_key"]
    )
    op.create_index("ix_records_number", "records", ["number"])
    op.create_table(
        "batches",
        *map(_text, ["id", "destination", "company", "run_id", "token", "state"]),
        sa.Column("size", sa.Integer, nullable=False),
        _text("checkpoint"),
        _text("reason", null=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_destination_company_state", "batches", ["destination", "company", "state"])
    op.create_table(
        "batch_members",
        _text("batch_id"),
        sa.Column("position", sa.Integer, nullable=False),
        *map(_text, ["op", "key", "source_key", "number", "hash", "payload"]),
        _text("target_id", null=True),
        sa.PrimaryKeyConstraint("batch_id", "key", name="pk_batch_members"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_batch_members_batches"),
    )
    op.create_index("ix_batch_members_number", "batch_members", ["number"])


def _audit() -> None:
    op.create_table(
        "events",
        sa.Column("id", _BIG, nullable=False, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        *map(_text, ["run_id", "destination", "company"]),
        *(_text(name, null=True) for name in ["source_key", "key", "number", "batch_id"]),
        *map(_text, ["kind", "detail"]),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_number", "events", ["number"])
    op.create_index("ix_events_batch_id", "events", ["batch_id"])
    op.create_table(
        "quarantine",
        sa.Column("id", _BIG, nullable=False, autoincrement=True),
        *map(_text, ["stage", "place", "company", "key"]),
        *(_text(name, null=True) for name in ["source_key", "number"]),
        *map(_text, ["reason", "raw", "run_id"]),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("resolved_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
    )
    op.create_index(
        "ix_quarantine_stage_place_company_key", "quarantine", ["stage", "place", "company", "key"]
    )
    op.create_index("ix_quarantine_number", "quarantine", ["number"])
    op.create_index("ix_quarantine_source_key", "quarantine", ["source_key"])


def _coordination() -> None:
    op.create_table(
        "leases",
        _text("name"),
        _text("holder", null=True),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("acquired_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "deliveries",
        *map(_text, ["destination", "company"]),
        _text("fingerprint", null=True),
        _text("run_id"),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("destination", "company", name="pk_deliveries"),
    )
    op.create_table(
        "deferrals",
        sa.Column("id", _BIG, nullable=False, autoincrement=True),
        *map(_text, ["pair", "company"]),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("opens_at", _TIME, nullable=False),
        _text("reason"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("taken_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_deferrals"),
    )
    op.create_index("ix_deferrals_pair_company_opens_at", "deferrals", ["pair", "company", "opens_at"])
    op.create_table(
        "budgets",
        *map(_text, ["name", "state"]),
        sa.Column("closed_until", _TIME),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_budgets"),
    )
