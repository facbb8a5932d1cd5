"""Alembic runs this module for every command, with the connection and the tables to compare with."""

from alembic import context

from mediq.stores.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a table in place: rebuild it.
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
