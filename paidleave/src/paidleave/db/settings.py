"""How to reach the database. Light: importing this module imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, SecretStr

from nightferry.job import JobSettings

if TYPE_CHECKING:
    import psycopg


class DatabaseSettings(JobSettings):
    """Settings of every job that works on the database."""

    shown_numbers: ClassVar[frozenset[str]] = frozenset({"account_key", "fineos_employer_id"})

    environment: str = Field(min_length=1, description="Name of the environment; outside 'local', TLS is required")
    db_host: str = Field(
        default="localhost", min_length=1, description="Host of the database; a path is a Unix socket's directory"
    )
    db_port: int = Field(default=5432, ge=1, le=65535, description="Port of the database")
    db_name: str = Field(default="pfml", min_length=1, description="Name of the database")
    db_username: str = Field(default="pfml", min_length=1, description="Database user")
    db_password: SecretStr | None = Field(
        default=None,
        description="The user's password (default: a cloud identity token; in 'local' and on a socket: none)",
    )
    db_schema: str = Field(default="public", pattern="^[a-z_][a-z0-9_]*$", description="Schema that holds the tables")

    def connect(self) -> psycopg.Connection:
        """Return a new connection. The job runtime keeps the job's lease in the job's database."""
        from paidleave.db.connection import connect  # loading the catalog must not load the driver

        return connect(self)
