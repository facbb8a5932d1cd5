"""Run Alembic without alembic.ini, from wherever the package is installed."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for the scripts beside this file, working on `connection`."""
    config = Config()
    config.set_main_option("script_location", "mediq.stores:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Apply the missing revisions inside the transaction of `connection`."""
    command.upgrade(configuration(connection), "head")
