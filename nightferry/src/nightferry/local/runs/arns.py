"""ARNs of local resources, in the format of Step Functions and ECS."""

from __future__ import annotations

ACCOUNT = "000000000000"


def make_execution_arn(workflow: str, id: str) -> str:
    """Return the ARN of an execution."""
    return f"arn:aws:states:local:{ACCOUNT}:execution:{workflow}:{id}"


def make_state_machine_arn(workflow: str) -> str:
    """Return the ARN of a workflow's state machine."""
    return f"arn:aws:states:local:{ACCOUNT}:stateMachine:{workflow}"


def make_role_arn(workflow: str) -> str:
    """Return the ARN of a workflow's hypothetical role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{workflow}"
