"""``nightferry rollback`` against moto's server: it restores the previous definitions and writes the parameter last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from nightferry.aws.rollback import CannotRollBack, Plan, plan_rollback, roll_back
from nightferry.aws.session import Aws
from nightferry.environments.aws_resources import AwsResources
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import make_catalog, make_environment

pytestmark = pytest.mark.sampled(8)


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


class World:
    """An environment to which versions are deployed."""

    def __init__(self) -> None:
        catalog = make_catalog()
        self.resources = AwsResources(catalog, make_environment(catalog))
        self.aws = Aws("us-east-1", "123456789012")
        self.ecr: Any = boto3.client("ecr")
        self.ecr.create_repository(repositoryName="example")
        self.pushed: set[str] = set()
        self.parameter = self.resources.naming.image_tag_parameter

    def deploy(self, tag: str, tasks: tuple[str, ...] = ("load", "report"), *, whole: bool = True) -> None:
        """Deploy like Terraform: the image, a revision of each family, and the parameter last."""
        manifest = f'{{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": "{tag}"}}'
        if tag not in self.pushed:
            self.ecr.put_image(repositoryName="example", imageManifest=manifest, imageTag=tag)
            self.pushed.add(tag)
        for task in tasks:
            self.aws.ecs.register_task_definition(
                family=f"example-test-{task}",
                cpu="256",
                memory="512",
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                containerDefinitions=[
                    {"name": "agent", "image": "agent:v1", "memory": 128},  # the order of containers has no meaning
                    {
                        "name": task,
                        "image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/example:{tag}",
                        "environment": [{"name": "OF", "value": tag}],
                        "memory": 512,
                    },
                ],
                tags=[{"key": "task", "value": task}],
            )
        if whole:
            self.aws.ssm.put_parameter(Name=self.parameter, Value=tag, Type="String", Overwrite=True)

    def newest(self, task: str) -> tuple[int, str, str]:
        """Return the newest revision, its image tag and its variable OF."""
        found = self.aws.ecs.describe_task_definition(taskDefinition=f"example-test-{task}")["taskDefinition"]
        container = found["containerDefinitions"][1]
        return found["revision"], container["image"].rpartition(":")[2], container["environment"][0]["value"]

    def tag(self) -> str:
        return self.aws.ssm.get_parameter(Name=self.parameter)["Parameter"]["Value"]

    def roll_back(self, to: str | None = None) -> Plan:
        planned = plan_rollback(self.resources, self.aws, to)
        list(roll_back(self.resources, self.aws, planned))
        return planned


@pytest.fixture
def world(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> World:
    for variable, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(variable, value)
    server.reset_moto()
    return World()


def test_every_task_gets_its_previous_definition(world: World) -> None:
    world.deploy("one")
    world.deploy("two")
    planned = world.roll_back()
    assert (planned.current, planned.target) == ("two", "one")
    assert world.newest("load") == (3, "one", "one")
    assert world.newest("report") == (3, "one", "one")
    assert world.tag() == "one"
    tags = world.aws.ecs.describe_task_definition(taskDefinition="example-test-load", include=["TAGS"])["tags"]
    assert tags == [{"key": "task", "value": "load"}]


def test_planning_changes_nothing(world: World) -> None:
    world.deploy("one")
    world.deploy("two")
    plan_rollback(world.resources, world.aws)
    assert world.newest("load")[0] == 2
    assert world.tag() == "two"


def test_a_second_rollback_restores_the_newer_version(world: World) -> None:
    world.deploy("one")
    world.deploy("two")
    world.roll_back()
    assert world.roll_back().target == "two"
    assert world.newest("load") == (4, "two", "two")


def test_a_version_that_was_deployed_twice_is_not_its_own_predecessor(world: World) -> None:
    for tag in ("one", "two", "two"):
        world.deploy(tag)
    assert plan_rollback(world.resources, world.aws).target == "one"


def test_an_incomplete_deployment_is_reverted(world: World) -> None:
    """Test a tag that is in some definitions but not in the parameter."""
    world.deploy("one")
    world.deploy("two")
    world.deploy("three", ("load",), whole=False)
    planned = world.roll_back()
    assert (planned.current, planned.target) == ("two", "two")
    assert world.newest("load") == (4, "two", "two")
    assert world.newest("report") == (2, "two", "two")
    assert world.tag() == "two"


def test_a_killed_rollback_can_be_repeated(world: World) -> None:
    world.deploy("one")
    world.deploy("two")
    next(roll_back(world.resources, world.aws, plan_rollback(world.resources, world.aws)))
    assert world.tag() == "two"
    planned = world.roll_back("one")
    assert [step.action for step in planned.steps] == ["unchanged", "copy"]
    assert (world.newest("load"), world.newest("report")) == ((3, "one", "one"), (3, "one", "one"))
    assert world.tag() == "one"


def test_a_new_task_stays_unchanged(world: World) -> None:
    world.deploy("one", ("load",))
    world.deploy("two")
    planned = world.roll_back()
    assert {step.family: step.action for step in planned.steps} == {
        "example-test-load": "copy",
        "example-test-report": "version not found",
    }
    assert world.newest("report")[1] == "two"
    assert plan_rollback(world.resources, world.aws).target == "two"


def test_impossible_rollbacks_are_errors(world: World) -> None:
    with pytest.raises(CannotRollBack, match="Nothing has been deployed to test yet"):
        plan_rollback(world.resources, world.aws)
    world.deploy("one")
    with pytest.raises(CannotRollBack, match="one is the first version"):
        plan_rollback(world.resources, world.aws)
    with pytest.raises(CannotRollBack, match="Image example:zero no longer exists"):
        plan_rollback(world.resources, world.aws, "zero")
    world.deploy("two", ())
    with pytest.raises(CannotRollBack, match="No task was ever deployed to test with tag two"):
        plan_rollback(world.resources, world.aws, "two")
