"""Alembic's entry point. The connection comes from :mod:`paidleave.db.migrate`, the only caller."""

from __future__ import annotations

from alembic import context

from paidleave.db.schema import metadata

VERSION_TABLE = "nightferry_alembic_version"

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=True,  # An interrupted upgrade resumes at the revision that failed.
    on_version_apply=attributes["on_applied"],
)
with context.begin_transaction():
    context.run_migrations()
