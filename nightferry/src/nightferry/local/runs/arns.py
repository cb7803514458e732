"""ARNs of what runs on this machine, in the shape that Step Functions and ECS give them."""

from __future__ import annotations

ACCOUNT = "000000000000"


def execution_arn(workflow: str, id: str) -> str:
    """An execution's."""
    return f"arn:aws:states:local:{ACCOUNT}:execution:{workflow}:{id}"


def state_machine_arn(workflow: str) -> str:
    """A workflow's."""
    return f"arn:aws:states:local:{ACCOUNT}:stateMachine:{workflow}"


def role_arn(workflow: str) -> str:
    """That of the role which a workflow would have."""
    return f"arn:aws:iam::{ACCOUNT}:role/{workflow}"
