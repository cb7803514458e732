"""SQS: queues and their policies."""

from __future__ import annotations

from typing import Any

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, changed_tags, given

_NUMBERS = {
    "delay_seconds": "DelaySeconds",
    "max_message_size": "MaximumMessageSize",
    "message_retention_seconds": "MessageRetentionPeriod",
    "receive_wait_time_seconds": "ReceiveMessageWaitTimeSeconds",
    "visibility_timeout_seconds": "VisibilityTimeout",
    "kms_data_key_reuse_period_seconds": "KmsDataKeyReusePeriodSeconds",
}
_TEXTS = {
    "policy": "Policy",
    "redrive_policy": "RedrivePolicy",
    "redrive_allow_policy": "RedriveAllowPolicy",
    "kms_master_key_id": "KmsMasterKeyId",
}


class Queue(Resource):
    """A queue."""

    type = "aws_sqs_queue"
    identity = ("url",)

    def create(self, aws: Clients, new: Values) -> Values:
        url = aws("sqs").create_queue(
            QueueName=new["name"], Attributes=_make_attributes(new), **given(tags=new["tags_all"])
        )["QueueUrl"]
        return {"url": url}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        sqs, url = aws("sqs"), identity["url"]
        try:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        except sqs.exceptions.QueueDoesNotExist:
            return None
        return {
            "id": url,
            "url": url,
            "arn": found["QueueArn"],
            "name": found["QueueArn"].rpartition(":")[2],
            "fifo_queue": found.get("FifoQueue") == "true",
            "content_based_deduplication": found.get("ContentBasedDeduplication") == "true",
            "sqs_managed_sse_enabled": found.get("SqsManagedSseEnabled", "false").lower() == "true",
            **{name: int(found[member]) for name, member in _NUMBERS.items() if member in found},
            **{name: found.get(member, "") for name, member in _TEXTS.items()},
            "tags": sqs.list_queue_tags(QueueUrl=url).get("Tags"),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        sqs, url = aws("sqs"), old["url"]
        before, after = _make_attributes(old), _make_attributes(new)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
        added, removed = changed_tags(old, new)
        if added:
            sqs.tag_queue(QueueUrl=url, Tags=added)
        if removed:
            sqs.untag_queue(QueueUrl=url, TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("sqs").delete_queue(QueueUrl=old["url"])


class QueuePolicy(Resource):
    """The policy of a queue."""

    type = "aws_sqs_queue_policy"
    identity = ("queue_url",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("sqs").set_queue_attributes(QueueUrl=new["queue_url"], Attributes={"Policy": new["policy"]})
        return {"queue_url": new["queue_url"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        sqs, url = aws("sqs"), identity["queue_url"]
        try:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {})
        except sqs.exceptions.QueueDoesNotExist:
            return None
        return {"id": url, "queue_url": url, "policy": found["Policy"]} if found.get("Policy") else None

    def delete(self, aws: Clients, old: Values) -> None:
        aws("sqs").set_queue_attributes(QueueUrl=old["queue_url"], Attributes={"Policy": ""})


def _make_attributes(new: Values) -> dict[str, str]:
    attributes: dict[str, Any] = {
        **{member: new[name] for name, member in _NUMBERS.items() if new[name] is not None},
        **{member: new[name] for name, member in _TEXTS.items() if new[name]},
    }
    if new["sqs_managed_sse_enabled"] is not None:
        attributes["SqsManagedSseEnabled"] = str(new["sqs_managed_sse_enabled"]).lower()
    return {name: str(value) for name, value in attributes.items()}


RESOURCES = (Queue, QueuePolicy)
