"""Is what the deployment makes there, and is it of the version that was deployed last?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.session import client
from nightferry.aws.verify.probe import Probe
from nightferry.backend.findings import Finding
from nightferry.catalog.declarations import ObjectTrigger, Schedule
from nightferry.environments.aws_resources import AwsResources

DEPLOY = "Deploy this version (terraform apply)."


def deployed(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    """Log groups, parameters, task definitions, workflows, schedules, triggers."""
    naming = resources.naming
    for group in (naming.log_group, naming.event_group):
        yield look.check(
            "logs",
            group,
            lambda group=group: look.aws.logs.describe_log_groups(logGroupNamePrefix=group),  # type: ignore[misc]
            "",
            judge=lambda answer, group=group: (  # type: ignore[misc]
                None if group in [found["logGroupName"] for found in answer["logGroups"]] else DEPLOY
            ),
        )
    yield look.check(
        "network",
        naming.network_parameter,
        lambda: look.aws.ssm.get_parameter(Name=naming.network_parameter),
        DEPLOY,
        missing=("ParameterNotFound",),
    )
    for task in resources.catalog.tasks:
        yield look.check(
            "task definitions",
            naming.family(task),
            lambda task=task: look.aws.ecs.describe_task_definition(taskDefinition=naming.family(task)),  # type: ignore[misc]
            DEPLOY,
            missing=("ClientException",),
            judge=lambda answer: None if answer["taskDefinition"]["status"] == "ACTIVE" else DEPLOY,
        )
    for workflow in resources.catalog.workflows:
        arn = resources.arn("states", f"stateMachine:{naming.state_machine(workflow)}")
        yield look.check(
            "workflows",
            naming.state_machine(workflow),
            lambda arn=arn: look.aws.stepfunctions.describe_state_machine(stateMachineArn=arn),  # type: ignore[misc]
            DEPLOY,
            missing=("StateMachineDoesNotExist",),
        )
    for schedule in resources.catalog.schedules.values():
        yield _schedule(resources, look, schedule)
    for trigger in resources.catalog.object_triggers.values():
        yield _trigger(resources, look, trigger)


def _schedule(resources: AwsResources, look: Probe, schedule: Schedule) -> Finding:
    name, group = f"{resources.naming.prefix}-{schedule.name}", resources.naming.prefix
    if schedule.via == "rule":
        return _rule(look, "schedules", name)
    scheduler = client(look.aws, "scheduler")
    return look.check(
        "schedules",
        name,
        lambda: scheduler.get_schedule(GroupName=group, Name=name),
        DEPLOY,
        missing=("ResourceNotFoundException",),
    )


def _trigger(resources: AwsResources, look: Probe, trigger: ObjectTrigger) -> Finding:
    name = f"{resources.naming.prefix}-{trigger.name}"
    if trigger.via == "eventbridge":
        return _rule(look, "triggers", name)
    bucket = resources.bucket(trigger.bucket).name
    function = resources.arn("lambda", f"function:{name}-trigger")

    def told(answer: Any) -> str | None:
        functions = [found["LambdaFunctionArn"] for found in answer.get("LambdaFunctionConfigurations", [])]
        if function in functions:
            return None
        return f"Bucket {bucket} does not tell {function} of new objects. {DEPLOY}"

    s3 = client(look.aws, "s3")
    return look.check("triggers", name, lambda: s3.get_bucket_notification_configuration(Bucket=bucket), "", judge=told)


def _rule(look: Probe, group: str, name: str) -> Finding:
    events = client(look.aws, "events")
    return look.check(
        group, name, lambda: events.describe_rule(Name=name), DEPLOY, missing=("ResourceNotFoundException",)
    )
