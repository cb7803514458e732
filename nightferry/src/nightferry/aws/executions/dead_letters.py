"""The messages of the dead-letter queues, and the retry of each failed start.

======================  ====================================  ==================================================
sender                  format                                retry
======================  ====================================  ==================================================
Lambda (on failure)     ``requestPayload`` of a function      invokes the function with this payload
EventBridge Scheduler   attribute ``SCHEDULE_ARN``; the body  RunTask or StartExecution with the schedule's current
                        is the target's input or the request  target
EventBridge rule        attribute ``RULE_ARN``; the body is   invokes the rule's function, or RunTask or
                        the event                             StartExecution with the rule's current target
Amazon SNS              a notification                        invokes the queue's function, which SNS could not
======================  ====================================  ==================================================

A retry starts a target once. A function derives its client tokens from the event. The tokens for a schedule are derived
from its ARN and the scheduled time (the execution ID is new for each attempt of Scheduler), those for a rule from the
event's ID. ECS remembers a token for the lesser of 24 hours and the task's lifetime plus one hour. Before a start, the
log of task state changes is therefore searched for a task of an earlier redrive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from nightferry.aws.executions.targets import NotStarted, StartTokens, Target, format_started_by, start
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.session import Aws, ResourceNotFound, create_client
from nightferry.aws_responses import IncompleteResponse
from nightferry.backend.errors import Refused
from nightferry.clock import Clock, get_clock
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError

VISIBILITY_SECONDS = 900
"""Time for which a received message is hidden from other consumers: longer than any function's time limit."""
_MISSING_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_NUMBERS: tuple[Literal["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"], ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",  # received by a redrive that has not ended
)
_MAX_RECEIVES = 50  # bounds the number of client tokens of one start


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
    receives: int
    """How often the message was received. Each redrive may use further client tokens."""
    retry: Callable[[], str]
    """Retries the start and returns a description of it. Raises NotStarted and the errors of Aws.translate_errors."""


_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, IncompleteResponse)
"""The errors of reading a message in an unknown form."""


def list_queue_names(resources: AwsResources) -> dict[str, str]:
    """Return the names of the queues that the deployment creates, by their short names."""
    prefix = resources.naming.prefix
    names = {}
    if resources.catalog.object_triggers:
        names["triggers"] = f"{prefix}-triggers-dead-letters"
    if resources.catalog.schedules:
        names["schedules"] = f"{prefix}-schedules-dead-letters"
    if any(workflow.on_failure is not None for workflow in resources.catalog.workflows.values()):
        names["failure-notices"] = f"{prefix}-failure-notices-dead-letters"
    if any(task.retry is not None for task in resources.catalog.tasks.values()):
        names["retries"] = f"{resources.naming.retries}-dead-letters"
    for topic, chat, _ in resources.chat_notices:
        names[f"{topic}-{chat}"] = f"{prefix}-{topic}-{chat}-dead-letters"
    if resources.aws.new_relic_forwarder is not None:
        names["logs"] = f"{prefix}-newrelic-forwarder-dead-letters"
    return names


def count_messages(resources: AwsResources, aws: Aws) -> dict[str, int]:
    """Return the number of messages in each queue by its short name, without those of queues that are not deployed.

    The messages are not received, because a received one is hidden from a redrive.
    """
    counts = {}
    for short, name in list_queue_names(resources).items():
        try:
            with aws.translate_errors(f"count the messages of queue {name}", missing=_MISSING_QUEUE):
                url = aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]
                attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_NUMBERS))["Attributes"]
        except ResourceNotFound:
            continue
        counts[short] = sum(int(attributes[number]) for number in _NUMBERS)
    return counts


