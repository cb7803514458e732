"""Test notices: a message to a topic on AWS, and what is known of each recipient."""

from __future__ import annotations

from nightferry.aws.session import AccessDenied, Aws, ResourceNotFound, create_client
from nightferry.aws.verify.recipients import is_pending, read_subscriptions
from nightferry.backend.errors import Refused
from nightferry.environments.aws_resources import AwsResources


def publish_test(
    resources: AwsResources, topic: str, subject: str, message: str, aws: Aws | None = None
) -> dict[str, str]:
    """Publish a message to a topic, and return what is known of each recipient, by its name.

    Raises Refused if the topic does not exist or may not be used, Unreachable and CredentialsExpired.
    """
    aws = aws or Aws(resources.aws.region, resources.aws.account)
    name = f"{resources.naming.prefix}-{topic}"
    sns = create_client(aws, "sns")
    try:
        with aws.translate_errors(f"publish to topic {name}", missing=("NotFound", "NotFoundException")):
            sns.publish(TopicArn=resources.arn("sns", name), Subject=subject[:100], Message=message)
    except ResourceNotFound:
        raise Refused(
            f"Topic {name} does not exist: this version has not been deployed to {resources.environment.name} yet."
        ) from None
    recipients = resources.environment.notices.get(topic)
    emails = recipients.emails if recipients is not None else ()
    chats = {
        f"{chat.capitalize()} ({secret.name})": chat for one, chat, secret in resources.chat_notices if one == topic
    }
    try:
        with aws.translate_errors(f"list the subscriptions of {name}"):
            found = read_subscriptions(resources, sns, topic)
    except AccessDenied:
        unknown = "published; the subscription was not checked, which requires sns:ListSubscriptionsByTopic"
        return dict.fromkeys((*emails, *chats), unknown)
    results = {email: _describe_subscription(found.get(email)) for email in emails}
    for chat_name, chat in chats.items():
        function = f"{name}-{chat}"
        subscribed = resources.arn("lambda", f"function:{function}") in found
        results[chat_name] = (
            f"published; the result is in the log group /aws/lambda/{function}"
            if subscribed
            else "not delivered: the function is not subscribed. Deploy this version (terraform apply)."
        )
    return results


def _describe_subscription(subscription: str | None) -> str:
    if subscription is None:
        return "not delivered: not subscribed. Deploy this version (terraform apply)."
    if is_pending(subscription):
        return "not delivered: the person has not confirmed the subscription."
    return "published; AWS sends the e-mail"
