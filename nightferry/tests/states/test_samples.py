"""Definitions like those of AWS's sample projects and tutorials, written for these tests, with callables for services.

Each tests a common pattern, such as polling a job, compensation, fan-out, counting, nested workflows and failure
handling.
"""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.states import StatesError, run
from tests.states.machines import INVOKE, types

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"
ECS = "arn:aws:states:::ecs:runTask.sync"
SNS = "arn:aws:states:::sns:publish"
SQS = "arn:aws:states:::sqs:sendMessage"
DYNAMO = "arn:aws:states:::dynamodb:putItem"
BATCH = "arn:aws:states:::batch:submitJob.sync"
NESTED = "arn:aws:states:::states:startExecution.sync:2"


def task(resource: str, following: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, **fields, **({"Next": following} if following else {"End": True})}


def machine(start: str, **states: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states}


def test_job_poller() -> None:
    """Submit a job, then wait and query its status until it is done."""
    statuses = iter(["RUNNING", "RUNNING", "SUCCEEDED"])
    is_ok = {"Variable": "$.status", "StringEquals": "SUCCEEDED", "Next": "Final"}
    is_bad = {"Variable": "$.status", "StringEquals": "FAILED", "Next": "Failed"}
    definition = machine(
        "Submit",
        Submit=task(LAMBDA + "submit", "Wait", ResultPath="$.guid", Retry=[{"ErrorEquals": ["States.ALL"]}]),
        Wait={"Type": "Wait", "SecondsPath": "$.wait_time", "Next": "Ask"},
        Ask=task(LAMBDA + "status", "Done?", InputPath="$.guid", ResultPath="$.status"),
        **{"Done?": {"Type": "Choice", "Choices": [is_bad, is_ok], "Default": "Wait"}},
        Failed={"Type": "Fail", "Error": "DescribeJob", "Cause": "The job failed"},
        Final=task(LAMBDA + "status", InputPath="$.guid"),
    )
    tasks = {LAMBDA + "submit": lambda _: "j-1", LAMBDA + "status": lambda _: next(statuses, "over")}

    result = run(definition, {"wait_time": 60}, tasks)

    assert result.output == "over"
    assert types(result).count("WaitStateExited") == 3


def test_task_timer() -> None:
    """Wait until a time in the input, then publish."""
    definition = machine(
        "Until",
        Until={"Type": "Wait", "TimestampPath": "$.timer", "Next": "Send"},
        Send=task(SNS, Parameters={"TopicArn": "t", "Message.$": "$.message"}),
    )
    sent: list[Any] = []

    run(definition, {"timer": "2031-01-01T00:00:00Z", "message": "now"}, {SNS: sent.append})

    assert sent == [{"TopicArn": "t", "Message": "now"}]


@pytest.mark.parametrize(("fails", "undone"), [("hotel", ["flight"]), ("car", ["hotel", "flight"]), (None, [])])
def test_saga(fails: str | None, undone: list[str]) -> None:
    """Make bookings in order; if one fails, cancel the earlier ones in reverse order."""
    canceled: list[str] = []

    def book(name: str) -> Any:
        def call(_: Any) -> Any:
            if name == fails:
                raise StatesError("NotAvailable", name)
            return f"{name} booked"

        return call

    def catch(to: str) -> list[Any]:
        return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": to}]

    names = ["flight", "hotel", "car"]
    definition = machine(
        "flight",
        flight=task(LAMBDA + "flight", "hotel", ResultPath="$.flight", Catch=catch("failed")),
        hotel=task(LAMBDA + "hotel", "car", ResultPath="$.hotel", Catch=catch("cancel flight")),
        car=task(LAMBDA + "car", "done", ResultPath="$.car", Catch=catch("cancel hotel")),
        done={"Type": "Succeed"},
        failed={"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "States.Format('no {}', $.error.Cause)"},
        **{
            "cancel hotel": task(LAMBDA + "undo-hotel", "cancel flight", ResultPath=None),
            "cancel flight": task(LAMBDA + "undo-flight", "failed", ResultPath=None),
        },
    )
    tasks = {LAMBDA + name: book(name) for name in names}
    tasks |= {LAMBDA + f"undo-{name}": lambda _, name=name: canceled.append(name) for name in names}

    result = run(definition, {}, tasks)

    assert canceled == undone
    assert (result.status, result.cause) == (("FAILED", f"no {fails}") if fails else ("SUCCEEDED", None))


def test_fan_out_and_collect() -> None:
    """Send each message with its index to a queue, three at once, and count the results."""
    definition = machine(
        "Each",
        Each={
            "Type": "Map",
            "ItemsPath": "$.messages",
            "MaxConcurrency": 3,
            "ItemSelector": {"body.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index", "queue.$": "$.queue"},
            "ItemProcessor": machine("Send", Send=task(SQS, ResultSelector={"id.$": "$.MessageId"})),
            "ResultPath": "$.sent",
            "Next": "Count",
        },
        Count={"Type": "Pass", "Parameters": {"count.$": "States.ArrayLength($.sent)", "sent.$": "$.sent[*].id"},
               "End": True},
    )  # fmt: skip

    result = run(definition, {"queue": "q", "messages": ["a", "b"]}, {SQS: lambda p: {"MessageId": f"m{p['n']}"}})

    assert result.output == {"count": 2, "sent": ["m0", "m1"]}


def test_container_task_with_notification() -> None:
    """Run a container, then publish its success or failure, as in the sample for Fargate."""
    definition = machine(
        "Run",
        Run=task(ECS, "Good", Parameters={"LaunchType": "FARGATE", "TaskDefinition": "t"},
                 Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Bad"}]),
        Good=task(SNS, Parameters={"Message": "good"}),
        Bad=task(SNS, Parameters={"Message.$": "States.Format('bad: {}', $.Error)"}),
    )  # fmt: skip
    sent: list[Any] = []

    def fails(_: Any) -> Any:
        raise StatesError("States.TaskFailed", "{}")

    run(definition, {}, {ECS: lambda _: {}, SNS: sent.append})
    run(definition, {}, {ECS: fails, SNS: sent.append})

    assert [message["Message"] for message in sent] == ["good", "bad: States.TaskFailed"]


def test_iterating_a_loop() -> None:
    """Count with a variable, without changing the data."""
    definition = machine(
        "Zero",
        Zero={"Type": "Pass", "Assign": {"n": 0}, "Next": "More?"},
        **{
            "More?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$n", "NumericLessThanPath": "$.times", "Next": "Work"}],
                "Default": "End",
            }
        },
        Work=task(INVOKE, "More?", ResultPath=None, Assign={"n.$": "States.MathAdd($n, 1)"}),
        End={"Type": "Succeed"},
    )
    calls: list[Any] = []

    assert run(definition, {"times": 3}, {INVOKE: calls.append}).output == {"times": 3}
    assert len(calls) == 3


