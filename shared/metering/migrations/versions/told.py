"""Which hours of which tenure were told to the outside, and in which revision."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told",
        sa.Column("tenure", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenure", "hour_ms"),
        sqlite_with_rowid=False,
    )
    behind = sa.text("sent < revision")
    op.create_index("ix_told_behind", "told", ["hour_ms", "tenure"], sqlite_where=behind, postgresql_where=behind)
