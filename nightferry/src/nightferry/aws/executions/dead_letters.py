"""The messages of the dead-letter queues, and the retry of each failed start.

======================  ====================================  ==================================================
sender                  format                                retry
======================  ====================================  ==================================================
Lambda (on failure)     ``requestPayload`` of a function      invokes the function with this payload
EventBridge Scheduler   attribute ``SCHEDULE_ARN``; the body  RunTask or StartExecution with the schedule's current
                        is the target's input                 target
EventBridge rule        attribute ``RULE_ARN``; the body is   RunTask or StartExecution with the rule's current
                        the event                             target
======================  ====================================  ==================================================

A retry is idempotent: a function derives its client token from the event; for schedules and rules, the token is derived
from the message. ECS remembers a token for a day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.aws.executions.targets import NotStarted, Target, start
from nightferry.aws.session import Aws, ResourceNotFound, create_client
from nightferry.backend.interface import Refused
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError

VISIBILITY_SECONDS = 900
"""Time for which a received message is hidden from other consumers: longer than any function's time limit."""


class UnknownQueue(NightferryError):
    """The environment does not have this dead-letter queue."""


@dataclass(frozen=True)
class DeadLetter:
    """A message about a failed start: its source, the reason, and the time (milliseconds since the epoch)."""

    id: str
    receipt: str
    source: str
    reason: str
    sent_at_ms: int
    retry: Callable[[], str]
    """Retries the start and returns a description of it. Raises NotStarted and the errors of Aws.translate_errors."""


def list_queue_names(resources: AwsResources) -> dict[str, str]:
    """Return the names of the queues that the deployment creates, by their short names."""
    prefix = resources.naming.prefix
    names = {}
    if resources.catalog.object_triggers:
        names["triggers"] = f"{prefix}-triggers-dead-letters"
    if resources.catalog.schedules:
        names["schedules"] = f"{prefix}-schedules-dead-letters"
    if resources.aws.new_relic_forwarder is not None:
        names["logs"] = f"{prefix}-newrelic-forwarder-dead-letters"
    return names


