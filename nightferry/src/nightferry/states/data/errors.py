"""Errors of the Amazon States Language library.

::

    NightferryError
    ├── InvalidDefinition     Step Functions would refuse the definition
    │   └── UnknownResource   nothing here can run a Task's resource
    ├── InvalidInput          Step Functions would refuse the execution's input
    └── NotRedrivable         the execution runs, or ended well
    StatesError               a state failed while it ran: an error name and a cause, as Retry and Catch see them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightferry.errors import NightferryError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a definition: the JSON path of the place, and a sentence that says what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidDefinition(NightferryError):
    """The definition is not one that Step Functions accepts; ``problems`` lists every mistake with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class UnknownResource(InvalidDefinition):
    """A Task names a resource that nothing here can run. Register it, or correct the name."""


class InvalidInput(NightferryError):
    """An execution's input is JSON of at most 262,144 bytes. Hand large data over by its place, not by its content."""


class NotRedrivable(NightferryError):
    """Only an execution that failed, timed out or was aborted can be started again from where it stopped."""


class StatesError(Exception):
    """A state failed. ``error`` and ``cause`` are what Retry, Catch and the execution's end get to see.

    ``cause`` and ``error`` are None where AWS leaves the field out. ``location`` names the field whose JSONata
    expression failed; ``evaluation`` says that the failure is recorded as an ``EvaluationFailed`` event.
    """

    def __init__(
        self, error: str | None, cause: str | None = None, *, evaluation: bool = False, location: str | None = None
    ) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.evaluation = evaluation
        self.location = location
