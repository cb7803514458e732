"""The scripts of the workflows run as processes with a Git repository and an HTTP server.

``gh``, ``aws`` and ``docker`` are fakes that record their arguments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not all(map(shutil.which, ("bash", "curl", "git", "jq"))),
    reason="the scripts require bash, curl, git and jq",
)

PROJECT = Path(__file__).parents[3]
SCRIPTS = PROJECT / ".github"
Result = subprocess.CompletedProcess[str]


def run(script: str, *arguments: str, cwd: Path = PROJECT, **variables: str) -> Result:
    return subprocess.run(
        [str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env={**os.environ, **variables},
    )


# ── resolve-commit ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a clone with two commits on main, a tag on the first, and a branch that is not merged."""

    def git(*arguments: str, cwd: Path) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    origin = tmp_path / "origin"
    environments = origin / "paidleave" / "environments"
    environments.mkdir(parents=True)
    (environments / "test.toml").write_text('backend = "aws"\n')
    (environments / "local.toml").write_text('backend = "local"\n')
    git("init", "--initial-branch=main", cwd=origin)
    for message in ("one", "two"):
        (origin / "file").write_text(message)
        git("add", ".", cwd=origin)
        git("commit", "-m", message, cwd=origin)
    git("tag", "v1", "HEAD~1", cwd=origin)
    git("checkout", "-b", "feature", cwd=origin)
    git("commit", "--allow-empty", "-m", "three", cwd=origin)
    git("checkout", "main", cwd=origin)
    git("clone", str(origin), "clone", cwd=tmp_path)
    return tmp_path / "clone"


def resolve(repository: Path, name: str) -> str:
    command = ["git", "rev-parse", name]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("version", "commit"), [("main", "main"), ("v1", "v1"), ("HEAD", "main")])
def test_a_version_is_a_commit_of_main(repository: Path, version: str, commit: str) -> None:
    expected = f"commit={resolve(repository, commit)}\nenvironment=test\n"
    assert run("resolve-commit", version, "test", cwd=repository).stdout == expected
    assert run("resolve-commit", resolve(repository, version)[:12], "test", cwd=repository).stdout == expected


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("version", "environment", "message"),
    [
        ("feature", "test", "is not on main"),
        ("nothing", "test", "Commit, tag or branch 'nothing' not found"),
        ("--help", "test", "Commit, tag or branch '--help' not found"),
        ("main", "uat", "paidleave/environments/uat.toml does not exist"),
        ("main", "../environments/test", "Environment '../environments/test' not found"),
        ("main", "local", "is not on AWS"),
    ],
)
def test_an_invalid_version_or_environment_is_rejected(
    repository: Path, version: str, environment: str, message: str
) -> None:
    result = run("resolve-commit", version, environment, cwd=repository)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr


# ── check-subjects, check-release ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("length", "code"), [(72, 0), (73, 1)])
def test_a_commit_subject_has_at_most_72_characters(length: int, code: int) -> None:
    subjects = "Add a schedule\n" + "é" * length
    command = [str(SCRIPTS / "check-subjects")]
    variables = {**os.environ, "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(command, input=subjects, capture_output=True, text=True, check=False, env=variables)
    assert ended.returncode == code
    assert ("with 73 characters" in ended.stderr) == bool(code)


def write_release(repository: Path, version: str, changelog: str) -> None:
    """Write the files that check-release reads."""
    (repository / "nightferry").mkdir()
    (repository / "nightferry" / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (repository / "CHANGELOG.md").write_text(changelog)


def test_a_release_has_its_version_and_its_section(repository: Path) -> None:
    write_release(repository, "1", "# Changelog\n\n## Unreleased\n\n## 1 - 2026-01-31\n")
    assert run("check-release", "v1", cwd=repository).returncode == 0


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "message"),
    [
        ("v1", "2", "## 1 - 2026-01-31\n", "nightferry/pyproject.toml does not have version 1"),
        ("v1", "1", "## 1\n## 11 - 2026-01-31\n", "CHANGELOG.md has no section '## 1 - YYYY-MM-DD'"),
        ("1", "1", "## 1 - 2026-01-31\n", "does not start with v"),
        ("v3", "3", "## 3 - 2026-01-31\n", "Tag v3 is not on main"),
    ],
)
def test_an_invalid_release_is_rejected(repository: Path, tag: str, version: str, changelog: str, message: str) -> None:
    subprocess.run(["git", "tag", "v3", "origin/feature"], cwd=repository, check=True)
    write_release(repository, version, changelog)
    result = run("check-release", tag, cwd=repository)
    assert result.returncode == 1
    assert message in result.stderr


