"""Values shared by the job runtime, the engine, synthesis and the command line.

One component writes each of these values and another reads it, often in another process or on AWS. This module does no
I/O and imports no other module of Nightferry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, Literal, get_args

# ── Environment of a task's container ─────────────────────────────────────────────────────────────────────────

ENVIRONMENT_VARIABLE = "ENVIRONMENT"
"""The environment's name."""
TASK_VARIABLE = "NIGHTFERRY_TASK"
"""The task's name."""
RUN_VARIABLE = "NIGHTFERRY_RUN_ID"
"""The run's ID. On ECS it is unset, and the job runtime reads the ECS task's ID instead."""
TIME_LIMIT_VARIABLE = "NIGHTFERRY_TIME_LIMIT"
"""The number of seconds after which the job runtime ends the job."""
OVERLAP_VARIABLE = "NIGHTFERRY_OVERLAP"
"""The task's overlap policy: ``allow``, ``skip``, ``queue`` or ``replace``."""
LEASE_VARIABLE = "NIGHTFERRY_LEASE"
"""The location of the task's lease: ``database``, or the location of a folder."""
EXECUTION_VARIABLE = "SFN_EXECUTION_ID"
"""The ARN of the workflow execution that started the run."""
RESULTS_VARIABLE = "NIGHTFERRY_RESULTS"
"""The folder in which the job stores its result as ``RUN_ID.json``, for later steps of its workflow."""
ATTEMPT_VARIABLE = "NIGHTFERRY_ATTEMPT"
"""The number of the attempt, from 2 on, of a task with ``retry``. The first attempt does not have it."""
START_VARIABLE = "NIGHTFERRY_START_ID"
"""The ID of the start request on AWS. The log of task state changes contains it after ECS has forgotten its token."""
PRIVACY_VARIABLE = "NIGHTFERRY_PRIVACY"
"""The catalog's privacy policy: ``strict`` or ``secrets-only``. A run cannot change it."""
SECRETS_VARIABLE = "NIGHTFERRY_SECRETS"
"""The names of the variables that hold the task's secrets, separated by commas, so that the runtime masks them."""
SCHEDULED_AT_VARIABLE = "SCHEDULED_AT"
"""The time for which a schedule or a backfill started the run, in ISO 8601 and UTC: ``2026-11-01T05:30:00Z``."""
SCHEDULE_VARIABLE = "NIGHTFERRY_SCHEDULE"
"""The name of the schedule that started the run, or for which a backfill started it."""
EVENTS_VARIABLE = "NIGHTFERRY_EVENTS"
"""The number of the file descriptor on which the engine reads the run's events. The job's process never has it."""

INPUT_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "bucket": "S3_BUCKET",
        "key": "S3_KEY",
        "version": "S3_VERSION",
        "uri": "S3_URI",
        "scheduled_at": SCHEDULED_AT_VARIABLE,
        "schedule": SCHEDULE_VARIABLE,
    }
)
"""The members of a workflow's input that an object trigger (the first four) or a schedule supplies.

The value of a member is the variable with the same content in a task that a trigger or schedule starts.
"""

INPUT_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "bucket": "Name of the object's bucket.",
        "key": "Key of the object.",
        "version": "Version of the object; empty if the bucket has no versions.",
        "uri": "Location of the object for nightferry.storage: s3://… on AWS, file://… on this machine.",
        "scheduled_at": "Time for which the schedule or a backfill started the run, in ISO 8601 and UTC.",
        "schedule": "Name of the schedule.",
    }
)
"""The meaning of each member."""

OBJECT_MEMBERS = frozenset(member for member, variable in INPUT_VARIABLES.items() if variable.startswith("S3_"))
"""The members of a workflow's input that an object trigger supplies."""
SCHEDULE_MEMBERS = frozenset(INPUT_VARIABLES) - OBJECT_MEMBERS
"""The members of a workflow's input that a schedule or a backfill supplies."""

STARTED_VARIABLES = frozenset(INPUT_VARIABLES.values())
"""The variables that only a start by a schedule, a backfill or an object trigger supplies."""

SUPPLIED_VARIABLES = frozenset(
    {
        ATTEMPT_VARIABLE,
        ENVIRONMENT_VARIABLE,
        EVENTS_VARIABLE,
        EXECUTION_VARIABLE,
        LEASE_VARIABLE,
        OVERLAP_VARIABLE,
        PRIVACY_VARIABLE,
        RESULTS_VARIABLE,
        RUN_VARIABLE,
        SCHEDULED_AT_VARIABLE,
        SCHEDULE_VARIABLE,
        SECRETS_VARIABLE,
        START_VARIABLE,
        TASK_VARIABLE,
        TIME_LIMIT_VARIABLE,
    }
)
"""The variables that the engine or the platform supplies to a task. A declaration must not set them."""

