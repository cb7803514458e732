"""Placeholders (``${Name}``) that a deployment replaces in a definition, with examples for checks before that.

AWS SAM and CloudFormation replace them by DefinitionSubstitutions, Terraform by templatefile.
"""

from __future__ import annotations

import re
from typing import Any

PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.:-]*)\}")
_BARE = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|\$\{[A-Za-z_][A-Za-z0-9_.:-]*\}', re.DOTALL)
_NUMBERS = (
    "Seconds", "TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency", "MaxAttempts", "IntervalSeconds", "BackoffRate",
    "MaxDelaySeconds", "ToleratedFailureCount", "ToleratedFailurePercentage", "MaxItems", "MaxItemsPerBatch",
    "MaxInputBytesPerBatch",
)  # fmt: skip
_PATHS = ("Variable", "InputPath", "OutputPath", "ResultPath", "ItemsPath")


def fill_bare(text: str) -> str:
    """Return JSON text with 1 in place of each placeholder outside of a string."""
    return _BARE.sub(lambda match: match[1] or "1", text)


def fill(value: Any, name: str = "") -> Any:
    """Return a definition with an example in place of each placeholder that is not a valid value where it stands.

    ``name`` is the member that contains the value.
    """
    if isinstance(value, dict):
        return {key: fill(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = PLACEHOLDER.fullmatch(value)
    if name == "Resource":
        text = PLACEHOLDER.sub(_fill_in_arn, value)
        return f"arn:aws:lambda:us-east-1:000000000000:function:{text}" if whole else text
    if whole and (name in _NUMBERS or name.startswith("Numeric")):
        return 1
    if whole and name.startswith("Boolean"):
        return True
    if whole and name.startswith("Timestamp"):
        return "2026-01-01T00:00:00Z"
    is_path = name in _PATHS or name.endswith((".$", "Path"))
    if is_path or value.startswith("{%"):
        return "$" if whole and is_path else PLACEHOLDER.sub(_make_name, value)
    return value


def _fill_in_arn(match: re.Match[str]) -> str:
    return "aws" if match[1] == "AWS::Partition" else "" if match[1].startswith("AWS::") else _make_name(match)


def _make_name(match: re.Match[str]) -> str:
    return re.sub(r"\W", "_", match[1])
