"""``nightferry verify`` against moto's server: resources that exist, are missing, or cannot be checked."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qs

import boto3
import pytest

from nightferry.aws.session import Aws
from nightferry.aws.verify.database import check_database
from nightferry.aws.verify.deployed import check_deployed, check_log_policies
from nightferry.aws.verify.health import check_health
from nightferry.aws.verify.prerequisites import check_arns
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.recipients import check_recipients
from nightferry.aws.verify.roles import check_roles
from nightferry.aws.verify.secrets import check_secrets
from nightferry.aws.verify.verify import verify
from nightferry.backend.errors import Unreachable
from nightferry.backend.verify.findings import Finding
from nightferry.backend.verify.verify_actions import AFTER_DEPLOY_ACTIONS, VERIFY_ACTIONS
from nightferry.catalog.declarations import Secret
from nightferry.environments.aws_resources import AwsResources
from nightferry.terraform import synthesize
from nightferry.terraform.reading.expected import Expected, find_expected
from nightferry.terraform.reading.inventory import build_inventory
from tests.aws.verify.iam_simulator import IamSimulator, to_document
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import ENVIRONMENT, NOTICES, make_catalog, make_environment

pytestmark = pytest.mark.sampled(8)

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"
DATABASE = "db-M5ENSHXFPU6XHZ4G4ZEI5QIO2U"  # moto's resource ID of every instance
Override = tuple[int, bytes, str] | None


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


@pytest.fixture(scope="module")
def aws() -> Aws:
    """Return one session for all tests, because it loads the service models once."""
    return Aws(REGION, ACCOUNT)


@cache  # moto's IDs are the same for each test
def synthesize_example(text: str) -> tuple[AwsResources, dict[str, str], Expected]:
    """Return the example in an environment, its synthesized files and the expected resources."""
    catalog = make_catalog()
    resources = AwsResources(catalog, make_environment(catalog, text))
    files = synthesize(catalog, resources.environment)
    return resources, files, find_expected(files, resources)


class World:
    """An account that contains every resource of the example's catalog."""

    clients: ClassVar[dict[str, Any]] = {}  # shared by all tests, because creating a client is slower than any call

    aws: Aws

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        self.eventbridge = False  # the bucket sends its events to EventBridge
        self.sizes: dict[str, int] = {}  # of secrets
        self.simulator = IamSimulator(self.client("iam"))
        server.overrides[:] = [self.simulator.respond, self._get_parameter, self._add_eventbridge]
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)]
        group = ec2.create_security_group(GroupName="database", Description="d", VpcId=vpc)["GroupId"]
        text = ENVIRONMENT.replace("vpc-0123456789abcdef0", vpc).replace("sg-0123456789abcdef0", group)
        text = text.replace("subnet-0123456789abcdef0", subnets[0]).replace("subnet-0123456789abcdef1", subnets[1])
        text = text.replace("db-ABCDEFGHIJKLMNOP", DATABASE)
        self.subnets = subnets
        self.resources, self.files, self.expected = synthesize_example(text)
        self._prerequisites()

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(service)  # type: ignore[call-overload]
        return self.clients[service]

    def _prerequisites(self) -> None:
        self.client("ecs").create_cluster(
            clusterName="example-test", settings=[{"name": "containerInsights", "value": "enabled"}]
        )
        self.client("ecr").create_repository(repositoryName="example")
        manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}'
        self.client("ecr").put_image(repositoryName="example", imageManifest=manifest, imageTag="abc")
        for name in ("load/key", "common/new-relic", "notices/slack", "/shared/teams"):
            parameter = self.resources.parameter(Secret(name))
            self.client("ssm").put_parameter(Name=parameter, Value="x", Type="SecureString")
        self.client("s3").create_bucket(Bucket="org-test-inbox")
        role = {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}
        arn = self.client("iam").create_role(**role)["Role"]["Arn"]
        self.role = arn
        self.client("lambda").create_function(
            FunctionName="forwarder", Runtime="python3.13", Role=arn, Handler="a.b", Code={"ZipFile": b"x"}
        )
        for topic in ("pager", "mail"):
            self.client("sns").create_topic(Name=topic)
        self.create_database()

    def create_database(self, **options: Any) -> None:
        self.client("rds").create_db_instance(
            DBInstanceIdentifier="jobs",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            **{"EnableIAMDatabaseAuthentication": True, **options},
        )

    def read_resources(self, kind: str) -> dict[str, Any]:
        """Return the resources of a type in the root module, as they are in the synthesized files."""
        found: dict[str, Any] = {}
        for name, text in self.files.items():
            if name.startswith("ecs-tasks/") and name.endswith(".tf.json"):
                found |= json.loads(text).get("resource", {}).get(kind, {})
        return found

    def deploy(self) -> None:
        """Create the resources that Terraform creates."""
        naming = self.resources.naming
        for kind, name in build_inventory(self.files, "test").resources:
            if kind == "aws_cloudwatch_log_group":
                self.client("logs").create_log_group(logGroupName=name)
        for policy in self.read_resources("aws_cloudwatch_log_resource_policy").values():
            self.client("logs").put_resource_policy(policyName=policy["policy_name"], policyDocument="{}")
        for name, value in ((naming.network_parameter, "{}"), (naming.image_tag_parameter, "abc")):
            self.client("ssm").put_parameter(Name=name, Value=value, Type="String")
        for task in ("load", "report"):
            self.register(task, "abc")
        self.create_roles()
        definition = self.files["ecs-tasks/test/workflows/nightly.asl.json"]
        self.client("stepfunctions").create_state_machine(
            name="example-test-nightly",
            definition=re.sub(r"(?<!\$)\$\{\w+\}", "arn:aws:x", definition).replace("$${", "${"),
            roleArn=self.role,
        )
        forwarder = self.resources.aws.log_forwarder
        for group in (naming.log_group, naming.event_group):
            self.client("logs").put_subscription_filter(
                logGroupName=group, filterName="f", filterPattern="", destinationArn=forwarder
            )
        topic = self.resources.arn("sns", "example-test-failures")
        for protocol, endpoint in (
            ("email", "on-call@example.gov"),
            ("email", "team@example.gov"),
            ("lambda", self.resources.arn("lambda", "function:example-test-failures-slack")),
            ("lambda", self.resources.arn("lambda", "function:example-test-failures-teams")),
        ):
            self.client("sns").subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
        for queue in ("schedules", "triggers"):
            self.client("sqs").create_queue(QueueName=f"example-test-{queue}-dead-letters")
        scheduler = self.client("scheduler")
        scheduler.create_schedule_group(Name="example-test")
        rules = [trigger.name for trigger in self.resources.catalog.object_triggers.values() if trigger.via != "lambda"]
        for schedule in self.resources.catalog.schedules.values():
            if schedule.via == "rule":
                rules.append(schedule.name)
                continue
            scheduler.create_schedule(
                Name=f"example-test-{schedule.name}",
                GroupName="example-test",
                ScheduleExpression="rate(1 hour)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": self.role, "RoleArn": self.role},
            )
        for rule in rules:
            self.client("events").put_rule(Name=f"example-test-{rule}", ScheduleExpression="rate(1 hour)")
        functions = {
            trigger: self.client("lambda").create_function(
                FunctionName=f"example-test-{trigger}-trigger",
                Runtime="python3.13",
                Role=self.role,
                Handler="a.b",
                Code={"ZipFile": b"x"},
            )["FunctionArn"]
            for trigger in self.resources.catalog.object_triggers
        }
        self.notify(
            LambdaFunctionConfigurations=[
                {"LambdaFunctionArn": functions["on-file"], "Events": ["s3:ObjectCreated:*"]}
            ],
            EventBridgeConfiguration={},
        )
        for alarm in self.read_resources("aws_cloudwatch_metric_alarm").values():
            self.client("cloudwatch").put_metric_alarm(
                AlarmName=alarm["alarm_name"],
                MetricName="m",
                Namespace="n",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
                Statistic="Sum",
            )

    def notify(self, **configuration: Any) -> None:
        self.client("s3").put_bucket_notification_configuration(
            Bucket="org-test-inbox", NotificationConfiguration=configuration
        )
        self.eventbridge = "EventBridgeConfiguration" in configuration

    def _add_eventbridge(self, path: str, body: bytes) -> Override:
        """Return the bucket's notifications as AWS does. moto stores the one to EventBridge, but does not return it."""
        if body or not path.endswith("?notification") or not self.eventbridge:
            return None
        with urllib.request.urlopen(f"{self.server.upstream}{path}", timeout=60) as response:
            text = response.read().decode()
        assert "EventBridge" not in text
        return 200, text.replace("</Notif", "<EventBridgeConfiguration/></Notif").encode(), "application/xml"

    def register(self, task: str, tag: str) -> None:
        """Register a revision; the container of an agent stands before the task's own."""
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/example:{tag}"
        self.client("ecs").register_task_definition(
            family=self.resources.naming.family(task),
            containerDefinitions=[
                {"name": "agent", "image": "agent:v1", "memory": 9},
                {"name": task, "image": image, "memory": 9},
            ],
        )

    def create_roles(self) -> None:
        """Create the roles with their synthesized policies. AWS's ARNs replace the expressions."""
        key = self.client("kms").create_key()["KeyMetadata"]["Arn"]
        topic = self.client("sns").create_topic(Name="example-test-failures", Attributes={"KmsMasterKeyId": key})
        values = {
            "data.aws_ecs_cluster.this.arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/example-test",
            "data.aws_partition.this.partition": "aws",
            "data.aws_region.this.region": REGION,
            "data.aws_caller_identity.this.account_id": ACCOUNT,
            "data.aws_ecr_repository.image.arn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/example",
            'aws_sns_topic["example-test-failures"].arn': topic["TopicArn"],
            'aws_kms_key["Topics of example-test."].arn': key,
        }

        def insert(match: re.Match[str]) -> str:
            text = json.loads(f'"{match[1]}"')
            if text in values:
                return str(values[text])
            if text.startswith("replace("):
                return f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/example-test"
            kind, name = re.match(r'(\w+)\["(.+)"\]', text).groups()  # type: ignore[union-attr]
            forms = {
                "aws_iam_role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "aws_ecs_task_definition": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}",
                "aws_sqs_queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
                "aws_sfn_state_machine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}",
                "aws_cloudwatch_log_group": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}",
            }
            return forms[kind]

        for role, content in build_inventory(self.files, "test").roles.items():
            self.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
            if content["statements"]:
                text = to_document(content["statements"])
                policy = re.sub(r"\$\{((?:[^{}])+)\}", insert, text)
                self.client("iam").put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=policy)

    def change_policy(self, role: str, change: Callable[[list[Any]], list[Any]]) -> None:
        """Change the statements of a role's policy."""
        iam = self.client("iam")
        document = iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
        text = to_document(change(document["Statement"]))
        iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=text)

    def _get_parameter(self, _path: str, body: bytes) -> Override:
        """Return a secret without decryption as AWS does: base64 of a ciphertext. moto returns a plain text."""
        if b'"WithDecryption": false' not in body:
            return None
        name = json.loads(body)["Name"]
        size = self.sizes.get(name, 10)
        value = base64.b64encode(b"x" * (size + 152)).decode()  # KMS adds a header of about this length
        answer = {"Parameter": {"Name": name, "Type": "SecureString", "Value": value}}
        return 200, json.dumps(answer).encode(), "application/x-amz-json-1.1"

    def find(self, **options: Any) -> list[Finding]:
        arguments = {"prerequisites": False, "image_tag": None} | options
        return list(verify(self.resources, self.expected, self.aws, **arguments))

    def failures(self, **options: Any) -> dict[str, str]:
        """Return the details of the failed findings, by name."""
        return {finding.name: finding.detail for finding in self.find(**options) if finding.is_failure}


