"""Start an ECS task for each new object in a bucket (AWS Lambda, invoked asynchronously by S3).

S3 delivers events at least once and in any order. To start only one task for a repeated event, the client token of the
start is derived from the trigger and the object's bucket, key, version and sequencer. For a known token, ECS returns
the task that it has already started; it stores tokens for one day. A failed start raises an exception, so that Lambda
retries the event and then sends it to the dead-letter queue. An event in an unknown format also raises an exception,
so that a change of S3's format is noticed.
"""

import hashlib
import json
import os
import sys
import urllib.parse
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# Three attempts of 15 s each fit into the function's timeout of 60 s.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=15)


class TaskNotStarted(Exception):
    """ECS responded, but did not start the task."""


class UnknownEvent(Exception):
    """The event is not an S3 notification in a format that this function supports."""


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Handle a notification and return the numbers of started tasks and ignored records."""
    counts = {"started": 0, "ignored": 0}
    failures = []
    if event.get("Event") == "s3:TestEvent":
        _log("ignored", reason="test event")
        return counts
    if not isinstance(event.get("Records"), list):
        keys = ", ".join(sorted(event)) or "none"
        raise UnknownEvent(f"The event is not an S3 notification: it has no Records. Its keys: {keys}.")
    # Each record is handled before the first failure is raised, because a retry repeats all of them.
    for record in event["Records"]:
        try:
            counts["started" if _handle(record) else "ignored"] += 1
        except Exception as error:
            _log("failed", error=type(error).__name__, reason=str(error))
            failures.append(error)
    if failures:
        raise failures[0]
    return counts


@cache
def _get_client() -> Any:
    return boto3.client("ecs", config=_CONFIG)


def _handle(record: dict[str, Any]) -> bool:
    """Start the task for a record; return False if the record requires none."""
    # A higher minor version only adds fields to the event (S3's guide, "Event message structure").
    if record.get("eventVersion", "").partition(".")[0] != "2":
        raise UnknownEvent(f"The S3 event has version {record.get('eventVersion')!r}; this function supports 2.x.")
    source = record["s3"]
    bucket = source["bucket"]["name"]
    # S3 form-encodes keys, so a space is a plus.
    key = urllib.parse.unquote_plus(source["object"]["key"], errors="strict")
    version = source["object"].get("versionId", "")
    if not record.get("eventName", "").startswith("ObjectCreated:"):
        _log("ignored", bucket=bucket, key=key, reason=record.get("eventName"))
        return False
    if key.endswith("/"):
        _log("ignored", bucket=bucket, key=key, reason="a folder")
        return False
    ecs = _get_client()
    try:
        response = ecs.run_task(**_build_request(bucket, key, version, source["object"]))
    except ClientError as error:
        # A request with other parameters has used the token, for example before a deployment changed the network.
        if error.response["Error"]["Code"] != "ConflictException":
            raise
        started: Any = error.response.get("resourceIds", [])
        _log("started before", bucket=bucket, key=key, version=version, task=", ".join(started))
        return True
    if response.get("failures") or not response.get("tasks"):
        reasons = [failure.get("reason", "no reason given") for failure in response.get("failures", [])]
        raise TaskNotStarted(
            f"ECS did not start {os.environ['TASK_DEFINITION']}: {', '.join(reasons) or 'no task returned'}"
        )
    _log("started", bucket=bucket, key=key, version=version, task=response["tasks"][0]["taskArn"])
    return True


def _build_request(bucket: str, key: str, version: str, item: dict[str, str]) -> dict[str, Any]:
    trigger = os.environ["TRIGGER"]
    # The token includes the trigger's name, because tokens are unique in the account and other triggers may match.
    identity = json.dumps([trigger, bucket, key, version or item.get("eTag", ""), item.get("sequencer", "")])
    return {
        "cluster": os.environ["CLUSTER"],
        "taskDefinition": os.environ["TASK_DEFINITION"],
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": f"trigger/{trigger}"[:36],
        "clientToken": hashlib.sha256(identity.encode()).hexdigest(),  # 64 characters, which is ECS's limit
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": os.environ["SUBNETS"].split(","),
                "securityGroups": os.environ["SECURITY_GROUPS"].split(","),
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": {
            "containerOverrides": [
                {
                    "name": os.environ["CONTAINER"],
                    "environment": [
                        {"name": "S3_BUCKET", "value": bucket},
                        {"name": "S3_KEY", "value": key},
                        {"name": "S3_VERSION", "value": version},
                    ],
                }
            ]
        },
    }


def _log(decision: str, **fields: str | None) -> None:
    sys.stdout.write(json.dumps({"decision": decision, "trigger": os.environ.get("TRIGGER"), **fields}) + "\n")
