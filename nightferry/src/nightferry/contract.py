"""What an application's things are called on AWS: synthesis makes them by these rules, and runs find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Overlap = Literal["allow", "skip", "queue", "replace"]
"""What a second start does while a first one runs: run beside it, do nothing, wait for it, or take its place."""

PARAMETER_PATH = "_SSM_PATH"
"""``<NAME>_SSM_PATH`` names the parameter that holds the secret ``<NAME>``."""


def is_secret(annotation: Any) -> bool:
    """Return True if a setting of this type is a secret: it is no option, and its value never reaches a log."""
    from pydantic import SecretBytes, SecretStr

    return annotation in (SecretStr, SecretBytes) or any(is_secret(part) for part in get_args(annotation))


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
        """The parameter that holds the tag of the image that was deployed last; its history tells of those before."""
        return f"/service/{self.application}/{self.environment}/ecs-tasks/image-tag"

    def family(self, task: str) -> str:
        """The family of a task's definitions."""
        return f"{self.prefix}-{task}"

    def task(self, family: str) -> str | None:
        """The task whose definitions are of this family; None for a family of somebody else."""
        begin = f"{self.prefix}-"
        return family[len(begin) :] if family.startswith(begin) else None

    def stream(self, task: str, run: str = "") -> str:
        """The log stream of a run, or what the streams of all runs of a task begin with (ECS guide, "awslogs")."""
        return f"{self.environment}/{task}/{run}"

    def state_machine(self, workflow: str) -> str:
        """The state machine of a workflow."""
        return f"{self.prefix}-{workflow}"
