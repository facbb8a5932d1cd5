"""Users, their sessions and idempotency keys, the set-up token, and the audit trail."""

import sqlalchemy as sa
from alembic import op

from mediq.stores.tables import TEXT, Moment, exact

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", exact(64)),
        sa.Column("role", exact(20)),
        sa.Column("action", exact(64), nullable=False),
        sa.Column("subject", exact(64)),
        sa.Column("why", sa.Text()),
        sa.Column("request_id", exact(128)),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        **TEXT,
    )
    op.create_index("ix_audit_action", "audit", ["action"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor"], unique=False)
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "request_keys",
        sa.Column("key", exact(255), nullable=False),
        sa.Column("user_id", exact(36), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_request_keys"),
        **TEXT,
    )
    op.create_index("ix_request_keys_at", "request_keys", ["at"], unique=False)
    op.create_table(
        "setup_tokens",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token_hash", exact(255), nullable=False),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_setup_tokens"),
        **TEXT,
    )
    op.create_table(
        "users",
        sa.Column("id", exact(36), nullable=False),
        sa.Column("nik", exact(16)),
        sa.Column("email", sa.String(length=255)),
        sa.Column("email_key", exact(255)),
        sa.Column("role", exact(20), nullable=False),
        sa.Column("password_hash", sa.String(length=255)),
        sa.Column("provinsi", sa.String(length=255)),
        sa.Column("kabupaten_kota", sa.String(length=255)),
        sa.Column("nama", sa.String(length=255), nullable=False),
        sa.Column("tempat_lahir", sa.String(length=255)),
        sa.Column("tgl_lahir", sa.String(length=255)),
        sa.Column("jenis_kelamin", sa.String(length=255)),
        sa.Column("gol_darah", sa.String(length=255)),
        sa.Column("alamat", sa.String(length=255)),
        sa.Column("rt_rw", sa.String(length=255)),
        sa.Column("kel_desa", sa.String(length=255)),
        sa.Column("kecamatan", sa.String(length=255)),
        sa.Column("agama", sa.String(length=255)),
        sa.Column("status_perkawinan", sa.String(length=255)),
        sa.Column("pekerjaan", sa.String(length=255)),
        sa.Column("kewarganegaraan", sa.String(length=255)),
        sa.Column("berlaku_hingga", sa.String(length=255)),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sa.UniqueConstraint("nik", name="uq_users_nik"),
        **TEXT,
    )
    op.create_index("ix_users_created_at", "users", ["created_at", "id"], unique=False)
    op.create_index("ix_users_role", "users", ["role"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", exact(64), nullable=False),
        sa.Column("user_id", exact(36), nullable=False),
        sa.Column("role", exact(20), nullable=False),
        sa.Column("token_hash", exact(255), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        **TEXT,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_sessions_user_id", table_name="sessions")
    op.drop_index("ix_sessions_expires_at", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_users_role", table_name="users")
    op.drop_index("ix_users_created_at", table_name="users")
    op.drop_table("users")
    op.drop_table("setup_tokens")
    op.drop_index("ix_request_keys_at", table_name="request_keys")
    op.drop_table("request_keys")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_index("ix_audit_actor", table_name="audit")
    op.drop_index("ix_audit_action", table_name="audit")
    op.drop_table("audit")
