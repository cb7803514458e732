"""Starting a failed execution of Step Functions again from the state that failed (RedriveExecution)."""

from __future__ import annotations

import hashlib

from nightferry.aws.session import Aws, NotThere
from nightferry.backend.interface import CannotRedrive, Refused
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import UnknownName


def redrive(resources: AwsResources, aws: Aws, id: str, *, dry_run: bool) -> str:
    """Start the execution ``id`` (its name or ARN) again; answers its ARN.

    Calling it twice starts it once: the client token is made of how often it was redriven before.
    Raises UnknownName, CannotRedrive, and what :meth:`Aws.asking` raises.
    """
    for arn in _possible(resources, id):
        try:
            with aws.asking(f"execution {id}", missing=("ExecutionDoesNotExist", "InvalidArn")):
                found = aws.stepfunctions.describe_execution(executionArn=arn)
        except NotThere:
            continue
        if found["status"] not in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise CannotRedrive(f"Execution {id} is {found['status']}: only one that failed can be started again.")
        if found.get("redriveStatus") == "NOT_REDRIVABLE":
            raise CannotRedrive(
                f"Step Functions cannot start {id} again: {found.get('redriveStatusReason', 'no reason given')} "
                "Start the workflow anew: nightferry start WORKFLOW"
            )
        if not dry_run:
            token = hashlib.sha256(f"{arn}\n{found.get('redriveCount', 0)}".encode()).hexdigest()
            try:
                with aws.asking(f"redriving {id}"):
                    aws.stepfunctions.redrive_execution(executionArn=arn, clientToken=token)
            except Refused as refused:
                raise CannotRedrive(str(refused)) from None
        return arn
    raise UnknownName("execution", id, resources.catalog.workflows)


def _possible(resources: AwsResources, id: str) -> list[str]:
    """The ARNs that ``id`` may mean: itself, or that name in each of our workflows."""
    if id.startswith("arn:"):
        ours = tuple(
            resources.arn("states", f"execution:{resources.naming.state_machine(name)}:")
            for name in resources.catalog.workflows
        )
        return [id] if id.startswith(ours) else []
    return [
        resources.arn("states", f"execution:{resources.naming.state_machine(name)}:{id}")
        for name in resources.catalog.workflows
    ]