@pytest.fixture
def world(server: TokenServer, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> World:
    for variable, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(variable, value)
    server.reset_moto()
    world = World(server)
    world.aws = aws
    return world


def test_nothing_fails_if_every_resource_exists(world: World) -> None:
    world.deploy()
    findings = world.find()
    assert [finding for finding in findings if finding.is_failure] == []
    unknown = {finding.name for finding in findings if finding.verdict == "not checked"}
    assert unknown == {"route to AWS (NAT or endpoints)", "arn:aws:iam::210987654321:role/exchange"}
    # Each declaration has a finding.
    names = {finding.name for finding in findings}
    assert {"example-test-load", "example-test-load-execution", "example-test-nightly", "example-test-on-file"} <= names
    assert {"example:abc", "org-test-inbox/in/", "/service/example/test/load/key"} <= names


def test_before_a_deployment_only_its_prerequisites_are_checked(world: World) -> None:
    assert world.failures(prerequisites=True, image_tag="abc") == {}
    assert world.failures(prerequisites=True) == {}
    failures = world.failures()
    assert "Nothing has been deployed yet" in failures["the tag that is deployed"]
    assert "Deploy this version (terraform apply)." in failures["example-test-load"]
    assert {"service/example-test/ecs-tasks", "example-test-nightly", "example-test-on-file"} <= set(failures)


def test_recipients_that_receive_nothing_are_reported(world: World) -> None:
    """moto confirms each subscription, so the response has the marker of AWS for one that is pending."""
    resources = world.resources
    assert {finding.verdict for finding in check_recipients(resources, Probe(world.aws))} == {"missing"}
    topic = world.client("sns").create_topic(Name="example-test-failures")["TopicArn"]
    for protocol, endpoint in (
        ("email", "on-call@example.gov"),
        ("lambda", resources.arn("lambda", "function:example-test-failures-slack")),
    ):
        world.client("sns").subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    sns = boto3.client("sns")

    def mark_pending(parsed: Any, **_: object) -> None:
        for one in parsed["Subscriptions"]:
            if one["Protocol"] == "email":
                one["SubscriptionArn"] = "PendingConfirmation"

    sns.meta.events.register("after-call.sns.ListSubscriptionsByTopic", mark_pending)
    findings = {finding.name: finding for finding in check_recipients(resources, Probe(world.aws, {"sns": sns}))}
    assert {name: finding.verdict for name, finding in findings.items()} == {
        "failures: on-call@example.gov": "warning",
        "failures: team@example.gov": "missing",
        "failures: slack": "ok",
        "failures: teams": "missing",
    }
    assert "The subscription is not confirmed" in findings["failures: on-call@example.gov"].detail


def remove_secret(world: World) -> None:
    world.client("ssm").delete_parameter(Name="/service/example/test/load/key")


def plain_secret(world: World) -> None:
    name = "/service/example/test/common/new-relic"
    world.client("ssm").delete_parameter(Name=name)
    world.client("ssm").put_parameter(Name=name, Value="x", Type="String")


def remove_subnet(world: World) -> None:
    world.client("ec2").delete_subnet(SubnetId=world.subnets[0])


def remove_image(world: World) -> None:
    world.client("ecr").batch_delete_image(repositoryName="example", imageIds=[{"imageTag": "abc"}])


def remove_bucket(world: World) -> None:
    world.client("s3").delete_bucket(Bucket="org-test-inbox")


def remove_notification(world: World) -> None:
    world.notify()


def remove_function(world: World) -> None:
    world.client("lambda").delete_function(FunctionName="example-test-on-file-trigger")


def remove_role(world: World) -> None:
    name = "example-test-load-execution"
    world.client("iam").delete_role_policy(RoleName=name, PolicyName=name)
    world.client("iam").delete_role(RoleName=name)


def remove_cluster(world: World) -> None:
    world.client("ecs").delete_cluster(cluster="example-test")


def remove_topic(world: World) -> None:
    world.client("sns").delete_topic(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:pager")


def remove_forwarder(world: World) -> None:
    world.client("lambda").delete_function(FunctionName="forwarder")


def remove_definition(world: World) -> None:
    world.client("ecs").deregister_task_definition(taskDefinition="example-test-load:1")


def remove_alarm(world: World) -> None:
    world.client("cloudwatch").delete_alarms(AlarmNames=["example-test-load-failed"])


def disable_schedule(world: World) -> None:
    world.client("events").disable_rule(Name="example-test-hourly")


def change_definition(world: World) -> None:
    world.client("stepfunctions").update_state_machine(
        stateMachineArn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:example-test-nightly",
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
    )


def remove_database(world: World) -> None:
    world.client("rds").delete_db_instance(DBInstanceIdentifier="jobs", SkipFinalSnapshot=True)


def remove_subscription(world: World) -> None:
    group = world.resources.naming.event_group
    world.client("logs").delete_subscription_filter(logGroupName=group, filterName="f")


def remove_log_policy(world: World) -> None:
    (policy,) = world.read_resources("aws_cloudwatch_log_resource_policy").values()
    world.client("logs").delete_resource_policy(policyName=policy["policy_name"])


def test_without_a_database_no_security_group_is_checked(world: World) -> None:
    aws = world.resources.aws
    without = aws.model_copy(update={"database_security_group": None})
    environment = replace(world.resources.environment, aws=without)
    resources = replace(world.resources, environment=environment)
    found = verify(resources, world.expected, world.aws, prerequisites=True, image_tag="abc")
    names = {finding.name for finding in found if finding.group == "network"}
    assert names == {aws.vpc, *aws.subnets, "route to AWS (NAT or endpoints)"}


def test_missing_resources_are_listed_with_their_fixes(world: World) -> None:
    """Test all problems at once: each has its own finding, and none hides another."""
    world.deploy()
    for change in (remove_secret, plain_secret, remove_subnet, remove_image, remove_notification, remove_role,
                   remove_cluster, remove_topic, remove_forwarder, remove_definition, remove_alarm, disable_schedule,
                   change_definition, remove_database, remove_log_policy, remove_subscription,
                   remove_function):  # fmt: skip
        change(world)
    failures = world.failures()
    for name, message in (
        ("/service/example/test/load/key", "Required by load. Store it: nightferry secrets set load/key --env test"),
        ("/service/example/test/common/new-relic", "The type is String, which is not encrypted. Delete the parameter"),
        (world.subnets[0], "Subnet not found. Correct aws.subnets in environments/test.toml"),
        ("example:abc", "no task can start"),
        ("example-test-on-file", "does not notify arn:aws:lambda"),
        ("example-test-on-file-trigger", "Deploy this version (terraform apply)."),
        ("example-test-on-table", "Bucket org-test-inbox sends no events to EventBridge."),
        ("example-test-on-batch", "Bucket org-test-inbox sends no events to EventBridge."),
        ("example-test-load-execution", "Deploy this version (terraform apply)."),
        ("example-test", "No active cluster"),
        ("arn:aws:sns:us-east-1:123456789012:pager", "alarms have no recipient"),
        ("arn:aws:lambda:us-east-1:123456789012:function:forwarder", "Correct aws.log_forwarder"),
        ("example-test-load", "Deploy this version (terraform apply)."),
        ("example-test-load-failed", "Deploy this version (terraform apply)."),
        ("example-test-hourly", "It is DISABLED, but declared ENABLED."),
        ("example-test-nightly", "The definition differs from the synthesized one at /Comment"),
        (DATABASE, f"No instance of RDS in account {ACCOUNT}, region {REGION}, has this resource ID"),
        ("subscription of service/example-test/ecs-tasks/events", "The group is not subscribed to arn:aws:lambda"),
        ("resource policies in us-east-1", "receives no state changes of tasks"),
    ):
        assert message in failures.pop(name)
    assert failures == {}
    remove_bucket(world)
    assert "Bucket not found" in world.failures()["org-test-inbox"]


# ── permissions of the roles ─────────────────────────────────────────────────────────────────────────────────


def role_findings(world: World) -> list[Finding]:
    """Return the findings about roles that are not OK."""
    found = check_roles(world.resources, world.expected, Probe(world.aws))
    return [finding for finding in found if finding.verdict != "ok"]


def test_every_action_of_every_role_is_simulated(world: World) -> None:
    """Test roles whose policies allow nothing useful: the finding of each names each action with each resource."""
    world.create_roles()
    assert role_findings(world) == []
    nothing = {"Effect": "Allow", "Action": ["sts:GetCallerIdentity"], "Resource": ["*"]}
    declared = {}
    for role, content in build_inventory(world.files, "test").roles.items():
        if content["statements"]:
            policy = world.client("iam").get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
            declared[role] = policy["Statement"]
            world.change_policy(role, lambda _: [nothing])
    found = {finding.name: finding for finding in role_findings(world)}
    assert found.keys() == declared.keys()
    kinds = {"load", "load-execution", "nightly-workflow", "nightly-schedule", "hourly-schedule", "on-file-trigger",
             "on-table-trigger"}  # fmt: skip
    assert {f"example-test-{kind}" for kind in kinds} <= found.keys()
    for role, statements in declared.items():
        assert found[role].verdict == "not allowed"
        for statement in statements:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    example = resource if resource == "*" else resource.replace("*", "1")
                    assert f"{action} on {example}" in found[role].detail


def test_conditions_are_part_of_the_simulation(world: World) -> None:
    """Test a policy with a condition that the real request does not satisfy."""
    world.create_roles()

    def tighten(blocks: list[Any]) -> list[Any]:
        for block in blocks:
            for operator, keys in block.get("Condition", {}).items():
                block["Condition"] = {operator: {key: ["another"] for key in keys}}
        return blocks

    for role in ("example-test-for-a-year-schedule", "example-test-load"):
        world.change_policy(role, tighten)
    found = {finding.name: finding for finding in role_findings(world)}
    assert found.keys() == {"example-test-for-a-year-schedule", "example-test-load"}
    schedule, task = found["example-test-for-a-year-schedule"].detail, found["example-test-load"].detail
    cluster = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/example-test"
    assert f"task-definition/example-test-report:1, ecs:cluster = {cluster}" in schedule
    assert "iam:PassedToService = ecs-tasks.amazonaws.com" in schedule
    assert "ecs:CreateAction = RunTask" in schedule
    assert "s3:ListBucket on arn:aws:s3:::org-test-inbox, s3:prefix = in/1" in task
    assert "sts:AssumeRole on arn:aws:iam::210987654321:role/exchange, sts:ExternalId = shared" in task


def test_a_permissions_boundary_must_exist(world: World) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/limit"
    settings = world.resources.aws.model_copy(update={"permissions_boundary": arn})
    world.resources = replace(world.resources, environment=replace(world.resources.environment, aws=settings))

    def find_boundary() -> list[str]:
        return [one.verdict for one in check_arns(world.resources, Probe(world.aws)) if one.name == arn]

    assert find_boundary() == ["missing"]
    limit = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}
    world.client("iam").create_policy(PolicyName="limit", PolicyDocument=to_document([limit]))
    assert find_boundary() == ["ok"]


def test_the_cause_of_each_denial_is_named(world: World) -> None:
    world.create_roles()
    iam = world.client("iam")
    world.change_policy("example-test-load", lambda blocks: [b for b in blocks if "s3:PutObject" not in b["Action"]])
    iam.delete_role_policy(RoleName="example-test-nightly-schedule", PolicyName="example-test-nightly-schedule")
    deny = {"Effect": "Deny", "Action": ["ssm:Get*"], "Resource": ["*"]}
    world.change_policy("example-test-load-execution", lambda blocks: [*blocks, deny])
    limit = {"Effect": "Allow", "Action": ["ecs:*", "iam:*", "sqs:*"], "Resource": ["*"]}
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=to_document([limit]))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="example-test-on-file-trigger", PermissionsBoundary=boundary)
    world.simulator.organization = {
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "rds-db:connect", "Resource": "*"},
        ]
    }
    details = {finding.name + finding.detail for finding in role_findings(world)}
    for role, action, cause in (
        ("example-test-load", "s3:PutObject on arn:aws:s3:::org-test-inbox/in/1",
         "Cause: policy example-test-load of the role does not allow them. Deploy this version"),
        ("example-test-load", f"rds-db:connect on arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:{DATABASE}/jobs",
         f"(SCP). Have its administrator allow these actions for account {ACCOUNT}."),
        ("example-test-report", "rds-db:connect on", "Cause: a policy of the organization (SCP)."),
        ("example-test-nightly-schedule", "states:StartExecution on",
         "Cause: the role has no policy example-test-nightly-schedule. Deploy this version"),
        ("example-test-load-execution", "ssm:GetParameters on",
         "Cause: a policy of the role denies them explicitly. Remove its Deny statement."),
        ("example-test-on-file-trigger", "logs:PutLogEvents on",
         "Cause: the permissions boundary of the role. Allow these actions in the boundary."),
    ):  # fmt: skip
        assert any(text.startswith(role) and action in text and cause in text for text in details), (role, details)
    assert len(details) == 6


