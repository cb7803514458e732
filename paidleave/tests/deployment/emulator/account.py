"""An AWS account on MiniStack with everything that a first deployment requires."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.lambdas import newrelic_forwarder
from nightferry.testing import forked

ROOT = Path(__file__).parents[4]
AWS_BIN = ROOT / ".venv-aws" / "bin"

requires_emulator = pytest.mark.skipif(
    not (AWS_BIN / "act").exists(), reason=".venv-aws does not exist: make test-long creates it"
)


class EmulatedAws:
    """MiniStack in a process of its own, which holds one account."""

    def __init__(self, folder: Path, project: Project, environment: str) -> None:
        self.project = project
        self.resources = resources = AwsResources(project.catalog, project.environment(environment))
        self.region = resources.aws.region
        self.naming = resources.naming
        self._folder = folder
        self._clients: dict[str, Any] = {}
        license_key = f"/service/{resources.catalog.name}/{resources.environment.name}/common/newrelic-license-key"
        self.forwarder_variables = {"LICENSE_KEY_PARAMETER": license_key}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that direct a process to this account; the credentials are not among them."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    @property
    def process_variables(self) -> dict[str, str]:
        """The environment of a command for this account, which still requires credentials."""
        return {"PATH": os.environ["PATH"], "HOME": str(self._folder), **self.variables}

    @property
    def credentials(self) -> dict[str, str]:
        """The environment variables with credentials. MiniStack takes 12 digits as the account."""
        return {"AWS_ACCESS_KEY_ID": self.resources.aws.account, "AWS_SECRET_ACCESS_KEY": "emulated"}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=self.region,
                endpoint_url=self.url,
                aws_access_key_id=self.resources.aws.account,
                aws_secret_access_key="emulated",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return self._clients[service]

    # ── the process ────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> EmulatedAws:
        temporary = self._folder / "emulator"
        temporary.mkdir(parents=True)
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": self.resources.aws.account,
            "MINISTACK_REGION": self.region,
            "S3_DATA_DIR": str(temporary / "s3"),
            "STATE_DIR": str(temporary / "state"),
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
            "SFN_WAIT_SCALE": "0.02",
            "LOG_LEVEL": "WARNING",
        }
        self._log = (self._folder / "emulator.log").open("w")
        # Its Lambda functions are processes of the same group.
        self._process = subprocess.Popen(
            [str(AWS_BIN / "python"), str(Path(__file__).with_name("server.py")), str(self._port)],
            stdin=subprocess.PIPE,  # which ends the emulator if this process is killed
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=temporary,
            start_new_session=True,
        )
        try:
            wait_until(self._is_ready, "the emulator accepts requests")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin
        self._process.stdin.close()
        self._log.close()
        for client in self._clients.values():
            client.close()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "emulator.log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def _send(self, **command: Any) -> None:
        request = urllib.request.Request(f"{self.url}/_test", json.dumps(command).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def script(self, **scripts: list[dict[str, Any]]) -> None:
        """Set the scripts of the tasks' next runs, by name with underscores. All other tasks exit with 0."""
        self._send(scripts={name.replace("_", "-"): runs for name, runs in scripts.items()})

    def release(self, task_arn: str) -> None:
        """Let a task end that its script holds."""
        self._send(released=[task_arn])

    def refuse(self, **operations: str) -> None:
        """Refuse the requests of these operations that contain a text, and no others. Services with JSON only."""
        self._send(refused=operations)

    # ── the prerequisites ──────────────────────────────────────────────────────────────────────────────────────

    def create_prerequisites(self) -> None:
        """Create what docs/creating-environments.md lists, and the state's bucket."""
        aws, resources = self.resources.aws, self.resources
        ec2 = self.client("ec2")
        self._send(ids={"vpc": [aws.vpc]})
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
        self._send(ids={"subnet": list(aws.subnets), "sg": [aws.database_security_group]})
        for number, _ in enumerate(aws.subnets):
            ec2.create_subnet(VpcId=aws.vpc, CidrBlock=f"10.0.{number}.0/24")
        ec2.create_security_group(GroupName="database", Description="Database", VpcId=aws.vpc)
        self._create_database()
        insights = {"name": "containerInsights", "value": "enabled"}
        self.client("ecs").create_cluster(clusterName=aws.cluster, settings=[insights])
        self.client("ecr").create_repository(
            repositoryName=resources.catalog.image.repository, imageTagMutability="IMMUTABLE"
        )
        assert aws.state is not None
        for bucket in {aws.state.bucket, *(resources.bucket(name).name for name in resources.catalog.buckets)}:
            self.client("s3").create_bucket(Bucket=bucket)
        secrets = {secret for task in resources.catalog.tasks.values() for secret in resources.secrets(task).values()}
        for name in {resources.parameter(secret) for secret in secrets}:
            self.client("ssm").put_parameter(Name=name, Value="secret", Type="SecureString")
        for topic in {topic for topic in (aws.alarms.high, aws.alarms.low) if topic}:
            self.client("sns").create_topic(Name=topic.rpartition(":")[2])
        if aws.log_forwarder:
            self._create_forwarder(aws.log_forwarder.rpartition(":")[2])
        for key in {key for key in (aws.parameters_key, aws.log_key) if key}:
            self._send(ids={"key": [key.rpartition("/")[2]]})
            self.client("kms").create_key()
        if aws.permissions_boundary:
            statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            self.client("iam").create_policy(
                PolicyName=aws.permissions_boundary.rpartition("/")[2],
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            )

    def _create_database(self) -> None:
        aws = self.resources.aws
        if aws.database_resource_id is None:
            return
        self.client("rds").create_db_instance(
            DBInstanceIdentifier="database",
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="owner",
            MasterUserPassword="password",
            EnableIAMDatabaseAuthentication=True,
        )
        host = str(self.resources.environment.settings["database.host"])
        named = {"account": aws.account, "region": aws.region, "resource_id": aws.database_resource_id, "host": host}
        self._send(database=named)

    def _create_forwarder(self, name: str) -> None:
        """Create the function that the account has already; it is the toolkit's."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.write(newrelic_forwarder.__file__, "newrelic_forwarder.py")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="newrelic_forwarder.handler",
            Role=f"arn:aws:iam::{self.resources.aws.account}:role/{name}",
            Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": self.forwarder_variables},
        )

    # ── operators ──────────────────────────────────────────────────────────────────────────────────────────────

    def nightferry(self, *arguments: str) -> tuple[int, str]:
        """Run a command of an operator in the folder of the project; return its exit code and its output."""
        command = [str(ROOT / ".venv" / "bin" / "nightferry"), *arguments]
        variables = {**self.process_variables, **self.credentials}
        ended = forked.run(command, cwd=self.project.root, env=variables, capture_output=True, timeout=300)
        return ended.returncode, ended.stdout.decode() + ended.stderr.decode()

    # ── what runs ──────────────────────────────────────────────────────────────────────────────────────────────

    def _newest_definitions(self) -> Iterator[dict[str, Any]]:
        """Yield the newest active revision of each task."""
        ecs = self.client("ecs")
        families = ecs.list_task_definition_families(familyPrefix=f"{self.naming.prefix}-", status="ACTIVE")["families"]
        for family in families:
            yield ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]

    def newest_tags(self) -> dict[str, str]:
        """Return the tag of the image in the newest active revision of each task, by the task's name."""
        containers = [definition["containerDefinitions"][0] for definition in self._newest_definitions()]
        return {container["name"]: container["image"].rpartition(":")[2] for container in containers}

    def revisions(self) -> dict[str, int]:
        """Return the newest active revision of each family."""
        return {definition["family"]: definition["revision"] for definition in self._newest_definitions()}

    def image_tags(self) -> set[str]:
        repository = self.resources.catalog.image.repository
        images = self.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
        return {tag for image in images for tag in image.get("imageTags", [])}

    def deployed_tag(self) -> str | None:
        """Return the tag in the parameter that names the last complete deployment."""
        ssm = self.client("ssm")
        with suppress(ssm.exceptions.ParameterNotFound):
            return str(ssm.get_parameter(Name=self.naming.image_tag_parameter)["Parameter"]["Value"])
        return None

    def state_machines(self) -> set[str]:
        machines = self.client("stepfunctions").list_state_machines()["stateMachines"]
        return {machine["name"] for machine in machines}

    def roles(self) -> set[str]:
        """Return the names of the roles of this environment."""
        pages = self.client("iam").get_paginator("list_roles").paginate()
        names = {role["RoleName"] for page in pages for role in page["Roles"]}
        return {name for name in names if name.startswith(self.naming.prefix)}

    def schedules(self) -> set[str]:
        return {schedule["Name"] for schedule in self.client("scheduler").list_schedules()["Schedules"]}

    def executions(self, workflow: str, status: str) -> list[dict[str, Any]]:
        """Return the executions of a workflow that have a status."""
        arn = self.resources.arn("states", f"stateMachine:{self.naming.state_machine(workflow)}")
        found: list[dict[str, Any]] = self.client("stepfunctions").list_executions(
            stateMachineArn=arn, statusFilter=status
        )["executions"]
        return found

    def queue_length(self, url: str) -> int:
        """Return the number of messages in a queue, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def all_tasks(self) -> list[dict[str, Any]]:
        """Return all runs, the oldest first."""
        ecs, cluster = self.client("ecs"), self.resources.aws.cluster
        arns: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            arns += ecs.list_tasks(cluster=cluster, desiredStatus=status)["taskArns"]
        tasks: list[dict[str, Any]] = []
        for start in range(0, len(arns), 100):
            tasks += ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])["tasks"]
        return sorted(tasks, key=lambda task: task["createdAt"])

    def tasks(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a task, the oldest first."""
        return [task for task in self.all_tasks() if task["containers"][0]["name"] == name]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Return the condition's first true value."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if found := condition():
            return found
        pause.wait(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


@contextmanager
def emulated_account(folder: Path, environment: str, repository: Path, **forwarder: str) -> Iterator[EmulatedAws]:
    """Start an account in which the prerequisites of an environment's deployment exist.

    Args:
        folder: For the files of the emulator.
        environment: The name of the environment.
        repository: The folder of the repository with the environment's file.
        forwarder: Variables of the log forwarder.
    """
    with EmulatedAws(folder, Project.find(repository / "paidleave"), environment) as aws:
        aws.forwarder_variables |= forwarder
        aws.create_prerequisites()
        yield aws
