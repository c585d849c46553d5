"""All tables of the database, as SQLAlchemy Core: one schema for SQLite and PostgreSQL."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

# The newest migration: a process that finds it in the database has nothing to migrate.
REVISION = "0015"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime, in UTC on the way in and on the way out; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Move the time to UTC; SQLite stores it without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The time {value} has no zone. Pass an aware datetime, in UTC.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the time back with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)

# SQLite alone would give a BIGINT key no automatic number.
_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _time(name: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcDateTime, nullable=null)


# What each destination last received, per key. payload is null when it holds nothing of the key; without a
# hash it is what rows that were never confirmed may have left behind.
records = sa.Table(
    "records",
    metadata,
    _text("destination"),
    _text("company"),
    _text("key"),
    _text("source_key"),
    _text("number"),
    _text("state"),
    _text("hash", null=True),
    _text("payload", null=True),
    _text("target_id", null=True),
    _text("batch_id", null=True),
    _text("reason", null=True),
    _time("updated_at"),
    sa.PrimaryKeyConstraint("destination", "company", "key"),
    sa.Index(None, "destination", "company", "source_key"),
    # Counting by state reads this one alone: the rows are wide.
    sa.Index(None, "destination", "company", "state"),
    sa.Index(None, "number"),
)

# What one vendor call carries: written before the call, closed after the answer.
batches = sa.Table(
    "batches",
    metadata,
    _text("id"),
    _text("destination"),
    _text("company"),
    _text("run_id"),
    _text("token"),
    _text("state"),
    sa.Column("size", sa.Integer, nullable=False),
    _text("checkpoint"),
    _text("reason", null=True),
    _time("created_at"),
    _time("finished_at", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "destination", "company", "state"),
    sa.Index(None, "state"),
)

# The changes of a batch, kept until the batch is closed: enough to send it again from another machine.
batch_members = sa.Table(
    "batch_members",
    metadata,
    _text("batch_id"),
    sa.Column("position", sa.Integer, nullable=False),
    _text("op"),
    _text("key"),
    _text("source_key"),
    _text("number"),
    _text("hash"),
    _text("payload"),
    _text("target_id", null=True),
    sa.PrimaryKeyConstraint("batch_id", "key"),
    sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_batch_members_batches"),
    sa.Index(None, "number"),
)

# The audit trail: append-only, per record (key is set) and per batch (key is null).
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _time("at"),
    _text("run_id"),
    _text("destination"),
    _text("company"),
    _text("source_key", null=True),
    _text("key", null=True),
    _text("number", null=True),
    _text("batch_id", null=True),
    _text("kind"),
    _text("detail"),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "number"),
    sa.Index(None, "batch_id"),
)

# The chain over the audit trail: entries holds number and SHA-256 of each event of a seal, digest covers them
# and the seal before. last_id: the last event of it.
seals = sa.Table(
    "seals",
    metadata,
    sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
    _time("sealed_at"),
    sa.Column("last_id", sa.BigInteger, nullable=False),
    sa.Column("entries", sa.LargeBinary, nullable=False),
    _text("digest"),
    sa.PrimaryKeyConstraint("number"),
)

# What retention must not touch, of a company or of a business number, until somebody releases it.
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _text("company", null=True),
    _text("number", null=True),
    _text("reason"),
    _text("held_by"),
    _time("held_at"),
    _text("released_by", null=True),
    _time("released_at", null=True),
    sa.PrimaryKeyConstraint("id"),
)

# Records refused on the way: stage is visma, contract, preflight, names or held; place the entity or the
# destination.
# dismissed_by, dismissal: who settled it, and why; while they stand the same refusal stays settled.
quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _text("stage"),
    _text("place"),
    _text("company"),
    _text("key"),
    _text("source_key", null=True),
    _text("number", null=True),
    _text("reason"),
    _text("raw"),
    _text("run_id"),
    _time("first_at"),
    _time("last_at"),
    _time("resolved_at", null=True),
    _text("dismissed_by", null=True),
    _text("dismissal", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "stage", "place", "company", "key"),
    sa.Index(None, "number"),
    sa.Index(None, "resolved_at", "place", "company"),
    sa.Index(None, "source_key"),
)

# One writer per name. The fence rises with every new holder, so an old holder can be told apart.
leases = sa.Table(
    "leases",
    metadata,
    _text("name"),
    _text("holder", null=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    _time("acquired_at"),
    _time("expires_at"),
    sa.PrimaryKeyConstraint("name"),
)

# The last delivery of a destination and company. fingerprint is null until it has finished, and generation
# rises with every delivery that begins to write.
deliveries = sa.Table(
    "deliveries",
    metadata,
    _text("destination"),
    _text("company"),
    _text("fingerprint", null=True),
    _text("run_id"),
    sa.Column("generation", sa.BigInteger, nullable=False),
    _time("started_at"),
    _time("finished_at", null=True),
    sa.PrimaryKeyConstraint("destination", "company"),
)

# Which reading of each day of its entity a destination has received: what is read later goes with the next.
sent_days = sa.Table(
    "sent_days",
    metadata,
    _text("destination"),
    _text("company"),
    sa.Column("day", sa.Date, nullable=False),
    _time("read_at"),
    sa.PrimaryKeyConstraint("destination", "company", "day"),
)

# Work that waits for a vendor's window to open.
deferrals = sa.Table(
    "deferrals",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _text("pair"),
    _text("company"),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    _time("opens_at"),
    _text("reason"),
    _time("created_at"),
    _time("taken_at", null=True),
    _text("config", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "pair", "company", "opens_at"),
)

# Shared rate budgets: one row per budget, its state as JSON text.
budgets = sa.Table(
    "budgets",
    metadata,
    _text("name"),
    _text("state"),
    _time("closed_until", null=True),
    _time("updated_at"),
    sa.PrimaryKeyConstraint("name"),
)

# Encrypted credentials: the newest version of each. sealed is null when it was removed, or is kept elsewhere
# and only its end is noted here.
vault = sa.Table(
    "vault",
    metadata,
    _text("name"),
    sa.Column("version", sa.BigInteger, nullable=False),
    _text("sealed", null=True),
    _time("written_at"),
    _text("written_by"),
    sa.Column("ends_on", sa.Date, nullable=True),
    sa.PrimaryKeyConstraint("name"),
)

# What a target remembers beside the ledger, such as the id of what was made in it. revision rises with every
# write, so that two writers notice each other.
target_state = sa.Table(
    "target_state",
    metadata,
    _text("target"),
    _text("name"),
    sa.Column("revision", sa.BigInteger, nullable=False),
    _text("value"),
    _time("updated_at"),
    sa.PrimaryKeyConstraint("target", "name"),
)

# What vendors called our receiver for: that something happened, never what. The digest keeps the same
# delivery from counting twice.
signals = sa.Table(
    "signals",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _text("source"),
    _text("place"),
    _time("received_at"),
    _text("digest"),
    _time("handled_at", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "digest", unique=True),
    sa.Index(None, "source", "handled_at"),
)

# Control numbers of EDI envelopes: the last one given, by what they count.
control_numbers = sa.Table(
    "control_numbers",
    metadata,
    _text("name"),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("name"),
)

# EDI interchanges with their bytes, of both directions. batch_id: of what we sent. digest: their SHA-256.
# answered_at: of the acknowledgment.
interchanges = sa.Table(
    "interchanges",
    metadata,
    _text("id"),
    _text("direction"),
    _text("partner"),
    _text("company"),
    _text("kind"),
    sa.Column("control", sa.BigInteger, nullable=False),
    sa.Column("group_control", sa.BigInteger, nullable=False),
    _text("batch_id", null=True),
    _text("file"),
    sa.Column("content", sa.LargeBinary, nullable=False),
    _text("digest"),
    _text("state"),
    _text("detail"),
    _time("created_at"),
    _time("sent_at", null=True),
    _time("answered_at", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "direction", "partner", "control"),
    sa.Index(None, "batch_id"),
    sa.Index(None, "state"),
)

# The documents in them: which record each is, and what the partner's system said of it. name: the number that
# the partner reads, null where an earlier version wrote the row.
interchange_documents = sa.Table(
    "interchange_documents",
    metadata,
    _text("interchange_id"),
    _text("control"),
    _text("destination"),
    _text("key"),
    _text("number"),
    _text("purpose"),
    _text("payload"),
    _text("state"),
    _text("detail"),
    _text("name", null=True),
    sa.PrimaryKeyConstraint("interchange_id", "control"),
    sa.Index(None, "destination", "key"),
    sa.Index(None, "number"),
    sa.Index(None, "name"),
)

# What steps did, added up since the first run: place is visma/suppliers, anaplan/suppliers and so on, name
# what was counted, at the last time something was added.
tallies = sa.Table(
    "tallies",
    metadata,
    _text("place"),
    _text("company"),
    _text("name"),
    sa.Column("count", sa.BigInteger, nullable=False),
    _time("at"),
    sa.PrimaryKeyConstraint("place", "company", "name"),
)

# What somebody asked to be done again: by what it is named, which runs carry it out, what came of it.
replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _time("asked_at"),
    _text("asked_by"),
    _text("by"),
    _text("value"),
    _text("pair", null=True),
    _text("state"),
    _text("runs"),
    _text("said", null=True),
    _time("ended_at", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "ended_at"),
)

# What the last comparison of a destination with its target found.
comparisons = sa.Table(
    "comparisons",
    metadata,
    _text("destination"),
    _text("company"),
    _time("at"),
    _text("run_id"),
    *(
        sa.Column(name, sa.Integer, nullable=False)
        for name in ("expected", "found", "missing", "different", "extra")
    ),
    _text("detail"),
    sa.PrimaryKeyConstraint("destination", "company"),
)

# What is or was wrong: kind and subject say what, number how many runs, rows or records. One row from its
# beginning to its end.
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", _Number, nullable=False, autoincrement=True),
    _text("kind"),
    _text("subject"),
    _text("pair", null=True),
    sa.Column("severity", sa.Integer, nullable=False),
    _text("what"),
    _text("remedy"),
    _text("link", null=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    _time("opened_at"),
    _time("seen_at"),
    _time("resolved_at", null=True),
    sa.PrimaryKeyConstraint("id"),
    sa.Index(None, "kind", "subject"),
    sa.Index(None, "resolved_at"),
)

# What of it each channel was last told. over: also that it is over.
tellings = sa.Table(
    "tellings",
    metadata,
    sa.Column("alert_id", sa.BigInteger, nullable=False),
    _text("channel"),
    _time("told_at"),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("told_count", sa.BigInteger, nullable=False),
    sa.Column("over", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("alert_id", "channel"),
)
