"""The schedules and topics of an environment, created in moto as ``terraform apply`` creates them.

moto starts nothing for a schedule, and calls nobody for a topic: the schedules are read by ``nightferry backfill``, and
the topics keep what was published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightferry.catalog.declarations import Schedule
from nightferry.contract import format_value
from nightferry.environments.aws_resources import AwsResources
from nightferry.terraform.schedules import build_input


def deploy_schedules(
    resources: AwsResources,
    get_backend: Callable[[str], Any],
    resolve: Callable[[Any], Any],
    cluster: str,
    network: Mapping[str, Any],
) -> None:
    """Create the catalog's schedules. ``network`` has the awsvpcConfiguration of their tasks.

    ``get_backend`` returns moto's backend of a service.
    """
    catalog, prefix = resources.catalog, resources.naming.prefix
    role = resources.global_arn("iam", f"role/{prefix}-schedule")
    if any(schedule.via == "scheduler" for schedule in catalog.schedules.values()):
        get_backend("scheduler").create_schedule_group(prefix, [])
    for schedule in catalog.schedules.values():
        name, expression = f"{prefix}-{schedule.name}", resolve(schedule.expression)
        state = "ENABLED" if format_value(resolve(schedule.enabled)) == "true" else "DISABLED"
        target = _make_target(resources, schedule, cluster, network)
        text = build_input(schedule, resolve)
        if schedule.via == "scheduler":
            get_backend("scheduler").create_schedule(
                description="",
                end_date=schedule.end and schedule.end.isoformat(),
                flexible_time_window={"Mode": "OFF"},
                group_name=prefix,
                kms_key_arn=None,
                name=name,
                schedule_expression=expression,
                schedule_expression_timezone=schedule.timezone,
                start_date=schedule.start and schedule.start.isoformat(),
                state=state,
                target={**target, "RoleArn": role, "Input": text},
                action_after_completion="NONE",
            )
        else:
            events = get_backend("events")
            events.put_rule(name, scheduled_expression=expression, state=state)
            transformer = {"InputPathsMap": {"time": "$.time"}, "InputTemplate": text}
            target |= {"Id": "target", "RoleArn": role, "InputTransformer": transformer}
            events.put_targets(name, None, [target])


def _make_target(
    resources: AwsResources, schedule: Schedule, cluster: str, network: Mapping[str, Any]
) -> dict[str, Any]:
    if schedule.kind == "workflow":
        return {"Arn": resources.arn("states", f"stateMachine:{resources.naming.state_machine(schedule.target)}")}
    definition = resources.arn("ecs", f"task-definition/{resources.naming.family(schedule.target)}")
    ecs = {
        "TaskDefinitionArn": definition,
        "TaskCount": 1,
        "LaunchType": "FARGATE",
        "PropagateTags": "TASK_DEFINITION",
        "NetworkConfiguration": {"awsvpcConfiguration": dict(network)},
    }
    return {"Arn": cluster, "EcsParameters": ecs}


def deploy_topics(resources: AwsResources, sns: Any) -> None:
    """Create the catalog's topics with the subscriptions of their recipients."""
    prefix = resources.naming.prefix
    chats = [(topic, chat) for topic, chat, _ in resources.chat_notices]
    for topic in resources.catalog.topics:
        arn = sns.create_topic(f"{prefix}-{topic}").arn
        recipients = resources.environment.notices.get(topic)
        for email in recipients.emails if recipients is not None else ():
            sns.subscribe(arn, email, "email")
        for _, chat in (one for one in chats if one[0] == topic):
            function = resources.arn("lambda", f"function:{prefix}-{topic}-{chat}")
            sns.subscribe(arn, function, "lambda").publish = _ignore  # the function does not exist


def read_published(sns: Any) -> list[dict[str, Any]]:
    """Return the messages that were published to topics: ``TopicArn``, ``Message`` and ``Subject``."""
    return [
        {"TopicArn": arn, "Message": message, **({} if subject is None else {"Subject": subject})}
        for arn, topic in sns.topics.items()
        for _, message, subject, *_ in topic.sent_notifications
    ]


def _ignore(*_arguments: object, **_options: object) -> None:
    """Deliver nothing."""
