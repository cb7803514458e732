"""Settings of the operators' tools. This module imports no job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from paidleave.db.settings import DatabaseSettings
from paidleave.db.users import IMPERSONAL, READ_ONLY
from paidleave.dor.settings import DailyFilesSettings
from paidleave.operations.checks import REMEDIES

_PASSWORD = Field(min_length=12)  # characters; database passwords are generated
Password = Annotated[SecretStr, _PASSWORD] | None


class CreateDbUsersSettings(DatabaseSettings):
    """Settings of ``db-admin-create-db-users``. ``DB_USERNAME`` is the owner of the tables."""

    db_api_password: Password = Field(
        default=None, description="Password of pfml_api, the API's service (default: identity token)"
    )
    db_jobs_password: Password = Field(
        default=None, description="Password of pfml_jobs, the background tasks (default: identity token)"
    )
    db_readonly_password: Password = Field(
        default=None, description="Password of pfml_readonly, which reads every table (default: identity token)"
    )
    db_impersonal_password: Password = Field(
        default=None,
        description="Password of pfml_impersonal, which reads no personal data (default: identity token)",
    )
    db_scanner_password: Password = Field(
        default=None, description="Password of pfml_scanner, for vulnerability scans (default: do not create the user)"
    )


class ExecuteSqlSettings(DatabaseSettings):
    """Settings of ``execute-sql``. The names of its two users are settings only because each has a password."""

    database_logins: ClassVar[Mapping[str, str]] = {
        "db_username": "db_password",
        "db_readonly_username": "db_readonly_password",
    }

    db_username: str = Field(
        default=IMPERSONAL.name, description=f"Always {IMPERSONAL.name}, who cannot read personal data"
    )
    db_readonly_username: str = Field(
        default=READ_ONLY.name, description=f"Always {READ_ONLY.name}, who reads everything, for ALLOW_PERSONAL_DATA"
    )
    db_readonly_password: SecretStr | None = Field(
        default=None, description="Password of DB_READONLY_USERNAME (default: a cloud identity token; in 'local': none)"
    )
    sql: str = Field(
        default="",
        repr=False,  # a user may have put personal data into it
        description="The statements, separated by semicolons. For personal data in them use SQL_FILE",
    )
    sql_file: str = Field(
        default="", description="Object with the statements, instead of SQL, such as s3://BUCKET/file.sql"
    )
    destination: Literal["terminal", "bucket"] = Field(
        default="terminal", description="Destination of the results: a table in the log, or a file in EXPORT_FOLDER"
    )
    export_folder: str = Field(default="", description="Folder for the files, such as s3://BUCKET/FOLDER")
    export_name: str = Field(
        default="query", pattern="^[a-z0-9][a-z0-9_-]{0,60}$", description="Prefix of the files' names"
    )
    export_format: Literal["csv", "parquet", "json"] = Field(
        default="csv", description="Format of the files; json has one object per line"
    )
    dated: bool = Field(default=True, description="Put the files into a folder named after the day, in UTC")
    fixed_names: bool = Field(
        default=False,
        description="Name the files EXPORT_NAME1.csv, EXPORT_NAME2.csv, …, and replace those of an earlier run",
    )
    allow_personal_data: bool = Field(default=False, description="Read every table; results go only to the bucket")
    statement_timeout: int = Field(default=300, ge=1, le=3600, description="Time limit of a statement in seconds")
    row_limit: int = Field(default=100, ge=1, le=1000, description="Maximum number of rows shown on the terminal")
    export_limit_mb: int = Field(
        default=2_000, ge=1, le=100_000, description="Maximum size of the values in a file, in MB"
    )

    @field_validator("db_username", "db_readonly_username")
    @classmethod
    def _check_user(cls, name: str, info: ValidationInfo) -> str:
        user = IMPERSONAL if info.field_name == "db_username" else READ_ONLY
        if name != user.name:
            raise ValueError(f"execute-sql runs only as {user.name}")
        return name

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if bool(self.sql.strip()) == bool(self.sql_file):
            raise ValueError("set either SQL or SQL_FILE")
        if self.destination == "bucket" and not self.export_folder:
            raise ValueError("EXPORT_FOLDER must be set for DESTINATION=bucket")
        if self.allow_personal_data and self.destination == "terminal":
            raise ValueError("ALLOW_PERSONAL_DATA requires DESTINATION=bucket: no personal data on a terminal")
        return self

    def select_user_settings(self) -> DatabaseSettings:
        """Return the database settings of the user for this run: with or without access to personal data."""
        if not self.allow_personal_data:
            return self
        return self.model_copy(
            update={"db_username": self.db_readonly_username, "db_password": self.db_readonly_password}
        )


class CheckSettings(DailyFilesSettings, DatabaseSettings):
    """Settings of ``paidleave-check``."""

    dor_folder_path: str = Field(
        default="", description="Folder of the files received from DOR (default: files are not checked)"
    )
    csv_folder_path: str = Field(
        default="", description="Folder of the CSVs from agency staff (default: files are not checked)"
    )
    received_wait_hours: int = Field(
        default=26, ge=1, description="Hours after which a file from DOR that was not imported is a finding"
    )

    db_username: str = Field(default=READ_ONLY.name, min_length=1, description="Database user who reads every table")
    queue_wait_hours: int = Field(
        default=36, ge=1, description="Hours after which an entry in a queue to FINEOS is a finding"
    )
    limits: str = Field(
        default="",
        description="Findings that a check allows (default: 0), such as missing-quarters=10,employers-waiting=5",
    )
    check_timeout: int = Field(default=600, ge=1, le=7200, description="Time limit of one check in seconds")
    as_json: bool = Field(default=False, description="Log the results as fields of one line instead of a table")

    @field_validator("limits")
    @classmethod
    def _check_limits(cls, limits: str) -> str:
        for name, count in _parse_limits(limits):
            if name not in REMEDIES:
                raise ValueError(f"check '{name}' not found; the checks are {', '.join(REMEDIES)}")
            if not (count.isascii() and count.isdigit()):
                raise ValueError(f"the limit of {name} must be a whole number, as in missing-quarters=10")
        return limits

    def get_limit(self, check: str) -> int:
        """Return the number of findings that a check allows."""
        return int(dict(_parse_limits(self.limits)).get(check, "0"))


def _parse_limits(limits: str) -> list[tuple[str, str]]:
    """Parse ``name=count,name=count`` into pairs."""
    parts = (part.partition("=") for part in limits.split(",") if part.strip())
    return [(name.strip(), count.strip()) for name, _, count in parts]