def test_the_simulator_is_called_in_bounded_batches(world: World) -> None:
    """Test that one call has several actions and at most 20 resources, and that refused combinations are repeated."""
    world.create_roles()
    role_findings(world)
    calls = world.simulator.calls
    assert max(len(call["resources"]) for call in calls) <= 20
    single = sum(len(call["actions"]) * len(call["resources"]) for call in calls)
    assert len(calls) < single / 1.5
    refused = [call for call in calls if {"logs", "xray"} <= {action.partition(":")[0] for action in call["actions"]}]
    assert refused, "the workflow's log delivery and tracing are in one statement"


def test_an_action_that_the_simulator_rejects_is_not_checked(world: World) -> None:
    world.create_roles()
    world.simulator.unknown = {"rds-db:connect"}
    found = {finding.name: finding for finding in role_findings(world)}
    assert found.keys() == {"example-test-load", "example-test-report"}
    assert {one.verdict for one in found.values()} == {"not checked"}
    assert "IAM's simulator refused it: Action rds-db:connect is unknown" in found["example-test-report"].detail


def test_a_key_that_cannot_be_found_is_not_checked(world: World) -> None:
    """Test the key of the topics, whose ARN only AWS knows."""
    world.create_roles()
    world.client("sns").delete_topic(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:example-test-failures")
    found = {finding.name: finding for finding in role_findings(world)}
    assert found.keys() == {"example-test-load", "example-test-failure-notices"}
    assert {one.verdict for one in found.values()} == {"not checked"}
    assert "kms:GenerateDataKey on" in found["example-test-load"].detail


# ── the database ─────────────────────────────────────────────────────────────────────────────────────────────


def database_finding(world: World) -> Finding:
    (found,) = check_database(world.resources, Probe(world.aws))
    return found


def test_iam_authentication_of_the_database_must_be_on(world: World) -> None:
    assert database_finding(world).verdict == "ok"
    remove_database(world)
    world.create_database(EnableIAMDatabaseAuthentication=False)
    found = database_finding(world)
    assert found.verdict == "wrong"
    assert "IAM authentication of jobs is off, so no task can log in." in found.detail
    assert (
        "aws rds modify-db-instance --db-instance-identifier jobs --enable-iam-database-authentication" in found.detail
    )


def test_an_instance_of_aurora_is_the_wrong_resource(world: World, server: TokenServer) -> None:
    def respond(_path: str, body: bytes) -> Override:
        if parse_qs(body.decode("utf-8", "replace")).get("Action") != ["DescribeDBInstances"]:
            return None
        member = (
            f"<DBInstanceIdentifier>one</DBInstanceIdentifier><DbiResourceId>{DATABASE}</DbiResourceId>"
            "<Engine>aurora-postgresql</Engine><DBClusterIdentifier>many</DBClusterIdentifier>"
            "<IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>"
        )
        return 200, make_rds_response("DBInstance", member), "text/xml"

    server.overrides.insert(0, respond)
    found = database_finding(world)
    assert found.verdict == "wrong"
    assert "Instance one belongs to the Aurora cluster many" in found.detail


def make_rds_response(kind: str, member: str) -> bytes:
    return (
        f'<Describe{kind}sResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Describe{kind}sResult>'
        f"<{kind}s><{kind}>{member}</{kind}></{kind}s></Describe{kind}sResult></Describe{kind}sResponse>"
    ).encode()


def test_a_cluster_is_found_by_its_resource_id(world: World, server: TokenServer) -> None:
    """Test with responses of the API model, because moto does not support the filter of clusters."""
    requests: list[dict[str, list[str]]] = []
    member = "<DBClusterIdentifier>many</DBClusterIdentifier><DbClusterResourceId>cluster-ABC1</DbClusterResourceId>"
    setting = "<IAMDatabaseAuthenticationEnabled>{}</IAMDatabaseAuthenticationEnabled>"
    members = [""]

    def respond(_path: str, body: bytes) -> Override:
        form = parse_qs(body.decode("utf-8", "replace"))
        if form.get("Action") != ["DescribeDBClusters"]:
            return None
        requests.append(form)
        return 200, make_rds_response("DBCluster", member + members[0]), "text/xml"

    server.overrides.insert(0, respond)
    settings = world.resources.aws.model_copy(update={"database_resource_id": "cluster-ABC1"})
    world.resources = replace(world.resources, environment=replace(world.resources.environment, aws=settings))
    pending = f"<PendingModifiedValues>{setting.format('true')}</PendingModifiedValues>"
    for members[0], verdict, text in (
        (setting.format("true"), "ok", ""),
        ("", "wrong", "modify-db-cluster --db-cluster-identifier many --enable-iam-database-authentication"),
        (setting.format("false") + pending, "wrong", "on only after its next maintenance"),
    ):
        found = database_finding(world)
        assert (found.verdict, text in found.detail) == (verdict, True)
    assert requests[0]["Filters.Filter.1.Name"] == ["db-cluster-resource-id"]
    assert requests[0]["Filters.Filter.1.Values.Value.1"] == ["cluster-ABC1"]


# ── the deployed image ───────────────────────────────────────────────────────────────────────────────────────


def definition_findings(world: World) -> dict[str, Finding]:
    found = check_deployed(world.resources, world.expected, Probe(world.aws), "abc")
    return {one.name: one for one in found if one.group == "task definitions"}


def test_the_newest_revisions_must_have_the_deployed_tag(world: World) -> None:
    """Test the state that a plan hides: a rollback, and then a deployment that registered nothing."""
    for task in ("load", "report"):
        world.register(task, "abc")
    world.register("load", "old")
    found = definition_findings(world)
    assert found["example-test-report"].verdict == "ok"
    assert found["example-test-load"].verdict == "wrong"
    assert found["example-test-load"].detail.startswith(
        "New runs use the image old (revision example-test-load:2), but the last complete deployment is abc. Deploy abc"
    )


def test_without_the_list_of_revisions_the_image_is_not_checked(world: World, server: TokenServer) -> None:
    for task in ("load", "report"):
        world.register(task, "abc")
    world.register("load", "old")

    def deny(_path: str, body: bytes) -> Override:
        if b"familyPrefix" not in body:
            return None
        return 400, b'{"__type": "AccessDeniedException", "message": "no"}', "application/x-amz-json-1.1"

    server.overrides.insert(0, deny)
    found = definition_findings(world)["example-test-load"]
    assert found.verdict == "not checked"
    assert "New runs do not use the image abc. This check requires ecs:ListTaskDefinitions." in found.detail


def test_a_task_that_the_deployed_version_did_not_have_is_a_warning(world: World) -> None:
    world.register("load", "newer")
    found = definition_findings(world)["example-test-load"]
    assert found.verdict == "warning"
    assert "The deployed version abc did not have this task" in found.detail


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────

SECRET = "/service/example/test/load/key"


def secret_findings(world: World) -> list[Finding]:
    return list(check_secrets(world.resources, Probe(world.aws)))


def test_a_secret_near_the_limit_of_its_tier_is_reported(world: World) -> None:
    for tier, size, verdict in (
        ("Standard", 3000, "ok"),
        ("Standard", 4000, "warning"),
        ("Advanced", 4096, "ok"),
        ("Advanced", 7900, "warning"),
    ):
        world.client("ssm").put_parameter(Name=SECRET, Value="x", Type="SecureString", Tier=tier, Overwrite=True)
        world.sizes[SECRET] = size
        (found,) = [one for one in secret_findings(world) if one.name == SECRET]
        assert found.verdict == verdict
        command = "in the tier Intelligent-Tiering: nightferry secrets set load/key --env test"
        assert (command in found.detail) == (verdict == "warning" and tier == "Standard")


def test_without_the_permission_to_get_secrets_their_sizes_are_not_checked(world: World, server: TokenServer) -> None:
    asked: list[bytes] = []

    def deny(_path: str, body: bytes) -> Override:
        if b'"WithDecryption": false' not in body:
            return None
        asked.append(body)
        return 400, b'{"__type": "AccessDeniedException", "message": "no"}', "application/x-amz-json-1.1"

    server.overrides.insert(0, deny)
    found = secret_findings(world)
    assert [one.verdict for one in found] == ["ok"] * 4 + ["not checked"]
    assert "Requires ssm:GetParameter" in found[-1].detail
    assert len(asked) == 1


def test_a_page_of_parameters_may_be_empty(world: World, server: TokenServer) -> None:
    """Test what the API reference says about DescribeParameters: a page may have fewer results than there are."""

    def respond(_path: str, body: bytes) -> Override:
        if b"ParameterFilters" not in body or b"NextToken" in body:
            return None
        return 200, b'{"Parameters": [], "NextToken": "0"}', "application/x-amz-json-1.1"

    server.overrides.insert(0, respond)
    assert [one.verdict for one in secret_findings(world)] == ["ok"] * 4


def test_the_resource_policies_of_logs_are_counted(world: World) -> None:
    for others in range(11):
        if others:
            world.client("logs").put_resource_policy(policyName=f"other-{others}", policyDocument="{}")
        (found,) = check_log_policies(world.resources, world.expected, Probe(world.aws), deployed=False)
        assert found.verdict == {9: "warning", 10: "wrong"}.get(others, "ok")
        if others > 8:
            assert f"{others} of 10 resource policies" in found.detail


# ── after the first deployment ───────────────────────────────────────────────────────────────────────────────


def health(world: World) -> dict[str, Finding]:
    return {one.name: one for one in check_health(world.resources, world.expected, Probe(world.aws))}


def write_stream(world: World, group: str) -> None:
    world.client("logs").create_log_stream(logGroupName=group, logStreamName="s")


def test_log_groups_without_streams_are_reported(world: World) -> None:
    world.deploy()
    group, events = world.resources.naming.log_group, world.resources.naming.event_group
    found = health(world)
    assert found[f"streams of {group}"].verdict == found[f"streams of {events}"].verdict == "not checked"
    assert "Run a task: nightferry run TASK --env test" in found[f"streams of {group}"].detail
    write_stream(world, group)
    assert health(world)[f"streams of {group}"].verdict == "ok"
    found = health(world)
    assert found[f"streams of {events}"].verdict == "wrong"
    assert "EventBridge has written none of their state changes" in found[f"streams of {events}"].detail
    write_stream(world, events)
    assert health(world)[f"streams of {events}"].verdict == "ok"


def test_the_states_of_alarms_are_reported(world: World) -> None:
    world.deploy()
    names = sorted(alarm["alarm_name"] for alarm in world.read_resources("aws_cloudwatch_metric_alarm").values())
    cloudwatch = world.client("cloudwatch")
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="r")
    assert health(world)[f"{len(names)} states"].verdict == "ok"
    for name, state in (
        ("example-test-load-failed", "ALARM"),
        ("example-test-nightly-overdue", "ALARM"),
        ("example-test-report-failed", "INSUFFICIENT_DATA"),
    ):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="one failed")
    cloudwatch.disable_alarm_actions(AlarmNames=["example-test-nightly-failed"])
    found = health(world)
    assert (found["example-test-load-failed"].verdict, found["example-test-load-failed"].detail) == (
        "wrong",
        "In state ALARM: one failed",
    )
    assert found["example-test-nightly-overdue"].verdict == "warning"
    assert found["example-test-nightly-failed"].verdict == "wrong"
    assert found["1 states"].verdict == "not checked"
    assert "example-test-report-failed" in found["1 states"].detail
    assert found[f"{len(names) - 4} states"].verdict == "ok"


