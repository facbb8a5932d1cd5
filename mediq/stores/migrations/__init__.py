"""The steps that bring a database's tables to what `mediq.stores.tables` describes."""

HEAD = "0003"
"""The newest revision under `versions/`; a database that is at it needs no Alembic at start."""
