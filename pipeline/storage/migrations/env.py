"""Run migrations on the connection that Store.open passes."""

from alembic import context

from reidpipe.pipeline.storage.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
)
context.run_migrations()  # inside the caller's transaction: all steps or none
