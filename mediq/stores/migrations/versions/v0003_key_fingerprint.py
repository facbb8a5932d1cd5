"""Notice an idempotency key that is used for something else than the first time."""

import sqlalchemy as sa
from alembic import op

from mediq.stores.tables import exact

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request_keys", sa.Column("fingerprint", exact(32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("request_keys") as batch:
        batch.drop_column("fingerprint")
