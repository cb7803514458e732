"""The workflows' scripts as processes: in a real repository, against a real server.

``gh``, ``aws`` and ``docker`` are stand-ins that write down how they were called.
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
    reason="the scripts need bash, curl, git and jq, as GitHub's machines have them",
)

PROJECT = Path(__file__).parents[3]
SCRIPTS = PROJECT / ".github"
Answer = subprocess.CompletedProcess[str]


def run(script: str, *arguments: str, cwd: Path = PROJECT, **variables: str) -> Answer:
    return subprocess.run(
        [str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env={**os.environ, **variables},
    )


# ── which-commit ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone with a main of two commits, a tag on the first, and a branch that is not merged."""

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


def head(repository: Path, name: str) -> str:
    command = ["git", "rev-parse", name]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("version", "commit"), [("main", "main"), ("v1", "v1"), ("HEAD", "main")])
def test_a_version_is_a_commit_of_main(repository: Path, version: str, commit: str) -> None:
    expected = f"commit={head(repository, commit)}\nenvironment=test\n"
    assert run("which-commit", version, "test", cwd=repository).stdout == expected
    assert run("which-commit", head(repository, version)[:12], "test", cwd=repository).stdout == expected


@pytest.mark.parametrize(
    ("version", "environment", "told"),
    [
        ("feature", "test", "is not on main"),
        ("nothing", "test", "There is no commit, tag or branch 'nothing'"),
        ("--help", "test", "There is no commit, tag or branch '--help'"),
        ("main", "uat", "paidleave/environments/uat.toml does not exist"),
        ("main", "../environments/test", "There is no environment"),
        ("main", "local", "is not on AWS"),
    ],
)
def test_anything_else_is_refused(repository: Path, version: str, environment: str, told: str) -> None:
    answer = run("which-commit", version, environment, cwd=repository)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert told in answer.stderr


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
    """Write the files that a release is checked against."""
    (repository / "nightferry").mkdir()
    (repository / "nightferry" / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (repository / "CHANGELOG.md").write_text(changelog)


def test_a_release_has_its_version_and_its_section(repository: Path) -> None:
    write_release(repository, "1", "# Changelog\n\n## Unreleased\n\n## 1 - 2026-01-31\n")
    assert run("check-release", "v1", cwd=repository).returncode == 0


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "told"),
    [
        ("v1", "2", "## 1 - 2026-01-31\n", "nightferry/pyproject.toml does not have the version 1"),
        ("v1", "1", "## 1\n## 11 - 2026-01-31\n", "CHANGELOG.md has no section '## 1 - YYYY-MM-DD'"),
        ("1", "1", "## 1 - 2026-01-31\n", "does not begin with v"),
        ("v3", "3", "## 3 - 2026-01-31\n", "v3 is not on main"),
    ],
)
def test_any_other_release_is_refused(repository: Path, tag: str, version: str, changelog: str, told: str) -> None:
    subprocess.run(["git", "tag", "v3", "origin/feature"], cwd=repository, check=True)
    write_release(repository, version, changelog)
    answer = run("check-release", tag, cwd=repository)
    assert answer.returncode == 1
    assert told in answer.stderr


# ── push-image ────────────────────────────────────────────────────────────────────────────────────────────────


def stand_in(folder: Path, program: str, script: str) -> None:
    """A program on the path that writes its arguments down and does what ``script`` says."""
    file = folder / program
    file.write_text(f'#!/bin/sh\necho "{program} $*" >> "{folder}/calls"\n{script}\n')
    file.chmod(0o755)


def push(tmp_path: Path, describe: str, docker: str = "") -> tuple[Answer, list[str]]:
    repository = "111111111111.dkr.ecr.us-east-1.amazonaws.com/paid-leave-api"
    stand_in(
        tmp_path,
        "aws",
        f"""case "$*" in *describe-images*) {describe};; *describe-repositories*) echo {repository};;
        *get-login-password*) echo the-password;; esac""",
    )
    stand_in(tmp_path, "docker", f'case "$*" in login*) cat > /dev/null;; esac\n{docker}')
    answer = run("push-image", "test", "abc", PATH=f"{tmp_path}:{os.environ['PATH']}")
    return answer, (tmp_path / "calls").read_text().splitlines()


MISSING = 'echo "An error occurred (ImageNotFoundException)" >&2; exit 254'


def test_an_image_that_is_there_is_not_built_again(tmp_path: Path) -> None:
    answer, calls = push(tmp_path, "exit 0")
    assert answer.returncode == 0
    assert calls == ["aws ecr describe-images --repository-name paid-leave-api --image-ids imageTag=abc"]


def test_an_image_is_built_tried_and_pushed(tmp_path: Path) -> None:
    answer, calls = push(tmp_path, MISSING)
    assert answer.returncode == 0, answer.stderr
    verbs = [call.split()[1] for call in calls if call.startswith("docker")]
    assert verbs == ["build", "run", "run", "login", "push"]
    assert all("--read-only --cap-drop ALL" in call for call in calls if call.startswith("docker run"))
    assert not any("the-password" in call for call in calls)


