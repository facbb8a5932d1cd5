"""What Alembic runs for every command: the connection it is given, and the tables it is measured against."""

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