def test_dead_letters_are_counted(world: World) -> None:
    world.deploy()
    sqs = world.client("sqs")
    for short in ("triggers", "failure-notices"):
        url = sqs.create_queue(QueueName=f"example-test-{short}-dead-letters")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="m")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="example-test-schedules-dead-letters")["QueueUrl"])
    found = health(world)
    for short in ("triggers", "failure-notices"):
        finding = found[f"example-test-{short}-dead-letters"]
        assert finding.verdict == "wrong"
        assert finding.detail == f"It has 1 messages. List them: nightferry redrive {short} --env test --dry-run"
    assert found["example-test-schedules-dead-letters"].verdict == "missing"


# ── permissions of the caller ────────────────────────────────────────────────────────────────────────────────

# Operations whose IAM action has another name (service authorization reference).
ACTION_NAMES = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
}


def record_actions(world: World, called: set[str]) -> None:
    """Record the IAM action of each call of the session."""

    def record(model: Any, **_: Any) -> None:
        service = {"monitoring": "cloudwatch"}.get(model.service_model.signing_name, model.service_model.signing_name)
        called.add(f"{service}:{model.name}")

    aws = Aws(REGION, ACCOUNT)
    aws.session.events.register("before-call", record)
    world.aws = aws


def test_the_actions_of_the_checks_are_those_of_the_calls(world: World) -> None:
    """Test all checks, with denied permissions, an image of another version, and either kind of database."""
    called: set[str] = set()
    record_actions(world, called)
    world.deploy()
    world.register("load", "other")
    world.client("iam").delete_role_policy(RoleName="example-test-load", PolicyName="example-test-load")
    key = world.client("kms").create_key()["KeyMetadata"]["Arn"]
    update = {"parameters_key": key, "permissions_boundary": f"arn:aws:iam::{ACCOUNT}:policy/limit"}
    settings = world.resources.aws.model_copy(update=update)
    world.resources = replace(world.resources, environment=replace(world.resources.environment, aws=settings))
    world.find()
    health(world)
    settings = world.resources.aws.model_copy(update={"database_resource_id": "cluster-ABC1"})
    world.resources = replace(world.resources, environment=replace(world.resources.environment, aws=settings))
    database_finding(world)
    actions = {ACTION_NAMES.get(action, action) for action in called}
    # tests/aws/verify/test_starts.py has the calls about runs and starts.
    health_actions = {action for group in ("alarms", "dead letters", "logs") for action in AFTER_DEPLOY_ACTIONS[group]}
    declared = {action for group in VERIFY_ACTIONS.values() for action in group} | health_actions
    assert actions == declared