IDENTIFYING_VARIABLES = frozenset({ATTEMPT_VARIABLE, EVENTS_VARIABLE, EXECUTION_VARIABLE, RUN_VARIABLE, START_VARIABLE})
"""The supplied variables that identify one start. The others are the same in each run of a task."""


def format_scheduled_time(time: datetime) -> str:
    """Return a time in ISO 8601 in UTC, such as ``2026-11-01T05:30:00Z``, as EventBridge Scheduler formats it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def parse_scheduled_time(text: str | None) -> datetime | None:
    """Return the time in UTC; None for no text. Raises ValueError for text that is not a time with an offset."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return time.astimezone(UTC)


RepeatedBy = Literal["rerun", "retry"]
"""What repeats a failed run: a redrive, or the declaration ``retry`` of its task."""
_REPEAT = re.compile(r"(?:rerun|retry|again)/([0-9a-f-]{28})")


def format_repeat(by: RepeatedBy, run: str) -> str:
    """Return the starter (ECS's ``startedBy``, at most 36 characters) of the run that repeats ``run``."""
    return f"{by}/{run[:28]}"


def format_again(run: str) -> str:
    """Return the starter of a run that began with the inputs of ``run``, which a person may have changed.

    Unlike a repeat, there may be several, and ``run`` itself can still be repeated.
    """
    return f"again/{run[:28]}"


def parse_repeat(started_by: str) -> str | None:
    """Return the first 28 characters of the ID of the run with the same or changed inputs; None for other starters."""
    found = _REPEAT.fullmatch(started_by)
    return found[1] if found else None


STATE_VARIABLE = "NIGHTFERRY_STATE"
"""The state directory of the local engine. The engine's processes read it; it is not set in a task's container."""

Overlap = Literal["allow", "skip", "queue", "replace"]
"""The effect of a start while an earlier one is running: ``allow`` runs concurrently, ``skip`` does nothing, ``queue``
waits for it, ``replace`` stops it."""

_REPLACED = "Replaced by execution "


def format_replacement(execution: str) -> str:
    """Return the cause with which a workflow's earlier execution is stopped by one that replaces it."""
    return f"{_REPLACED}{execution}."


def was_replaced(status: str, cause: str | None) -> bool:
    """Return True if an execution was stopped because of its workflow's overlap policy: it did not fail.

    :func:`nightferry.lambdas.failure_notice.was_replaced` is its twin.
    """
    return status == "ABORTED" and (cause or "").startswith(_REPLACED)


class Privacy(StrEnum):
    """What the output of a catalog's jobs must not show."""

    STRICT = "strict"
    """Neither secrets, nor personal data, nor the messages of exceptions, which may quote data."""
    SECRETS_ONLY = "secrets-only"
    """No secrets. Names, numbers and the messages of exceptions are shown."""


PARAMETER_PATH = "_SSM_PATH"
"""``<NAME>_SSM_PATH`` names the parameter that holds the secret ``<NAME>``."""


RUN_OPTIONS = frozenset(
    {
        "attach",
        "confirm",
        "cpu",
        "detach",
        "dry_run",
        "env",
        "help",
        "install_completion",
        "json",
        "memory",
        "no_detach",
        "no_raw",
        "raw",
        "reason",
        "show_completion",
    }
)
"""The options of ``nightferry run`` and ``run-ecs-task``, which a setting's option must not equal.

A test compares them with the options of the commands.
"""


def format_option(setting: str) -> str:
    """Return the option of a setting: ``--process-id`` for ``process_id`` and ``PROCESS_ID``."""
    return f"--{setting.lower().replace('_', '-')}"


def is_secret(annotation: Any) -> bool:
    """Return True if a setting of this type is a secret: not a command-line option, and never logged."""
    from pydantic import SecretBytes, SecretStr

    return annotation in (SecretStr, SecretBytes) or any(is_secret(part) for part in get_args(annotation))