def test_parallel_enrichment_in_jsonata() -> None:
    """Run lookups in parallel and merge their results into one object."""
    branches = [machine("Address", Address=task(LAMBDA + "address")), machine("Credit", Credit=task(LAMBDA + "credit"))]
    definition = {
        "QueryLanguage": "JSONata",
        **machine(
            "Enrich",
            Enrich={
                "Type": "Parallel",
                "Arguments": {"id": "{% $states.input.id %}"},
                "Branches": branches,
                "Output": "{% $merge([$states.input, $states.result]) %}",
                "End": True,
            },
        ),
    }
    tasks = {LAMBDA + "address": lambda p: {"street": f"{p['id']} Main"}, LAMBDA + "credit": lambda _: {"score": 7}}

    assert run(definition, {"id": 3, "x": 1}, tasks).output == {"id": 3, "x": 1, "street": "3 Main", "score": 7}


def test_selecting_records_in_jsonata() -> None:
    """Filter and total orders with one expression, then branch on the result."""
    total = "{% $sum($states.input.orders[status = 'open'].amount) %}"
    big = {
        "Condition": "{% $states.input.total > 100 %}",
        "Output": {"review": "{% $states.input.total %}"},
        "Next": "E",
    }
    definition = {
        "QueryLanguage": "JSONata",
        **machine(
            "Sum",
            Sum={"Type": "Pass", "Output": {"total": total}, "Next": "Big?"},
            **{"Big?": {"Type": "Choice", "Choices": [big], "Default": "E"}},
            E={"Type": "Succeed"},
        ),
    }
    orders = [{"status": "open", "amount": 70}, {"status": "shut", "amount": 900}, {"status": "open", "amount": 60}]

    assert run(definition, {"orders": orders}).output == {"review": 130}
    assert run(definition, {"orders": orders[:1] + orders[1:2] + [orders[0] | {"amount": 1}]}).output == {"total": 71}


def test_transactional_write_with_idempotent_retry() -> None:
    """Retry throttled writes with backoff, but not other errors."""
    attempts = iter(["DynamoDB.ThrottlingException", "DynamoDB.ThrottlingException", None])
    retry = [
        {"ErrorEquals": ["DynamoDB.ThrottlingException"], "IntervalSeconds": 2, "MaxAttempts": 5, "BackoffRate": 3},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 0},
    ]

    def put(_: Any) -> Any:
        if error := next(attempts):
            raise StatesError(error)
        return {}

    result = run(machine("Put", Put=task(DYNAMO, Parameters={"Item": {"id.$": "$.id"}}, Retry=retry)), {"id": 1},
                 {DYNAMO: put})  # fmt: skip

    scheduled = [event["timestamp"] for event in result.history if event["type"] == "TaskScheduled"]
    assert result.status == "SUCCEEDED"
    assert len(scheduled) == 3


