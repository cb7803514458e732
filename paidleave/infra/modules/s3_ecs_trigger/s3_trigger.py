"""Start an ECS task for each new object of a bucket (AWS Lambda, invoked by S3 asynchronously).

S3 delivers at least once and in any order. So that a repeated event starts nothing twice, the start's client token is
made of the trigger and the object's bucket, key, version and sequencer: ECS answers a known token with the task that
it started, for as long as it remembers the token (a day). Whatever cannot be started raises, so that Lambda tries the
event again and then keeps it in its dead-letter queue. An event of another shape than S3's raises too: a change of
its format must not pass in silence.
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

# 60 s of time limit hold three attempts of 15 s each.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=15)


class NotStarted(Exception):
    """ECS answered, and did not start the task."""


class NotAnEvent(Exception):
    """What arrived is no notification of S3 in a form that this function knows."""


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Handle one notification; returns how many tasks were started and how many records ignored."""
    counts = {"started": 0, "ignored": 0}
    failures = []
    if event.get("Event") == "s3:TestEvent":
        _log("ignored", reason="test event")
        return counts
    if not isinstance(event.get("Records"), list):
        raise NotAnEvent(f"This is no notification of S3: it has {', '.join(sorted(event)) or 'nothing'}, no Records.")
    # Every record has its chance before the first failure is raised: a repetition repeats all of them.
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
def _ecs() -> Any:
    return boto3.client("ecs", config=_CONFIG)


def _handle(record: dict[str, Any]) -> bool:
    """Start the task for one record; False if the record needs none."""
    # A higher minor version only adds to the event (S3's guide, "Event message structure").
    if record.get("eventVersion", "").partition(".")[0] != "2":
        raise NotAnEvent(f"S3's event has version {record.get('eventVersion')!r}; this function knows 2.x.")
    source = record["s3"]
    bucket = source["bucket"]["name"]
    # S3 encodes keys as in a form: a blank is a plus.
    key = urllib.parse.unquote_plus(source["object"]["key"], errors="strict")
    version = source["object"].get("versionId", "")
    if not record.get("eventName", "").startswith("ObjectCreated:"):
        _log("ignored", bucket=bucket, key=key, reason=record.get("eventName"))
        return False
    if key.endswith("/"):
        _log("ignored", bucket=bucket, key=key, reason="a folder")
        return False
    ecs = _ecs()
    try:
        answer = ecs.run_task(**_request(bucket, key, version, source["object"]))
    except ClientError as error:
        # The token was used by a request with other parameters: before a deployment changed the network, say.
        if error.response["Error"]["Code"] != "ConflictException":
            raise
        started: Any = error.response.get("resourceIds", [])
        _log("started before", bucket=bucket, key=key, version=version, task=", ".join(started))
        return True
    if answer.get("failures") or not answer.get("tasks"):
        reasons = [failure.get("reason", "no reason given") for failure in answer.get("failures", [])]
        raise NotStarted(f"ECS did not start {os.environ['TASK_DEFINITION']}: {', '.join(reasons) or 'no task'}")
    _log("started", bucket=bucket, key=key, version=version, task=answer["tasks"][0]["taskArn"])
    return True


def _request(bucket: str, key: str, version: str, described: dict[str, str]) -> dict[str, Any]:
    trigger = os.environ["TRIGGER"]
    # The trigger's name too: ECS knows a token in the whole account, and others may be told of the same object.
    identity = json.dumps([trigger, bucket, key, version or described.get("eTag", ""), described.get("sequencer", "")])
    return {
        "cluster": os.environ["CLUSTER"],
        "taskDefinition": os.environ["TASK_DEFINITION"],
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": f"trigger/{trigger}"[:36],
        "clientToken": hashlib.sha256(identity.encode()).hexdigest(),  # 64 characters, ECS's limit
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
