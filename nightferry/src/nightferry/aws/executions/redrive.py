"""Redrive a failed execution of Step Functions from the state that failed (RedriveExecution)."""

from __future__ import annotations

import hashlib

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.errors import CannotRedrive, Refused
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import UnknownName


def redrive(resources: AwsResources, aws: Aws, id: str, *, dry_run: bool) -> str:
    """Redrive the execution ``id`` (its name or ARN), and return its ARN.

    The call is idempotent, because the client token is derived from the number of earlier redrives.
    Raises UnknownName, CannotRedrive, and the errors of :meth:`Aws.translate_errors`.
    """
    for arn in _list_candidate_arns(resources, id):
        try:
            with aws.translate_errors(f"describe execution {id}", missing=("ExecutionDoesNotExist", "InvalidArn")):
                found = aws.stepfunctions.describe_execution(executionArn=arn)
        except ResourceNotFound:
            continue
        if found["status"] not in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise CannotRedrive(
                f"Cannot redrive execution {id}: it is {found['status']}, and only failed executions can be redriven."
            )
        if found.get("redriveStatus") == "NOT_REDRIVABLE":
            raise CannotRedrive(
                f"Step Functions cannot redrive {id}: {found.get('redriveStatusReason', 'no reason given')} "
                "Start a new execution: nightferry start WORKFLOW"
            )
        if not dry_run:
            token = hashlib.sha256(f"{arn}\n{found.get('redriveCount', 0)}".encode()).hexdigest()
            try:
                with aws.translate_errors(f"redrive execution {id}"):
                    aws.stepfunctions.redrive_execution(executionArn=arn, clientToken=token)
            except Refused as refused:
                raise CannotRedrive(str(refused)) from None
        return arn
    raise UnknownName("execution", id, resources.catalog.workflows)


def _list_candidate_arns(resources: AwsResources, id: str) -> list[str]:
    """Return ``id`` itself if it is an ARN of one of the catalog's workflows, or else its ARN for each workflow."""
    if id.startswith("arn:"):
        prefixes = tuple(
            resources.arn("states", f"execution:{resources.naming.state_machine(name)}:")
            for name in resources.catalog.workflows
        )
        return [id] if id.startswith(prefixes) else []
    return [
        resources.arn("states", f"execution:{resources.naming.state_machine(name)}:{id}")
        for name in resources.catalog.workflows
    ]
