"""Removal of secrets, and of personal data if the policy is strict, from all output of a job; see :mod:`.redactor`."""

from nightferry.job.redaction.pairs import MASK
from nightferry.job.redaction.redactor import (
    PLAIN_TYPES,
    Redactor,
    describe_error,
    redact,
    redact_value,
    redactor,
)

__all__ = ["MASK", "PLAIN_TYPES", "Redactor", "describe_error", "redact", "redact_value", "redactor"]
