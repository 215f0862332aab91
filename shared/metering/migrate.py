"""Bringing a ledger's tables up to date. Safe when several start at once: one migrates, the others wait for it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from shared.errors import Refused

LOCK = 0x6368616E646C6572  # "chandler", as PostgreSQL's advisory locks are named


def migrate(connection: Connection) -> None:
    """Within the caller's transaction. SQLite's has the write lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    check_known(connection)
    command.upgrade(config(connection), "head")


def check_known(connection: Connection) -> None:
    """Raises Refused for a ledger that a newer version has migrated: this code may not write what that one has made."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in ScriptDirectory.from_config(config(connection)).walk_revisions()}
    if current is not None and current not in known:
        what = f"its tables are at {current}, this version knows them up to {max(known)}"
        fix = "run the newer version again, or restore the ledger's backup from before the upgrade"
        raise Refused("LedgerNewer", f"the ledger was migrated by a newer Chandlery: {what}; {fix}")


def config(connection: Connection) -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["connection"] = connection
    return found
