"""The database users, their purposes and how they log in. The catalog imports this module, so it must stay small.

Only migrations and user administration connect as the owner of the tables (on Amazon RDS, the master user).
:mod:`paidleave.db.grants` defines the table privileges of each user.
"""

from __future__ import annotations

from dataclasses import dataclass

APPLICATION_ROLE = "app"
"""The role that holds the privileges of the API's user; the API's own migrations use this name."""


@dataclass(frozen=True)
class DatabaseUser:
    """A user that can log in.

    Attributes:
        name: The user name.
        purpose: Its use, which db-admin-create-db-users logs.
        roles: The only roles of the user, besides ``rds_iam``.
        read_only: Make transactions read-only by default. Such a user has no write privileges either.
        allow_token: Let the user log in with a cloud identity token if it has no password. Others require a password.
        managed: Revoke all table privileges that :mod:`paidleave.db.grants` does not grant.
        connection_limit: The maximum number of connections; -1 is unlimited.
        temp_file_limit: The maximum size of a session's temporary files, as PostgreSQL writes it; None sets no limit.
    """

    name: str
    purpose: str
    roles: tuple[str, ...] = ()
    read_only: bool = False
    allow_token: bool = True
    managed: bool = True
    connection_limit: int = -1
    temp_file_limit: str | None = None


API = DatabaseUser("pfml_api", "the API's service", roles=(APPLICATION_ROLE,), managed=False)
JOBS = DatabaseUser("pfml_jobs", "background tasks")
# Operators write the statements of these two users, which must not use up the server's disk or connections.
_TEMP_FILE_LIMIT = "4GB"
_READERS_CONNECTIONS = 20
READ_ONLY = DatabaseUser(
    "pfml_readonly",
    "reads every table",
    read_only=True,
    connection_limit=_READERS_CONNECTIONS,
    temp_file_limit=_TEMP_FILE_LIMIT,
)
IMPERSONAL = DatabaseUser(
    "pfml_impersonal",
    "reads the columns that hold no personal data",
    read_only=True,
    connection_limit=_READERS_CONNECTIONS,
    temp_file_limit=_TEMP_FILE_LIMIT,
)
SCANNER = DatabaseUser(
    "pfml_scanner",
    "vulnerability scans: reads the server's settings",
    roles=("pg_read_all_settings",),
    read_only=True,
    allow_token=False,
    connection_limit=5,
)

USERS = (API, JOBS, READ_ONLY, IMPERSONAL, SCANNER)
