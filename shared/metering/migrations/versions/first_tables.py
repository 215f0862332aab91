"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "metrics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "type"),
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offering", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("valid_from_ms", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("offering", "plan", "per", "valid_from_ms"),
    )
    op.create_table(
        "readings",
        sa.Column("series", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "at_ms"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uid"),
    )
    op.create_index(op.f("ix_subjects_node"), "subjects", ["node"], unique=False)
    op.create_table(
        "tenures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_uid", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("offering", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("consumer_namespace", sa.Text(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instance_uid", "instance", "offering", "plan", "consumer_namespace", "consumer"),
    )
    op.create_table(
        "totals",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("tenure", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("giga", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("gap_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span", "start_ms", "tenure", "metric"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "windows",
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), nullable=False),
        sa.Column("metric", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.Column("giga", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("gap_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "hour_ms", "metric"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dirty",
        sa.Column("subject", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changed_from_ms", sa.BigInteger(), nullable=True),
        sa.Column("changed_to_ms", sa.BigInteger(), nullable=True),
        sa.Column("hours_from_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject"],
            ["subjects.id"],
        ),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "seen",
        sa.Column("subject", sa.Integer(), nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject"],
            ["subjects.id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenure"],
            ["tenures.id"],
        ),
        sa.PrimaryKeyConstraint("subject", "hour_ms"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["metric"],
            ["metrics.id"],
        ),
        sa.ForeignKeyConstraint(
            ["subject"],
            ["subjects.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "metric"),
    )
    op.create_table(
        "starts",
        sa.Column("subject", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject"],
            ["subjects.id"],
        ),
        sa.PrimaryKeyConstraint("subject", "at_ms"),
        sqlite_with_rowid=False,
    )
    op.execute(  # whoever has nothing to do with an instance: nodes, and what was read before it was said whose it is
        "INSERT INTO tenures (id, instance_uid, instance, offering, plan, consumer_namespace, consumer)"
        " VALUES (0, '', '', '', '', '', '')"
    )
    op.execute("INSERT INTO state (name, value) VALUES ('sealed_ms', 0)")
