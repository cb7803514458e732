"""``nightferry verify`` of an environment that Terraform has deployed, also after a rollback and another deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry.aws.rollback import plan_rollback, roll_back
from nightferry.aws.session import Aws
from nightferry.aws.verify.verify import verify
from nightferry.terraform import synthesize
from nightferry.terraform.reading.expected import find_expected
from nightferry.testing.aws_provider.deployment import Deployment
from tests.aws.verify.iam_simulator import IamSimulator
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import make_catalog, make_environment

pytestmark = pytest.mark.long


@pytest.fixture
def server(emulated_aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """Return a proxy of the emulated AWS that has a policy simulator."""
    with ecs_with_tokens(emulated_aws) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


def test_verify_finds_what_terraform_deploys(server: TokenServer, tmp_path: Path) -> None:
    catalog = make_catalog()
    deployment = Deployment(catalog, make_environment(catalog), tmp_path)
    aws = Aws("us-east-1", deployment.clients.account())
    server.overrides.append(IamSimulator(deployment.clients("iam")).respond)
    for tag in ("one", "two"):
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": tag}
        deployment.clients("ecr").put_image(repositoryName="example", imageManifest=json.dumps(manifest), imageTag=tag)

    resources = deployment.resources.aws
    existing = {
        "route to AWS (NAT or endpoints)",
        resources.cluster,
        resources.database_resource_id,
        "/service/example/test/common/new-relic",
        "/service/example/test/load/key",
        resources.alarms.high,
        resources.alarms.low,
        "arn:aws:iam::210987654321:role/exchange",
        # moto does not return that a bucket sends its events to EventBridge.
        "example-test-on-table",
        "example-test-on-batch",
    }

    def find() -> dict[str, str]:
        """Return the details of the findings that are not OK, except those about what Terraform does not create."""
        expected = find_expected(synthesize(catalog, deployment.resources.environment), deployment.resources)
        found = verify(deployment.resources, expected, aws, prerequisites=False, image_tag=None)
        return {one.name: one.detail for one in found if one.verdict != "ok" and one.name not in existing}

    deployment.apply("one")
    assert find() == {}
    deployment.apply("two")
    assert find() == {}
    list(roll_back(deployment.resources, aws, plan_rollback(deployment.resources, aws)))
    assert find() == {}
    # Terraform without track_latest would now write the parameter only, and report success.
    parameter = deployment.resources.naming.image_tag_parameter
    aws.ssm.put_parameter(Name=parameter, Value="two", Type="String", Overwrite=True)
    assert find().keys() == {"example-test-load", "example-test-report"}
    assert "New runs use the image one (revision example-test-load:3)" in find()["example-test-load"]
    deployment.apply("two")
    assert find() == {}
    newest = aws.ecs.describe_task_definition(taskDefinition="example-test-load")["taskDefinition"]
    assert newest["containerDefinitions"][0]["image"].endswith(":two")
