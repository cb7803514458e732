"""Database settings. This module does not import the database driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, SecretStr, field_validator

from paidleave.job_settings import PaidLeaveSettings

if TYPE_CHECKING:
    import psycopg


class DatabaseSettings(PaidLeaveSettings):
    """Settings of jobs that use the database."""

    database_logins: ClassVar[Mapping[str, str]] = {"db_username": "db_password"}

    environment: str = Field(min_length=1, description="Name of the environment; TLS is required except in 'local'")
    db_host: str = Field(
        default="localhost", min_length=1, description="Host of the database, or the directory of its Unix socket"
    )
    db_port: int = Field(default=5432, ge=1, le=65535, description="Port of the database")
    db_name: str = Field(default="pfml", min_length=1, description="Name of the database")
    db_username: str = Field(default="pfml", min_length=1, description="Database user")
    db_password: SecretStr | None = Field(
        default=None,
        description="Password of the user (default: a cloud identity token; none in 'local' and on a socket)",
    )
    db_schema: str = Field(default="public", pattern="^[a-z_][a-z0-9_]*$", description="Schema of the tables")
    db_ca_file: str = Field(
        default="",
        description="File with the certificates (PEM) of the authorities that may sign the server's certificate, which "
        "is then verified with its host name (default: TLS without verification)",
    )

    @field_validator("db_ca_file")
    @classmethod
    def _check_ca_file(cls, path: str) -> str:
        if path and not Path(path).is_file():
            raise ValueError("file not found")
        return path

    def connect(self) -> psycopg.Connection:
        """Return a new connection, which the job runtime uses to store the job's lease."""
        from paidleave.db.connection import connect  # Loading the catalog must not import the driver.

        return connect(self)


class MigrateUpSettings(DatabaseSettings):
    """Settings of ``db-migrate-up``."""

    adopt: bool = Field(
        default=False,
        description="If the table with the database's revision was lost, find the revision by comparing the schema",
    )
