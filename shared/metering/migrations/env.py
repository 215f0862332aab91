"""What Alembic runs; the connection, with its transaction and lock, is handed over by shared.metering.migrate."""

from alembic import context

from shared.metering.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
