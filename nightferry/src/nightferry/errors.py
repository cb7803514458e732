"""The errors of declarations and of the project: what Nightferry shows to people.

::

    NightferryError
    ├── DeclarationError            a declaration in the catalogue cannot work
    │   ├── DuplicateName           two declarations of one kind share a name
    │   ├── InvalidName             a name that AWS would refuse
    │   ├── UnknownReference        something names what nobody declared
    │   ├── InvalidMain             a task's main is not a job of that name, or its settings class is not found
    │   ├── ImpossibleSize          Fargate has no such pair of CPU and memory
    │   ├── MissingSetting          the job needs a setting that nothing supplies
    │   ├── UnknownSetting          the job is given a setting that it does not have
    │   ├── InvalidSetting          the job or the engine would refuse the value, or a secret stands in plain text
    │   ├── InvalidSchedule         a cron(), rate() or at() that AWS would refuse
    │   ├── OverlappingTriggers     S3 refuses two notifications for one object
    │   └── InvalidWorkflow         Step Functions would refuse the definition
    ├── CatalogNotFound             there is no catalogue to work with
    ├── EnvironmentFileError        an environments/NAME.toml that cannot be used
    ├── UnknownName                 the user asked for something that is not declared
    ├── EngineBusy                  another engine works on the same state directory
    ├── MissingExtra                a package of an extra is not installed
    └── ServiceFailed               a local service (database, simulator) did not start

A room whose errors are its own keeps them itself (``nightferry.job.errors``, ``nightferry.states.data.errors``
…), below :class:`NightferryError` too. A message says what is wrong, where, and what to do. A
command prints it as it is, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nightferry.contract import ExitCode


class NightferryError(Exception):
    """An error whose message is meant for the person at the terminal; ``exit_code`` is what its command ends with."""

    exit_code: int = ExitCode.BAD_SETTINGS


class DeclarationError(NightferryError):
    """A declaration in the catalogue cannot work; the message names it and the line where it stands."""

    def __init__(self, message: str, *, declaration: str, location: str) -> None:
        """Name the ``declaration`` (``task 'load-orders'``) and its ``location`` (``file:line``) in the message."""
        super().__init__(f"{declaration}, declared in {location}: {message}")
        self.declaration = declaration
        self.location = location


class DuplicateName(DeclarationError):
    """Two declarations of one kind share a name. Rename one of them."""


class InvalidName(DeclarationError):
    """A name that AWS would refuse. Use lower-case letters, digits and dashes."""


class UnknownReference(DeclarationError):
    """A declaration refers to something that this catalogue does not declare."""


class InvalidMain(DeclarationError):
    """``main`` is not a job of the task's name, its settings class is not found, or a command is given beside it."""


class ImpossibleSize(DeclarationError):
    """Fargate has no such pair of CPU and memory. Choose one of the pairs that the message lists."""


class MissingSetting(DeclarationError):
    """The job's settings class requires a variable that neither ``env`` nor ``secrets`` supplies."""


class UnknownSetting(DeclarationError):
    """``env`` or ``secrets`` supplies a variable that the job's settings class does not have."""


class InvalidSetting(DeclarationError):
    """The job or the engine would refuse the value, or a secret is given where everybody can read it."""


class InvalidSchedule(DeclarationError):
    """The schedule's expression or time zone is one that EventBridge refuses."""


class OverlappingTriggers(DeclarationError):
    """Two triggers of one bucket would both fire for one object, which S3 refuses."""


class InvalidWorkflow(DeclarationError):
    """Step Functions would refuse the workflow's definition."""


class CatalogNotFound(NightferryError):
    """There is no catalogue: name it in pyproject.toml as ``[tool.nightferry] catalog = "package.module:name"``."""


class EnvironmentFileError(NightferryError):
    """An environment's file is missing or cannot be used; the message names the file, the line and the key."""


class UnknownName(NightferryError):
    """The user named a task, workflow or run that does not exist; the message offers the nearest names."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names) or 'none'}."
        super().__init__(f"There is no {kind} '{name}'. {hint}")


class EngineBusy(NightferryError):
    """Another engine works on the same state directory. Wait for it, or stop it."""


class ServiceFailed(NightferryError):
    """A local service did not start or did not become ready; the message ends with the end of its log."""


class MissingExtra(NightferryError):
    """A package of one of the toolkit's extras is not installed. Install the extra that the message names."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"The package {package} is not installed. Install it with: pip install 'nightferry[{extra}]'")


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Raise MissingExtra if an import in the block does not find its package."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or "").partition(".")[0], extra) from None
