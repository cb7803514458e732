"""Alembic revisions, oldest first, run by :mod:`paidleave.db.migrate`.

These revisions use the version table ``nightferry_alembic_version``. They do not use the API's ``alembic_version``.
"""
