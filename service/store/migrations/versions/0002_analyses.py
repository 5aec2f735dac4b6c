"""Analyses: jobs of another kind, without a data set.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KIND, INPUTS = "ck_jobs_kind", "ck_jobs_inputs"


def upgrade() -> None:
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.add_column(
            sa.Column("kind", sa.String(length=16), nullable=False, server_default="compression")
        )
        batch_op.alter_column("dataset_id", existing_type=sa.String(length=64), nullable=True)
        batch_op.create_check_constraint(batch_op.f(KIND), "kind IN ('compression', 'analysis')")
        batch_op.create_check_constraint(
            batch_op.f(INPUTS), "kind = 'analysis' OR dataset_id IS NOT NULL"
        )
        batch_op.create_index(batch_op.f("ix_jobs_kind_id"), ["kind", "id"], unique=False)


def downgrade() -> None:
    analyses = "(SELECT id FROM jobs WHERE kind = 'analysis')"
    op.execute(f"DELETE FROM events WHERE job_id IN {analyses}")
    op.execute("DELETE FROM jobs WHERE kind = 'analysis'")
    with op.batch_alter_table("jobs") as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_kind_id"))
        batch_op.drop_constraint(batch_op.f(KIND), type_="check")
        batch_op.drop_constraint(batch_op.f(INPUTS), type_="check")
        batch_op.alter_column("dataset_id", existing_type=sa.String(length=64), nullable=False)
        batch_op.drop_column("kind")
