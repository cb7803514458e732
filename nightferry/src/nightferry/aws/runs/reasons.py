"""The reasons why ECS did not start or ended a task, and the checks to make.

Sources: ECS guide, "Stopped tasks error codes" and "Task retirement and maintenance for AWS Fargate".
"""

from __future__ import annotations

import re

from nightferry.backend.runs import TaskRun
from nightferry.contract import OUT_OF_MEMORY, StopCode

_IMAGE = (
    "ECS could not pull the image.",
    "Check that the tag is in the repository: aws ecr describe-images --repository-name REPOSITORY",
    "Check that the execution role allows ecr:BatchGetImage on it, and that the subnet reaches ECR (NAT or endpoints).",
)
_SECRET = (
    "ECS could not read a secret.",
    "Check that each parameter in the reason exists in this account and region. Names are case-sensitive.",
    "Check that the task's execution role allows ssm:GetParameters on it, and kms:Decrypt on its key.",
)
_NETWORK = (
    "The task's network interface failed, or has no route to AWS.",
    "Check that the subnets have free addresses and a route to AWS (NAT gateway, or endpoints for ecr, s3, ssm, logs).",
    "Check that the security group allows outbound HTTPS.",
)
_CAPACITY = (
    "Fargate had no capacity.",
    "Try again later, or with another size (--cpu, --memory). Add subnets in more availability zones.",
)
_ROLE = (
    "ECS could not assume the task's role.",
    "Check that the task role and the execution role exist and trust ecs-tasks.amazonaws.com.",
    "Check that the environment was applied completely: nightferry diff --env ENV lists the differences.",
)
_MEMORY = (
    "The container exceeded its memory.",
    "Run the task with more memory (--memory), or raise its size in the catalog.",
)
_HOST = (
    "The task's host ended the task, for example because Fargate retired the host.",
    "ECS does not start the task again. Start it again: nightferry run TASK, or nightferry redrive EXECUTION.",
)
_COMMAND = (
    "The container could not run its command.",
    "Check the spelling of the command: its first word is the program, which must exist in the image.",
)
_SLOW_START = (
    "The host did not start or stop the container in time.",
    "This is usually a fault of the host. Start the task again: nightferry run TASK, or nightferry redrive EXECUTION.",
    "If it repeats, give the task more CPU and memory (--cpu, --memory), and check that its image is not very large.",
)
_LOG = (
    "ECS could not open the log.",
    "Check that the log group exists and that the execution role allows logs:CreateLogStream on it.",
)
_CONTAINER_TIMEOUT = re.compile(
    r"(Docker|ContainerRuntime)Timeout(Error)?|could not transition to \w+; timed out", re.IGNORECASE
)
# The first pattern that matches counts, so specific patterns come before general ones.
_CAUSES = (
    (
        r"dial tcp|time(d )?out|deadline exceeded|connection (issue|refused|reset)|network interface|\bENI\b|subnet",
        _NETWORK,
    ),
    (r"CannotPull|pull (image|command)|manifest|repository .* not found|no such image", _IMAGE),
    (r"capacity|RESOURCE:", _CAPACITY),
    (r"assume (the )?role|AssumeRole|iam:PassRole|trust", _ROLE),
    (r"secret|ssm|GetParameters|kms", _SECRET),
    (r"log ?(group|stream|driver)|awslogs", _LOG),
    (r"CannotStartContainer|CannotCreateContainer|executable file not found|exec format", _COMMAND),
)


def troubleshooting(run: TaskRun) -> list[str]:
    """Return the cause of a run's end and the checks to make, one sentence each.

    The list is empty if the run's job or a person ended it.
    """
    if run.status != "STOPPED" or run.succeeded or run.stop_code == StopCode.BY_USER:
        return []
    if OUT_OF_MEMORY.lower() in (run.reason or "").lower():
        return list(_MEMORY)
    if _CONTAINER_TIMEOUT.search(run.reason or ""):
        return list(_SLOW_START)
    if run.started_at is not None:
        ended_by_host = run.stop_code not in (None, StopCode.EXITED, StopCode.NOT_STARTED)
        return list(_HOST) if ended_by_host else []
    for pattern, sentences in _CAUSES:
        if re.search(pattern, run.reason or "", re.IGNORECASE):
            return list(sentences)
    return ["ECS gave no other reason.", "Check the service events and the task's page in the ECS console."]
