"""SNS: topics and their subscriptions."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, from_tags, given

_TEXTS = {
    "display_name": "DisplayName",
    "kms_master_key_id": "KmsMasterKeyId",
    "policy": "Policy",
    "delivery_policy": "DeliveryPolicy",
    "tracing_config": "TracingConfig",
}


class Topic(Resource):
    """A topic."""

    type = "aws_sns_topic"
    identity = ("arn",)

    def create(self, aws: Clients, new: Values) -> Values:
        arn = aws("sns").create_topic(
            Name=new["name"],
            **given(Tags=as_tags(new["tags_all"])),
        )["TopicArn"]
        for name, member in _TEXTS.items():
            if new[name]:
                aws("sns").set_topic_attributes(TopicArn=arn, AttributeName=member, AttributeValue=new[name])
        return {"arn": arn}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        sns, arn = aws("sns"), identity["arn"]
        try:
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            return None
        return {
            "id": arn,
            "arn": arn,
            "name": arn.rpartition(":")[2],
            "owner": found.get("Owner"),
            "fifo_topic": found.get("FifoTopic") == "true",
            "content_based_deduplication": found.get("ContentBasedDeduplication") == "true",
            "signature_version": int(found.get("SignatureVersion") or 0),
            "beginning_archive_time": found.get("BeginningArchiveTime", ""),
            **{name: found.get(member) or "" for name, member in _TEXTS.items()},
            "tags": from_tags(sns.list_tags_for_resource(ResourceArn=arn).get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        sns = aws("sns")
        for name, member in _TEXTS.items():
            if (new[name] or "") != (old[name] or ""):
                sns.set_topic_attributes(TopicArn=old["arn"], AttributeName=member, AttributeValue=new[name] or "")
        added, removed = changed_tags(old, new)
        if added:
            sns.tag_resource(ResourceArn=old["arn"], Tags=as_tags(added))
        if removed:
            sns.untag_resource(ResourceArn=old["arn"], TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("sns").delete_topic(TopicArn=old["arn"])


_SUBSCRIPTION_TEXTS = {
    "delivery_policy": "DeliveryPolicy",
    "filter_policy": "FilterPolicy",
    "filter_policy_scope": "FilterPolicyScope",
    "redrive_policy": "RedrivePolicy",
    "replay_policy": "ReplayPolicy",
    "subscription_role_arn": "SubscriptionRoleArn",
}


class Subscription(Resource):
    """A subscription. The provider waits for the confirmation of a function, but not of a person."""

    type = "aws_sns_topic_subscription"
    identity = ("arn",)

    def create(self, aws: Clients, new: Values) -> Values:
        arn = aws("sns").subscribe(
            TopicArn=new["topic_arn"],
            Protocol=new["protocol"],
            Endpoint=new["endpoint"],
            Attributes=_make_attributes(new),
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return {"arn": arn}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        sns, arn = aws("sns"), identity["arn"]
        try:
            found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            return None
        return {
            "id": arn,
            "arn": arn,
            "topic_arn": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "owner_id": found.get("Owner"),
            "confirmation_was_authenticated": found.get("ConfirmationWasAuthenticated") == "true",
            "pending_confirmation": found.get("PendingConfirmation") == "true",
            "raw_message_delivery": found.get("RawMessageDelivery") == "true",
            **{name: found.get(member, "") for name, member in _SUBSCRIPTION_TEXTS.items()},
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        before, after = _make_attributes(old), _make_attributes(new)
        for member in sorted(before.keys() | after.keys()):
            if before.get(member) != after.get(member):
                aws("sns").set_subscription_attributes(
                    SubscriptionArn=old["arn"], AttributeName=member, **given(AttributeValue=after.get(member))
                )

    def delete(self, aws: Clients, old: Values) -> None:
        aws("sns").unsubscribe(SubscriptionArn=old["arn"])


def _make_attributes(new: Values) -> dict[str, str]:
    raw = {"RawMessageDelivery": "true"} if new["raw_message_delivery"] else {}
    return raw | {member: new[name] for name, member in _SUBSCRIPTION_TEXTS.items() if new[name]}


RESOURCES = (Topic, Subscription)
