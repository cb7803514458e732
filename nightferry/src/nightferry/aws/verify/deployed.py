"""Check that the resources that the deployment creates exist and are as declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.runs.revisions import find_revision, get_image_tag
from nightferry.aws.verify.definitions import find_difference
from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.errors import Refused
from nightferry.backend.verify.expected import Expected
from nightferry.backend.verify.findings import Finding
from nightferry.catalog.declarations import ObjectTrigger, Schedule
from nightferry.catalog.references import substitute
from nightferry.environments.aws_resources import AwsResources

DEPLOY = "Deploy this version (terraform apply)."
MAX_LOG_RESOURCE_POLICIES = 10
"""CloudWatch Logs quotas, "Resource policies": per account and region, without those of single log groups."""


def check_deployed(resources: AwsResources, expected: Expected, probe: Probe, tag: str) -> Iterator[Finding]:
    """Check the logs, parameters, task definitions, workflows, schedules, triggers and alarms.

    ``tag`` is the tag of the last complete deployment; empty if it is unknown.
    """
    naming = resources.naming
    yield from _check_log_groups(expected, probe)
    yield probe.check(
        "network",
        naming.network_parameter,
        "ssm:GetParameter",
        lambda: probe.aws.ssm.get_parameter(Name=naming.network_parameter),
        DEPLOY,
        missing=("ParameterNotFound",),
    )
    for task in resources.catalog.tasks:
        yield _check_definition(resources, probe, task, tag)
    for workflow in resources.catalog.workflows:
        yield _check_workflow(resources, expected, probe, workflow)
    for schedule in resources.catalog.schedules.values():
        yield _check_schedule(resources, probe, schedule)
    for trigger in resources.catalog.object_triggers.values():
        yield from _check_trigger(resources, probe, trigger)
    yield from _check_alarms(resources, expected, probe)


def _check_log_groups(expected: Expected, probe: Probe) -> Iterator[Finding]:
    for group in expected.names.get("aws_cloudwatch_log_group", ()):
        yield probe.check(
            "logs",
            group,
            "logs:DescribeLogGroups",
            lambda group=group: list(  # type: ignore[misc]
                probe.aws.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=group)
            ),
            find_problem=lambda pages, group=group: (  # type: ignore[misc]
                None
                if any(found.get("logGroupName") == group for page in pages for found in page.get("logGroups", []))
                else ("missing", DEPLOY)
            ),
        )
    for group, destination in expected.subscriptions.items():
        yield probe.check(
            "logs",
            f"subscription of {group}",
            "logs:DescribeSubscriptionFilters",
            lambda group=group: list(  # type: ignore[misc]
                probe.aws.logs.get_paginator("describe_subscription_filters").paginate(logGroupName=group)
            ),
            f"The log group does not exist. {DEPLOY}",
            missing=("ResourceNotFoundException",),
            find_problem=lambda pages, destination=destination: (  # type: ignore[misc]
                None
                if any(
                    found.get("destinationArn") == destination
                    for page in pages
                    for found in page.get("subscriptionFilters", [])
                )
                else ("missing", f"The group is not subscribed to {destination}. {DEPLOY}")
            ),
        )


def check_log_policies(
    resources: AwsResources, expected: Expected, probe: Probe, *, deployed: bool
) -> Iterator[Finding]:
    """Check that the account can have the environment's resource policies for logs, and after a deployment has them."""
    ours = set(expected.names.get("aws_cloudwatch_log_resource_policy", ()))
    if not ours:
        return

    def find_problem(pages: Any) -> Problem:
        found = [one.get("policyName", "") for page in pages for one in page.get("resourcePolicies", [])]
        missing = sorted(ours - set(found))
        count = f"{len(found)} of {MAX_LOG_RESOURCE_POLICIES} resource policies for logs in this region"
        if len(found) + len(missing) > MAX_LOG_RESOURCE_POLICIES:
            return "wrong", (
                f"The account has {count}, so {', '.join(missing)} cannot be created. Remove or merge others: "
                "aws logs describe-resource-policies"
            )
        if missing and deployed:
            return "missing", f"{', '.join(missing)}: the log group receives no state changes of tasks. {DEPLOY}"
        if len(found) + len(missing) == MAX_LOG_RESOURCE_POLICIES:
            return "warning", f"The account has {count}, and the next environment needs another. Merge some of them."
        return None

    yield probe.check(
        "logs",
        f"resource policies in {resources.aws.region}",
        "logs:DescribeResourcePolicies",
        lambda: list(probe.aws.logs.get_paginator("describe_resource_policies").paginate()),
        find_problem=find_problem,
    )


