"""A catalog with every kind of declaration, deployed by Terraform to an emulated AWS, changed, and destroyed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from nightferry.aws.rollback import plan_rollback, roll_back
from nightferry.aws.session import Aws
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.fargate import Size
from nightferry.states.builder import RunTask, Steps
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.deployment import Deployment, get_type
from nightferry.testing.aws_provider.services import RESOURCES
from tests.deployability.drift import CHANGES
from tests.deployability.other_actions import OTHER_ACTIONS, OTHER_STATEMENTS
from tests.terraform import example
from tests.terraform.example import make_environment
from tests.terraform.test_deployers import BOUNDARY


@pytest.mark.long  # paidleave's tests deploy an environment in each run
def test_a_change_plans_itself_and_nothing_else(emulated_aws: str, tmp_path: Path) -> None:
    catalog = make_catalog()
    for schedule in ("hourly", "spare"):
        del catalog.schedules[schedule]
    for trigger in ("on-table", "on-batch"):
        del catalog.object_triggers[trigger]
    del catalog.workflows["spare-flow"]
    del catalog.tasks["spare"]
    change_one_of_each(deploy(catalog, tmp_path))


@pytest.mark.long
def test_every_change_of_a_deployment_shows_in_a_plan(emulated_aws: str, tmp_path: Path) -> None:
    catalog = make_catalog()
    deployment = Deployment(catalog, make_environment(catalog), tmp_path)
    role = deployment.assume("deploy")
    assert deployment.apply_and_plan("one").changes == {}
    change_one_of_each(deployment)
    assert deployment.apply_and_plan("one").changes == {}
    change_the_tags_and_descriptions(deployment)
    change_each_type_without_terraform(deployment)
    remove_one_of_each(deployment)
    deploy_the_same_version_after_a_rollback(deployment)
    deployment.destroy("two")
    assert deployment.resources_by_address() == {}
    # Each action of the policies has a call in this test, or a reason.
    assert sorted(role.list_actions() - role.used) == sorted(OTHER_ACTIONS)
    # Each statement was the only one that allowed a call, unless all of its actions have a reason.
    idle = {one["Sid"] for one in role.statements if not OTHER_ACTIONS.keys() >= set(one["Action"])} - role.needed
    assert idle == OTHER_STATEMENTS.keys()


@pytest.mark.long
def test_a_boundary_is_added_to_the_roles_of_a_deployment(emulated_aws: str, tmp_path: Path) -> None:
    catalog = make_catalog()
    deployment = deploy(catalog, tmp_path)
    limited = example.ENVIRONMENT.replace("bucket_prefix", f'permissions_boundary = "{BOUNDARY}"\nbucket_prefix', 1)
    deployment.change(catalog, make_environment(catalog, limited))
    deployment.assume("deploy")
    plan = deployment.plan("one")
    assert {get_type(address) for address in plan.changes} == {"aws_iam_role"}, plan.text
    assert set(plan.changes.values()) == {("update",)}
    assert deployment.apply_and_plan("one").changes == {}
    deployment.destroy("one")


def make_catalog() -> Catalog:
    """Return the example's catalog, and a task with a schedule and a workflow that a test can remove."""
    catalog = example.make_catalog()
    spare = catalog.task("spare", command=["spare"], config=example.JobSettings, env={"FOLDER_PATH": "x"})
    catalog.schedule("spare", spare, "rate(1 day)")
    catalog.workflow("spare-flow", Steps(RunTask(spare)), timeout=timedelta(hours=1))
    return catalog


def deploy(catalog: Catalog, folder: Path) -> Deployment:
    """Deploy the catalog, and expect that the next plan is empty."""
    deployment = Deployment(catalog, make_environment(catalog), folder)
    plan = deployment.apply_and_plan("one")
    assert plan.changes == {}, plan.text
    assert "Warning" not in plan.text  # such as a deprecated argument
    assert deployment.find_overwritten() == []
    return deployment


def change_one_of_each(deployment: Deployment) -> None:
    """Change a task, a schedule, a trigger and a workflow: each changes its own resources in place, or its revision."""
    catalog = deployment.resources.catalog
    catalog.tasks["report"] = replace(catalog.tasks["report"], size=Size(512, 1024))
    catalog.schedules["for-a-year"] = replace(catalog.schedules["for-a-year"], expression="rate(2 days)")
    catalog.object_triggers["on-file"] = replace(catalog.object_triggers["on-file"], prefix="in/z_")
    nightly = catalog.workflows["nightly"]
    catalog.workflows["nightly"] = replace(
        nightly, definition=dict(nightly.definition) | {"Comment": "Loads and reports twice."}
    )
    deployment.change(catalog, make_environment(catalog))
    plan = deployment.plan("one")
    assert {address: actions for address, actions in plan.changes.items() if "alarm" not in address} == {
        "module.task_report.aws_ecs_task_definition.this": ("delete", "create"),
        "module.schedule_for_a_year.aws_scheduler_schedule.this[0]": ("update",),
        "aws_s3_bucket_notification.inbox": ("update",),
        "aws_sfn_state_machine.nightly": ("update",),
    }, plan.text
    # Nothing that refers to a changed task is unknown before the apply.
    assert plan.changed_arguments("aws_sfn_state_machine.nightly") == {"definition"}


