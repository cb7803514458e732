"""Removal of personal data and secrets from all output of a job; see :mod:`.redactor`."""

from nightferry.job.redaction.redactor import PLAIN_TYPES, Redactor, describe_error, redact, redact_value, redactor

__all__ = ["PLAIN_TYPES", "Redactor", "describe_error", "redact", "redact_value", "redactor"]
