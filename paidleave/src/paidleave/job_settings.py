"""The base class of all settings of the jobs: which numbers a log line may show."""

from __future__ import annotations

from typing import ClassVar

from nightferry.job import JobSettings


class PaidLeaveSettings(JobSettings):
    """Settings of a job of Paid Leave."""

    shown_numbers: ClassVar[frozenset[str]] = frozenset({"account_key", "fineos_employer_id"})

    shown_names: ClassVar[str] = r"(?i:DORDFML|DORDFMLEMP|DORDUADFML|DORDUADFML_SUBMISSION)_[0-9]{10,20}"
    """The names of DOR's files, also with a time that does not exist. Names with nine digits remain masked."""
