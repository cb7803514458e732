"""Errors of the Amazon States Language library.

::

    NightferryError
    ├── InvalidDefinition     Step Functions would reject the definition
    │   └── UnknownResource   a Task's resource has no implementation
    ├── InvalidInput          Step Functions would reject the execution's input
    └── NotRedrivable         the execution is running or succeeded
    StatesError               a state failed: the error name and cause that Retry and Catch see
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.errors import NightferryError


@dataclass(frozen=True)
class Problem:
    """One mistake in a definition: its JSON path, and a message that includes the fix."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidDefinition(NightferryError):
    """Step Functions would reject the definition; ``problems`` lists every mistake with its path."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class UnknownResource(InvalidDefinition):
    """A Task names a resource without an implementation. Register one, or correct the name."""


class InvalidInput(NightferryError):
    """An execution's input must be JSON of at most 262,144 bytes. Pass large data by reference, such as an S3 key."""


class NotRedrivable(NightferryError):
    """Only a Standard execution that failed, timed out or was aborted, and has room for events, can be redriven."""


class StatesError(Exception):
    """A state failed. Retry, Catch and the end of the execution use ``error`` and ``cause``.

    ``cause`` and ``error`` are None where AWS omits the field. ``location`` names the field whose JSONata expression
    failed; ``evaluation`` is True if the history records the failure as an ``EvaluationFailed`` event.
    """

    def __init__(
        self, error: str | None, cause: str | None = None, *, evaluation: bool = False, location: str | None = None
    ) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.evaluation = evaluation
        self.location = location
