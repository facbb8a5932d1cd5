"""Find what was done to someone without reading the whole trail."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_subject", "audit", ["subject"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_audit_subject", table_name="audit")