def build_container_environment(
    *,
    environment: str,
    task: str,
    time_limit: int,
    overlap: Overlap,
    lease: str | None,
    privacy: Privacy,
    secrets: Iterable[str] = (),
    run: str | None = None,
) -> dict[str, str]:
    """Return the variables that are set in every container of a task. The workflow adds the execution's ID."""
    variables = {
        ENVIRONMENT_VARIABLE: environment,
        TASK_VARIABLE: task,
        RUN_VARIABLE: run,
        TIME_LIMIT_VARIABLE: str(time_limit),
        OVERLAP_VARIABLE: overlap,
        LEASE_VARIABLE: lease,
        PRIVACY_VARIABLE: privacy.value,
        SECRETS_VARIABLE: ",".join(sorted(secrets)) or None,
    }
    return {name: value for name, value in variables.items() if value is not None}


# ── Exit codes ────────────────────────────────────────────────────────────────────────────────────────────────


class ExitCode(IntEnum):
    """The exit codes of jobs and of Nightferry's commands."""

    SUCCESS = 0
    """Success, or a start outside a workflow that was skipped because another run holds the lease."""
    FAILURE = 1
    """Failure, for example because of a file that is not valid."""
    BAD_SETTINGS = 2
    """Settings, arguments or declarations are not valid. The message names each of them."""
    SKIPPED_IN_WORKFLOW = 75  # EX_TEMPFAIL of sysexits.h: try again later
    """A start in a workflow was skipped because of the overlap policy, which is a failure there."""
    TIME_LIMIT = 124  # the code of timeout(1) in the GNU coreutils
    """The job was stopped because it reached its time limit."""
    NOT_STARTED = 125
    """The run did not start, or ended without an exit code. Only commands report it."""
    REFUSED = 126
    """AWS refused a call or was unreachable. Only commands report it."""
    INTERRUPTED = 130  # 128 + SIGINT
    """Ctrl-C ended the command. The run that it followed continues on AWS, or in the engine."""
    KILLED = 137  # 128 + SIGKILL
    """The job was killed, because of its memory or because it did not stop in time."""
    BROKEN_PIPE = 141  # 128 + SIGPIPE
    """The reader of a command's output, such as ``head``, closed the pipe."""
    STOPPED = 143  # 128 + SIGTERM
    """The job was stopped: by a person, by a newer start that replaced it, or with its host."""


# ── ECS ───────────────────────────────────────────────────────────────────────────────────────────────────────


def is_worth_retrying(exit_code: int | None, stop_code: str | None) -> bool:
    """Return True if the end of a run is a failure that a retry may repair (:attr:`Task.retry`).

    It is not for success and skipped starts (0), invalid settings (2), a stop by a person or command, and a job that
    stopped itself, such as one that a newer start replaced (143). The end of a container by its host is, with any code.
    :func:`nightferry.lambdas.task_retry.is_worth_retrying` is its twin.
    """
    if stop_code == StopCode.BY_USER or exit_code in (ExitCode.SUCCESS, ExitCode.BAD_SETTINGS):
        return False
    return not (exit_code == ExitCode.STOPPED and stop_code in (None, StopCode.EXITED))


class StopCode(StrEnum):
    """The ECS stop codes that Nightferry distinguishes (ECS API, Task.stopCode)."""

    EXITED = "EssentialContainerExited"
    NOT_STARTED = "TaskFailedToStart"
    BY_USER = "UserInitiated"
    TERMINATED = "TerminationNotice"


EXITED_REASON = "Essential container in task exited"
"""The stopped reason that ECS reports for a task whose container exited on its own."""

OUT_OF_MEMORY = "OutOfMemory"
"""Part of the reason of a task or container that was ended for its memory (ECS guide, "Stopped tasks error codes")."""

GUARDDUTY_CONTAINER = "aws-guardduty-agent"
"""The start of the name of the container that GuardDuty Runtime Monitoring adds to a task (aws/aws-cdk#32877)."""

TASK_PRINCIPAL = "ecs-tasks.amazonaws.com"
"""The service that assumes the roles of tasks."""


def parse_arn_id(arn: str) -> str:
    """Return the last part of an ARN: a task's ID, as in the name of its log stream, or a family and revision."""
    return arn.rpartition("/")[2]


# ── Leases ────────────────────────────────────────────────────────────────────────────────────────────────────

LEASE_IN_DATABASE = "database"
LEASE_TABLE = "nightferry_lease"


def format_lease_location(folder: str, task: str) -> str:
    """Return the location of a task's lease object in the folder of leases, as in :data:`LEASE_VARIABLE`.

    The job runtime reads and writes this object, and synthesis allows access to it.
    """
    return f"{folder.rstrip('/')}/{task}.lease"


# ── Log lines of the job runtime ──────────────────────────────────────────────────────────────────────────────


