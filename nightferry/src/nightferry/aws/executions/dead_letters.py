"""What could not be started: the messages of the dead-letter queues, and how each is tried again.

======================  =====================================  =================================================
who wrote it            what it looks like                     how it is tried again
======================  =====================================  =================================================
Lambda (on failure)     ``requestPayload`` of a function       the function is invoked with it once more
EventBridge Scheduler   attribute ``SCHEDULE_ARN``; the body   RunTask or StartExecution, as the schedule says now
                        is the target's input
EventBridge rule        attribute ``RULE_ARN``; the body is    the same, as the rule's target says now
                        the event
======================  =====================================  =================================================

Trying twice starts once: a function makes its client token of the event, and the other two get one made of what the
message is about. ECS remembers a token for a day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.aws.executions.targets import NotStarted, Target, start
from nightferry.aws.session import Aws, NotThere, client
from nightferry.backend.interface import Refused
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError

VISIBILITY = 900
"""Seconds for which nobody else sees a message that is being tried again: longer than any function may run."""


class UnknownQueue(NightferryError):
    """There is no such queue of dead letters in this environment."""


@dataclass(frozen=True)
class DeadLetter:
    """A message: what did not start, why, and when it was written (milliseconds since the epoch)."""

    id: str
    receipt: str
    what: str
    why: str
    written: int
    again: Callable[[], str]
    """Tries it again; answers what was started. Raises NotStarted and what :meth:`Aws.asking` raises."""


def queue_names(resources: AwsResources) -> dict[str, str]:
    """The queues that the deployment makes: the word for each, and its name."""
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
    """A queue of dead letters."""

    resources: AwsResources
    aws: Aws
    url: str

    @classmethod
    def find(cls, resources: AwsResources, aws: Aws, name: str) -> Queue:
        """The queue of that name, or that the word means; raises UnknownQueue."""
        full = queue_names(resources).get(name, name)
        if full not in queue_names(resources).values():
            raise UnknownQueue(f"There is no queue '{name}'. There are: {', '.join(queue_names(resources)) or 'none'}.")
        try:
            with aws.asking(f"queue {full}", missing=("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")):
                return cls(resources, aws, aws.sqs.get_queue_url(QueueName=full)["QueueUrl"])
        except NotThere:
            raise UnknownQueue(
                f"Queue {full} does not exist: this version was not deployed to {resources.environment.name} yet."
            ) from None

    def letters(self) -> Iterator[DeadLetter]:
        """The messages, each once. Until they are put back or deleted, nobody else sees them."""
        seen: set[str] = set()
        while True:
            with self.aws.asking("the dead letters"):
                answer = self.aws.sqs.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=10,
                    WaitTimeSeconds=1,
                    VisibilityTimeout=VISIBILITY,
                    MessageAttributeNames=["All"],
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield self._letter(dict(message))

    def put_back(self, letter: DeadLetter) -> None:
        """Let others see it again."""
        with self.aws.asking("putting a dead letter back"):
            self.aws.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def delete(self, letter: DeadLetter) -> None:
        """It was started."""
        with self.aws.asking("deleting a dead letter"):
            self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    # ── what a message is ─────────────────────────────────────────────────────────────────────────────────────

    def _letter(self, message: dict[str, Any]) -> DeadLetter:
        attributes = {
            name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
        }
        try:
            what, why, again = self._kind(message["MessageId"], message["Body"], attributes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what, why = "a message of no form that is known here", type(error).__name__
            again = _not_known
        written = int(message.get("Attributes", {}).get("SentTimestamp", 0))
        return DeadLetter(message["MessageId"], message["ReceiptHandle"], what, why, written, again)

    def _kind(self, id: str, body: str, attributes: Mapping[str, str]) -> tuple[str, str, Callable[[], str]]:
        why = " ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
        if arn := attributes.get("SCHEDULE_ARN"):
            group, name = arn.split(":schedule/", 1)[1].split("/", 1)
            identity = [arn, attributes.get("EXECUTION_ID") or id]
            what = f"schedule {name}"
            if scheduled := attributes.get("SCHEDULED_TIME"):
                what += f" of {scheduled}"
            return what, why, lambda: self._schedule(group, name, body, identity)
        if arn := attributes.get("RULE_ARN"):
            name = arn.split(":rule/", 1)[1].rpartition("/")[2]
            event = json.loads(body)
            identity = [arn, attributes.get("TARGET_ARN", ""), event.get("id", id)]
            return f"rule {name}", why, lambda: self._rule(name, attributes.get("TARGET_ARN", ""), event, identity)
        content = json.loads(body)
        function = content["requestContext"]["functionArn"].split(":function:")[1].split(":")[0]
        payload = content["requestPayload"]
        answer = content.get("responsePayload") or {}
        why = answer.get("errorMessage") or content["requestContext"].get("condition", "")
        return f"function {function}{_objects(payload)}", why, lambda: self._invoke(function, payload)

    # ── trying again ──────────────────────────────────────────────────────────────────────────────────────────

    def _ours(self, name: str) -> str:
        """A message could name anything: nothing is started that is not this environment's."""
        if not name.startswith(f"{self.resources.naming.prefix}-"):
            raise NotStarted(f"{name} is not of {self.resources.naming.prefix}: nothing was started.")
        return name

    def _invoke(self, function: str, payload: Any) -> str:
        with self.aws.asking(f"function {function}"):
            answer = client(self.aws, "lambda").invoke(
                FunctionName=self._ours(function),
                InvocationType="RequestResponse",
                Payload=json.dumps(payload).encode(),
            )
        if answer.get("FunctionError"):
            try:
                said = json.loads(answer["Payload"].read()).get("errorMessage", "")
            except (ValueError, AttributeError):
                said = ""
            raise NotStarted(f"The function failed again: {said or answer['FunctionError']}")
        return f"function {function} did it"

    def _schedule(self, group: str, name: str, input: str, identity: list[str]) -> str:
        if group != self.resources.naming.prefix:
            raise NotStarted(f"Schedule group {group} is not of {self.resources.naming.prefix}: nothing was started.")
        try:
            with self.aws.asking(f"schedule {name}", missing=("ResourceNotFoundException",)):
                found = client(self.aws, "scheduler").get_schedule(GroupName=group, Name=name)["Target"]
        except NotThere:
            raise NotStarted(f"There is no schedule {name} any more: nobody can tell what to start.") from None
        target = Target(found["Arn"], found.get("EcsParameters"), input)
        return start(self.aws, target, _token(identity))

    def _rule(self, name: str, target_arn: str, event: Any, identity: list[str]) -> str:
        try:
            with self.aws.asking(f"rule {name}", missing=("ResourceNotFoundException",)):
                targets = client(self.aws, "events").list_targets_by_rule(Rule=self._ours(name))["Targets"]
        except NotThere:
            raise NotStarted(f"There is no rule {name} any more: nobody can tell what to start.") from None
        chosen = [target for target in targets if target["Arn"] == target_arn] or targets
        if len(chosen) != 1:
            raise NotStarted(f"Rule {name} has {len(chosen)} targets; the message does not tell which it was for.")
        return start(self.aws, Target.of_rule(chosen[0], event), _token(identity))


def _token(identity: list[str]) -> str:
    """64 characters, ECS's limit."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _objects(payload: Any) -> str:
    """The keys of S3's records, for people."""
    records = payload.get("Records", []) if isinstance(payload, dict) else []
    keys = [f"{record['s3']['bucket']['name']}/{record['s3']['object']['key']}" for record in records if "s3" in record]
    return f" for {', '.join(keys)}" if keys else ""


def _not_known() -> str:
    raise NotStarted("Nobody can tell what it was to start. Look at it in the console.")


__all__ = ["DeadLetter", "NotStarted", "Queue", "Refused", "UnknownQueue", "queue_names"]