# ── what cannot be checked ───────────────────────────────────────────────────────────────────────────────────


# Denials in the protocols of the services: JSON, CBOR, the query protocols of EC2 and of others, and S3's.
DENIED = "<Code>{}</Code><Message>no</Message>"


def deny_all(path: str, body: bytes) -> Override:
    """Deny each call except that for the caller's identity."""
    if b"Action=GetCallerIdentity" in body:
        return None
    if "/operation/" in path:
        return 403, b"\xa1\x66__type\x6cAccessDenied", "application/cbor"
    if body.startswith(b"{") or path.startswith(("/2015-03-31", "/schedules")):
        return 403, b'{"__type": "AccessDeniedException", "message": "no"}', "application/x-amz-json-1.1"
    if b"Version=2016-11-15" in body:
        text = f"<Response><Errors><Error>{DENIED.format('UnauthorizedOperation')}</Error></Errors></Response>"
    elif body:
        text = f"<ErrorResponse><Error>{DENIED.format('AccessDenied')}</Error></ErrorResponse>"
    else:
        text = f"<Error>{DENIED.format('AccessDenied')}</Error>"
    return 403, text.encode(), "text/xml"


def test_without_any_permission_nothing_is_wrong_or_ok(world: World, server: TokenServer) -> None:
    """Test a caller who may read nothing: each finding names the missing action, and no check is skipped."""
    world.deploy()
    allowed = {(one.group, one.name) for one in world.find() if one.group not in ("alarms", "buckets")}
    server.overrides.insert(0, deny_all)
    findings = {(one.group, one.name): one for one in world.find()}
    assert {key for key, one in findings.items() if one.verdict != "not checked"} == {("account", ACCOUNT)}
    # The image of an unknown tag and the sizes of unknown secrets have no findings.
    assert allowed - findings.keys() == {("image", "example:abc")}
    actions = {action for group in VERIFY_ACTIONS.values() for action in group}
    for finding in findings.values():
        if finding.name not in (ACCOUNT, "route to AWS (NAT or endpoints)", "arn:aws:iam::210987654321:role/exchange"):
            named = re.findall(r"requires ([a-z0-9-]+:\w+)\. ", finding.detail)
            assert len(named) == 1, finding
            assert named[0] in actions


