"""The settings of the job, which the catalog imports. They import the driver only when the job connects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, SecretStr

from nightferry import JobSettings

if TYPE_CHECKING:
    import psycopg


class LoadSettings(JobSettings):
    """Load orders from the API into the database."""

    database_logins: ClassVar[Mapping[str, str]] = {"db_user": "db_password"}

    api_url: str = Field(description="Address of the orders API")
    db_host: str = Field(description="Host of the database, or the directory of its socket")
    db_name: str = Field(default="orders", description="Database")
    db_user: str = Field(default="postgres", description="Database user")
    db_password: SecretStr | None = Field(default=None, description="Password; none on a socket")

    def connect(self) -> psycopg.Connection:
        """Return a new connection, in which the runtime also stores the lease of the task."""
        import psycopg

        password = self.db_password.get_secret_value() if self.db_password else None
        return psycopg.connect(host=self.db_host, dbname=self.db_name, user=self.db_user, password=password)
