"""S3: the notification configuration of a bucket."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import OMITTED, Resource, Values, given

_KINDS = {
    "lambda_function": ("LambdaFunctionConfigurations", "LambdaFunctionArn", "lambda_function_arn"),
    "queue": ("QueueConfigurations", "QueueArn", "queue_arn"),
    "topic": ("TopicConfigurations", "TopicArn", "topic_arn"),
}


class BucketNotification(Resource):
    """All notifications of a bucket, which S3 stores as one document."""

    type = "aws_s3_bucket_notification"
    identity = ("bucket",)

    def create(self, aws: Clients, new: Values) -> Values:
        configuration: Values = {
            kind: [_make_item(block, member, argument) for block in new[name]]
            for name, (kind, member, argument) in _KINDS.items()
            if new[name]
        }
        if new["eventbridge"]:
            configuration["EventBridgeConfiguration"] = {}
        aws("s3").put_bucket_notification_configuration(Bucket=new["bucket"], NotificationConfiguration=configuration)
        return {"bucket": new["bucket"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        s3, bucket = aws("s3"), identity["bucket"]
        found = s3.get_bucket_notification_configuration(Bucket=bucket)
        blocks: Values = {
            name: [_flatten_item(item, member, argument) for item in found.get(kind, [])]
            for name, (kind, member, argument) in _KINDS.items()
        }
        # moto stores EventBridgeConfiguration but does not return it.
        eventbridge = True if "EventBridgeConfiguration" in found else OMITTED
        return {"id": bucket, "bucket": bucket, "eventbridge": eventbridge, **blocks}

    def delete(self, aws: Clients, old: Values) -> None:
        aws("s3").put_bucket_notification_configuration(Bucket=old["bucket"], NotificationConfiguration={})


def _make_item(block: Values, member: str, argument: str) -> Values:
    rules = [
        {"Name": name, "Value": block[f"filter_{name}"]} for name in ("prefix", "suffix") if block[f"filter_{name}"]
    ]
    return {
        member: block[argument],
        "Events": block["events"],
        **given(Id=block["id"], Filter={"Key": {"FilterRules": rules}} if rules else None),
    }


def _flatten_item(item: Values, member: str, argument: str) -> Values:
    rules = item.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    found = {rule["Name"].lower(): rule["Value"] for rule in rules}
    return {
        "id": item.get("Id"),
        argument: item[member],
        "events": item["Events"],
        "filter_prefix": found.get("prefix"),
        "filter_suffix": found.get("suffix"),
    }


RESOURCES = (BucketNotification,)
