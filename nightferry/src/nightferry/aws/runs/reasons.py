"""Why a task did not start, in plain words, and what to check. Source: ECS guide, "Stopped tasks error codes"."""

from __future__ import annotations

import re

from nightferry.backend.interface import TaskRun

_IMAGE = (
    "ECS could not get the image.",
    "Is the tag pushed to the repository? aws ecr describe-images --repository-name REPOSITORY",
    "Does the task's execution role allow ecr:BatchGetImage on it, and does the subnet reach ECR (NAT or endpoints)?",
)
_SECRET = (
    "ECS could not read a secret.",
    "Does every parameter exist under the name that the reason gives (case matters), in this account and region?",
    "May the task's execution role read it (ssm:GetParameters) and use its key (kms:Decrypt)?",
)
_NETWORK = (
    "The task's network did not come up or leads nowhere.",
    "Do the subnets have free addresses, and a way to AWS (NAT gateway, or endpoints for ecr, s3, ssm, logs)?",
    "Does the security group allow HTTPS out?",
)
_CAPACITY = (
    "Fargate had no room.",
    "Try again later, or with another size: --cpu and --memory. Subnets in more availability zones help for good.",
)
_ROLE = (
    "ECS may not act in the task's role.",
    "Do task role and execution role exist, and does their trust name ecs-tasks.amazonaws.com?",
    "Was the environment applied completely? nightferry diff --env ENV shows what differs.",
)
_COMMAND = (
    "The container could not run its command.",
    "Is the command spelt as the image has it? A word before the command's own arguments is the program.",
)
_LOG = (
    "The log could not be opened.",
    "Does the log group exist, and may the execution role create streams in it (logs:CreateLogStream)?",
)
# The first that fits counts; the more special ones come first.
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
    """What a run that never started failed of, and what to check, a sentence each."""
    for pattern, sentences in _CAUSES:
        if re.search(pattern, run.reason or "", re.IGNORECASE):
            return list(sentences)
    return ["ECS tells no more than the reason above.", "Its events and the task's page in the console may tell more."]