def test_an_image_that_does_not_start_is_not_pushed(tmp_path: Path) -> None:
    answer, calls = push(tmp_path, MISSING, 'case "$*" in run*) exit 1;; esac')
    assert answer.returncode == 1
    assert not any("docker push" in call for call in calls)


def test_not_being_allowed_to_look_is_no_reason_to_build(tmp_path: Path) -> None:
    answer, calls = push(tmp_path, 'echo "AccessDeniedException" >&2; exit 254')
    assert answer.returncode == 1
    assert "AccessDenied" in answer.stderr
    assert not any(call.startswith("docker") for call in calls)


# ── comment-plan ──────────────────────────────────────────────────────────────────────────────────────────────


def comment(tmp_path: Path, plan: str, found: str = "") -> tuple[Answer, list[str], str]:
    (tmp_path / "diff.md").write_text("### Changes in test\n")
    (tmp_path / "plan.txt").write_text(plan)
    stand_in(tmp_path, "gh", f'case "$*" in *--jq*) printf "{found}";; esac')
    variables = {"RUNNER_TEMP": str(tmp_path), "REPOSITORY": "o/r", "NUMBER": "7"}
    files = (str(tmp_path / "diff.md"), str(tmp_path / "plan.txt"))
    answer = run("comment-plan", "test", *files, PATH=f"{tmp_path}:{os.environ['PATH']}", **variables)
    return answer, (tmp_path / "calls").read_text().splitlines(), (tmp_path / "comment.md").read_text()


def test_a_later_push_replaces_the_comment(tmp_path: Path) -> None:
    answer, calls, _ = comment(tmp_path, "No changes.")
    assert answer.returncode == 0, answer.stderr
    assert "--method POST repos/o/r/issues/7/comments" in calls[-1]
    _, calls, text = comment(tmp_path, "No changes.", "42\\n43\\n")
    assert "--method PATCH repos/o/r/issues/comments/42" in calls[-1]
    assert text.startswith("<!-- nightferry plan: test -->\n### Changes in test\n")


def test_a_long_plan_is_cut_and_a_fence_in_it_ends_nothing(tmp_path: Path) -> None:
    _, _, text = comment(tmp_path, "```\n</details>" + "x" * 80_000)
    assert len(text) < 65_536
    assert text.count("```") == 2
    assert "the job's log has all of it" in text


# ── summary ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ({"migrate": "success", "apply": "success"}, "Tasks that start from now on run this version"),
        ({"migrate": "failure"}, "Not deployed.** The version before is what runs. The migration: failure"),
        ({"migrate": "success", "apply": "failure"}, "Half deployed"),
        ({"migrate": "success", "apply": "cancelled"}, "Half deployed"),
        ({}, "Not deployed"),
    ],
)
def test_the_summary_tells_what_runs_now(outcomes: dict[str, str], told: str) -> None:
    steps = {step: {"outcome": outcome, "conclusion": outcome} for step, outcome in outcomes.items()}
    answer = run("summary", "test", "abc", STEPS=json.dumps(steps))
    assert answer.returncode == 0, answer.stderr
    assert told in answer.stdout
    assert "| users | not reached |" in answer.stdout


# ── record-deployment ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def new_relic() -> Iterator[tuple[str, list[tuple[str, Any]], dict[str, Any]]]:
    """Its address, the requests that it got (key, body), and its answer."""
    requests: list[tuple[str, Any]] = []
    answer: dict[str, Any] = {"data": {"changeTrackingCreateDeployment": {"deploymentId": "1"}}}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.headers["API-Key"], body))
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests, answer
    server.shutdown()
    thread.join()
    server.server_close()


def record(address: str, **more: str) -> Answer:
    variables = {"ENVIRONMENT": "test", "COMMIT": "abc", "ACTOR": 'o"hara', "NEW_RELIC_API": address}
    return run("record-deployment", **(variables | more))


def test_a_deployment_is_recorded(new_relic: tuple[str, list[tuple[str, Any]], dict[str, Any]]) -> None:
    address, requests, answer = new_relic
    told = record(address, NEW_RELIC_USER_KEY="NRAK-1", NEW_RELIC_ENTITY_GUID="guid")
    assert told.returncode == 0, told.stderr
    ((key, body),) = requests
    assert key == "NRAK-1"
    assert body["variables"]["deployment"]["entityGuid"] == "guid"
    assert body["variables"]["deployment"]["user"] == 'o"hara'
    answer.clear()
    answer["errors"] = [{"message": "no such entity"}]
    refused = record(address, NEW_RELIC_USER_KEY="NRAK-1", NEW_RELIC_ENTITY_GUID="guid")
    assert refused.returncode == 1
    assert "no such entity" in refused.stdout
    assert "NRAK" not in told.stdout + told.stderr + refused.stdout + refused.stderr


def test_without_a_key_nothing_is_recorded(new_relic: tuple[str, list[tuple[str, Any]], dict[str, Any]]) -> None:
    told = record(new_relic[0], NEW_RELIC_USER_KEY="", NEW_RELIC_ENTITY_GUID="guid")
    assert (told.returncode, new_relic[1]) == (0, [])
