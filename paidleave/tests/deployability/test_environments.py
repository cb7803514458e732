"""Terraform deploys each environment to an emulated AWS, and finds nothing to change afterwards."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from nightferry import Size
from nightferry.aws.rollback import plan_rollback, roll_back
from nightferry.aws.session import Aws
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount, Failed
from nightferry.testing.iam.agent import Agent
from nightferry.testing.iam.report import find_unneeded
from tests.permissions.world import IMAGE, NO_NEW_RELIC, create_account
from tests.terraform.test_golden import ENVIRONMENTS

PROJECT = Project.find(Path(__file__).parent)


SOME_TASKS = {"cps-errors-crawler", "dor-create-pending-filing-submission", "fineos-bucket-tool", "paidleave-check"}


def test_the_second_plan_of_a_part_is_empty_and_a_task_runs(emulated_aws: str, tmp_path: Path) -> None:
    """Deploy the kinds of resources that the environment has: fewer of each, which takes half of the time."""
    catalog, environment = deepcopy(PROJECT.catalog), PROJECT.environment("test")
    for group, kept in (
        (catalog.schedules, {"fineos-error-extracts", "paidleave-check"}),
        (catalog.object_triggers, {"returning-to-state-plan"}),
        (catalog.workflows, {"cps-errors"}),
        (catalog.tasks, SOME_TASKS),
    ):
        for name in group.keys() - kept:
            del group[name]
    check(emulated_aws, Deployment(catalog, without_operators(environment), tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_second_plan_is_empty_and_a_task_runs(emulated_aws: str, tmp_path: Path, name: str) -> None:
    check(emulated_aws, Deployment(PROJECT.catalog, PROJECT.environment(name), tmp_path))


def without_operators(environment: Environment) -> Environment:
    """Return the environment without its last tables, which name the tasks that people may start."""
    return replace(environment, text=environment.text.partition("[aws.operators.")[0])


def check(emulated_aws: str, deployment: Deployment) -> None:
    plan = deployment.apply_and_plan(IMAGE)
    assert plan.changes == {}, plan.text
    assert "Warning" not in plan.text  # such as a deprecated argument
    assert deployment.find_overwritten() == []
    run_with_and_without_the_lease(create_account(emulated_aws, deployment), deployment)


def run_with_and_without_the_lease(account: EnforcedAccount, deployment: Deployment) -> None:
    """Run a task with its applied roles, then without the permission for its lease."""
    family = deployment.resources.naming.family("cps-errors-crawler")
    definition = account.administer("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    agent = Agent(account, NO_NEW_RELIC)
    account.administer("s3").put_object(
        Bucket=deployment.resources.bucket("agency-transfer").name,
        Key="cps-errors/received/2026-01-05-20-00-00-Errors.csv",
        Body=b"ERRORCODE,ID\nAB123,1\n",
        Tagging="GuardDutyMalwareScanStatus=NO_THREATS_FOUND",
    )
    run = agent.run(family)
    assert run.exit_code == 0, run.output
    roles = (definition["taskRoleArn"], definition["executionRoleArn"])
    assert find_unneeded({role: account.statements(role) for role in roles}, account.requirements()) == {}
    s3, bucket = account.client(definition["taskRoleArn"], "s3"), deployment.resources.bucket("agency-transfer").name
    for prefix in ({}, {"Prefix": ""}, {"Prefix": "dor/"}):  # files of other tasks
        with pytest.raises(Failed, match="AccessDenied"):
            account.call(s3.list_objects_v2, Bucket=bucket, **prefix)
    with account.without(definition["taskRoleArn"], "WriteLease"):
        run = agent.run(family)
    assert run.exit_code == 1
    assert re.search("not allowed to (Get|Put)Object s3:", run.output)


@pytest.mark.long
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_next_version_changes_the_definitions_only(emulated_aws: str, tmp_path: Path, name: str) -> None:
    deployment = Deployment(PROJECT.catalog, PROJECT.environment(name), tmp_path)
    deployment.apply("first")
    plan = deployment.plan("second")
    definitions = {address for address in plan.changes if ".aws_ecs_task_definition." in address}
    assert len(definitions) == len(PROJECT.catalog.tasks)
    assert plan.changes.keys() - definitions == {"aws_ssm_parameter.image_tag"}, plan.text
    roll_back_and_deploy_again(deployment)
    deployment.destroy("second")
    assert deployment.resources_by_address() == {}


def roll_back_and_deploy_again(deployment: Deployment) -> None:
    """Deploy a second version, roll back to the first, and deploy the second again: its images run."""
    resources = deployment.resources
    person = Clients(resources.aws.region)
    repository = resources.catalog.image.repository
    for tag in ("first", "second"):
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": tag}
        person("ecr").put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)

    def find_tags() -> set[str]:
        families = [f"{resources.catalog.name}-{resources.environment.name}-{task}" for task in resources.catalog.tasks]
        newest = [person("ecs").describe_task_definition(taskDefinition=family) for family in families]
        return {one["taskDefinition"]["containerDefinitions"][0]["image"].rpartition(":")[2] for one in newest}

    deployment.apply("second")
    aws = Aws(resources.aws.region, person.account())
    list(roll_back(resources, aws, plan_rollback(resources, aws)))
    assert find_tags() == {"first"}
    deployment.apply("second")
    assert find_tags() == {"second"}
    assert deployment.plan("second").changes == {}


@pytest.mark.long
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_change_plans_itself_and_what_is_removed_is_destroyed(emulated_aws: str, tmp_path: Path, name: str) -> None:
    catalog, environment = deepcopy(PROJECT.catalog), PROJECT.environment(name)
    deployment = Deployment(catalog, environment, tmp_path)
    deployment.apply("first")

    catalog.tasks["sftp-tool"] = replace(catalog.tasks["sftp-tool"], size=Size(512, 1024))
    check = catalog.schedules["paidleave-check"]
    catalog.schedules["paidleave-check"] = replace(check, expression="cron(1 7 * * ? *)")
    returning = catalog.object_triggers["returning-to-state-plan"]
    catalog.object_triggers["returning-to-state-plan"] = replace(returning, prefix="dfml/received/Companies")
    errors = catalog.workflows["cps-errors"]
    catalog.workflows["cps-errors"] = replace(errors, definition=dict(errors.definition) | {"Comment": "Changed."})
    deployment.change(catalog, environment)
    plan = deployment.plan("first")
    assert {address: actions for address, actions in plan.changes.items() if "alarm" not in address} == {
        "module.task_sftp_tool.aws_ecs_task_definition.this": ("delete", "create"),
        "module.schedule_paidleave_check.aws_scheduler_schedule.this[0]": ("update",),
        "aws_s3_bucket_notification.agency_transfer": ("update",),
        "aws_sfn_state_machine.cps_errors": ("update",),
    }, plan.text
    assert deployment.apply_and_plan("first").changes == {}

    removed = (
        *("sftp_tool", "paidleave_check", "returning_to_state_plan", "cps_errors", "fineos_error_extracts"),
        'this["cps-errors"]',  # its failure notice
    )
    for schedule in ("paidleave-check", "fineos-error-extracts"):
        del catalog.schedules[schedule]
    del catalog.object_triggers["returning-to-state-plan"]
    del catalog.workflows["cps-errors"]
    del catalog.tasks["sftp-tool"]
    before = deployment.resources_by_address()
    deployment.change(catalog, without_operators(environment))
    plan = deployment.plan("first")
    deleted = {address for address, actions in plan.changes.items() if actions == ("delete",)}
    kept = ("task_paidleave_check", "task_cps_errors_crawler", "paidleave-check")
    expected = {one for one in before if any(part in one for part in removed) and not any(part in one for part in kept)}
    assert deleted == expected, plan.text
    assert deployment.apply_and_plan("first").changes == {}
