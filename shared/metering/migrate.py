"""Bringing a ledger's tables up to date. Safe when several start at once: one migrates, the others wait for it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

LOCK = 0x6368616E646C6572  # "chandler", as PostgreSQL's advisory locks are named


def migrate(connection: Connection) -> None:
    """Within the caller's transaction. SQLite's has the write lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    command.upgrade(config(connection), "head")


def config(connection: Connection) -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["connection"] = connection
    return found