def test_nested_workflow() -> None:
    """Use the parsed output of a child execution as data."""
    definition = machine(
        "Child",
        Child=task(NESTED, "Use", Parameters={
            "StateMachineArn": "child", "Input": {"of.$": "$$.Execution.Id"}}, ResultSelector={"r.$": "$.Output.sum"}),
        Use={"Type": "Pass", "OutputPath": "$.r", "End": True},
    )  # fmt: skip

    assert run(definition, {}, {NESTED: lambda p: {"Output": {"sum": len(p)}}}).output == 2


def test_dead_letters_of_a_map() -> None:
    """Catch failed items in the Map and include them in its result, so that the Map does not fail."""
    caught = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Letter"}]
    inner = machine(
        "Work",
        Work=task(INVOKE, Catch=caught),
        Letter={"Type": "Pass", "Parameters": {"failed.$": "$.id", "why.$": "$.error.Error"}, "End": True},
    )

    def work(payload: Any) -> Any:
        if payload["id"] == 2:
            raise StatesError("Bad", "two")
        return payload["id"]

    items = [{"id": 1}, {"id": 2}]
    result = run(machine("M", M={"Type": "Map", "ItemProcessor": inner, "End": True}), items, {INVOKE: work})

    assert result.output == [1, {"failed": 2, "why": "Bad"}]


def test_large_batches_with_tolerated_failures() -> None:
    """Run a distributed Map in batches of two, of which one may fail."""

    def work(payload: Any) -> Any:
        if 4 in payload["Items"]:
            raise StatesError("Bad", None)
        return len(payload["Items"])

    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state = {
        "Type": "Map",
        "ItemProcessor": {"ProcessorConfig": config, **machine("W", W=task(INVOKE))},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"k": "v"}},
        "ToleratedFailurePercentage": 40,
        "Label": "batches",
        "End": True,
    }

    assert run(machine("M", M=state), [1, 2, 3, 4, 5], {INVOKE: work}).output == [2, 1]


def test_routing_by_content() -> None:
    """Combine And, Or, Not, type tests and patterns in one Choice."""
    invoice = {"And": [{"Variable": "$.kind", "StringMatches": "inv*"}, {"Variable": "$.sum", "IsNumeric": True},
                       {"Not": {"Variable": "$.sum", "NumericLessThanEquals": 0}}], "Next": "Invoice"}  # fmt: skip
    other = {"Or": [{"Variable": "$.note", "IsPresent": True}, {"Variable": "$.kind", "StringEquals": "memo"}],
             "Next": "Note"}  # fmt: skip
    definition = machine(
        "Route",
        Route={"Type": "Choice", "Choices": [invoice, other], "Default": "Other"},
        **{name: {"Type": "Pass", "Result": name, "End": True} for name in ("Invoice", "Note", "Other")},
    )

    routed = [run(definition, data).output for data in (
        {"kind": "invoice", "sum": 3}, {"kind": "invoice", "sum": True}, {"kind": "memo", "sum": 1},
        {"kind": "x", "sum": 0, "note": None})]  # fmt: skip

    assert routed == ["Invoice", "Other", "Note", "Note"]


def test_a_batch_job_without_heartbeats() -> None:
    """End a task without heartbeats, and continue with the catcher of the timeout."""
    caught = [{"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "Late"}]
    definition = machine(
        "Job",
        Job=task(BATCH, TimeoutSeconds=3600, HeartbeatSeconds=60, Catch=caught, Parameters={"JobName": "j"}),
        Late={"Type": "Pass", "Result": "late", "End": True},
    )

    def hangs(_: Any) -> Any:
        raise StatesError("States.HeartbeatTimeout")

    assert run(definition, {}, {BATCH: hangs}).output == "late"


def test_shaping_an_event() -> None:
    """Convert an event to a message with nested intrinsic functions."""
    definition = machine(
        "Shape",
        Shape={
            "Type": "Pass",
            "Parameters": {
                "id.$": "States.ArrayGetItem(States.StringSplit($.detail.key, '/'), 1)",
                "digest.$": "States.Hash($.detail, 'SHA-256')",
                "body.$": "States.JsonToString($.detail)",
                "merged.$": "States.JsonMerge($.detail, States.StringToJson('{\"extra\": [1]}'), false)",
                "text.$": "States.Format('{} of {}', $.detail.key, States.ArrayLength(States.Array(1, 2)))",
            },
            "End": True,
        },
    )

    output = run(definition, {"detail": {"key": "in/7.csv"}}).output

    assert (output["id"], output["text"]) == ("7.csv", "in/7.csv of 2")
    assert output["body"] == '{"key":"in/7.csv"}'
    assert output["merged"] == {"key": "in/7.csv", "extra": [1]}
    assert len(output["digest"]) == 64