RESULT_LIMIT = 65_536
"""The largest result of a job in bytes of JSON.

The state that reads it has the result as an escaped text, up to twice as long, among at most 262,144 bytes.
"""


MOST_REASONS = 100
"""The number of reasons that a report of a job names; the counts of the others are added up."""

OTHER_REASONS = "other reasons"
"""The reason under which they are added up."""


@dataclass(frozen=True)
class ReasonCount:
    """The number of records that a job rejected for one reason, in one field of one kind of record.

    The reason is one of a few fixed texts, which the catalog explains. It never contains a value of a record.
    """

    reason: str
    count: int
    field: str = ""
    record_kind: str = ""


class LogEvent(StrEnum):
    """The values of the log field ``event`` that only lines of the job runtime have.

    Other components recognize events by them. In a line that a job logs with one, the field is called ``event_``.
    """

    ENDED = "ended"
    """The job has ended: ``exit_code``, ``duration_seconds``, ``cpu_seconds``, ``children_cpu_seconds`` and
    ``peak_memory_bytes``."""
    KILLED = "killed"
    """The process of the job was killed: ``exit_code``."""
    PROGRESS = "progress"
    """The progress of a step: ``step``, ``done``, ``total``, ``unit``, and ``ended`` in its last line."""
    REPORT = "report"
    """The outcome of every record of a file: ``kind``, ``subject``, ``total``, ``counts``, ``reasons``, ``failed``,
    ``note`` and ``limit``."""
    RESULT = "result"
    """The object that ``main`` returned: ``result``."""
    SKIPPED = "skipped"
    """The start was skipped because another run holds the lease."""
    STARTED = "started"
    """The job starts: ``command``, ``arguments``, ``python``, ``pid``, ``cpus``, ``time_limit_seconds`` and
    ``overlap``."""


# ── Names on AWS ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Naming:
    """The naming rules of one application in one environment."""

    application: str
    environment: str

    @property
    def prefix(self) -> str:
        """The prefix of every resource's name: ``{application}-{environment}``."""
        return f"{self.application}-{self.environment}"

    @property
    def log_group(self) -> str:
        """The log group shared by all tasks."""
        return f"service/{self.prefix}/ecs-tasks"

    @property
    def event_group(self) -> str:
        """The log group for state changes of tasks."""
        return f"{self.log_group}/events"

    @property
    def network_parameter(self) -> str:
        """The parameter in which the deployment publishes the network configuration of tasks."""
        return f"/service/{self.application}/{self.environment}/ecs-tasks/network"

    @property
    def image_tag_parameter(self) -> str:
        """The parameter with the tag of the last deployed image. Its history has the earlier tags."""
        return f"/service/{self.application}/{self.environment}/ecs-tasks/image-tag"

    @property
    def retries(self) -> str:
        """The function that starts failed tasks again, and the group of its schedules."""
        return f"{self.prefix}-retries"

    @property
    def stream_prefix(self) -> str:
        """The first part of every log stream's name (``awslogs-stream-prefix``)."""
        return self.environment

    def family(self, task: str) -> str:
        """Return the family name of a task's definitions."""
        return f"{self.prefix}-{task}"

    def task(self, family: str) -> str | None:
        """Return the task whose definitions have this family; None if the family belongs to another application."""
        begin = f"{self.prefix}-"
        return family[len(begin) :] if family.startswith(begin) else None

    def stream(self, task: str, run: str = "") -> str:
        """Return the log stream of a run, or the prefix of all streams of a task (ECS guide, "awslogs")."""
        return f"{self.stream_prefix}/{task}/{run}"

    def state_machine(self, workflow: str) -> str:
        """Return the name of a workflow's state machine."""
        return f"{self.prefix}-{workflow}"


def format_value(value: object, place: str = "A variable or an argument") -> str:
    """Return a constant as the text of an environment variable or an argument. Lists and mappings become JSON.

    Raises TypeError, which names the ``place``, for an object that has no text of its own.
    """
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple() | Mapping():
            return json.dumps(dict(value) if isinstance(value, Mapping) else value, default=format_value)
        case Enum():
            return format_value(value.value)
        case int() | float():
            return str(value)
    if value is None or isinstance(value, bytes) or type(value).__str__ is object.__str__:
        raise TypeError(
            f"{place} cannot be {'None' if value is None else f'a {type(value).__name__}'}. Use a text, a number, a "
            "Boolean, a date, a path, a list of them, or a location such as BUCKET / KEY."
        )
    return str(value)
