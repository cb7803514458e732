"""What a deployment of an environment will lack, although its files are valid: ``nightferry synth`` warns of it.

A task with a database and without a way to log in to it is refused: when it is declared without logins, and by
:func:`nightferry.terraform.grants.check_logins` without passwords and without a database for IAM tokens.
"""

from __future__ import annotations

from collections.abc import Iterator

from nightferry.catalog.declarations import Task
from nightferry.environments.aws_resources import AwsResources


def find_surprises(resources: AwsResources) -> Iterator[str]:
    """Yield a sentence for each surprise: the place in the environment's file, the effect and the fix."""
    yield from _find_missing_alarm_actions(resources)
    yield from _find_missing_recipients(resources)
    yield from _find_missing_secrets(resources)
    yield from _find_unreachable_database(resources)
    yield from _find_missing_state(resources)
    yield from _find_shared_security_group(resources)


def _find_missing_alarm_actions(resources: AwsResources) -> Iterator[str]:
    alarms = resources.aws.alarms
    if alarms.high is None and alarms.low is None:
        yield (
            f"{resources.environment.locate('aws')}: no alarm notifies anybody, because the environment has no topic "
            "for alarms. Set aws.alarms.high or aws.alarms.low."
        )


def _find_missing_recipients(resources: AwsResources) -> Iterator[str]:
    """Yield the topics whose notices nobody receives, and alarms that only a function delivers that may have failed."""
    environment = resources.environment
    alarms = set(resources.aws.alarms.declared.values())
    for topic in resources.catalog.topics:
        recipients = environment.notices.get(topic)
        if recipients is None:
            yield (
                f"{environment.file}: nobody receives the notices of topic '{topic}', unless somebody subscribes by "
                f"hand. Add [notices.{topic}] with emails, slack or teams."
            )
        elif topic in alarms and not recipients.emails and len(list(recipients.webhooks)) == 1:
            yield (
                f"{environment.locate('notices', topic)}: the alarm for notices that could not be delivered is "
                "delivered to the same webhook only. Add a second recipient, such as an e-mail address."
            )


def _find_missing_secrets(resources: AwsResources) -> Iterator[str]:
    """Yield the optional secrets that the environment does not list, except passwords that a token replaces."""
    users: dict[tuple[str, str], list[str]] = {}
    for task in resources.catalog.tasks.values():
        logins = {password.upper() for password in getattr(task.config, "database_logins", {}).values()}
        for variable, secret in {**resources.catalog.secrets, **task.secrets}.items():
            if not resources.exists(secret) and variable not in logins:
                required = " (required, so it fails)" if _is_required(task, variable) else ""
                users.setdefault((secret.name, variable), []).append(f"{task.name}{required}")
    if users:
        text = "; ".join(f"{name} ({variable}): {', '.join(tasks)}" for (name, variable), tasks in users.items())
        yield (
            f"{resources.environment.locate('aws', 'secrets')}: optional secrets are not listed, so these tasks "
            f"start without them: {text}. If they exist, add them to aws.secrets."
        )


def _is_required(task: Task, variable: str) -> bool:
    field = task.config.model_fields.get(variable.lower())
    return field is not None and field.is_required()


def _find_unreachable_database(resources: AwsResources) -> Iterator[str]:
    tasks = [task.name for task in resources.catalog.tasks.values() if _has_database(task)]
    if tasks and resources.aws.database_security_group is None:
        yield (
            f"{resources.environment.locate('aws')}: tasks with a database may connect only to port 443: "
            f"{', '.join(tasks)}. Set aws.database_security_group, or add the database to aws.egress."
        )


def _find_missing_state(resources: AwsResources) -> Iterator[str]:
    if resources.aws.state is None:
        yield (
            f"{resources.environment.locate('aws')}: Terraform stores its state in a local file, which other machines "
            "do not have. Set aws.state.bucket and aws.state.region."
        )


def _find_shared_security_group(resources: AwsResources) -> Iterator[str]:
    without = [task.name for task in resources.catalog.tasks.values() if not _has_database(task)]
    if without and resources.aws.database_security_group is not None:
        yield (
            f"{resources.environment.locate('aws', 'database_security_group')}: all tasks share one security group, so "
            f"tasks without a database may also connect to it: {', '.join(without)}. They have no login to it."
        )


def _has_database(task: Task) -> bool:
    return hasattr(task.config, "connect")
