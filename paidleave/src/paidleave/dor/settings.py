"""Settings of the DOR jobs. Light: importing this module imports no job's code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from nightferry.job import JobSettings
from paidleave.db.settings import DatabaseSettings


@dataclass(frozen=True)
class Decryption:
    """The armored private key for which files are encrypted, and its passphrase when it has one."""

    key: SecretStr
    passphrase: SecretStr | None


class ReceivedFilesSettings(DatabaseSettings):
    """What every job that imports received files may be told."""

    retain_received_files: bool = Field(
        default=False, description="Leave imported files where they are instead of moving them to 'processed'"
    )
    rejected_share_limit: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="A file with a greater share of rejected lines fails, with nothing imported",
    )
    s3_key: str = Field(
        default="",
        description="Key of the object whose arrival started this run. All complete files of the folder are imported "
        "whatever it is; the log tells what became of it",
    )

    @property
    def received_folder(self) -> str:
        """Where the files are received."""
        raise NotImplementedError

    @property
    def decryption(self) -> Decryption | None:
        """How the files are decrypted; None: they are plain."""
        return None


class DorFilesSettings(ReceivedFilesSettings):
    """What every job that imports DOR's files may be told."""

    folder_path: str = Field(
        min_length=1, description="Folder of the files that DOR has sent, such as s3://BUCKET/dor/received"
    )
    decrypt: bool = Field(default=False, description="Whether the files are encrypted with OpenPGP")
    gpg_decryption_key: SecretStr | None = Field(
        default=None, description="Armored private key for which the files are encrypted; needed when DECRYPT is true"
    )
    gpg_decryption_key_passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of that key, when it has one"
    )

    @model_validator(mode="after")
    def _key_for_decryption(self) -> Self:
        if self.decrypt and self.gpg_decryption_key is None:
            raise ValueError("GPG_DECRYPTION_KEY is needed when DECRYPT is true")
        return self

    @property
    def received_folder(self) -> str:
        """Return the folder of received files."""
        return self.folder_path

    @property
    def decryption(self) -> Decryption | None:
        """Return the key that decrypts, or None if files are not encrypted."""
        key = self.gpg_decryption_key if self.decrypt else None
        return None if key is None else Decryption(key, self.gpg_decryption_key_passphrase)


class DorImportSettings(DorFilesSettings):
    """Settings of ``dor-import``."""


class DorImportExemptSettings(DorFilesSettings):
    """Settings of ``dor-import-exempt``."""


class PendingFilingResponseSettings(DorFilesSettings):
    """Settings of ``dor-pending-filing-response-import``."""

    csv_folder_path: str = Field(
        min_length=1,
        description="Folder of the CSV of employers returning to the state plan, such as s3://BUCKET/dfml/received",
    )


class PendingFilingSubmissionSettings(ReceivedFilesSettings):
    """Settings of ``dor-create-pending-filing-submission``."""

    input_folder_path: str = Field(
        min_length=1, description="Folder with the folder 'received' of the CSVs, such as s3://BUCKET/dfml"
    )
    output_folder_path: str = Field(
        min_length=1, description="Folder with the folder 'send' for what goes to DOR, such as s3://BUCKET/dor"
    )
    rejected_share_limit: float = Field(
        default=0.5,  # people write these files, and few rows: one slip must not stop the others
        ge=0,
        le=1,
        description="A CSV with a greater share of rejected rows fails, with nothing sent",
    )
    retain_received_files: bool = Field(
        default=True,
        description="Leave the CSV where it is: the import of DOR's response needs it and moves it to 'processed'",
    )

    @property
    def received_folder(self) -> str:
        """Return the folder of received files."""
        return f"{self.input_folder_path.rstrip('/')}/received"

    @property
    def send_folder(self) -> str:
        """Where submissions are written."""
        return f"{self.output_folder_path.rstrip('/')}/send"


class DorGenerateSettings(JobSettings):
    """Settings of ``dor-generate``."""

    folder: str = Field(
        min_length=1, description="Folder for the files: s3://BUCKET/PREFIX, file:///PATH or an absolute path"
    )
    files: Literal["daily", "exempt", "returning", "response"] = Field(
        default="daily",
        description="daily: employers and wages; exempt: employers with a private plan; returning: the CSV of those of "
        "them who return to the state plan; response: DOR's answer about these",
    )
    csv_folder: str = Field(default="", description="Folder for the CSV (default: FOLDER)")
    allowed: bool = Field(default=True, description="Whether this environment takes invented files at all")
    first_day: date | None = Field(
        default=None,
        description="Day of the first files, YYYY-MM-DD: UPDATE and DAY then follow from today's date, in UTC",
    )
    count: int = Field(default=100, ge=1, description="How many employers; on average each has 14 employees")
    seed: int = Field(default=0, description="The same seed gives the same files, and each employer the same data")
    update: bool = Field(default=False, description="Files of a later day: the same employers with some changes")
    day: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Which later day, when UPDATE is true: each changes others, on top of the days before",
    )
    timestamp: str = Field(
        default="", pattern="^[0-9]*$", description="Digits of the files' names, YYYYMMDDHHMMSS; default: now, in UTC"
    )
    gpg_public_key: str = Field(
        default="", description="Encrypt to this armored public key, given as its text or as where it is stored"
    )
    bad_share: float = Field(default=0, ge=0, le=1, description="Bad lines per good line; all kinds take turns")
    duplicate_share: float = Field(default=0, ge=0, le=1, description="Second copies per good line")
    foreign_share: float = Field(default=0.05, ge=0, le=1, description="Share of employers with an address abroad")
    non_ascii_every: int = Field(
        default=500,
        ge=0,
        description="Every so many employers and employees have non-ASCII letters in the name; 0: none",
    )
    crlf: bool = Field(default=False, description="Lines end with CR LF instead of LF")
    last_line_end: bool = Field(default=True, description="Whether the last line has a line end")

    @model_validator(mode="after")
    def _day_of_update(self) -> Self:
        if self.day > 1 and not self.update:
            raise ValueError("DAY is for updates only: set UPDATE to true, too")
        return self
