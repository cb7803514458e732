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
from nightferry.environments.aws_resources import Existing

_ACTIONS: dict[Access, str] = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}


def roles(existing: Existing, look: Probe) -> Iterator[Finding]:
    """For each task its two roles, each with what was simulated as one finding."""
    iam = client(look.aws, "iam")
    for task in existing.catalog.tasks.values():
        for called, needs in (
            (task.name, _task_needs(existing, task)),
            (f"{task.name}-execution", _start_needs(existing, task)),
        ):
            yield _role(existing, look, iam, called, needs)


def _role(existing: Existing, look: Probe, iam: Any, called: str, needs: list[tuple[str, list[str]]]) -> Finding:
    name = existing.role_name(called)
    found = look.check("roles", name, lambda: iam.get_role(RoleName=name), DEPLOY, missing=("NoSuchEntity",))
    if found.verdict != "ok" or not needs:
        return found
    refused: list[str] = []

    def ask() -> None:
        arn = existing.global_arn("iam", f"role/{name}")
        for action, resources in needs:
            answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], ResourceArns=resources)
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


def _task_needs(existing: Existing, task: Task) -> list[tuple[str, list[str]]]:
    """What the code of a task calls for its grants on buckets."""
    needs = []
    for grant in task.grants:
        if grant.kind == "bucket":
            bucket = existing.global_arn("s3", existing.bucket(grant.name).name, account=False)
            resource = f"{bucket}/{grant.pattern.replace('*', 'x')}"
            needs += [(action, [resource]) for access, action in _ACTIONS.items() if access in grant.access]
    return needs


def _start_needs(existing: Existing, task: Task) -> list[tuple[str, list[str]]]:
    """What ECS does with the execution role before a task runs."""
    log_stream = existing.arn(
        "logs", f"log-group:{existing.naming.log_group}:log-stream:{existing.naming.stream(task.name, 'x')}"
    )
    needs = [
        ("ecr:GetAuthorizationToken", ["*"]),
        ("ecr:BatchGetImage", [existing.arn("ecr", f"repository/{existing.catalog.image.repository}")]),
        ("logs:CreateLogStream", [log_stream]),
        ("logs:PutLogEvents", [log_stream]),
    ]
    names = sorted({existing.parameter(secret) for secret in existing.secrets(task).values()})
    if names:
        needs.append(("ssm:GetParameters", [existing.arn("ssm", f"parameter{name}") for name in names]))
    return needs
