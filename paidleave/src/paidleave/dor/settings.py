"""Settings of the DOR jobs. This module does not import the jobs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import date
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from paidleave.db.settings import DatabaseSettings
from paidleave.job_settings import FileLimitSettings, PaidLeaveSettings, PlainFilesSettings


@dataclass(frozen=True)
class Expected:
    """The expected daily files.

    Attributes:
        hours: Hours after which another file of each kind must have been imported; 0 if no files are expected.
        weekdays: The days on which files come; Monday is 0. The hours of other days do not count.
    """

    hours: int
    weekdays: frozenset[int]


@dataclass(frozen=True)
class Decryption:
    """How files are decrypted: the armored private key, its passphrase if it has one, and the keys that must sign.

    ``expansion_limit`` is the maximum ratio of a file's size after decryption to its encrypted size.
    """

    key: SecretStr
    passphrase: SecretStr | None
    signer_keys: str = ""
    expansion_limit: int = 100


_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class DailyFilesSettings(PaidLeaveSettings):
    """Settings about the files that DOR sends each day: an employer file and a wage file."""

    daily_file_hours: int = Field(
        default=26,  # DOR sends them daily; the import starts each day at the same time and takes up to two hours.
        ge=0,
        description="Hours after which a daily file of each kind must have been imported; 0 if none are expected",
    )
    daily_file_days: str = Field(
        default="MON-SUN", description="Days on which daily files come, such as MON-FRI or MON,WED,FRI"
    )

    @field_validator("daily_file_days")
    @classmethod
    def _check_days(cls, days: str) -> str:
        _parse_weekdays(days)
        return days

    @property
    def expected_files(self) -> Expected:
        """The expected daily files."""
        return Expected(self.daily_file_hours, _parse_weekdays(self.daily_file_days))


def _parse_weekdays(text: str) -> frozenset[int]:
    """Parse ``MON-FRI`` or ``MON,WED`` into numbers; Monday is 0."""
    days: set[int] = set()
    for part in text.upper().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS:
            raise ValueError("the days must be names such as MON-FRI or MON,WED,FRI")
        start, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(days)


class ReceivedFilesSettings(DatabaseSettings, FileLimitSettings, PlainFilesSettings):
    """Settings of every job that imports received files."""

    retain_received_files: bool = Field(
        default=False, description="Leave imported files in place instead of moving them to 'processed'"
    )
    rejected_share_limit: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Maximum share of rejected lines; a file above it fails and is not imported",
    )
    reimport: str = Field(
        default="",
        pattern="^[^/]*$",
        description="Name of a file in the folder that is imported even if it was imported before or is older than an "
        "imported file; values of later files are not overwritten",
    )
    s3_key: str = Field(
        default="",
        description="Key of the object that triggered this run. The run imports all complete files of the folder and "
        "logs the outcome for this object",
    )

    @property
    @abstractmethod
    def received_folder(self) -> str:
        """The folder of received files."""

    @property
    def decryption(self) -> Decryption | None:
        """The key that decrypts the files, or None if they are not encrypted."""
        return None

    @property
    def expected_files(self) -> Expected | None:
        """The files that must come each day, or None if the job's files come on demand."""
        return None


class DorFilesSettings(ReceivedFilesSettings):
    """Settings of every job that imports DOR files."""

    folder_path: str = Field(
        min_length=1, description="Folder of the files received from DOR, such as s3://BUCKET/dor/received"
    )
    expansion_limit: int = Field(
        default=100,  # DOR's files have 17 to 40 times their compressed size, which depends on the algorithm.
        ge=1,
        description="Maximum ratio of a file's size after decryption to its encrypted size; a file of more than 16 MB "
        "above it fails",
    )
    decrypt: bool = Field(default=False, description="Set to true if the files are encrypted with OpenPGP")
    gpg_decryption_key: SecretStr | None = Field(
        default=None, description="Armored private key that decrypts the files; required if DECRYPT is true"
    )
    gpg_decryption_key_passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of GPG_DECRYPTION_KEY, if it has one"
    )
    gpg_signer_key: SecretStr | None = Field(
        default=None,
        description="DOR's armored public keys. If set, a file without a good signature of one of them fails "
        "(default: signatures are not checked)",
    )

    replay: str = Field(
        default="",
        pattern="^[^/]*$",
        description="Name of an imported file whose rejected lines are imported again from the folder 'rejected'; the "
        "run imports nothing else",
    )
    reject_implausible_ssns: bool = Field(
        default=False,
        description="Reject lines with an SSN that was never issued (area 000 or 666, group 00 or serial 0000) instead "
        "of only counting them",
    )

    @model_validator(mode="after")
    def _check_decryption_key(self) -> Self:
        if self.decrypt and self.gpg_decryption_key is None:
            raise ValueError("GPG_DECRYPTION_KEY is required if DECRYPT is true")
        if self.gpg_signer_key is not None and not self.decrypt:
            raise ValueError("GPG_SIGNER_KEY requires DECRYPT=true: files that are not encrypted have no signature")
        return self

    @property
    def received_folder(self) -> str:
        """The folder of received files."""
        return self.folder_path

    @property
    def decryption(self) -> Decryption | None:
        """The key that decrypts the files, or None if they are not encrypted."""
        key = self.gpg_decryption_key if self.decrypt else None
        signers = self.gpg_signer_key.get_secret_value().strip() if self.gpg_signer_key else ""
        if key is None:
            return None
        return Decryption(key, self.gpg_decryption_key_passphrase, signers, self.expansion_limit)


