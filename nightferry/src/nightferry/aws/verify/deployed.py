"""Check that the resources that the deployment creates exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.session import create_client
from nightferry.aws.verify.probe import Probe
from nightferry.backend.findings import Finding
from nightferry.catalog.declarations import ObjectTrigger, Schedule
from nightferry.environments.aws_resources import AwsResources

DEPLOY = "Deploy this version (terraform apply)."


def check_deployed(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the log groups, parameters, task definitions, workflows, schedules and triggers."""
    naming = resources.naming
    for group in (naming.log_group, naming.event_group):
        yield probe.check(
            "logs",
            group,
            lambda group=group: probe.aws.logs.describe_log_groups(logGroupNamePrefix=group),  # type: ignore[misc]
            "",
            find_problem=lambda response, group=group: (  # type: ignore[misc]
                None if group in [found["logGroupName"] for found in response["logGroups"]] else DEPLOY
            ),
        )
    yield probe.check(
        "network",
        naming.network_parameter,
        lambda: probe.aws.ssm.get_parameter(Name=naming.network_parameter),
        DEPLOY,
        missing=("ParameterNotFound",),
    )
    for task in resources.catalog.tasks:
        yield probe.check(
            "task definitions",
            naming.family(task),
            lambda task=task: probe.aws.ecs.describe_task_definition(taskDefinition=naming.family(task)),  # type: ignore[misc]
            DEPLOY,
            missing=("ClientException",),
            find_problem=lambda response: None if response["taskDefinition"]["status"] == "ACTIVE" else DEPLOY,
        )
    for workflow in resources.catalog.workflows:
        arn = resources.arn("states", f"stateMachine:{naming.state_machine(workflow)}")
        yield probe.check(
            "workflows",
            naming.state_machine(workflow),
            lambda arn=arn: probe.aws.stepfunctions.describe_state_machine(stateMachineArn=arn),  # type: ignore[misc]
            DEPLOY,
            missing=("StateMachineDoesNotExist",),
        )
    for schedule in resources.catalog.schedules.values():
        yield _check_schedule(resources, probe, schedule)
    for trigger in resources.catalog.object_triggers.values():
        yield _check_trigger(resources, probe, trigger)


def _check_schedule(resources: AwsResources, probe: Probe, schedule: Schedule) -> Finding:
    name, group = f"{resources.naming.prefix}-{schedule.name}", resources.naming.prefix
    if schedule.via == "rule":
        return _check_rule(probe, "schedules", name)
    scheduler = create_client(probe.aws, "scheduler")
    return probe.check(
        "schedules",
        name,
        lambda: scheduler.get_schedule(GroupName=group, Name=name),
        DEPLOY,
        missing=("ResourceNotFoundException",),
    )


def _check_trigger(resources: AwsResources, probe: Probe, trigger: ObjectTrigger) -> Finding:
    name = f"{resources.naming.prefix}-{trigger.name}"
    if trigger.via == "eventbridge":
        return _check_rule(probe, "triggers", name)
    bucket = resources.bucket(trigger.bucket).name
    function = resources.arn("lambda", f"function:{name}-trigger")

    def find_missing_notification(response: Any) -> str | None:
        functions = [found["LambdaFunctionArn"] for found in response.get("LambdaFunctionConfigurations", [])]
        if function in functions:
            return None
        return f"Bucket {bucket} does not notify {function} of new objects. {DEPLOY}"

    s3 = create_client(probe.aws, "s3")
    return probe.check(
        "triggers",
        name,
        lambda: s3.get_bucket_notification_configuration(Bucket=bucket),
        "",
        find_problem=find_missing_notification,
    )


def _check_rule(probe: Probe, group: str, name: str) -> Finding:
    events = create_client(probe.aws, "events")
    return probe.check(
        group, name, lambda: events.describe_rule(Name=name), DEPLOY, missing=("ResourceNotFoundException",)
    )
