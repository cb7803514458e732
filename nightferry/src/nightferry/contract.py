"""Define what the job runtime, the engine, synthesis and the command line must agree on.

One side writes each of these values and another one reads it, often in another process or on AWS. This module does no
I/O and imports nothing of Nightferry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Literal, get_args

# ── Environment of a task's container ─────────────────────────────────────────────────────────────────────────

ENVIRONMENT_VARIABLE = "ENVIRONMENT"
"""The environment's name."""
TASK_VARIABLE = "NIGHTFERRY_TASK"
"""The task's name."""
RUN_VARIABLE = "NIGHTFERRY_RUN_ID"
"""The run's id. On ECS it is unset, and the job runtime reads the ECS task's id instead."""
TIME_LIMIT_VARIABLE = "NIGHTFERRY_TIME_LIMIT"
"""Seconds after which the job runtime ends the job."""
OVERLAP_VARIABLE = "NIGHTFERRY_OVERLAP"
"""What a start does while another run of the task holds the lease: an :data:`Overlap`."""
LEASE_VARIABLE = "NIGHTFERRY_LEASE"
"""Where the task's lease is: :data:`LEASE_IN_DATABASE` or the location of a folder."""
EXECUTION_VARIABLE = "SFN_EXECUTION_ID"
"""The ARN of the workflow execution that started the run."""

SUPPLIED_VARIABLES = frozenset(
    {
        ENVIRONMENT_VARIABLE,
        EXECUTION_VARIABLE,
        LEASE_VARIABLE,
        OVERLAP_VARIABLE,
        RUN_VARIABLE,
        TASK_VARIABLE,
        TIME_LIMIT_VARIABLE,
    }
)
"""The variables that the engine or the platform supplies to a task, so that a declaration does not."""

STATE_VARIABLE = "NIGHTFERRY_STATE"
"""The state directory of the local engine. A process of the engine reads it; a task's container does not have it."""

Overlap = Literal["allow", "skip", "queue", "replace"]
"""What a second start does while a first one runs: run beside it, do nothing, wait for it, or take its place."""

PARAMETER_PATH = "_SSM_PATH"
"""``<NAME>_SSM_PATH`` names the parameter that holds the secret ``<NAME>``."""


def is_secret(annotation: Any) -> bool:
    """Return True if a setting of this type is a secret: it is no option, and its value never reaches a log."""
    from pydantic import SecretBytes, SecretStr

    return annotation in (SecretStr, SecretBytes) or any(is_secret(part) for part in get_args(annotation))


def container_environment(
    *, environment: str, task: str, time_limit: int, overlap: Overlap, lease: str | None, run: str | None = None
) -> dict[str, str]:
    """Return the variables that every container of a task gets. The execution's id comes from the workflow."""
    variables = {
        ENVIRONMENT_VARIABLE: environment,
        TASK_VARIABLE: task,
        RUN_VARIABLE: run,
        TIME_LIMIT_VARIABLE: str(time_limit),
        OVERLAP_VARIABLE: overlap,
        LEASE_VARIABLE: lease,
    }
    return {name: value for name, value in variables.items() if value is not None}


# ── Exit codes ────────────────────────────────────────────────────────────────────────────────────────────────


class ExitCode(IntEnum):
    """How a job's process, or a command of Nightferry, ended."""

    SUCCESS = 0
    FAILURE = 1
    BAD_SETTINGS = 2  # settings, arguments or declarations are wrong
    SKIPPED_IN_WORKFLOW = 75  # EX_TEMPFAIL of sysexits.h: try again later
    TIME_LIMIT = 124  # as timeout(1) of the GNU coreutils has it
    NOT_STARTED = 125  # the run never started
    REFUSED = 126  # AWS refused the call, or could not be reached
    INTERRUPTED = 130  # 128 + SIGINT: no longer watched
    KILLED = 137  # 128 + SIGKILL
    BROKEN_PIPE = 141  # 128 + SIGPIPE: the reader of the output has closed it
    STOPPED = 143  # 128 + SIGTERM


# ── ECS ───────────────────────────────────────────────────────────────────────────────────────────────────────


class StopCode(StrEnum):
    """ECS's codes for how a task stopped, as far as Nightferry distinguishes them (ECS API, Task.stopCode)."""

    EXITED = "EssentialContainerExited"
    NOT_STARTED = "TaskFailedToStart"
    BY_USER = "UserInitiated"
    TERMINATED = "TerminationNotice"


EXITED_REASON = "Essential container in task exited"
"""ECS's stopped reason of a task whose container ended by itself."""

TASK_PRINCIPAL = "ecs-tasks.amazonaws.com"
"""The service that assumes the roles of tasks."""


def parse_arn_id(arn: str) -> str:
    """Return the last part of an ARN: a task's id, which its log stream is named after, or a family and revision."""
    return arn.rpartition("/")[2]


# ── Leases ────────────────────────────────────────────────────────────────────────────────────────────────────

LEASE_IN_DATABASE = "database"
LEASE_TABLE = "nightferry_lease"


def lease_key(task: str) -> str:
    """Return the name of a task's lease object within the folder of leases."""
    return f"{task}.lease"


# ── Log lines of the job runtime ──────────────────────────────────────────────────────────────────────────────


class LogEvent(StrEnum):
    """The values of the field ``event`` by which others recognize a log line of the job runtime."""

    ENDED = "ended"
    PROGRESS = "progress"
    SKIPPED = "skipped"


# ── Names on AWS ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Naming:
    """The naming rules of one application in one environment."""

    application: str
    environment: str

    @property
    def prefix(self) -> str:
        """``{application}-{environment}``, which every resource's name begins with."""
        return f"{self.application}-{self.environment}"

    @property
    def log_group(self) -> str:
        """The one log group of all tasks."""
        return f"service/{self.prefix}/ecs-tasks"

    @property
    def event_group(self) -> str:
        """The log group of the changes of tasks' states."""
        return f"{self.log_group}/events"

    @property
    def network_parameter(self) -> str:
        """The parameter in which the deployment publishes where tasks run."""
        return f"/service/{self.application}/{self.environment}/ecs-tasks/network"

    @property
    def image_tag_parameter(self) -> str:
        """The parameter that holds the tag of the image that was deployed last; its history has the earlier ones."""
        return f"/service/{self.application}/{self.environment}/ecs-tasks/image-tag"

    @property
    def stream_prefix(self) -> str:
        """The first part of every log stream's name (``awslogs-stream-prefix``)."""
        return self.environment

    def family(self, task: str) -> str:
        """Return the family of a task's definitions."""
        return f"{self.prefix}-{task}"

    def task(self, family: str) -> str | None:
        """Return the task whose definitions are of this family; None for a family of another application."""
        begin = f"{self.prefix}-"
        return family[len(begin) :] if family.startswith(begin) else None

    def stream(self, task: str, run: str = "") -> str:
        """Return the log stream of a run, or the prefix of all streams of a task (ECS guide, "awslogs")."""
        return f"{self.stream_prefix}/{task}/{run}"

    def state_machine(self, workflow: str) -> str:
        """Return the state machine of a workflow."""
        return f"{self.prefix}-{workflow}"
