"""ARNs of what runs on this machine, in the shape that Step Functions and ECS give them."""

from __future__ import annotations

ACCOUNT = "000000000000"


def execution(workflow: str, id: str) -> str:
    """An execution's."""
    return f"arn:aws:states:local:{ACCOUNT}:execution:{workflow}:{id}"


def state_machine(workflow: str) -> str:
    """A workflow's."""
    return f"arn:aws:states:local:{ACCOUNT}:stateMachine:{workflow}"


def role(workflow: str) -> str:
    """That of the role which a workflow would have."""
    return f"arn:aws:iam::{ACCOUNT}:role/{workflow}"