@dataclass(frozen=True)
class Queue:
    """A dead-letter queue."""

    resources: AwsResources
    aws: Aws
    url: str

    @classmethod
    def find(cls, resources: AwsResources, aws: Aws, name: str) -> Queue:
        """Return the queue with this name or short name; raises UnknownQueue."""
        full = list_queue_names(resources).get(name, name)
        if full not in list_queue_names(resources).values():
            known = ", ".join(list_queue_names(resources)) or "none"
            raise UnknownQueue(f"Queue '{name}' not found. Available queues: {known}.")
        try:
            missing = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
            with aws.translate_errors(f"find queue {full}", missing=missing):
                return cls(resources, aws, aws.sqs.get_queue_url(QueueName=full)["QueueUrl"])
        except ResourceNotFound:
            raise UnknownQueue(
                f"Queue {full} does not exist: this version has not been deployed to {resources.environment.name} yet."
            ) from None

    def receive(self) -> Iterator[DeadLetter]:
        """Yield each message once. Other consumers do not see a message until it is returned to the queue."""
        seen: set[str] = set()
        while True:
            with self.aws.translate_errors("receive dead letters"):
                response = self.aws.sqs.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=10,
                    WaitTimeSeconds=1,
                    VisibilityTimeout=VISIBILITY_SECONDS,
                    MessageAttributeNames=["All"],
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            new = [message for message in response.get("Messages", []) if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield self._parse(dict(message))

    def return_letter(self, letter: DeadLetter) -> None:
        """Make the message visible to other consumers again."""
        with self.aws.translate_errors("return a dead letter to the queue"):
            self.aws.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def delete(self, letter: DeadLetter) -> None:
        """Delete the message, after its start has succeeded."""
        with self.aws.translate_errors("delete a dead letter"):
            self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    # ── the formats of messages ─────────────────────────────────────────────────────────────────────────────────────

    def _parse(self, message: dict[str, Any]) -> DeadLetter:
        attributes = {
            name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
        }
        try:
            source, reason, retry = self._recognize(message["MessageId"], message["Body"], attributes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            source, reason = "unrecognized message", type(error).__name__
            retry = _reject_unrecognized
        sent_at_ms = int(message.get("Attributes", {}).get("SentTimestamp", 0))
        return DeadLetter(message["MessageId"], message["ReceiptHandle"], source, reason, sent_at_ms, retry)

    def _recognize(self, id: str, body: str, attributes: Mapping[str, str]) -> tuple[str, str, Callable[[], str]]:
        """Return the source of a message, the reason for the failure, and a function that retries the start."""
        reason = " ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
        if arn := attributes.get("SCHEDULE_ARN"):
            group, name = arn.split(":schedule/", 1)[1].split("/", 1)
            identity = [arn, attributes.get("EXECUTION_ID") or id]
            source = f"schedule {name}"
            if scheduled := attributes.get("SCHEDULED_TIME"):
                source += f" of {scheduled}"
            return source, reason, lambda: self._start_scheduled(group, name, body, identity)
        if arn := attributes.get("RULE_ARN"):
            name = arn.split(":rule/", 1)[1].rpartition("/")[2]
            event = json.loads(body)
            identity = [arn, attributes.get("TARGET_ARN", ""), event.get("id", id)]
            target = attributes.get("TARGET_ARN", "")
            return f"rule {name}", reason, lambda: self._start_rule_target(name, target, event, identity)
        content = json.loads(body)
        function = content["requestContext"]["functionArn"].split(":function:")[1].split(":")[0]
        payload = content["requestPayload"]
        response = content.get("responsePayload") or {}
        reason = response.get("errorMessage") or content["requestContext"].get("condition", "")
        return f"function {function}{_list_objects(payload)}", reason, lambda: self._invoke(function, payload)

    # ── retries ──────────────────────────────────────────────────────────────────────────────────────────

    def _check_owner(self, name: str) -> str:
        """Return ``name`` if it belongs to this environment; raises NotStarted. A message could name anything."""
        if not name.startswith(f"{self.resources.naming.prefix}-"):
            raise NotStarted(f"{name} does not belong to {self.resources.naming.prefix}. Nothing was started.")
        return name

    def _invoke(self, function: str, payload: Any) -> str:
        with self.aws.translate_errors(f"invoke function {function}"):
            response = create_client(self.aws, "lambda").invoke(
                FunctionName=self._check_owner(function),
                InvocationType="RequestResponse",
                Payload=json.dumps(payload).encode(),
            )
        if response.get("FunctionError"):
            try:
                message = json.loads(response["Payload"].read()).get("errorMessage", "")
            except (ValueError, AttributeError):
                message = ""
            raise NotStarted(f"The function failed again: {message or response['FunctionError']}")
        return f"function {function} succeeded"

    def _start_scheduled(self, group: str, name: str, input: str, identity: list[str]) -> str:
        if group != self.resources.naming.prefix:
            raise NotStarted(
                f"Schedule group {group} does not belong to {self.resources.naming.prefix}. Nothing was started."
            )
        try:
            with self.aws.translate_errors(f"read schedule {name}", missing=("ResourceNotFoundException",)):
                found = create_client(self.aws, "scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        except ResourceNotFound:
            raise NotStarted(f"Schedule {name} no longer exists, so its target is unknown.") from None
        target = Target(found["Arn"], found.get("EcsParameters"), input)
        return start(self.aws, target, _make_token(identity))

    def _start_rule_target(self, name: str, target_arn: str, event: Any, identity: list[str]) -> str:
        try:
            with self.aws.translate_errors(f"read rule {name}", missing=("ResourceNotFoundException",)):
                targets = create_client(self.aws, "events").list_targets_by_rule(Rule=self._check_owner(name))[
                    "Targets"
                ]
        except ResourceNotFound:
            raise NotStarted(f"Rule {name} no longer exists, so its target is unknown.") from None
        chosen = [target for target in targets if target["Arn"] == target_arn] or targets
        if len(chosen) != 1:
            raise NotStarted(f"Rule {name} has {len(chosen)} targets, and the message names none of them.")
        return start(self.aws, Target.from_rule(chosen[0], event), _make_token(identity))


def _make_token(identity: list[str]) -> str:
    """Return a client token of 64 characters, which is ECS's limit."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _list_objects(payload: Any) -> str:
    """Return the objects of S3's records as text, for messages."""
    records = payload.get("Records", []) if isinstance(payload, dict) else []
    keys = [f"{record['s3']['bucket']['name']}/{record['s3']['object']['key']}" for record in records if "s3" in record]
    return f" for {', '.join(keys)}" if keys else ""


def _reject_unrecognized() -> str:
    raise NotStarted("The message has an unknown format. Inspect it in the console.")


__all__ = ["DeadLetter", "NotStarted", "Queue", "Refused", "UnknownQueue", "list_queue_names"]
