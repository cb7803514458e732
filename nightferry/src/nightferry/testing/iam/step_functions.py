"""The calls that Step Functions makes with the role of a state machine."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from nightferry.contract import EXITED_REASON, StopCode
from nightferry.states import ContextInfo, ListedObject, Result, StatesError, run
from nightferry.testing.iam.account import EnforcedAccount, Failed
from nightferry.testing.iam.agent import TaskRun

# What Step Functions requires to create a state machine with a log and with tracing (Step Functions Developer Guide,
# "Using CloudWatch Logs to log execution history", "IAM policies for X-Ray").
_CREATION_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
_RULES = {
    "arn:aws:states:::ecs:runTask.sync": "StepFunctionsGetEventsForECSTaskRule",
    "arn:aws:states:::states:startExecution.sync:2": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
}
"""The rules through which Step Functions receives the end of a job, and which it manages itself."""


class StepFunctions:
    """Interprets the applied definitions, with tasks that ``run_task`` runs and with real calls for all else.

    It runs one execution at a time. :meth:`start_earlier` adds one that counts as running until it is stopped.
    """

    def __init__(self, account: EnforcedAccount, run_task: Callable[[dict[str, Any]], TaskRun], cluster: str) -> None:
        self._account = account
        self._run_task = run_task
        self._cluster = cluster
        self._earlier: list[str] = []

    def start_earlier(self, machine: str) -> None:
        """Start an execution, as an administrator, that is running when the next one of the machine starts."""
        states = self._account.administer("stepfunctions")
        self._earlier.append(states.start_execution(stateMachineArn=machine)["executionArn"])

    def create(self, machine: str) -> None:
        """Make the calls that precede CreateStateMachine. Raises Failed."""
        found = self._describe(machine)
        role = found["roleArn"]
        for action in _CREATION_ACTIONS:
            self._require(role, action, "*")
        events = self._account.client(role, "events")
        for resource, rule in _RULES.items():
            if f'"{resource}"' in found["definition"]:
                self._account.call(events.put_rule, Name=rule, EventPattern='{"source": ["aws.states"]}')
                self._account.call(events.put_targets, Rule=rule, Targets=[{"Id": "states", "Arn": machine}])
                self._account.call(events.describe_rule, Name=rule)

    def interpret(self, machine: str, input: Any = None) -> Result:
        """Run an execution and return its result."""
        found = self._describe(machine)
        role = found["roleArn"]
        context = ContextInfo(
            execution_id=f"{machine.replace(':stateMachine:', ':execution:')}:run",
            execution_name="run",
            role_arn=role,
            state_machine_id=machine,
            state_machine_name=found["name"],
        )
        if '"DISTRIBUTED"' in found["definition"]:
            self._run_iterations(role, machine)
        return run(
            json.loads(found["definition"]),
            input or {},
            self._make_integrations(role),
            context=context,
            objects=_Objects(self._account, role),
        )

    def _run_iterations(self, role: str, machine: str) -> None:
        """Make the calls for the child executions of a distributed Map (guide, "… using Distributed Map states")."""
        self._account.call(self._account.client(role, "stepfunctions").start_execution, stateMachineArn=machine)
        execution = machine.replace(":stateMachine:", ":execution:")
        for action in ("DescribeExecution", "StopExecution", "RedriveExecution"):
            self._require(role, f"states:{action}", f"{execution}/Label:{uuid.uuid4()}")

    def _describe(self, machine: str) -> Any:
        return self._account.administer("stepfunctions").describe_state_machine(stateMachineArn=machine)

    def _require(self, role: str, action: str, resource: str) -> None:
        key = self._account.variables(role)["AWS_ACCESS_KEY_ID"]
        if not self._account.check(key, action, resource):
            raise Failed(f"{role}: may not {action} on {resource}")

    def _make_integrations(self, role: str) -> dict[str, Callable[[Any], Any]]:
        call = self._account.call

        def get_client(service: str) -> Any:
            return self._account.client(role, service)

        def run_task(parameters: Any) -> Any:
            (task,) = call(get_client("ecs").run_task, **lower_names(parameters))["tasks"]
            ended = self._run_task(task)
            call(get_client("ecs").describe_tasks, cluster=self._cluster, tasks=[task["taskArn"]])
            # The end of an execution, by its timeout or by a person, stops the task.
            call(get_client("ecs").stop_task, cluster=self._cluster, task=task["taskArn"])
            code = StopCode.NOT_STARTED if ended.exit_code is None else StopCode.EXITED
            output: Any = {"TaskArn": task["taskArn"], "StopCode": code, "StoppedReason": EXITED_REASON}
            output["Containers"] = [{"ExitCode": ended.exit_code}]
            if ended.exit_code != 0:
                raise StatesError("States.TaskFailed", json.dumps(output | {"Output": ended.output[-2000:]}))
            return output

        def publish(parameters: Any) -> Any:
            message = parameters["Message"]
            text = message if isinstance(message, str) else json.dumps(message)
            return call(get_client("sns").publish, **parameters | {"Message": text})

        def start_execution(parameters: Any) -> Any:
            machine, input = parameters["StateMachineArn"], parameters.get("Input", {})
            started = call(
                get_client("stepfunctions").start_execution, stateMachineArn=machine, input=json.dumps(input)
            )
            result = self.interpret(machine, input)
            call(get_client("stepfunctions").describe_execution, executionArn=started["executionArn"])
            if result.status != "SUCCEEDED":
                raise StatesError("States.TaskFailed", result.cause or "")
            return {"Output": result.output}

        def list_executions(parameters: Any) -> Any:
            call(get_client("stepfunctions").list_executions, **lower_names(parameters))
            # Not those of moto, which never end.
            prefix = parameters["StateMachineArn"].replace(":stateMachine:", ":execution:")
            found = [arn for arn in self._earlier if arn.startswith(f"{prefix}:")]
            return {"Executions": [{"ExecutionArn": arn, "StartDate": "2000-01-01T00:00:00.000Z"} for arn in found]}

        def stop_execution(parameters: Any) -> Any:
            call(get_client("stepfunctions").stop_execution, **lower_names(parameters))
            self._earlier.remove(parameters["ExecutionArn"])
            return {}

        def get_object(parameters: Any) -> Any:
            found = call(get_client("s3").get_object, **parameters)
            return {"Body": found["Body"].read().decode(), "ContentLength": found["ContentLength"]}

        def invoke(parameters: Any) -> Any:
            call(get_client("lambda").invoke, FunctionName=parameters["FunctionName"])
            return {"Payload": {}}

        return {
            "arn:aws:states:::ecs:runTask.sync": run_task,
            "arn:aws:states:::sns:publish": publish,
            "arn:aws:states:::states:startExecution.sync:2": start_execution,
            "arn:aws:states:::aws-sdk:sfn:listExecutions": list_executions,
            "arn:aws:states:::aws-sdk:sfn:stopExecution": stop_execution,
            "arn:aws:states:::lambda:invoke": invoke,
            "arn:aws:states:::aws-sdk:s3:getObject": get_object,
        }


class _Objects:
    """The buckets of distributed Maps, with the role of the state machine."""

    def __init__(self, account: EnforcedAccount, role: str) -> None:
        self._account = account
        self._s3: Any = account.client(role, "s3")

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""
        content: bytes = self._account.call(self._s3.get_object, Bucket=bucket, Key=key)["Body"].read()
        return content

    def list(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects under a prefix."""
        found = self._account.call(self._s3.list_objects_v2, Bucket=bucket, Prefix=prefix)
        return (ListedObject(one["Key"], one["Size"]) for one in found.get("Contents", []))

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object by a multipart upload, as Step Functions writes results."""
        place = {"Bucket": bucket, "Key": key}
        upload = self._account.call(self._s3.create_multipart_upload, **place)["UploadId"]
        part = self._account.call(
            self._s3.upload_part, **place, UploadId=upload, PartNumber=1, Body=io.BytesIO(content)
        )
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self._account.call(self._s3.complete_multipart_upload, **place, UploadId=upload, MultipartUpload=parts)


def lower_names(value: Any) -> Any:
    """Return parameters in the spelling of ECS's API, from that of other APIs."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: lower_names(item) for name, item in value.items()}
    if isinstance(value, list):
        return [lower_names(item) for item in value]
    return value
