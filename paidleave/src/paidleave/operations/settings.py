"""Settings of the operational tasks. Light: importing this module imports no job's code."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from nightferry.job import JobSettings
from paidleave.db.settings import DatabaseSettings
from paidleave.db.users import IMPERSONAL, READ_ONLY
from paidleave.operations.checks import CURES

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


class ExecuteSqlSettings(DatabaseSettings):
    """Settings of ``execute-sql``. ``DB_USERNAME`` is the user that reads no personal data."""

    db_username: str = Field(
        default=IMPERSONAL.name, min_length=1, description="Database user who reads what holds no personal data"
    )
    db_readonly_username: str = Field(
        default=READ_ONLY.name, min_length=1, description="Database user for ALLOW_PERSONAL_DATA, who reads everything"
    )
    db_readonly_password: SecretStr | None = Field(
        default=None, description="That user's password (default: a cloud identity token; in 'local': none)"
    )
    sql: str = Field(
        default="",
        repr=False,  # it may hold what a person should not have written into it
        description="The statements, with semicolons between them. Write no personal data here: use SQL_FILE",
    )
    sql_file: str = Field(
        default="", description="Instead of SQL: the object that holds the statements, such as s3://BUCKET/file.sql"
    )
    destination: Literal["terminal", "bucket"] = Field(
        default="terminal", description="Where results go: a table among the log lines, or a file in EXPORT_FOLDER"
    )
    export_folder: str = Field(default="", description="Folder for the files, such as s3://BUCKET/FOLDER")
    export_name: str = Field(
        default="query", pattern="^[a-z0-9][a-z0-9_-]{0,60}$", description="What the files' names begin with"
    )
    export_format: Literal["csv", "parquet", "json"] = Field(
        default="csv", description="Format of the files; json is one object a line"
    )
    dated: bool = Field(default=True, description="Put the files into a folder named for the day, in UTC")
    allow_personal_data: bool = Field(default=False, description="Read every table. Results then go to the bucket only")
    statement_timeout: int = Field(default=300, ge=1, le=3600, description="Seconds that a statement may take")
    row_limit: int = Field(default=100, ge=1, le=1000, description="Rows that are shown on the terminal")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.sql.strip()) == bool(self.sql_file):
            raise ValueError("give the statements either as SQL or as SQL_FILE")
        if self.destination == "bucket" and not self.export_folder:
            raise ValueError("EXPORT_FOLDER is needed when DESTINATION is bucket")
        if self.allow_personal_data and self.destination == "terminal":
            raise ValueError("ALLOW_PERSONAL_DATA is for DESTINATION=bucket only: no personal data on a terminal")
        return self

    def reader(self) -> DatabaseSettings:
        """The settings of the user who may read what is asked for."""
        if not self.allow_personal_data:
            return self
        return self.model_copy(
            update={"db_username": self.db_readonly_username, "db_password": self.db_readonly_password}
        )


class CheckSettings(DatabaseSettings):
    """Settings of ``paidleave-check``."""

    db_username: str = Field(default=READ_ONLY.name, min_length=1, description="Database user who reads every table")
    queue_wait_hours: int = Field(
        default=36, ge=1, description="Hours that an entry may wait in a queue to FINEOS before it counts"
    )
    limits: str = Field(
        default="",
        description="How many a check may find, where that is not none: missing-quarters=10,employers-waiting=5",
    )
    check_timeout: int = Field(default=600, ge=1, le=7200, description="Seconds that one check may take")
    as_json: bool = Field(default=False, description="Tell the outcome as fields of one line instead of a table")

    @field_validator("limits")
    @classmethod
    def _known_checks(cls, limits: str) -> str:
        for name, count in _pairs(limits):
            if name not in CURES:
                raise ValueError(f"there is no check '{name}'; there are {', '.join(CURES)}")
            if not (count.isascii() and count.isdigit()):
                raise ValueError(f"the limit of {name} must be a whole number, as in missing-quarters=10")
        return limits

    def limit(self, check: str) -> int:
        """How many things a check may find."""
        return int(dict(_pairs(self.limits)).get(check, "0"))


def _pairs(limits: str) -> list[tuple[str, str]]:
    """``name=count,name=count``, taken apart."""
    parts = (part.partition("=") for part in limits.split(",") if part.strip())
    return [(name.strip(), count.strip()) for name, _, count in parts]


class SftpToolSettings(JobSettings):
    """Settings of ``sftp-tool``."""

    sftp_uri: str = Field(
        pattern=r"^sftp://[^@/:\s]+@[^@/:\s]+(:[0-9]{1,4}|:[1-5][0-9]{4}|:6[0-4][0-9]{3})?$",
        description="Address of the server: sftp://, the user's name, @, the host and, unless it is 22, : and the port",
    )
    sftp_host_key: str = Field(
        min_length=1,
        description="The server's public host key, such as 'ssh-ed25519 AAAA…'; several, one a line, while it changes",
    )
    sftp_private_key: SecretStr = Field(description="Our private key, in OpenSSH's or PEM form")
    sftp_private_key_passphrase: SecretStr | None = Field(default=None, description="Its passphrase, when it has one")
    sftp_timeout: int = Field(default=30, ge=1, le=600, description="Seconds without an answer after which it gives up")
    action: Literal["list", "get", "put", "rename"] = Field(default="list", description="What to do")
    remote_path: str = Field(
        default="",
        description="On the server: the folder to list, the file to get or rename, or where to put (folders end in /)",
    )
    storage_path: str = Field(
        default="",
        description="The object to put, or where what was got goes (a folder ends in /): s3://BUCKET/…",
    )
    new_path: str = Field(default="", description="The file's new name, with its folder, for rename")
    replace: bool = Field(default=False, description="Replace what is there under the target's name")

    @field_validator("remote_path", "new_path")
    @classmethod
    def _leads_nowhere_else(cls, path: str) -> str:
        if ".." in path.split("/") or not path.isprintable():
            raise ValueError("a path on the server holds no '..' and nothing that cannot be printed")
        return path

    @model_validator(mode="after")
    def _paths_of_the_action(self) -> Self:
        needed = {
            "list": (),
            "get": ("remote_path", "storage_path"),
            "put": ("storage_path", "remote_path"),
            "rename": ("remote_path", "new_path"),
        }[self.action]
        if missing := [name.upper() for name in needed if not getattr(self, name)]:
            raise ValueError(f"{' and '.join(missing)} must be set to {self.action} a file")
        if self.action in ("get", "rename") and self.remote_path.endswith("/"):
            raise ValueError(f"REMOTE_PATH names a folder; to {self.action}, name a file")
        return self