def _check_definition(resources: AwsResources, probe: Probe, task: str, tag: str) -> Finding:
    family = resources.naming.family(task)

    def find_problem(response: Any) -> Problem:
        definition = response.get("taskDefinition", {})
        if definition.get("status") != "ACTIVE":
            return "missing", DEPLOY
        newest = get_image_tag(definition, task)
        if not tag or newest == tag:
            return None
        revision = f"{family}:{definition.get('revision')}"
        try:
            deployed = find_revision(resources, probe.aws, task, tag)
        except Refused as refused:
            text = f"New runs do not use the image {tag}. This check requires ecs:ListTaskDefinitions. {refused}"
            return "not checked", text
        if deployed is None:
            return "warning", (
                f"The newest revision {revision} uses the image {newest}. The deployed version {tag} did not have this "
                "task, so a rollback leaves it unchanged."
            )
        environment = resources.environment.name
        return "wrong", (
            f"New runs use the image {newest} (revision {revision}), but the last complete deployment is {tag}. Deploy "
            f"{tag} again, or undo an incomplete deployment: nightferry rollback --env {environment}"
        )

    return probe.check(
        "task definitions",
        family,
        "ecs:DescribeTaskDefinition",
        lambda: probe.aws.ecs.describe_task_definition(taskDefinition=family),
        DEPLOY,
        missing=("ClientException",),
        find_problem=find_problem,
    )


def _check_workflow(resources: AwsResources, expected: Expected, probe: Probe, workflow: str) -> Finding:
    name = resources.naming.state_machine(workflow)

    def find_problem(response: Any) -> Problem:
        if response.get("status") != "ACTIVE":
            return "wrong", f"The state machine is {response.get('status')}. {DEPLOY}"
        difference = find_difference(expected.definitions[name], response.get("definition", ""))
        if difference is None:
            return None
        return "wrong", f"The definition differs from the synthesized one at {difference}. {DEPLOY}"

    return probe.check(
        "workflows",
        name,
        "states:DescribeStateMachine",
        lambda: probe.aws.stepfunctions.describe_state_machine(
            stateMachineArn=resources.arn("states", f"stateMachine:{name}")
        ),
        DEPLOY,
        missing=("StateMachineDoesNotExist",),
        find_problem=find_problem,
    )


def is_enabled(resources: AwsResources, declaration: Schedule | ObjectTrigger) -> bool:
    """Return True if a schedule or trigger is on in this environment."""
    settings = resources.environment.settings
    return str(substitute(declaration.enabled, lambda reference: settings[reference.name])) == "true"


def _check_schedule(resources: AwsResources, probe: Probe, schedule: Schedule) -> Finding:
    name, group = f"{resources.naming.prefix}-{schedule.name}", resources.naming.prefix
    enabled = is_enabled(resources, schedule)
    if schedule.via == "rule":
        return _check_rule(probe, "schedules", name, enabled=enabled)
    scheduler = probe.client("scheduler")
    return probe.check(
        "schedules",
        name,
        "scheduler:GetSchedule",
        lambda: scheduler.get_schedule(GroupName=group, Name=name),
        DEPLOY,
        missing=("ResourceNotFoundException",),
        find_problem=lambda response: _find_state_problem(response, enabled=enabled),
    )


def _find_state_problem(response: Any, *, enabled: bool) -> Problem:
    declared = "ENABLED" if enabled else "DISABLED"
    state = response.get("State", declared)
    return None if state == declared else ("wrong", f"It is {state}, but declared {declared}. {DEPLOY}")