class DorImportSettings(DailyFilesSettings, DorFilesSettings):
    """Settings of ``dor-import``."""

    allow_older_files: bool = Field(
        default=False,
        description="Import wage files that are older than an imported one, and overwrite its newer wages",
    )


class DorImportExemptSettings(DorFilesSettings):
    """Settings of ``dor-import-exempt``."""


class PendingFilingResponseSettings(DorFilesSettings):
    """Settings of ``dor-pending-filing-response-import``."""

    csv_folder_path: str = Field(
        min_length=1,
        description="Folder of the CSVs of employers returning to the state plan, such as s3://BUCKET/dfml/received",
    )
    csv_size_limit_mb: int = Field(
        default=16, ge=1, description="Maximum size of a CSV in MB of 1,048,576 bytes; a larger one cannot be used"
    )


class PendingFilingSubmissionSettings(ReceivedFilesSettings):
    """Settings of ``dor-create-pending-filing-submission``."""

    file_size_limit_mb: int = Field(
        default=16, ge=1, description="Maximum size of a CSV in MB of 1,048,576 bytes; a larger one fails"
    )

    input_folder_path: str = Field(
        min_length=1, description="Folder that contains the folder 'received' with the CSVs, such as s3://BUCKET/dfml"
    )
    output_folder_path: str = Field(
        min_length=1, description="Folder that contains the folder 'send' for files to DOR, such as s3://BUCKET/dor"
    )
    rejected_share_limit: float = Field(
        default=0.5,  # The files are short and written by people, so one mistake must not block the other rows.
        ge=0,
        le=1,
        description="Maximum share of rejected rows; a CSV above it fails and is not submitted",
    )
    retain_received_files: bool = Field(
        default=True,
        description="Leave the CSV in place; the import of DOR's response needs it and moves it to 'processed'",
    )

    @property
    def received_folder(self) -> str:
        """The folder of received files."""
        return f"{self.input_folder_path.rstrip('/')}/received"

    @property
    def send_folder(self) -> str:
        """The folder of submissions."""
        return f"{self.output_folder_path.rstrip('/')}/send"


class DorGenerateSettings(PaidLeaveSettings):
    """Settings of ``dor-generate``."""

    folder: str = Field(
        min_length=1, description="Folder for the files: s3://BUCKET/PREFIX, file:///PATH or an absolute path"
    )
    files: Literal["daily", "exempt", "returning", "response"] = Field(
        default="daily",
        description="daily: employers and wages; exempt: employers with a private plan; returning: the CSV of exempt "
        "employers that return to the state plan; response: DOR's response about them",
    )
    csv_folder: str = Field(default="", description="Folder for the CSV (default: FOLDER)")
    allowed: bool = Field(default=True, description="Set to false to forbid generated files in this environment")
    first_day: date | None = Field(
        default=None,
        description="Date of the first files, YYYY-MM-DD; if set, UPDATE and DAY follow from today's date in UTC",
    )
    count: int = Field(default=100, ge=1, description="Number of employers; each has 14 employees on average")
    seed: int = Field(default=0, description="Seed of all values; the same seed gives each employer the same data")
    update: bool = Field(default=False, description="Write the files of a later day, with changes of some employers")
    day: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Number of the later day if UPDATE is true; a day includes the changes of earlier days",
    )
    timestamp: str = Field(
        default="", pattern="^[0-9]*$", description="Digits in the file names, YYYYMMDDHHMMSS (default: now, in UTC)"
    )
    gpg_public_key: str = Field(
        default="", description="Armored public key that encrypts the files: its text or its address"
    )
    bad_share: float = Field(default=0, ge=0, le=1, description="Bad lines per good line, with all defects in rotation")
    duplicate_share: float = Field(default=0, ge=0, le=1, description="Duplicate lines per good line")
    foreign_share: float = Field(default=0.05, ge=0, le=1, description="Share of employers with a foreign address")
    non_ascii_every: int = Field(
        default=500,
        ge=0,
        description="Give every Nth employer and employee a name with non-ASCII letters; 0 for none",
    )
    crlf: bool = Field(default=False, description="End lines with CR LF instead of LF")
    last_line_end: bool = Field(default=True, description="End the last line with a line end")

    @model_validator(mode="after")
    def _check_day(self) -> Self:
        if self.day > 1 and not self.update:
            raise ValueError("DAY is valid for updates only. Set UPDATE to true")
        return self