# ── push-image ────────────────────────────────────────────────────────────────────────────────────────────────


def write_fake(folder: Path, program: str, script: str) -> None:
    """Write a program that records its arguments and runs ``script``."""
    file = folder / program
    file.write_text(f'#!/bin/sh\necho "{program} $*" >> "{folder}/calls"\n{script}\n')
    file.chmod(0o755)


def push(tmp_path: Path, describe: str, docker: str = "") -> tuple[Result, list[str]]:
    repository = "111111111111.dkr.ecr.us-east-1.amazonaws.com/paid-leave-api"
    write_fake(
        tmp_path,
        "aws",
        f"""case "$*" in *describe-images*) {describe};; *describe-repositories*) echo {repository};;
        *get-login-password*) echo the-password;; esac""",
    )
    write_fake(tmp_path, "docker", f'case "$*" in login*) cat > /dev/null;; esac\n{docker}')
    result = run("push-image", "test", "abc", PATH=f"{tmp_path}:{os.environ['PATH']}")
    return result, (tmp_path / "calls").read_text().splitlines()


MISSING = 'echo "An error occurred (ImageNotFoundException)" >&2; exit 254'


def test_an_existing_image_is_not_built(tmp_path: Path) -> None:
    result, calls = push(tmp_path, "exit 0")
    assert result.returncode == 0
    assert calls == ["aws ecr describe-images --repository-name paid-leave-api --image-ids imageTag=abc"]


def test_an_image_is_built_started_and_pushed(tmp_path: Path) -> None:
    result, calls = push(tmp_path, MISSING)
    assert result.returncode == 0, result.stderr
    verbs = [call.split()[1] for call in calls if call.startswith("docker")]
    assert verbs == ["build", "run", "run", "login", "push"]
    assert all("--read-only --cap-drop ALL" in call for call in calls if call.startswith("docker run"))
    assert not any("the-password" in call for call in calls)


def test_an_image_that_does_not_start_is_not_pushed(tmp_path: Path) -> None:
    result, calls = push(tmp_path, MISSING, 'case "$*" in run*) exit 1;; esac')
    assert result.returncode == 1
    assert not any("docker push" in call for call in calls)


def test_a_denied_query_fails_without_a_build(tmp_path: Path) -> None:
    result, calls = push(tmp_path, 'echo "AccessDeniedException" >&2; exit 254')
    assert result.returncode == 1
    assert "AccessDenied" in result.stderr
    assert not any(call.startswith("docker") for call in calls)


# ── plan ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "code", "tag"),
    [
        ("exit 0", 0, "unset"),
        ('echo "An error occurred (ParameterNotFound)" >&2; exit 254', 0, "not-deployed-yet"),
        ('echo "An error occurred (AccessDeniedException)" >&2; exit 254', 1, None),
    ],
)
def test_a_plan_uses_the_deployed_image_if_there_is_one(
    tmp_path: Path, answer: str, code: int, tag: str | None
) -> None:
    write_fake(tmp_path, "aws", answer)
    write_fake(tmp_path, "terraform", 'echo "$1 ${TF_VAR_image_tag-unset}"')
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = run("plan", "test", str(tmp_path / "plan.txt"), PATH=path, RUNNER_TEMP=str(tmp_path))
    assert result.returncode == code, result.stderr
    calls = (tmp_path / "calls").read_text()
    assert "aws ssm get-parameter --name /service/paid-leave-api/test/ecs-tasks/image-tag" in calls
    assert ("terraform plan" in calls) == (code == 0)
    if tag:
        assert f"plan {tag}\n" in result.stdout
        assert (tmp_path / "plan.txt").read_text() == f"show {tag}\n"


# ── comment-plan ──────────────────────────────────────────────────────────────────────────────────────────────


def comment(
    tmp_path: Path, plan: str, found: str = "", diff: str = "### Changes in test\n"
) -> tuple[Result, list[str], str]:
    (tmp_path / "diff.md").write_text(diff)
    (tmp_path / "plan.txt").write_text(plan)
    write_fake(tmp_path, "gh", f'case "$*" in *--jq*) printf "{found}";; esac')
    variables = {"RUNNER_TEMP": str(tmp_path), "REPOSITORY": "o/r", "NUMBER": "7"}
    files = (str(tmp_path / "diff.md"), str(tmp_path / "plan.txt"))
    result = run("comment-plan", "test", *files, PATH=f"{tmp_path}:{os.environ['PATH']}", **variables)
    return result, (tmp_path / "calls").read_text().splitlines(), (tmp_path / "comment.md").read_text()


