"""Alembic environment: migrations run on the connection given by `ledger.storage.database`."""

from alembic import context
from sqlalchemy import Connection

from ledger.storage.tables import metadata


def run(connection: Connection) -> None:
    """Run the migrations asked for in the connection's own transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
