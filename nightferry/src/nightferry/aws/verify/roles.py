"""May the tasks' roles do what the tasks will need? IAM's simulator answers, with the roles' own policies.

It knows no policies of buckets and keys, and none of an organisation: what it allows may still be refused there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nightferry.aws.session import client
from nightferry.aws.verify.deployed import DEPLOY
from nightferry.aws.verify.probe import Probe
from nightferry.backend.findings import Finding
from nightferry.catalog.declarations import Access, Task
from nightferry.environments.aws_resources import AwsResources

_ACTIONS: dict[Access, str] = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}


def roles(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    """For each task its two roles, each with what was simulated as one finding."""
    iam = client(look.aws, "iam")
    for task in resources.catalog.tasks.values():
        for called, needs in (
            (task.name, _task_needs(resources, task)),
            (f"{task.name}-execution", _start_needs(resources, task)),
        ):
            yield _role(resources, look, iam, called, needs)


def _role(resources: AwsResources, look: Probe, iam: Any, called: str, needs: list[tuple[str, list[str]]]) -> Finding:
    name = resources.role_name(called)
    found = look.check("roles", name, lambda: iam.get_role(RoleName=name), DEPLOY, missing=("NoSuchEntity",))
    if found.verdict != "ok" or not needs:
        return found
    refused: list[str] = []

    def ask() -> None:
        arn = resources.global_arn("iam", f"role/{name}")
        for action, arns in needs:
            answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], ResourceArns=arns)
            refused.extend(_refused(action, answer["EvaluationResults"]))

    simulated = look.check("roles", name, ask, "")
    if simulated.verdict != "ok":
        return Finding("roles", name, "not checked", f"It exists. {simulated.detail}")
    if refused:
        return Finding("roles", name, "not allowed", f"It may not {'; '.join(refused)}. {DEPLOY}")
    return found


def _refused(action: str, results: Sequence[dict[str, Any]]) -> Iterator[str]:
    for result in results:
        if result["EvalDecision"] != "allowed":
            yield f"{action} on {result['EvalResourceName']} ({result['EvalDecision']})"


def _task_needs(resources: AwsResources, task: Task) -> list[tuple[str, list[str]]]:
    """What the code of a task calls for its grants on buckets."""
    needs = []
    for grant in task.grants:
        if grant.kind == "bucket":
            bucket = resources.global_arn("s3", resources.bucket(grant.name).name, account=False)
            resource = f"{bucket}/{grant.pattern.replace('*', 'x')}"
            needs += [(action, [resource]) for access, action in _ACTIONS.items() if access in grant.access]
    return needs


def _start_needs(resources: AwsResources, task: Task) -> list[tuple[str, list[str]]]:
    """What ECS does with the execution role before a task runs."""
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