def test_a_further_push_updates_the_comment(tmp_path: Path) -> None:
    result, calls, _ = comment(tmp_path, "No changes.")
    assert result.returncode == 0, result.stderr
    assert "--method POST repos/o/r/issues/7/comments" in calls[-1]
    _, calls, text = comment(tmp_path, "No changes.", "42\\n43\\n")
    assert "--method PATCH repos/o/r/issues/comments/42" in calls[-1]
    assert text.startswith("<!-- nightferry plan: test -->\n")
    assert "\n### Changes in test\n" in text


def test_the_code_of_a_branch_cannot_hide_the_plan(tmp_path: Path) -> None:
    _, _, text = comment(tmp_path, "Plan: 9 to destroy.", diff="```\nNo changes.\n<!--")
    before, _, after = text.partition("is written by the code of the branch.")
    assert "Plan: 9 to destroy." in before
    assert "No changes." in after
    assert "Plan:" not in after


def test_a_long_plan_is_truncated_and_its_fences_are_escaped(tmp_path: Path) -> None:
    _, _, text = comment(tmp_path, "```\n</details>" + "x" * 80_000)
    assert len(text) < 65_536
    assert text.count("```") == 2
    assert "The complete plan is in the job's log" in text


# ── summary ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({"migrate": "success", "apply": "success"}, "**Deployed.** New runs use this version"),
        (
            {"migrate": "failure"},
            "Not deployed.** New runs use the previous version. Outcome of the migration: failure",
        ),
        ({"migrate": "success", "plan": "failure", "apply": "skipped"}, "Outcome of the migration: success"),
        ({"migrate": "success", "apply": "failure"}, "Partially deployed"),
        ({"migrate": "success", "apply": "cancelled"}, "Partially deployed"),
        ({}, "Not deployed"),
    ],
)
def test_the_summary_reports_the_deployed_version(outcomes: dict[str, str], message: str) -> None:
    steps = {step: {"outcome": outcome, "conclusion": outcome} for step, outcome in outcomes.items()}
    result = run("summary", "test", "abc", STEPS=json.dumps(steps))
    assert result.returncode == 0, result.stderr
    assert message in result.stdout
    assert "| users | not reached |" in result.stdout


# ── record-deployment ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def new_relic() -> Iterator[tuple[str, list[tuple[str, Any]], dict[str, Any]]]:
    """Yield the server's address, the requests that it received (key, body), and its response."""
    requests: list[tuple[str, Any]] = []
    result: dict[str, Any] = {"data": {"changeTrackingCreateDeployment": {"deploymentId": "1"}}}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.headers["API-Key"], body))
            data = json.dumps(result).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests, result
    server.shutdown()
    thread.join()
    server.server_close()


def record(address: str, **more: str) -> Result:
    variables = {"ENVIRONMENT": "test", "COMMIT": "abc", "ACTOR": 'o"hara', "NEW_RELIC_API": address}
    return run("record-deployment", **(variables | more))


def test_a_deployment_is_recorded(new_relic: tuple[str, list[tuple[str, Any]], dict[str, Any]]) -> None:
    address, requests, result = new_relic
    message = record(address, NEW_RELIC_USER_KEY="NRAK-1", NEW_RELIC_ENTITY_GUID="guid")
    assert message.returncode == 0, message.stderr
    ((key, body),) = requests
    assert key == "NRAK-1"
    assert body["variables"]["deployment"]["entityGuid"] == "guid"
    assert body["variables"]["deployment"]["user"] == 'o"hara'
    result.clear()
    result["errors"] = [{"message": "no such entity"}]
    refused = record(address, NEW_RELIC_USER_KEY="NRAK-1", NEW_RELIC_ENTITY_GUID="guid")
    assert refused.returncode == 1
    assert "no such entity" in refused.stdout
    assert "NRAK" not in message.stdout + message.stderr + refused.stdout + refused.stderr


def test_without_a_key_nothing_is_recorded(new_relic: tuple[str, list[tuple[str, Any]], dict[str, Any]]) -> None:
    message = record(new_relic[0], NEW_RELIC_USER_KEY="", NEW_RELIC_ENTITY_GUID="guid")
    assert (message.returncode, new_relic[1]) == (0, [])
