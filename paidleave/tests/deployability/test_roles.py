"""The synthesized policies of the deploy role and the plan role suffice for the calls that Terraform makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.testing.aws_provider.deployment import Deployment, TerraformFailed

PROJECT = Project.find(Path(__file__).parent)


@pytest.mark.long
def test_the_roles_may_deploy_plan_and_destroy(emulated_aws: str, tmp_path: Path) -> None:
    deployment = Deployment(PROJECT.catalog, PROJECT.environment("test"), tmp_path)
    deployment.assume("deploy")
    deployment.apply("first")
    deployment.apply("second")
    deployment.assume("plan")
    assert deployment.plan("second").changes == {}
    with pytest.raises(TerraformFailed, match=r"AccessDenied: .*RegisterTaskDefinition"):
        deployment.apply("third")
    deployment.assume("deploy")
    deployment.destroy("second")
