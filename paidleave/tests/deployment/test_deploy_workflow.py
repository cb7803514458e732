"""The workflow *API CI Deploy* runs whole on an emulated account: every step, its failures, and the next deployment.

Each test starts with a complete deployment and leaves one, so that the first deployment runs once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.deployment.emulator.account import EmulatedAws, emulated_account, requires_emulator
from tests.deployment.workflow import Repository, Runner, WorkflowRun

pytestmark = [pytest.mark.long, requires_emulator, pytest.mark.timeout(1800)]

STEPS = ("image", "verify", "init", "register", "migrate", "plan", "apply", "users", "verified", "marker")
MIGRATION = "db-migrate-up"
USERS = "db-admin-create-db-users"
SECRET = "/service/paid-leave-api/test/db-password"


@dataclass
class Deployment:
    """An account in which a commit is completely deployed."""

    aws: EmulatedAws
    repository: Repository
    runner: Runner
    run: WorkflowRun  # the first deployment
    commit: str

    def deploy(self, **variables: str) -> WorkflowRun:
        return self.runner.deploy("test", **variables)

    def new_commit(self) -> str:
        return self.repository.commit("Change nothing that Terraform sees")

    def assert_complete(self, run: WorkflowRun, commit: str, *, except_for: str = "") -> None:
        """Assert that a run deployed a commit, and that no other version runs."""
        assert run.exit_code == 0, run.log
        assert outcomes(run) == dict.fromkeys(STEPS, "success")
        assert "**Deployed.** New runs use this version." in run.summary
        assert self.running(except_for) == {commit}
        assert self.aws.deployed_tag() == commit
        self.commit = commit

    def assert_not_deployed(self, run: WorkflowRun, failed: str, migrated: str) -> None:
        """Assert that a run failed in a step, and that the old version runs."""
        assert run.exit_code != 0
        assert outcomes(run)[failed] == "failure", run.log
        assert set(list(outcomes(run).values())[STEPS.index(failed) + 1 :]) <= {"skipped"}
        assert (
            f"**Not deployed.** New runs use the previous version. Outcome of the migration: {migrated}." in run.summary
        )
        assert self.running(except_for=MIGRATION) == {self.commit}
        assert self.aws.deployed_tag() == self.commit

    def running(self, except_for: str = "") -> set[str]:
        """Return the image tags that a new run of any task uses."""
        return {tag for name, tag in self.aws.newest_tags().items() if name != except_for}

    def roll_back(self) -> None:
        """Roll the account back as an operator does."""
        code, output = self.aws.nightferry("rollback", "--env", "test", "--yes")
        assert code == 0, output


def outcomes(run: WorkflowRun) -> dict[str, str]:
    """Return the outcome of each step of the deployment, as the summary shows them."""
    rows = [line.strip("| ").split(" | ") for line in run.summary.splitlines() if line.startswith("| ")]
    return {step: outcome for step, outcome in rows if step in STEPS}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("an account")
    repository = Repository(folder / "origin")
    with emulated_account(folder, "test", repository.folder) as aws:
        runner = Runner(repository, aws)
        yield Deployment(aws, repository, runner, runner.deploy("test"), repository.resolve("main"))


@pytest.fixture
def deployment(first: Deployment) -> Iterator[Deployment]:
    """Return the account after a complete deployment of the newest commit, whatever the test before left."""
    if first.running() != {first.aws.deployed_tag()}:
        first.aws.script()
        first.aws.refuse()
        first.assert_complete(first.deploy(), first.repository.resolve("main"))
    yield first
    first.aws.script()
    first.aws.refuse()


def test_the_first_deployment(first: Deployment) -> None:
    first.assert_complete(first.run, first.commit)
    assert first.commit in first.aws.image_tags()
    assert first.run.jobs == {"version": "success", "deploy": "success"}
    tasks = {name.removeprefix("paid-leave-api-test-") for name in first.aws.newest_tags()}
    assert tasks == set(first.aws.resources.catalog.tasks)
    workflows = set(first.aws.resources.catalog.workflows)
    assert first.aws.state_machines() == {f"paid-leave-api-test-{name}" for name in workflows}
    assert [task["containers"][0]["exitCode"] for task in first.aws.tasks(MIGRATION)] == [0]
    assert [task["containers"][0]["exitCode"] for task in first.aws.tasks(USERS)] == [0]
    assert "0 missing, wrong or not allowed" in first.run.log
    assert "The deployment is not recorded." in first.run.log


def test_the_same_version_again_builds_nothing_and_changes_nothing(deployment: Deployment) -> None:
    before = deployment.aws.revisions()
    run = deployment.deploy()
    deployment.assert_complete(run, deployment.commit)
    assert f"Image paid-leave-api:{deployment.commit} already exists." in run.log
    assert deployment.aws.revisions() == before
    assert "No changes. Your infrastructure matches the configuration." in run.log


def test_a_new_version_replaces_the_image_of_every_task(deployment: Deployment) -> None:
    before = deployment.aws.revisions()
    commit = deployment.new_commit()
    deployment.assert_complete(deployment.deploy(), commit)
    after = deployment.aws.revisions()
    assert {name: revision - before[name] for name, revision in after.items()} == dict.fromkeys(before, 1)


def test_a_previous_version_is_deployed_with_its_image(deployment: Deployment) -> None:
    old = deployment.commit
    commit = deployment.new_commit()
    deployment.assert_complete(deployment.deploy(), commit)
    run = deployment.runner.deploy("test", old)
    deployment.assert_complete(run, old)
    assert f"Image paid-leave-api:{old} already exists." in run.log
    deployment.assert_complete(deployment.deploy(), commit)


def test_after_a_failed_migration_the_old_version_runs_and_the_next_deployment_repeats_it(
    deployment: Deployment,
) -> None:
    deployment.aws.script(db_migrate_up=[{"exit_code": 1, "line": "revision 0042 failed"}, {}])
    commit = deployment.new_commit()
    run = deployment.deploy()
    deployment.assert_not_deployed(run, "migrate", migrated="failure")
    assert "revision 0042 failed" in run.log
    assert deployment.aws.newest_tags()[MIGRATION] == commit, "an unused revision"
    deployment.assert_complete(deployment.deploy(), commit)


def test_after_a_failed_plan_the_old_version_runs(deployment: Deployment) -> None:
    commit = deployment.new_commit()
    deployment.aws.refuse(DescribeStateMachine="")
    deployment.assert_not_deployed(deployment.deploy(), "plan", migrated="success")
    deployment.aws.refuse()
    deployment.assert_complete(deployment.deploy(), commit)


def test_an_apply_that_fails_half_way_is_completed_by_the_same_version(deployment: Deployment) -> None:
    old, commit = deployment.commit, deployment.new_commit()
    deployment.aws.refuse(RegisterTaskDefinition="paid-leave-api-test-dor-import-exempt")
    run = deployment.deploy()
    assert run.exit_code != 0
    assert outcomes(run)["apply"] == "failure", run.log
    assert {outcomes(run)[step] for step in ("users", "verified", "marker")} == {"skipped"}
    assert "**Partially deployed.** Some task definitions have this version." in run.summary
    assert deployment.running() == {old, commit}
    assert deployment.aws.newest_tags()["dor-import-exempt"] == old
    assert deployment.aws.deployed_tag() == old, "the parameter names complete deployments only"
    deployment.aws.refuse()
    deployment.assert_complete(deployment.deploy(), commit)


def test_an_apply_that_fails_half_way_is_undone_by_a_rollback(deployment: Deployment) -> None:
    old, commit = deployment.commit, deployment.new_commit()
    deployment.aws.refuse(RegisterTaskDefinition="paid-leave-api-test-dor-import-exempt")
    assert outcomes(deployment.deploy())["apply"] == "failure"
    deployment.aws.refuse()
    deployment.roll_back()
    assert deployment.running() == {old}
    deployment.assert_complete(deployment.deploy(), commit)


def test_without_a_prerequisite_nothing_changes(deployment: Deployment) -> None:
    ssm = deployment.aws.client("ssm")
    ssm.delete_parameter(Name=SECRET)
    before, commit = deployment.aws.revisions(), deployment.new_commit()
    try:
        run = deployment.deploy()
    finally:
        ssm.put_parameter(Name=SECRET, Value="secret", Type="SecureString")
    deployment.assert_not_deployed(run, "verify", migrated="skipped")
    assert SECRET in run.log
    assert deployment.aws.revisions() == before
    deployment.assert_complete(deployment.deploy(), commit)


def test_without_an_image_nothing_changes(deployment: Deployment) -> None:
    before, commit = deployment.aws.revisions(), deployment.new_commit()
    for verb in ("build", "run", "push"):
        run = deployment.deploy(TEST_DOCKER_FAILS=verb)
        deployment.assert_not_deployed(run, "image", migrated="skipped")
        assert f"docker {verb}: refused by the test" in run.log
        assert commit not in deployment.aws.image_tags()
        assert deployment.aws.revisions() == before
    deployment.assert_complete(deployment.deploy(), commit)


def test_a_version_whose_users_fail_is_deployed_and_the_next_deployment_creates_them(deployment: Deployment) -> None:
    deployment.aws.script(db_admin_create_db_users=[{"exit_code": 1, "line": "role exists"}, {}])
    commit = deployment.new_commit()
    run = deployment.deploy()
    assert run.exit_code != 0
    assert (outcomes(run)["users"], outcomes(run)["verified"]) == ("failure", "skipped"), run.log
    assert "**Deployed.** New runs use this version." in run.summary
    assert (deployment.running(), deployment.aws.deployed_tag()) == ({commit}, commit)
    deployment.assert_complete(deployment.deploy(), commit)


def test_after_a_rollback_the_same_commit_and_a_new_one_are_deployed(deployment: Deployment) -> None:
    old = deployment.commit
    commit = deployment.new_commit()
    deployment.assert_complete(deployment.deploy(), commit)
    deployment.roll_back()
    assert (deployment.running(), deployment.aws.deployed_tag()) == ({old}, old)
    deployment.assert_complete(deployment.deploy(), commit)

    deployment.roll_back()
    assert (deployment.running(), deployment.aws.deployed_tag()) == ({old}, old)
    commit = deployment.new_commit()
    deployment.assert_complete(deployment.deploy(), commit)


def test_a_version_removes_the_task_and_the_schedule_that_it_no_longer_has(deployment: Deployment) -> None:
    repository, aws = deployment.repository, deployment.aws
    with_both, roles = deployment.commit, aws.roles()
    catalog = "paidleave/src/paidleave/catalog"
    repository.remove(f"{catalog}/tasks.py", rf'(?ms)^\w+ = catalog\.task\(\n    "{USERS}",.*?^\)\n')
    repository.remove(f"{catalog}/schedules.py", r'(?m)^catalog\.schedule\("paidleave-check".*\n')
    repository.synthesize()
    commit = repository.commit("Remove a task and a schedule")
    run = deployment.deploy()
    deployment.assert_complete(run, commit, except_for=USERS)
    assert f"This version has no task {USERS}. Skipped." in run.log
    # Its revisions stay registered for a rollback, but nothing can start them without the roles.
    assert aws.newest_tags()[USERS] == with_both
    assert aws.roles() == roles - {f"paid-leave-api-test-{USERS}", f"paid-leave-api-test-{USERS}-execution",
                                   "paid-leave-api-test-paidleave-check-schedule"}  # fmt: skip
    assert "paid-leave-api-test-paidleave-check" not in aws.schedules()

    repository.checkout(with_both, "--", "paidleave")
    commit = repository.commit("Add both again")
    deployment.assert_complete(deployment.deploy(), commit)
    assert aws.roles() == roles
    assert "paid-leave-api-test-paidleave-check" in aws.schedules()


@pytest.mark.parametrize(("code", "deployed"), [(0, True), (1, False)])
def test_a_push_to_main_is_deployed_if_its_tests_pass(deployment: Deployment, code: int, deployed: bool) -> None:
    old, repository = deployment.commit, deployment.repository
    repository.write(".ci/run", f"#!/bin/sh\nexit {code}\n")
    commit = repository.commit("Replace the tests by their result")
    payload = {"ref": "refs/heads/main", "after": commit, "before": old}
    run = deployment.runner.run("deploy", "push", payload)
    if deployed:
        deployment.assert_complete(run, commit)
    else:
        assert run.exit_code != 0
        assert "deploy" not in run.jobs, run.log
        assert (deployment.running(), deployment.aws.deployed_tag()) == ({old}, old)


def test_a_commit_that_is_not_on_main_is_not_deployed(deployment: Deployment) -> None:
    repository = deployment.repository
    repository.checkout("-b", "feature")
    commit = repository.commit("Not reviewed")
    repository.checkout("main")
    run = deployment.runner.deploy("test", commit)
    assert run.jobs == {"version": "failure"}
    assert f"Commit {commit} is not on main." in run.log


def test_the_reviewers_of_a_deployment_see_its_plan(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stage")
    repository = Repository(folder / "origin")
    with emulated_account(folder, "stage", repository.folder) as aws:
        run = Runner(repository, aws).deploy("stage")
        commit = repository.resolve("main")
        assert run.jobs == {"version": "success", "plan": "success", "deploy": "success"}, run.log
        plan, _, outcome = run.summary.partition(f"### {commit} in stage")
        assert plan.startswith(f"### Plan for stage at {commit}")
        assert "# module.task_dor_import.aws_ecs_task_definition.this will be created" in plan
        assert "**Deployed.**" in outcome
        assert set(aws.newest_tags().values()) == {commit}
