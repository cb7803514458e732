"""SNS: topics."""

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


RESOURCES = (Topic,)
