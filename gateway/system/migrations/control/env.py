"""Runs this folder's revisions on the connection (and in the transaction) that `upgrade` passes in."""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite can roll a CREATE TABLE back; Alembic does not know that the driver is told to let it.
context.configure(connection=connection, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