def change_the_tags_and_descriptions(deployment: Deployment) -> None:
    """Add a tag to all resources and change the descriptions of roles and keys, then remove the tag again."""
    catalog = deployment.resources.catalog
    tagged = example.ENVIRONMENT.replace("[aws.alarms]", 'tags = { owner = "someone" }\n\n[aws.alarms]', 1)
    for text in (tagged, example.ENVIRONMENT):
        deployment.change(catalog, make_environment(catalog, text))
        plan = deployment.plan("one")
        assert set(plan.changes.values()) == {("update",)}, plan.text
        assert deployment.apply_and_plan("one").changes == {}


def change_each_type_without_terraform(deployment: Deployment) -> None:
    """Change an attribute of each type on AWS: the plan shows each, and an apply restores it."""
    assert set(CHANGES) == set(RESOURCES)
    resources = deployment.resources_by_address()
    changed = {}
    person = Clients("us-east-1")
    for kind, change in CHANGES.items():
        address = next(one for one in sorted(resources) if get_type(one) == kind)
        change(person, resources[address])
        changed[address] = kind
    plan = deployment.plan("one")
    missing = {kind for address, kind in changed.items() if address not in plan.changes}
    assert not missing, plan.text
    # A policy document that refers to a changed resource is evaluated during the apply.
    others = {get_type(address) for address in plan.changes.keys() - changed.keys()}
    assert others <= {"aws_iam_role_policy", "aws_sqs_queue_policy", "aws_cloudwatch_log_resource_policy"}, plan.text
    plan = deployment.apply_and_plan("one")
    assert plan.changes == {}, plan.text


def remove_one_of_each(deployment: Deployment) -> None:
    """Remove a task, a schedule, a trigger and a workflow: their resources are destroyed and no others."""
    catalog = deployment.resources.catalog
    for name in ("for-a-year", "spare"):
        del catalog.schedules[name]
    del catalog.object_triggers["on-table"]
    del catalog.workflows["spare-flow"]
    del catalog.tasks["spare"]
    before = deployment.resources_by_address()
    deployment.change(catalog, make_environment(catalog))
    plan = deployment.plan("one")
    deleted = {address for address, actions in plan.changes.items() if actions == ("delete",)}
    removed = ("for_a_year", "spare", "on_table")
    assert deleted == {address for address in before if any(name in address for name in removed)}, plan.text
    assert {one: plan.changes[one] for one in plan.changes.keys() - deleted} == {
        "aws_cloudwatch_dashboard.this": ("update",),
        "aws_sqs_queue_policy.triggers_dead_letters": ("update",),
    }, plan.text
    plan = deployment.apply_and_plan("one")
    assert plan.changes == {}, plan.text
    machines = Clients("us-east-1")("stepfunctions").list_state_machines()["stateMachines"]
    assert [machine["name"] for machine in machines] == ["example-test-nightly"]


def deploy_the_same_version_after_a_rollback(deployment: Deployment) -> None:
    """Roll back, then deploy the version that no longer runs: its image runs again."""
    person = Clients("us-east-1")
    ecr, account = person("ecr"), person.account()
    for tag in ("one", "two"):
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": tag}
        ecr.put_image(repositoryName="example", imageManifest=json.dumps(manifest), imageTag=tag)
    deployment.apply("two")
    aws = Aws("us-east-1", account)
    list(roll_back(deployment.resources, aws, plan_rollback(deployment.resources, aws)))
    assert find_image() == "one"
    plan = deployment.plan("two")
    assert plan.changes == {
        "aws_ssm_parameter.image_tag": ("update",),
        "module.task_load.aws_ecs_task_definition.this": ("delete", "create"),
        "module.task_report.aws_ecs_task_definition.this": ("delete", "create"),
    }, plan.text
    deployment.apply("two")
    assert find_image() == "two"


def find_image() -> str:
    """Return the tag of the image that the next start of the task runs."""
    found = Clients("us-east-1")("ecs").describe_task_definition(taskDefinition="example-test-load")
    return str(found["taskDefinition"]["containerDefinitions"][0]["image"].rpartition(":")[2])
