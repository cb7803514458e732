"""The base classes of the settings of the jobs: what a log line may show, and the limits of received files."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from nightferry import JobSettings, Privacy


class PaidLeaveSettings(JobSettings):
    """Settings of a job of Paid Leave."""

    privacy: ClassVar[Privacy] = Privacy.STRICT  # also of a job that is started by its command alone

    shown_numbers: ClassVar[frozenset[str]] = frozenset({"account_key", "fineos_employer_id"})

    shown_names: ClassVar[str] = r"(?i:DORDFML|DORDFMLEMP|DORDUADFML|DORDUADFML_SUBMISSION)_[0-9]{10,20}"
    """The names of DOR's files, also with a time that does not exist. Names with nine digits remain masked."""


class FileLimitSettings(PaidLeaveSettings):
    """Limits of each file that a job reads: see :mod:`paidleave.file_limits`."""

    file_size_limit_mb: int = Field(
        default=32_768,
        ge=1,
        description="Maximum size of a file in MB of 1,048,576 bytes, after decryption; a larger file fails",
    )
    blank_line_limit: int = Field(
        default=10_000, ge=0, description="Maximum number of blank lines or empty rows; a file with more fails"
    )
    rejected_line_limit: int = Field(
        default=1_000_000, ge=0, description="Maximum number of rejected lines; a file with more fails"
    )


class PlainFilesSettings(PaidLeaveSettings):
    """Settings of every job that reads files whose content does not prove that they are complete."""

    quiet_seconds: float = Field(
        default=60,
        ge=0,
        description="Seconds for which a file in a folder must not have changed before it is read, unless it is "
        "encrypted; the job waits for it. S3 objects are complete when they appear",
    )