@dataclass(frozen=True)
class Queue:
    """A dead-letter queue."""

    resources: AwsResources
    aws: Aws
    url: str
    clock: Clock

    @classmethod
    def find(cls, resources: AwsResources, aws: Aws, name: str, clock: Clock | None = None) -> Queue:
        """Return the queue with this name or short name; raises UnknownQueue."""
        full = list_queue_names(resources).get(name, name)
        if full not in list_queue_names(resources).values():
            known = ", ".join(list_queue_names(resources)) or "none"
            raise UnknownQueue(f"Queue '{name}' not found. Available queues: {known}.")
        try:
            with aws.translate_errors(f"find queue {full}", missing=_MISSING_QUEUE):
                url = aws.sqs.get_queue_url(QueueName=full)["QueueUrl"]
                return cls(resources, aws, url, clock or get_clock())
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
                    MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
                )
            new = [message for message in response.get("Messages", []) if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield self._parse(message)

    def return_letter(self, letter: DeadLetter) -> None:
        """Make the message visible to other consumers again."""
        with self.aws.translate_errors("return a dead letter to the queue"):
            self.aws.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def delete(self, letter: DeadLetter) -> None:
        """Delete the message, after its start has succeeded."""
        with self.aws.translate_errors("delete a dead letter"):
            self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    # ── the formats of messages ─────────────────────────────────────────────────────────────────────────────────────

    def _parse(self, message: Mapping[str, Any]) -> DeadLetter:
        attributes = {
            name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
        }
        system = message.get("Attributes", {})
        sent_at_ms = _parse_number(system.get("SentTimestamp", "0"))
        receives = _parse_number(system.get("ApproximateReceiveCount", "1"))
        try:
            source, reason, retry = self._recognize(message, attributes, sent_at_ms, receives)
        except _UNREADABLE as error:
            source, reason = "unrecognized message", type(error).__name__
            retry = _reject_unrecognized
        return DeadLetter(message["MessageId"], message["ReceiptHandle"], source, reason, sent_at_ms, receives, retry)

    def _recognize(
        self, message: Mapping[str, Any], attributes: Mapping[str, str], sent_at_ms: int, receives: int
    ) -> tuple[str, str, Callable[[], str]]:
        """Return the source of a message, the reason for the failure, and a function that retries the start."""
        id, body = str(message["MessageId"]), str(message["Body"])
        reason = " ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
        attempts = 3 * min(receives, _MAX_RECEIVES)
        if arn := attributes.get("SCHEDULE_ARN"):
            group, name = arn.split(":schedule/", 1)[1].split("/", 1)
            if group == self.resources.naming.retries:  # a planned attempt, whose schedule no longer exists
                planned = json.loads(body)
                return f"retry of task {name}", reason, lambda: self._invoke(group, planned, receives)
            scheduled = attributes.get("SCHEDULED_TIME")
            tokens = StartTokens((arn, scheduled or id), attempts)
            source = f"schedule {name} of {scheduled}" if scheduled else f"schedule {name}"
            return source, reason, lambda: self._start_scheduled(group, name, body, attributes, tokens, sent_at_ms)
        if arn := attributes.get("RULE_ARN"):
            name = arn.split(":rule/", 1)[1].rpartition("/")[2]
            event = json.loads(body)
            target = attributes.get("TARGET_ARN", "")
            tokens = StartTokens((arn, target, event.get("id", id)), attempts)
            source = f"rule {name}{_list_objects(event)}"
            return source, reason, lambda: self._start_rule_target(name, target, event, tokens, receives, sent_at_ms)
        content = json.loads(body)
        if content.get("Type") == "Notification":
            function = self.url.rpartition("/")[2].removesuffix("-dead-letters")
            payload = {"Records": [{"EventSource": "aws:sns", "Sns": content}]}
            return f"function {function}", "", lambda: self._invoke(function, payload, receives)
        function = content["requestContext"]["functionArn"].split(":function:")[1].split(":")[0]
        payload = content["requestPayload"]
        response = content.get("responsePayload") or {}
        reason = response.get("errorMessage") or content["requestContext"].get("condition", "")
        return (
            f"function {function}{_list_objects(payload)}",
            reason,
            lambda: self._invoke(function, payload, receives),
        )

    # ── retries ──────────────────────────────────────────────────────────────────────────────────────────

    def _check_owner(self, name: str) -> str:
        """Return ``name`` if it belongs to this environment; raises NotStarted. A message could name anything."""
        if not name.startswith(f"{self.resources.naming.prefix}-"):
            raise NotStarted(f"{name} does not belong to {self.resources.naming.prefix}. Nothing was started.")
        return name

    def _invoke(self, function: str, payload: Any, receives: int) -> str:
        if isinstance(payload, dict) and (payload.get("source") == "aws.s3" or "Records" in payload):
            # The trigger function may use further client tokens with each redrive.
            payload = payload | {"redrives": receives}
        with self.aws.translate_errors(f"invoke function {function}"):
            response = create_client(self.aws, "lambda").invoke(
                FunctionName=self._check_owner(function),
                InvocationType="RequestResponse",
                Payload=json.dumps(payload).encode(),
            )
        if response.get("FunctionError"):
            try:
                message = json.loads(response["Payload"].read()).get("errorMessage", "")
            except (ValueError, AttributeError, RecursionError):
                message = ""
            raise NotStarted(f"The function failed again: {message or response['FunctionError']}")
        return f"function {function} succeeded"

    def _start_scheduled(
        self,
        group: str,
        name: str,
        body: str,
        attributes: Mapping[str, str],
        tokens: StartTokens,
        sent_at_ms: int,
    ) -> str:
        if group != self.resources.naming.prefix:
            raise NotStarted(
                f"Schedule group {group} does not belong to {self.resources.naming.prefix}. Nothing was started."
            )
        if attributes.get("IS_PAYLOAD_TRUNCATED", "").lower() == "true":
            raise NotStarted(
                "Scheduler has truncated the message, so the start's input is incomplete. Start the target by hand: "
                "nightferry run TASK, or nightferry start WORKFLOW."
            )
        try:
            with self.aws.translate_errors(f"read schedule {name}", missing=("ResourceNotFoundException",)):
                found = create_client(self.aws, "scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        except ResourceNotFound:
            raise NotStarted(f"Schedule {name} no longer exists, so its target is unknown.") from None
        # Documented as arn:aws:scheduler:::aws-sdk:SERVICE:ACTION.
        service = re.search(r":aws-sdk:([^:]+):", attributes.get("TARGET_ARN", ""))
        if service and (service[1].lower() == "ecs") != ("EcsParameters" in found):
            raise NotStarted(
                f"The failed start of schedule {name} called {service[1]}, and its current target is {found['Arn']}. "
                "Start the target by hand: nightferry run TASK, or nightferry start WORKFLOW."
            )
        return self._start(Target.from_schedule(found, body, attributes.get("SCHEDULED_TIME", "")), tokens, sent_at_ms)

    def _start_rule_target(
        self, name: str, target_arn: str, event: Any, tokens: StartTokens, receives: int, sent_at_ms: int
    ) -> str:
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
        if ":function:" in chosen[0]["Arn"]:
            return self._invoke(chosen[0]["Arn"].split(":function:")[1].split(":")[0], event, receives)
        return self._start(Target.from_rule(chosen[0], event), tokens, sent_at_ms)

    def _start(self, target: Target, tokens: StartTokens, sent_at_ms: int) -> str:
        if target.ecs is not None:
            # Another letter about the same start may have been sent a day earlier (Scheduler's maximum event age).
            since = datetime.fromtimestamp(sent_at_ms / 1000, UTC) - timedelta(days=1)
            outcomes = Outcomes(self.aws, self.resources.naming, self.clock)
            if earlier := outcomes.find_id_by_starter(format_started_by(tokens), since):
                return f"{earlier}, started by an earlier redrive"
        return start(self.aws, target, tokens, self.clock)


def _parse_number(text: object) -> int:
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else 0


def _list_objects(payload: Any) -> str:
    """Return the objects of an event of S3 or EventBridge as text, for messages."""
    if not isinstance(payload, dict):
        return ""
    found = [record.get("s3") for record in payload.get("Records", []) if isinstance(record, dict)]
    if payload.get("source") == "aws.s3":
        found.append(payload.get("detail"))
    keys = [
        f"{item.get('bucket', {}).get('name')}/{item['object'].get('key')}"
        for item in found
        if isinstance(item, dict) and isinstance(item.get("object"), dict)
    ]
    return f" for {', '.join(keys)}" if keys else ""


def _reject_unrecognized() -> str:
    raise NotStarted("The message has an unknown format. Inspect it in the console.")


__all__ = ["DeadLetter", "NotStarted", "Queue", "Refused", "UnknownQueue", "list_queue_names"]
