"""The database's users: what each is for and how it may log in. Light: the catalogue imports it.

Nobody but migrations and user administration works as the owner of the tables (on Amazon RDS the master user).
What each user may do with which table stands in :mod:`paidleave.db.grants`.
"""

from __future__ import annotations

from dataclasses import dataclass

APPLICATION_ROLE = "app"
"""The role whose rights the API's user has; the API's own migrations know it by this name."""


@dataclass(frozen=True)
class DatabaseUser:
    """A user that logs in.

    ``roles`` are the only roles that it belongs to (beside ``rds_iam``). A ``read_only`` user's transactions are
    read-only unless it says otherwise; it has no right to write anyway. ``allow_token`` users log in with a cloud
    identity token where they have no password; others need one. ``ours`` says that its rights on tables are those
    that we give, and that others are taken back.
    """

    name: str
    purpose: str
    roles: tuple[str, ...] = ()
    read_only: bool = False
    allow_token: bool = True
    managed: bool = True
    connection_limit: int = -1


API = DatabaseUser("pfml_api", "the API's service", roles=(APPLICATION_ROLE,), managed=False)
JOBS = DatabaseUser("pfml_jobs", "background tasks")
READ_ONLY = DatabaseUser("pfml_readonly", "reads every table", read_only=True)
IMPERSONAL = DatabaseUser("pfml_impersonal", "reads the columns that hold no personal data", read_only=True)
SCANNER = DatabaseUser(
    "pfml_scanner",
    "vulnerability scans: reads the server's settings",
    roles=("pg_read_all_settings",),
    read_only=True,
    allow_token=False,
    connection_limit=5,
)

USERS = (API, JOBS, READ_ONLY, IMPERSONAL, SCANNER)
