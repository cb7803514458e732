"""A deployed project on the fake Fargate, and each command that calls AWS."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import boto3

from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.testing import FakeFargate, ScriptedLine, TaskScript
from tests.aws.executions.test_executions import failing
from tests.aws.processes import run
from tests.module_names import module_name

EXIT_CODES = {0, 1, 2, 3, 125, 126, 130}
"""The exit codes of the documentation. The task in the world exits with 3."""

CATALOG = '''
from pydantic import BaseModel, SecretStr
from nightferry import Catalog, Image, Secret
from nightferry.states.builder import RunTask, Steps

class Settings(BaseModel):
    """A shell command."""
    s3_bucket: str = ""
    s3_key: str = ""
    password: SecretStr | None = None

catalog = Catalog("toy", image=Image("toy"))
inbox = catalog.bucket("inbox")
three = catalog.task("three", config=Settings, command=["exit", "3"], secrets={"PASSWORD": Secret("three/password")},
                     grants=[inbox.read("in/*")])
catalog.task("slow", config=Settings, command=["sleep", "60"])
short = catalog.workflow("short", Steps(RunTask(three)))
catalog.schedule("nightly", three, "cron(0 3 * * ? *)")
catalog.schedule("hourly", three, "rate(1 hour)", via="rule")
catalog.object_trigger("on-file", three, bucket=inbox, prefix="in/")
'''

ENVIRONMENT = """
backend = "aws"
[aws]
account = "123456789012"
region = "us-east-1"
cluster = "toy-test"
vpc = "{vpc}"
subnets = ["{subnet}"]
database_security_group = "{group}"
bucket_prefix = "example"
log_quiet_seconds = 0.01
database_resource_id = "db-M5ENSHXFPU6XHZ4G4ZEI5QIO2U"  # of every instance in moto
[aws.buckets.inbox]
name = "example-test-inbox"
notifications = "ours"
"""

_LOGIN = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake", "region_name": "us-east-1"}


class World:
    """The project: a run that ended, a run and an execution that are running, and a failed execution."""

    def __init__(self, root: Path) -> None:
        self.root = root
        name = module_name("toy", root)
        (root / "environments").mkdir(parents=True)
        (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{name}:catalog"\n')
        (root / f"{name}.py").write_text(CATALOG)
        self._write_environment(vpc="vpc-0a1b2c3d", subnet="subnet-0a1b2c3d", group="sg-0a1b2c3d")
        self.fake = FakeFargate(Project.find(root), "test")

    def _write_environment(self, **network: str) -> None:
        (self.root / "environments" / "test.toml").write_text(ENVIRONMENT.format(**network))

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.fake.url, **_LOGIN)  # type: ignore[call-overload]

    def fill(self) -> None:
        """Create the resources. The fake must be running."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="database", Description="d", VpcId=vpc)["GroupId"]
        self._write_environment(vpc=vpc, subnet=subnet, group=group)
        project = Project.find(self.root)
        self.resources = AwsResources(project.catalog, project.environment("test"))
        s3, function = self.client("s3"), "toy-test-on-file-trigger"
        role = self.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        code = {"Runtime": "python3.13", "Role": role, "Handler": "a.b", "Code": {"ZipFile": b"x"}}
        arn = self.client("lambda").create_function(FunctionName=function, **code)["FunctionArn"]
        s3.create_bucket(Bucket="example-test-inbox")
        notification = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket="example-test-inbox", NotificationConfiguration={"LambdaFunctionConfigurations": [notification]}
        )
        ecr = self.client("ecr")
        ecr.create_repository(repositoryName="toy")
        for tag in ("one", "two"):
            manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": tag}
            ecr.put_image(repositoryName="toy", imageManifest=json.dumps(manifest), imageTag=tag)
        self.client("ssm").put_parameter(Name="/service/toy/test/three/password", Value="x", Type="SecureString")
        for role in ("three", "three-execution"):
            name = self.resources.role_name(role)
            self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        self._create_starters()
        self.client("sqs").create_queue(QueueName="toy-test-schedules-dead-letters")
        self.deploy()
        self.fake.script("three", TaskScript(0, 0, 0, exit_code=3, lines=[ScriptedLine(0, "leaving")]))
        self.fake.script("slow", TaskScript(0, 0, None, stopping=0))
        self.stopped = self.start_task("three")
        self.start_running()
        self.execution = self.start_execution("0", failing(self.stopped), "FAILED")

    def _create_starters(self) -> None:
        scheduler = self.client("scheduler")
        scheduler.create_schedule_group(Name="toy-test")
        network = {"awsvpcConfiguration": {"Subnets": ["subnet-0"]}}
        target = {
            "Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/toy-test",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "EcsParameters": {
                "TaskDefinitionArn": "toy-test-three",
                "LaunchType": "FARGATE",
                "NetworkConfiguration": network,
            },
        }
        scheduler.create_schedule(
            Name="toy-test-nightly",
            GroupName="toy-test",
            ScheduleExpression="rate(1 hour)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
        )
        events = self.client("events")
        events.put_rule(Name="toy-test-hourly", ScheduleExpression="rate(1 hour)")
        events.put_targets(Rule="toy-test-hourly", Targets=[{"Id": "t", **target}])

    def deploy(self) -> None:
        """Deploy version one and then version two."""
        for tag in ("one", "two"):
            self.client("ecs").register_task_definition(
                family="toy-test-three",
                containerDefinitions=[{"name": "three", "image": f"toy:{tag}", "memory": 9}],
                tags=[{"key": "task", "value": "three"}],
            )
            name = self.resources.naming.image_tag_parameter
            self.client("ssm").put_parameter(Name=name, Value=tag, Type="String", Overwrite=True)

    def start_task(self, task: str) -> str:
        network = {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}}
        self.client("ecs").run_task(
            cluster="toy-test", taskDefinition=f"toy-test-{task}", launchType="FARGATE", networkConfiguration=network
        )
        return self.fake.run_ids(task)[-1]

    def start_execution(self, name: str, history: list[dict[str, Any]], status: str) -> str:
        machine = "arn:aws:states:us-east-1:123456789012:stateMachine:toy-test-short"
        name = f"short-{name}"
        self.client("stepfunctions").start_execution(stateMachineArn=machine, name=name, input="{}")
        self.fake.set_history(name, history, status=status, error="States.TaskFailed", cause="it left")
        return name

    def start_running(self) -> None:
        """Start the run and the execution that are running."""
        self.running = self.start_task("slow")
        history = failing(self.stopped)[:-1]
        self.open_execution = self.start_execution(f"open-{self.running}", history, "RUNNING")

    def send_dead_letters(self) -> None:
        """Put a failed start of the schedule and one of the rule into the queue."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName="toy-test-schedules-dead-letters")["QueueUrl"]
        arn = "arn:aws:{}:us-east-1:123456789012:{}"
        for attribute, value, body in (
            ("SCHEDULE_ARN", arn.format("scheduler", "schedule/toy-test/toy-test-nightly"), ""),
            ("RULE_ARN", arn.format("events", "rule/toy-test-hourly"), "{}"),
        ):
            attributes = {attribute: {"DataType": "String", "StringValue": value}}
            sqs.send_message(QueueUrl=url, MessageBody=body or "{}", MessageAttributes=attributes)

    def run(self, command: Command, url: str = "") -> CompletedProcess[str]:
        """Run the command in this process. A traceback or an exception is a failure of the test."""
        command.prepare(self)
        ids = {name: getattr(self, name) for name in ("stopped", "running", "execution", "open_execution")}
        words = [word.format(**ids) for word in command.words]
        variables = self.fake.variables | ({"AWS_ENDPOINT_URL": url} if url else {})
        found = run(self.root, variables, command.program, *words)
        assert found.returncode in EXIT_CODES, found
        return found


@dataclass(frozen=True)
class Command:
    """A command that calls AWS. ``{stopped}`` and the like are attributes of the world."""

    words: tuple[str, ...]
    program: str = "nightferry"
    prepare: Callable[[World], None] = lambda _: None

    def __str__(self) -> str:
        return " ".join((self.program, *self.words)).removeprefix("nightferry ")


def _make(words: str, prepare: Callable[[World], None] = lambda _: None) -> Command:
    return Command((*words.split(), "--env", "test"), prepare=prepare)


SAMPLE = (
    _make("status {execution}"),
    _make("run three --detach"),
    _make("redrive schedules", World.send_dead_letters),
)
"""The commands of ``make test``."""

COMMANDS = (
    *SAMPLE,
    _make("tasks"),
    _make("workflows --json"),
    _make("status"),
    _make("status {stopped}"),
    _make("logs {stopped}"),
    _make("logs {execution}"),
    Command(("test", "three", "jane-doe"), "run-ecs-task"),
    Command(("test", "--attach", "{stopped}"), "run-ecs-task"),
    _make("start short --detach"),
    _make("stop {running}", World.start_running),
    _make("stop {open_execution}", World.start_running),
    _make("redrive {execution} --detach"),
    _make("verify"),
    _make("verify --prerequisites --json"),
    _make("rollback --yes", World.deploy),
)


def _succeed(parsed: dict[str, Any]) -> tuple[SimpleNamespace, dict[str, Any]]:
    metadata = {"HTTPStatusCode": 200, "RequestId": "1", "HTTPHeaders": {}}
    return SimpleNamespace(status_code=200), {**parsed, "ResponseMetadata": metadata}


def respond_instead_of_moto(event_name: str, params: Any, **_: object) -> Any:
    """Return the response of an operation that moto does not support; a handler of botocore's event before-call."""
    match event_name.removeprefix("before-call."):
        case "sfn.RedriveExecution":
            return _succeed({"redriveDate": 1})
        case "iam.SimulatePrincipalPolicy":
            body = params["body"]
            result = {"EvalActionName": body["ActionNames.member.1"], "EvalDecision": "allowed"}
            return _succeed({"EvaluationResults": [{**result, "EvalResourceName": "*"}]})
    return None


@contextmanager
def interrupted_after(seconds: int) -> Iterator[None]:
    """Press Ctrl-C every second after this time, like a person who stops waiting."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