def _check_trigger(resources: AwsResources, probe: Probe, trigger: ObjectTrigger) -> Iterator[Finding]:
    """Check a trigger's function, and what notifies it: the bucket, or a rule on the bucket's events."""
    name = f"{resources.naming.prefix}-{trigger.name}"
    function = f"{name}-trigger"
    yield probe.check(
        "triggers",
        function,
        "lambda:GetFunctionConfiguration",
        lambda: probe.client("lambda").get_function_configuration(FunctionName=function),
        DEPLOY,
        missing=("ResourceNotFoundException",),
        find_problem=_find_function_problem,
    )
    enabled = is_enabled(resources, trigger)
    if trigger.via == "eventbridge":
        rule = _check_rule(probe, "triggers", name, enabled=enabled)
        if rule.verdict != "ok" or not enabled:
            yield rule
            return
    bucket = resources.bucket(trigger.bucket).name
    arn = resources.arn("lambda", f"function:{function}")

    def find_notification_problem(response: Any) -> Problem:
        if trigger.via == "eventbridge":
            if "EventBridgeConfiguration" in response:
                return None
            return "missing", f"Bucket {bucket} sends no events to EventBridge. Have its owner enable them."
        found = response.get("LambdaFunctionConfigurations", [])
        notified = any(one.get("LambdaFunctionArn") == arn for one in found)
        if notified and not enabled:
            return "wrong", f"Bucket {bucket} notifies {arn}, but the trigger is off. {DEPLOY}"
        if enabled and not notified:
            return "missing", f"Bucket {bucket} does not notify {arn} of new objects. {DEPLOY}"
        return None

    yield probe.check(
        "triggers",
        name,
        "s3:GetBucketNotification",
        lambda: probe.client("s3").get_bucket_notification_configuration(Bucket=bucket),
        f"Bucket {bucket} not found.",
        missing=("NoSuchBucket",),
        find_problem=find_notification_problem,
    )


def _find_function_problem(response: Any) -> Problem:
    """Return the problem of a Lambda function. AWS reports a state; without one, the function is usable."""
    state = response.get("State", "Active")
    if state in ("Failed", "Inactive") or response.get("LastUpdateStatus") == "Failed":
        reason = response.get("StateReason") or response.get("LastUpdateStatusReason") or "no reason given"
        return "wrong", f"The function cannot run: {reason}. {DEPLOY}"
    return None


def _check_rule(probe: Probe, group: str, name: str, *, enabled: bool) -> Finding:
    events = probe.client("events")
    return probe.check(
        group,
        name,
        "events:DescribeRule",
        lambda: events.describe_rule(Name=name),
        DEPLOY,
        missing=("ResourceNotFoundException",),
        find_problem=lambda response: _find_state_problem(response, enabled=enabled),
    )


def _check_alarms(resources: AwsResources, expected: Expected, probe: Probe) -> Iterator[Finding]:
    """Check that the alarms exist, in one finding unless some are missing."""
    declared = expected.names.get("aws_cloudwatch_metric_alarm", ())
    found = read_alarms(resources, probe)
    if isinstance(found, Finding):
        yield found
        return
    missing = sorted(set(declared) - found.keys())
    yield from (Finding("alarms", name, "missing", DEPLOY) for name in missing)
    if len(missing) < len(declared):
        yield Finding("alarms", f"{len(declared) - len(missing)} alarms of {resources.naming.prefix}", "ok")


def read_alarms(resources: AwsResources, probe: Probe) -> dict[str, Any] | Finding:
    """Return the environment's alarms by name, or the finding that they could not be read."""
    prefix = f"{resources.naming.prefix}-"
    client = probe.client("cloudwatch")
    found: dict[str, Any] = {}

    def read() -> None:
        pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
        found.update({one["AlarmName"]: one for page in pages for one in page.get("MetricAlarms", [])})

    finding = probe.check("alarms", f"alarms of {resources.naming.prefix}", "cloudwatch:DescribeAlarms", read)
    return found if finding.verdict == "ok" else finding
