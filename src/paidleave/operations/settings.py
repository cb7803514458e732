"""Settings of the operational tasks. Light: importing this module imports no job's code."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from paidleave.db.settings import DatabaseSettings

_PASSWORD = Field(min_length=12)  # characters; what guards a database is generated, not remembered
Password = Annotated[SecretStr, _PASSWORD] | None


class CreateDbUsersSettings(DatabaseSettings):
    """Settings of ``db-admin-create-db-users``. ``DB_USERNAME`` is the owner of the tables."""

    db_api_password: Password = Field(
        default=None, description="Password of pfml_api, the API's service (default: it logs in with an identity token)"
    )
    db_jobs_password: Password = Field(
        default=None, description="Password of pfml_jobs, the background tasks (default: identity token)"
    )
    db_readonly_password: Password = Field(
        default=None, description="Password of pfml_readonly, which reads every table (default: identity token)"
    )
    db_impersonal_password: Password = Field(
        default=None,
        description="Password of pfml_impersonal, which reads what holds no personal data (default: identity token)",
    )
    db_scanner_password: Password = Field(
        default=None, description="Password of pfml_scanner, for vulnerability scans (default: there is no such user)"
    )
