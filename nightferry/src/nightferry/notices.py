"""Test notices, by which people check the recipients of a topic before a failure does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from nightferry.catalog.secret_users import format_set_command
from nightferry.contract import Privacy
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment
from nightferry.environments.private_paths import NotPrivate, read_private_text
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.lambdas import chat_notice
from nightferry.local.services import secrets
from nightferry.local.store import Store

_DELIVERY_SECONDS = 20.0
_FAILED = "not delivered"


def send_test_notice(project: Project, environment: Environment, topic: str, sender: str) -> dict[str, str]:
    """Send a test notice to the recipients of a topic, and return what is known of each. ``sender`` is a sentence.

    On this machine, the notice is stored and sent to each webhook whose secret is set here; e-mail is not sent. On AWS,
    it is published to the topic. Raises UnknownName.
    """
    if topic not in project.catalog.topics:
        raise UnknownName("topic", topic, project.catalog.topics)
    subject = f"Test notice of {project.catalog.name} {environment.name}"
    message = f"This is a test of topic {topic}. Nothing has failed. {sender}"
    if environment.backend == "aws":
        from nightferry.aws.notices import publish_test  # This machine needs no extra.

        return publish_test(AwsResources(project.catalog, environment), topic, subject, message)
    store = Store(project.state / "engine.sqlite")
    store.add_notification(f"test:{uuid.uuid4()}", topic, subject, message)
    store.close()
    return dict(_deliver_here(project, environment, topic, subject, message))


def has_failed(result: str) -> bool:
    """Return True if a recipient did not get the notice."""
    return result.startswith(_FAILED)


def _deliver_here(
    project: Project, environment: Environment, topic: str, subject: str, message: str
) -> Iterator[tuple[str, str]]:
    """Send a notice to the webhooks whose URLs are secrets of this machine, and yield each recipient's result."""
    recipients = environment.notices.get(topic)
    if recipients is None:
        return
    for email in recipients.emails:
        yield email, "stored; e-mail is sent only on AWS"
    rendered = chat_notice.read_notice(topic, subject, message, strict=project.catalog.privacy is Privacy.STRICT)
    for chat, secret in recipients.webhooks:
        name = f"{chat.capitalize()} ({secret})"
        path = secrets.get_path(project.state, secret)
        if not path.is_file():
            yield name, f"stored; to send it, set the webhook: {format_set_command(secret)}"
            continue
        deadline = time.monotonic() + _DELIVERY_SECONDS
        try:
            webhook = read_private_text(path, secret=True, follow=True).strip()
            chat_notice.deliver(webhook, chat_notice.render(rendered, chat), chat, deadline)
        except (chat_notice.NotDelivered, NotPrivate, UnicodeDecodeError) as problem:
            reason = f"{path} is not UTF-8 text." if isinstance(problem, UnicodeDecodeError) else problem
            yield name, f"{_FAILED}: {reason}"
        else:
            yield name, "delivered"
