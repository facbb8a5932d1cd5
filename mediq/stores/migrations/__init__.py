"""The steps that bring a database's tables to what `mediq.stores.tables` describes."""

HEAD = "0003"
"""The newest revision under `versions/`. A database at this revision starts without importing Alembic."""
