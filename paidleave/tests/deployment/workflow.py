"""Run the workflows with act: without containers, with an emulated account, a local repository and stand-ins.

act starts the jobs as processes in a folder of their own. It has no approvals, no concurrency and no tokens of GitHub.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.emulator.account import AWS_BIN, ROOT, EmulatedAws

STAND_INS = Path(__file__).parent / "stand_ins"
_RUNNER = "ubuntu-24.04"


@dataclass
class WorkflowRun:
    """The result of a run: its exit code, the results of jobs and of steps with an id, its summary and its log."""

    exit_code: int
    jobs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""


class Repository:
    """A clone of this repository's files, with a branch ``main``."""

    name = "organization/paid-leave"  # on GitHub

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for file in (folder / "paidleave" / "environments").glob("*.toml"):
            # MiniStack has all lines of a task when it stops.
            file.write_text(re.sub(r"(?m)^\[aws\]$", "[aws]\nlog_quiet_seconds = 0.5", file.read_text()))
        _git(folder, "init", "--quiet", "--initial-branch=main")
        _git(folder, "remote", "add", "origin", f"https://github.com/{self.name}")  # act reads the name in it
        _git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.commit("First version")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that a file contains once."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} contains {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Replace the text of a file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def remove(self, name: str, pattern: str) -> None:
        """Remove the only text of a file that matches a pattern."""
        text, found = re.subn(pattern, "", (self.folder / name).read_text(encoding="utf-8"))
        assert found == 1, f"{name} contains {pattern!r} {found} times"
        self.write(name, text)

    def commit(self, message: str) -> str:
        """Commit all changes on the current branch, and return the commit's hash."""
        _git(self.folder, "add", "--all")
        _git(self.folder, "commit", "--quiet", "--allow-empty", "--message", message)
        return self.resolve("HEAD")

    def synthesize(self) -> None:
        """Write infra/ from the catalog of this repository, as make golden does, for the environment test."""
        if not (self.folder / ".venv").exists():
            _run(self.folder, sys.executable, str(STAND_INS / "environment.py"), str(self.folder))
        nightferry = str(self.folder / ".venv" / "bin" / "nightferry")
        _run(self.folder / "paidleave", nightferry, "synth", "--env", "test", "--out", "infra")

    def resolve(self, name: str) -> str:
        return _git(self.folder, "rev-parse", name).strip()

    def checkout(self, *arguments: str) -> None:
        _git(self.folder, "checkout", "--quiet", *arguments)


def terraform(root: Path, aws: EmulatedAws, *arguments: str) -> str:
    """Run Terraform in the folder of a root module; return its output."""
    variables = {**aws.process_variables, **aws.credentials}
    return _run(root, sys.executable, "-P", "-m", "nightferry.testing.aws_provider", *arguments, env=variables)


class Runner:
    """The runner of the workflows of one repository and one account."""

    def __init__(self, repository: Repository, aws: EmulatedAws) -> None:
        self.repository, self._aws = repository, aws

    def deploy(self, environment: str, version: str = "main", **variables: str) -> WorkflowRun:
        """Run *API CI Deploy* as a person starts it."""
        inputs = {"environment": environment, "version": version}
        return self.run("deploy", "workflow_dispatch", {"inputs": inputs}, **variables)

    def run(self, workflow: str, event: str, payload: Any, *options: str, **variables: str) -> WorkflowRun:
        """Run a workflow for an event to its end."""
        # act does not quote the paths of its scripts, so that its folder must not contain a space.
        with tempfile.TemporaryDirectory(prefix="act-", dir="/tmp") as work:
            return self._run(Path(work), workflow, event, payload, options, variables)

    def _run(
        self, work: Path, workflow: str, event: str, payload: Any, options: tuple[str, ...], variables: dict[str, str]
    ) -> WorkflowRun:
        (work / "home").mkdir()
        (work / "event.json").write_text(json.dumps(payload))
        account = self._aws.resources.aws.account
        shown = {
            **self._aws.variables,
            "TEST_ORIGIN": str(self.repository.folder),
            "TEST_PYTHON": sys.executable,
            "TEST_AWS_PYTHON": str(AWS_BIN / "python"),
            "TEST_STAND_INS": str(STAND_INS),
            "TEST_ARTIFACTS": str(work / "artifacts"),
            **variables,
        }
        configured = {
            "AWS_REGION": self._aws.region,
            "AWS_DEPLOY_ROLE": f"arn:aws:iam::{account}:role/deploy",
            "AWS_PLAN_ROLE": f"arn:aws:iam::{account}:role/plan",
        }
        command = [str(AWS_BIN / "act"), event, "--json", "--no-skip-checkout", "--no-cache-server", "--pull=false"]
        command += ["--workflows", f".github/workflows/{workflow}.yml", "--eventpath", str(work / "event.json")]
        command += ["--platform", f"{_RUNNER}=-self-hosted", "--action-cache-path", str(work / "runner")]
        command += ["--concurrent-jobs", "1", *options]
        for name, action in self._stand_ins().items():
            command += ["--local-repository", f"{name}={action}"]
        for name, value in shown.items():
            command += ["--env", f"{name}={value}"]
        for name, value in configured.items():
            command += ["--var", f"{name}={value}"]
        path = f"{STAND_INS / 'commands'}{os.pathsep}{os.environ['PATH']}"
        with (work / "log").open("w+") as log:
            process = subprocess.Popen(
                command,
                cwd=self.repository.folder,
                env={"HOME": str(work / "home"), "PATH": path, "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(timeout=600)
            finally:
                _kill_group(process)
            log.seek(0)
            return _read_run(process.returncode, log.read())

    def _stand_ins(self) -> dict[str, Path]:
        """Return the folder that replaces each action that the workflows use, by its name and commit."""
        found = {}
        for file in (self.repository.folder / ".github" / "workflows").glob("*.yml"):
            for job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].values():
                for step in job.get("steps", []):
                    action = STAND_INS / "actions" / step.get("uses", "").partition("@")[0].rpartition("/")[2]
                    if "uses" in step and action.is_dir():
                        found[step["uses"]] = action
        return found


def _read_run(exit_code: int, text: str) -> WorkflowRun:
    """Read act's log, which has one JSON object per line, without the colors of programs."""
    run = WorkflowRun(exit_code)
    lines = []
    for line in re.sub(r"(\x1b|\\u001b)\[[0-9;]*m", "", text).splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            lines.append(line)
            continue
        message = str(entry.get("msg", ""))
        lines.append(f"{entry.get('jobID', '')} {entry.get('step', '')}: {message}".rstrip())
        if "jobResult" in entry:
            run.jobs[entry["jobID"]] = entry["jobResult"]
        if "stepResult" in entry and entry.get("stage") == "Main":
            run.steps[entry["stepID"][0]] = entry["stepResult"]
        if entry.get("command") == "summary":
            run.summary += entry["content"]
    run.log = "\n".join(lines)
    return run


def _kill_group(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return _run(folder, "git", *identity, *arguments)


def _run(folder: Path, *command: str, env: dict[str, str] | None = None) -> str:
    ended = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=300, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
