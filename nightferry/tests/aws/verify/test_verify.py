"""``nightferry verify`` against moto's server: resources that exist, are missing, or cannot be checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qs

import boto3
import pytest

from nightferry.aws.session import Aws
from nightferry.aws.verify.verify import verify
from nightferry.backend.findings import Finding
from nightferry.backend.interface import Unreachable
from nightferry.catalog.declarations import Secret
from nightferry.environments.aws_resources import AwsResources
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


@pytest.fixture(scope="module")
def aws() -> Aws:
    """Return one session for all tests, because it loads the service models once."""
    return Aws(REGION, ACCOUNT)


class World:
    """An account that contains every resource of the example's catalog."""

    clients: ClassVar[dict[str, Any]] = {}  # shared by all tests, because creating a client is slower than any call

    aws: Aws

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        self.refused: set[tuple[str, str]] = set()  # (part of the role's name, action)
        server.overrides[:] = [self._simulate]
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)]
        group = ec2.create_security_group(GroupName="database", Description="d", VpcId=vpc)["GroupId"]
        text = ENVIRONMENT.replace("vpc-0123456789abcdef0", vpc).replace("sg-0123456789abcdef0", group)
        text = text.replace("subnet-0123456789abcdef0", subnets[0]).replace("subnet-0123456789abcdef1", subnets[1])
        self.subnets = subnets
        catalog = make_catalog()
        self.resources = AwsResources(catalog, make_environment(catalog, text))
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
        for name in ("load/key", "common/new-relic"):
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

    def deploy(self) -> None:
        """Create the resources that Terraform creates."""
        naming = self.resources.naming
        for group in (naming.log_group, naming.event_group):
            self.client("logs").create_log_group(logGroupName=group)
        for name, value in ((naming.network_parameter, "{}"), (naming.image_tag_parameter, "abc")):
            self.client("ssm").put_parameter(Name=name, Value=value, Type="String")
        for task in ("load", "report"):
            self.client("ecs").register_task_definition(
                family=naming.family(task), containerDefinitions=[{"name": task, "image": "example:abc", "memory": 9}]
            )
            for role in (task, f"{task}-execution"):
                name = self.resources.role_name(role)
                self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        self.client("stepfunctions").create_state_machine(
            name="example-test-nightly",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
            roleArn=self.role,
        )
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
        function = self.client("lambda").create_function(
            FunctionName="example-test-on-file-trigger",
            Runtime="python3.13",
            Role=self.role,
            Handler="a.b",
            Code={"ZipFile": b"x"},
        )
        configuration = {"LambdaFunctionArn": function["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
        self.client("s3").put_bucket_notification_configuration(
            Bucket="org-test-inbox", NotificationConfiguration={"LambdaFunctionConfigurations": [configuration]}
        )

    def _simulate(self, _path: str, body: bytes) -> tuple[int, bytes, str] | None:
        """Respond for IAM's policy simulator, which moto does not support: allow all actions except ``refused``."""
        form = parse_qs(body.decode("utf-8", "replace"))
        if form.get("Action") != ["SimulatePrincipalPolicy"]:
            return None
        (action,), (source,) = form["ActionNames.member.1"], form["PolicySourceArn"]
        resources = [values[0] for name, values in sorted(form.items()) if name.startswith("ResourceArns.member")]
        refused = any(part in source and action == other for part, other in self.refused)
        decision = "implicitDeny" if refused else "allowed"
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision></member>"
            for resource in resources
        )
        text = (
            '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
            f"<SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult>"
            "</SimulatePrincipalPolicyResponse>"
        )
        return 200, text.encode(), "text/xml"

    def find(self, **options: Any) -> list[Finding]:
        arguments = {"prerequisites": False, "image_tag": None} | options
        return list(verify(self.resources, self.aws, **arguments))

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
    world.client("s3").put_bucket_notification_configuration(Bucket="org-test-inbox", NotificationConfiguration={})


def remove_role(world: World) -> None:
    world.client("iam").delete_role(RoleName="example-test-load-execution")


def remove_cluster(world: World) -> None:
    world.client("ecs").delete_cluster(cluster="example-test")


def remove_topic(world: World) -> None:
    world.client("sns").delete_topic(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:pager")


def remove_forwarder(world: World) -> None:
    world.client("lambda").delete_function(FunctionName="forwarder")


def remove_definition(world: World) -> None:
    world.client("ecs").deregister_task_definition(taskDefinition="example-test-load:1")


def test_without_a_database_no_security_group_is_checked(world: World) -> None:
    aws = world.resources.aws
    without = aws.model_copy(update={"database_security_group": None})
    environment = replace(world.resources.environment, aws=without)
    found = verify(replace(world.resources, environment=environment), world.aws, prerequisites=True, image_tag="abc")
    names = {finding.name for finding in found if finding.group == "network"}
    assert names == {aws.vpc, *aws.subnets, "route to AWS (NAT or endpoints)"}


def test_missing_resources_are_listed_with_their_fixes(world: World) -> None:
    """Test all problems at once: each has its own finding, and none hides another."""
    world.deploy()
    for change in (remove_secret, plain_secret, remove_subnet, remove_image, remove_notification, remove_role,
                   remove_cluster, remove_topic, remove_forwarder, remove_definition):  # fmt: skip
        change(world)
    failures = world.failures()
    for name, message in (
        ("/service/example/test/load/key", "Required by load. Create it with type SecureString"),
        ("/service/example/test/common/new-relic", "The type is String. Change it to SecureString"),
        (world.subnets[0], "Subnet not found. Correct aws.subnets in environments/test.toml"),
        ("example:abc", "no task can start"),
        ("example-test-on-file", "does not notify arn:aws:lambda"),
        ("example-test-load-execution", "Deploy this version (terraform apply)."),
        ("example-test", "No active cluster"),
        ("arn:aws:sns:us-east-1:123456789012:pager", "alarms have no recipient"),
        ("arn:aws:lambda:us-east-1:123456789012:function:forwarder", "Correct aws.log_forwarder"),
        ("example-test-load", "Deploy this version (terraform apply)."),
    ):
        assert message in failures.pop(name)
    assert failures == {}
    remove_bucket(world)
    assert "Bucket not found" in world.failures()["org-test-inbox"]


def test_denied_actions_of_roles_are_listed(world: World) -> None:
    world.deploy()
    world.refused = {("load-execution", "ssm:GetParameters"), ("/example-test-load", "s3:PutObject")}
    found = {finding.name: finding for finding in world.find() if finding.is_failure}
    assert {finding.verdict for finding in found.values()} == {"not allowed"}
    assert "ssm:GetParameters on arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test" in (
        found["example-test-load-execution"].detail
    )
    assert "s3:PutObject on arn:aws:s3:::org-test-inbox/in/x (implicitDeny)" in found["example-test-load"].detail


def test_an_unreadable_resource_is_not_checked_and_does_not_fail(world: World, server: TokenServer) -> None:
    world.deploy()

    def denied(_path: str, body: bytes) -> tuple[int, bytes, str] | None:
        if b"Action=Simulate" not in body:
            return None
        error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        return 403, error.encode(), "text/xml"

    server.overrides.insert(0, denied)
    findings = world.find()
    assert not any(finding.is_failure for finding in findings)
    (role,) = [finding for finding in findings if finding.name == "example-test-load" and finding.group == "roles"]
    assert role.verdict == "not checked"
    assert re.match("The role exists. Cannot check example-test-load: AWS returned AccessDenied", role.detail)


def test_credentials_of_another_account_stop_the_checks(world: World) -> None:
    text = world.resources.environment.text.replace(ACCOUNT, "210987654321")
    catalog = world.resources.catalog
    other = AwsResources(catalog, make_environment(catalog, text))
    (finding,) = verify(other, Aws(REGION, "210987654321"), prerequisites=False, image_tag=None)
    assert finding.is_failure
    assert f"The credentials belong to account {ACCOUNT}" in finding.detail


def test_without_a_response_verify_raises(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    world.aws = Aws(REGION, ACCOUNT)
    with pytest.raises(Unreachable):
        world.find()
