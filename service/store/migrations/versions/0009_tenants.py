"""Tenants: what there is becomes that of `default`.

Revision 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("models", "datasets", "jobs", "idempotency")


def upgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(
                sa.Column("tenant", sa.String(length=63), nullable=False, server_default="default")
            )
    for table in ("models", "datasets"):
        op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant", "id"])
    op.drop_index(op.f("ix_jobs_kind_id"), "jobs")
    op.create_index(op.f("ix_jobs_tenant_kind_id"), "jobs", ["tenant", "kind", "id"])
    op.create_index(op.f("ix_jobs_tenant_status"), "jobs", ["tenant", "status"])
    _identify_keys_by("tenant", "key")


def downgrade() -> None:
    # Keys of several tenants may be the same.
    op.execute("DELETE FROM idempotency")
    _identify_keys_by("key")
    op.drop_index(op.f("ix_jobs_tenant_status"), "jobs")
    op.drop_index(op.f("ix_jobs_tenant_kind_id"), "jobs")
    op.create_index(op.f("ix_jobs_kind_id"), "jobs", ["kind", "id"])
    for table in ("models", "datasets"):
        op.drop_index(op.f(f"ix_{table}_tenant_id"), table)
    for table in TABLES:
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("tenant")


def _identify_keys_by(*columns: str) -> None:
    with op.batch_alter_table("idempotency") as batch_op:
        batch_op.drop_constraint(op.f("pk_idempotency"), type_="primary")
        batch_op.create_primary_key(op.f("pk_idempotency"), list(columns))