@pytest.mark.long
def test_an_unreadable_resource_is_not_checked_and_does_not_fail(world: World, server: TokenServer) -> None:
    world.deploy()

    def denied(_path: str, body: bytes) -> Override:
        if b"Action=Simulate" not in body:
            return None
        error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        return 403, error.encode(), "text/xml"

    server.overrides.insert(0, denied)
    findings = world.find()
    assert not any(finding.is_failure for finding in findings)
    (role,) = [finding for finding in findings if finding.name == "example-test-load" and finding.group == "roles"]
    assert role.verdict == "not checked"
    assert "The role exists. The check of its permissions requires iam:SimulatePrincipalPolicy." in role.detail


def test_credentials_of_another_account_stop_the_checks(world: World) -> None:
    text = world.resources.environment.text.removesuffix(NOTICES).replace(ACCOUNT, "210987654321")
    catalog = world.resources.catalog
    other = AwsResources(catalog, make_environment(catalog, text))
    (finding,) = verify(other, world.expected, Aws(REGION, "210987654321"), prerequisites=False, image_tag=None)
    assert finding.is_failure
    assert f"The credentials belong to account {ACCOUNT}" in finding.detail


def test_without_a_response_verify_raises(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    world.aws = Aws(REGION, ACCOUNT)
    with pytest.raises(Unreachable):
        world.find()
