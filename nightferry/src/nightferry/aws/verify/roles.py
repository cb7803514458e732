"""Check with IAM's policy simulator that the tasks' roles allow the actions that the tasks require.

The simulator evaluates only the roles' own policies. Policies of buckets, keys or the organization may still deny an
action that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nightferry.aws.session import create_client
from nightferry.aws.verify.deployed import DEPLOY
from nightferry.aws.verify.probe import Probe
from nightferry.backend.findings import Finding
from nightferry.catalog.declarations import Access, Task
from nightferry.environments.aws_resources import AwsResources

_ACTIONS: dict[Access, str] = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}


def check_roles(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Yield one finding for each of the two roles of every task."""
    iam = create_client(probe.aws, "iam")
    for task in resources.catalog.tasks.values():
        for suffix, needs in (
            (task.name, _list_task_actions(resources, task)),
            (f"{task.name}-execution", _list_start_actions(resources, task)),
        ):
            yield _check_role(resources, probe, iam, suffix, needs)


def _check_role(
    resources: AwsResources, probe: Probe, iam: Any, suffix: str, needs: list[tuple[str, list[str]]]
) -> Finding:
    name = resources.role_name(suffix)
    found = probe.check("roles", name, lambda: iam.get_role(RoleName=name), DEPLOY, missing=("NoSuchEntity",))
    if found.verdict != "ok" or not needs:
        return found
    denied: list[str] = []

    def simulate() -> None:
        arn = resources.global_arn("iam", f"role/{name}")
        for action, arns in needs:
            response = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], ResourceArns=arns)
            denied.extend(_list_denied(action, response["EvaluationResults"]))

    simulated = probe.check("roles", name, simulate, "")
    if simulated.verdict != "ok":
        return Finding("roles", name, "not checked", f"The role exists. {simulated.detail}")
    if denied:
        return Finding("roles", name, "not allowed", f"The role does not allow {'; '.join(denied)}. {DEPLOY}")
    return found


def _list_denied(action: str, results: Sequence[dict[str, Any]]) -> Iterator[str]:
    for result in results:
        if result["EvalDecision"] != "allowed":
            yield f"{action} on {result['EvalResourceName']} ({result['EvalDecision']})"


def _list_task_actions(resources: AwsResources, task: Task) -> list[tuple[str, list[str]]]:
    """Return the actions that a task's code needs for its grants on buckets, with their resources."""
    needs = []
    for grant in task.grants:
        if grant.kind == "bucket":
            bucket = resources.global_arn("s3", resources.bucket(grant.name).name, account=False)
            resource = f"{bucket}/{grant.pattern.replace('*', 'x')}"
            needs += [(action, [resource]) for access, action in _ACTIONS.items() if access in grant.access]
    return needs


def _list_start_actions(resources: AwsResources, task: Task) -> list[tuple[str, list[str]]]:
    """Return the actions that ECS needs of the execution role to start a task, with their resources."""
    log_stream = resources.arn(
        "logs", f"log-group:{resources.naming.log_group}:log-stream:{resources.naming.stream(task.name, 'x')}"
    )
    needs = [
        ("ecr:GetAuthorizationToken", ["*"]),
        ("ecr:BatchGetImage", [resources.arn("ecr", f"repository/{resources.catalog.image.repository}")]),
        ("logs:CreateLogStream", [log_stream]),
        ("logs:PutLogEvents", [log_stream]),
    ]
    names = sorted({resources.parameter(secret) for secret in resources.secrets(task).values()})
    if names:
        needs.append(("ssm:GetParameters", [resources.arn("ssm", f"parameter{name}") for name in names]))
    return needs
