"""Alembic revisions, oldest first, run by :mod:`paidleave.db.migrate`.

The API's database has an ``alembic_version`` of its own, which these revisions neither read nor write: theirs is
``nightferry_alembic_version``.
"""
