"""A workflow's role allows what Step Functions does for each shape of definition, and has no empty statement."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.errors import InvalidWorkflow
from nightferry.states.builder import Output, RunTask, Steps
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from nightferry.testing.iam.statements import Need, find_allowing
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

pytestmark = pytest.mark.sampled(8)

State = dict[str, Any]
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
STATES = "arn:aws:states:us-east-1:123456789012"
INBOX = "arn:aws:s3:::org-test-inbox"
PASS: State = {"Type": "Pass", "End": True}


def task(resource: str, **parameters: Any) -> State:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, "End": True}


RUN = task("ecs:runTask.sync", Cluster="${cluster}", TaskDefinition="${task:load}")
INVOKE = task("lambda:invoke", FunctionName="${function:score}")
PUBLISH = task("sns:publish", TopicArn="${topic:failures}", Message="x")
READ = task("aws-sdk:s3:getObject", Bucket="${bucket:inbox}", Key="a.json")
START = task("states:startExecution.sync:2", StateMachineArn="${workflow:nightly}")


_numbers = itertools.count(1)


def one(state: State) -> State:
    """Return a machine or a branch of one state, whose name is unique."""
    name = f"S{next(_numbers)}"
    return {"StartAt": name, "States": {name: state}}


def parallel(*states: State) -> State:
    return {"Type": "Parallel", "Branches": [one(state) for state in states], "End": True}


def each(state: State, **members: Any) -> State:
    return {"Type": "Map", "ItemProcessor": one(state), "End": True, **members}


def distributed(state: State, **members: Any) -> State:
    processor = one(state) | {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **members}


def reader(resource: str, config: State | None = None, **parameters: Any) -> State:
    bucket = {"Bucket": "${bucket:inbox}"}
    found = {"Resource": f"arn:aws:states:::s3:{resource}", "Parameters": bucket | parameters}
    return {"ItemReader": found | ({"ReaderConfig": config} if config else {})}


def writer(**parameters: Any) -> State:
    place = {"Bucket": "${bucket:inbox}", **parameters}
    return {"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": place}}


def make_statements(definition: State, environment: str = ENVIRONMENT) -> list[Any]:
    catalog = make_shapes_catalog()
    catalog.workflow("shape", definition)
    files = synthesize(catalog, make_environment(catalog, environment))
    return list(build_inventory(files, "test").roles["example-test-shape-workflow"]["statements"])


def make_shapes_catalog() -> Catalog:
    catalog = make_catalog()
    arn = "arn:aws:lambda:us-east-1:123456789012:function:score"
    catalog.function("score", local="jobs:score", arn=catalog.setting("score", default=arn))
    return catalog


def find_services(statements: list[Any]) -> set[str]:
    return {action.split(":")[0] for one in statements for action in one["Action"]} - {"logs", "xray"}


SHAPES: dict[str, tuple[State, set[str]]] = {
    "pass": (PASS, set()),
    "succeed": ({"Type": "Succeed"}, set()),
    "task": (RUN, {"ecs", "iam", "events"}),
    "lambda": (INVOKE, {"lambda"}),
    "sns": (PUBLISH, {"sns", "kms"}),
    "object": (READ, {"s3"}),
    "map of object": (each(READ), {"s3"}),
    "nested workflow": (START, {"states", "events"}),
    "parallel of lambda and sns": (parallel(INVOKE, PUBLISH), {"lambda", "sns", "kms"}),
    "map of lambda": (each(INVOKE), {"lambda"}),
    "map of parallel of map of task": (each(parallel(each(RUN), PASS)), {"ecs", "iam", "events"}),
    "distributed map of pass": (distributed(PASS), {"states"}),
    "distributed map in a map": (each(distributed(INVOKE)), {"states", "lambda"}),
    "distributed map with a reader": (distributed(PASS, **reader("getObject", Key="a.json")), {"states", "s3"}),
}


@pytest.mark.parametrize(("state", "services"), SHAPES.values(), ids=SHAPES)
def test_a_role_has_the_services_of_its_states_and_no_empty_statement(state: State, services: set[str]) -> None:
    statements = make_statements(one(state))
    assert find_services(statements) == services
    for statement in statements:
        assert statement["Resource"], statement
        assert statement["Action"], statement
        assert len(set(statement["Resource"])) == len(statement["Resource"]), statement


ITERATIONS = [
    Need("states:StartExecution", f"{STATES}:stateMachine:example-test-shape"),
    Need("states:DescribeExecution", f"{STATES}:execution:example-test-shape/Label:child"),
    Need("states:DescribeExecution", f"{STATES}:execution:example-test-shape:child"),
    Need("states:StopExecution", f"{STATES}:execution:example-test-shape/Label:child"),
    Need("states:RedriveExecution", f"{STATES}:execution:example-test-shape/Label:child"),
]
RESULTS = ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")


# Step Functions Developer Guide, "IAM policies for using Distributed Map states".
CLUSTER = {"ecs:cluster": "${data.aws_ecs_cluster.this.arn}"}
OURS = {"application": "example", "environment": "test", "task": "load"}
MARKED = task("ecs:runTask.sync", Cluster="${cluster}", TaskDefinition="${task:load}", PropagateTags="TASK_DEFINITION")


@pytest.mark.parametrize(
    ("state", "tags", "allowed"),
    [
        (MARKED, OURS, True),
        (MARKED, {}, False),
        (MARKED, OURS | {"task": "report"}, False),
        (MARKED, OURS | {"environment": "prod"}, False),
        (MARKED, OURS | {"application": "other"}, False),
        (parallel(MARKED, RUN), OURS, True),
        (parallel(MARKED, RUN), {}, True),  # a task without tags cannot be distinguished
        (each(RUN | {"Parameters": {**RUN["Parameters"], "PropagateTags.$": "$.p"}}), {}, True),
    ],
)
def test_a_workflow_stops_only_its_own_tasks(state: State, tags: dict[str, str], allowed: bool) -> None:
    running = "arn:aws:ecs:us-east-1:123456789012:task/example-test/1"
    context = {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    statements = [one for one in make_statements(one(state)) if one["Action"] == ["ecs:StopTask"]]
    assert bool(find_allowing(statements, Need("ecs:StopTask", running, CLUSTER | context))) is allowed
    assert not find_allowing(statements, Need("ecs:StopTask", running, {"ecs:cluster": "other"} | context))


@pytest.mark.parametrize(
    ("members", "needs"),
    [
        ({}, []),
        (reader("getObject", Key="in/a.json"), [Need("s3:GetObject", f"{INBOX}/in/a.json")]),
        (reader("getObject", **{"Key.$": "$.key"}), [Need("s3:GetObject", f"{INBOX}/any/key")]),
        (reader("listObjectsV2", Prefix="in/"), [Need("s3:ListBucket", INBOX, {"s3:prefix": "in/"})]),
        (reader("listObjectsV2"), [Need("s3:ListBucket", INBOX, {"s3:prefix": ""})]),
        (reader("listObjectsV2", **{"Prefix.$": "$.p"}), [Need("s3:ListBucket", INBOX, {"s3:prefix": "any"})]),
        (
            reader("listObjectsV2", {"Transformation": "LOAD_AND_FLATTEN", "InputType": "JSON"}, Prefix="in/"),
            [Need("s3:ListBucket", INBOX, {"s3:prefix": "in/"}), Need("s3:GetObject", f"{INBOX}/in/a.json")],
        ),
        (writer(Prefix="out"), [Need(action, f"{INBOX}/out/id/SUCCEEDED_0.json") for action in RESULTS]),
        (writer(), [Need(action, f"{INBOX}/id/SUCCEEDED_0.json") for action in RESULTS]),
        (writer(**{"Prefix.$": "$.p"}), [Need(action, f"{INBOX}/any/id/SUCCEEDED_0.json") for action in RESULTS]),
        ({"ResultWriter": {"WriterConfig": {"OutputType": "JSON", "Transformation": "NONE"}}}, []),
    ],
)
@pytest.mark.parametrize("nest", [lambda state: state, parallel, each], ids=["top", "parallel", "map"])
def test_a_distributed_map_may_do_what_the_guide_lists(
    members: State, needs: list[Need], nest: Callable[[State], State]
) -> None:
    statements = make_statements(one(nest(distributed(PASS, **members))))
    for need in [*ITERATIONS, *needs]:
        assert find_allowing(statements, need), need
    used = {need.action for need in [*ITERATIONS, *needs]}
    assert {action for one in statements for action in one["Action"] if action.startswith(("s3:", "states:"))} == used
    assert not find_allowing(statements, Need("states:StartExecution", f"{STATES}:stateMachine:example-test-nightly"))
    assert not find_allowing(statements, Need("s3:GetObject", "arn:aws:s3:::org-test-other/in/a.json"))


@pytest.mark.parametrize(
    ("members", "actions"),
    [
        (reader("getObject", Key="a.json"), {"kms:Decrypt"}),
        (reader("listObjectsV2", Prefix="in/"), set()),
        (writer(Prefix="out"), {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}),
        (reader("getObject", Key="a.json") | writer(), {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}),
    ],
)
def test_a_distributed_map_may_use_the_key_of_its_bucket(members: State, actions: set[str]) -> None:
    environment = ENVIRONMENT.replace("[aws.buckets.inbox]", f'[aws.buckets.inbox]\nkey = "{KEY}"')
    statements = make_statements(one(distributed(PASS, **members)), environment)
    used = [statement for statement in statements if statement["Resource"] == [KEY]]
    assert {action for statement in used for action in statement["Action"]} == actions


def test_a_distributed_map_receives_the_names_of_its_buckets() -> None:
    catalog = make_shapes_catalog()
    catalog.workflow("shape", one(distributed(PASS, **reader("getObject", Key="a.json"), **writer())))
    files = synthesize(catalog, make_environment(catalog))
    (state,) = json.loads(files["ecs-tasks/test/workflows/shape.asl.json"])["States"].values()
    assert state["ItemReader"]["Parameters"]["Bucket"] == "org-test-inbox"
    assert state["ResultWriter"]["Parameters"]["Bucket"] == "org-test-inbox"


@pytest.mark.parametrize(
    ("parameters", "allowed", "denied"),
    [
        ({"Key": "in/a.json"}, "in/a.json", "in/b.json"),
        ({"Key.$": "States.Format('results/load/{}.json', $load_run)"}, "results/load/7.json", "results/other/7.json"),
        ({"Key.$": "States.Format('{}/{}', $.a, $.b)"}, "any/key", None),
        ({"Key.$": "States.Format($.template, $.b)"}, "any/key", None),
        ({"Key.$": "$.key"}, "any/key", None),
    ],
)
def test_a_state_that_reads_an_object_may_read_what_its_key_says(
    parameters: State, allowed: str, denied: str | None
) -> None:
    environment = ENVIRONMENT.replace("[aws.buckets.inbox]", f'[aws.buckets.inbox]\nkey = "{KEY}"')
    state = task("aws-sdk:s3:getObject", Bucket="${bucket:inbox}", **parameters)
    statements = make_statements(one(parallel(state)), environment)
    assert find_allowing(statements, Need("s3:GetObject", f"{INBOX}/{allowed}"))
    assert find_allowing(statements, Need("kms:Decrypt", KEY))
    assert denied is None or not find_allowing(statements, Need("s3:GetObject", f"{INBOX}/{denied}"))


def test_a_task_whose_result_is_read_may_store_it_and_no_other_task_may() -> None:
    catalog = make_shapes_catalog()
    catalog.results = catalog.buckets["inbox"] / "results"
    count = catalog.task("count", main="tests.deployability.jobs:count")
    catalog.workflow("shape", Steps(RunTask(count), RunTask(catalog.tasks["load"], args=[Output(count, "objects")])))
    files = synthesize(catalog, make_environment(catalog))
    roles = build_inventory(files, "test").roles
    stored = Need("s3:PutObject", f"{INBOX}/results/count/7.json")
    assert find_allowing(roles["example-test-count"]["statements"], stored)
    assert not find_allowing(roles["example-test-load"]["statements"], stored)
    assert not find_allowing(roles["example-test-shape-workflow"]["statements"], stored)
    assert not find_allowing(roles["example-test-count"]["statements"], Need("s3:GetObject", stored.resource))
    states = json.loads(files["ecs-tasks/test/workflows/shape.asl.json"])["States"]
    assert states["count: result"]["Parameters"]["Bucket"] == "org-test-inbox"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (task("aws-sdk:s3:getObject", Bucket="some-bucket", Key="k"), "Bucket must name a declared bucket"),
        (task("aws-sdk:s3:getObject", **{"Bucket.$": "$.b", "Key": "k"}), "Bucket must name a declared bucket"),
        (distributed(PASS, **reader("getObject", Key="k", Bucket="some-bucket")), "ItemReader: Bucket must name"),
        (
            distributed(
                PASS,
                ItemReader={
                    "Resource": "arn:aws:states:::s3:getObject",
                    "Parameters": {"Bucket.$": "$.b", "Key.$": "$.k"},
                },
            ),
            "ItemReader: Bucket must name a declared bucket",
        ),
        (parallel(distributed(PASS, **writer(Bucket="${bucket:inbox}-x"))), "ResultWriter: Bucket must name"),
        (
            distributed(PASS, **reader("getObject", {"InputType": "MANIFEST"}, Key="manifest.json")),
            "ItemReader: a manifest names objects of its own",
        ),
        (
            distributed(PASS, **reader("getObject", {"ManifestType": "S3_INVENTORY"}, Key="manifest.json")),
            "ItemReader: a manifest names objects of its own",
        ),
        (task("ecs:runTask.sync", **{"TaskDefinition.$": "$.task"}), "TaskDefinition must name a declared task"),
        (each(task("sns:publish", TopicArn="arn:aws:sns:x:1:t", Message="m")), "TopicArn must name a declared topic"),
        (task("lambda:invoke", **{"FunctionName.$": "$.f"}), "FunctionName must name a declared function"),
        (task("states:startExecution", **{"StateMachineArn.$": "$.m"}), "StateMachineArn must name a declared work"),
    ],
)  # fmt: skip
def test_a_definition_whose_permissions_cannot_be_derived_is_refused(state: State, message: str) -> None:
    with pytest.raises(InvalidWorkflow, match=message):
        make_shapes_catalog().workflow("shape", one(state))
