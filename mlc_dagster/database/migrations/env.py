"""Runs the revisions on the connection, and inside the transaction, that migrate() opened."""

from alembic import context

from mlc_dagster.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
