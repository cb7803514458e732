"""The workflow *Changes* runs for a pull request and comments its plan, on a stand-in for GitHub's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.emulator.account import ROOT, EmulatedAws, emulated_account, requires_emulator
from tests.deployment.workflow import Repository, Runner, WorkflowRun, terraform

pytestmark = [pytest.mark.long, requires_emulator, pytest.mark.timeout(900)]

NUMBER = 7
TOKEN = "the-token-of-the-workflow"
TASKS = "paidleave/src/paidleave/catalog/tasks.py"
LIMIT = 65_536  # characters of a comment that GitHub accepts


class GitHub:
    """The comments of one pull request, in pages of two."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.url = ""

    def add(self, login: str, body: str) -> None:
        self.comments.append({"id": 100 + len(self.comments), "user": {"login": login}, "body": body})

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments if comment["user"]["login"] == "github-actions[bot]"]


@contextmanager
def github_api(repository: str) -> Iterator[GitHub]:
    github = GitHub()
    collection, single = f"/repos/{repository}/issues/{NUMBER}/comments", f"/repos/{repository}/issues/comments/"

    class Handler(BaseHTTPRequestHandler):
        def _respond(self, status: int, answer: Any, following: str = "") -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if following:
                self.send_header("Link", f'<{following}>; rel="next"')
            self.end_headers()
            self.wfile.write(body)

        def _handle(self) -> None:
            github.calls.append(f"{self.command} {self.path}")
            length = int(self.headers.get("Content-Length") or 0)
            request = json.loads(self.rfile.read(length)) if length else {}
            path, _, query = self.path.partition("?page=")
            if self.headers["Authorization"] != f"token {TOKEN}":
                self._respond(401, {"message": "Bad credentials"})
            elif len(request.get("body", "")) > LIMIT:
                self._respond(422, {"message": "Body is too long"})
            elif self.command == "GET" and path == collection:
                page = int(query or 1)
                rest = f"{github.url}{collection}?page={page + 1}" if 2 * page < len(github.comments) else ""
                self._respond(200, github.comments[2 * page - 2 : 2 * page], rest)
            elif self.command == "POST" and path == collection:
                github.add("github-actions[bot]", request["body"])
                self._respond(201, github.comments[-1])
            elif self.command == "PATCH" and path.startswith(single):
                (comment,) = (found for found in github.comments if found["id"] == int(path.removeprefix(single)))
                comment["body"] = request["body"]
                self._respond(200, comment)
            else:
                self._respond(404, {"message": "Not Found"})

        do_GET = do_POST = do_PATCH = _handle

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAws]:
    with emulated_account(tmp_path_factory.mktemp("account of pull requests"), "test", ROOT) as aws:
        yield aws


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with a branch for a pull request."""
    repository = Repository(tmp_path / "origin")
    repository.checkout("-b", "feature")
    return repository


@pytest.fixture
def runner(repository: Repository, aws: EmulatedAws) -> Runner:
    return Runner(repository, aws)


def change(runner: Runner, head: str, github: GitHub, *, fork: bool = False) -> WorkflowRun:
    """Run the workflow for the environment test, as for a pull request from ``head`` to main."""
    repository = runner.repository
    pull_request = {
        "number": NUMBER,
        "head": {"sha": head, "ref": "feature", "repo": {"full_name": "else/fork" if fork else repository.name}},
        "base": {"sha": repository.resolve("main"), "ref": "main"},
    }
    options = ("--matrix", "environment:test", "--secret", f"GITHUB_TOKEN={TOKEN}")
    payload = {"action": "synchronize", "number": NUMBER, "pull_request": pull_request}
    return runner.run("changes", "pull_request", payload, *options, TEST_GITHUB_API=github.url)


def test_a_pull_request_gets_one_comment_per_environment(
    runner: Runner, repository: Repository, aws: EmulatedAws
) -> None:
    with github_api(repository.name) as github:
        # Comments of people are not replaced, even if they quote ours. Ours stands on the second page.
        github.add("reviewer", "<!-- nightferry plan: test -->\nWhat is this?")
        github.add("github-actions[bot]", "<!-- nightferry plan: prod -->\n")
        comment = comment_on(runner, repository.commit("Change nothing"), github)
        assert "the background tasks' infrastructure does not change" in comment
        # Nothing was deployed, so that the plan creates everything, which is too long for a comment.
        assert "will be created" in comment
        assert "The plan exceeds the maximum length of a comment." in comment

        repository.checkout("main")
        root = repository.folder / "paidleave" / "infra" / "ecs-tasks" / "test"
        terraform(root, aws, "init", "-input=false")
        terraform(root, aws, "apply", "-input=false", "-auto-approve", "-var", "image_tag=deployed")
        repository.checkout("feature")
        comment = comment_on(runner, repository.commit("Change nothing again"), github)
        assert github.calls[-1].startswith("PATCH ")
        assert "No changes. Your infrastructure matches the configuration." in comment

        repository.replace(TASKS, "Size(cpu=2048, memory=4096)", "Size(cpu=2048, memory=8192)")
        repository.synthesize()
        comment = comment_on(runner, repository.commit("Give the import more memory"), github)
        plan, _, description = comment.partition("</details>")
        assert "1 change" in description
        assert "dor-import" in description
        assert "# module.task_dor_import.aws_ecs_task_definition.this must be replaced" in plan
        assert "Plan: 1 to add, 0 to change, 1 to destroy." in plan


def comment_on(runner: Runner, head: str, github: GitHub) -> str:
    """Run the workflow; return the only comment for the environment test."""
    before = len(github.calls)
    run = change(runner, head, github)
    assert run.exit_code == 0, run.log
    assert run.jobs == dict.fromkeys(("describe", "comment", "plan", "comment-plan"), "success")
    # The description is written before the plan, which waits for a review.
    assert sum(not call.startswith("GET ") for call in github.calls[before:]) == 2
    assert TOKEN not in run.log
    (comment,) = [body for body in github.bodies() if "plan: test" in body]
    return comment


def test_a_pull_request_of_a_fork_gets_no_credentials(runner: Runner, repository: Repository) -> None:
    with github_api(repository.name) as github:
        head = repository.commit("Change nothing")
        run = change(runner, head, github, fork=True)
        assert run.exit_code == 0, run.log
        assert github.calls == []
        assert run.jobs["describe"] == "success"
        assert "the background tasks' infrastructure does not change" in run.summary
        assert "configure-aws-credentials" not in run.log
