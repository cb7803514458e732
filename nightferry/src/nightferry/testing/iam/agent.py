"""Run tasks of a deployment as Fargate does: the agent's calls with the execution role, then the container's process.

The container has the entry point, the variables and the secrets of the applied task definition, and the credentials of
the applied task role. :func:`nightferry.container.prepare` runs in this process instead of the entry point.
Its process runs on this machine, so that names of servers in its variables must be replaced.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nightferry import container as entry
from nightferry.contract import RUN_VARIABLE, ExitCode
from nightferry.testing import forked
from nightferry.testing.iam.account import EnforcedAccount, Failed

_PROGRAMS = Path(sys.executable).parent
_PARAMETERS_PER_CALL = 10  # SSM API Reference, GetParameters


@dataclass(frozen=True)
class TaskRun:
    """A run that ended. Without an exit code, the agent could not start the container."""

    family: str
    exit_code: int | None
    output: str


class Agent:
    """Runs tasks of an account. ``variables`` replace variables of the containers, such as a database's host.

    ``around`` receives each run as a function, which it may call more than once, and returns its result.
    """

    def __init__(self, account: EnforcedAccount, variables: Mapping[str, str], timeout: float = 240) -> None:
        self._account = account
        self.variables = dict(variables)
        self._timeout = timeout
        self.declared: dict[str, str] = {}
        """Variables that each container has besides those of its definition, as if the environment declared them."""
        self.runs: list[TaskRun] = []
        self.around: Callable[[Callable[[], TaskRun]], TaskRun] = lambda attempt: attempt()

    def run(self, definition: str, overrides: Mapping[str, Any] | None = None, id: str | None = None) -> TaskRun:
        """Run a task of a definition (family or ARN) with the overrides of RunTask, and return its result.

        ``id`` is the task's ID, which a job reads from ECS's metadata.
        """
        run = self.around(lambda: self._run(definition, overrides, id or uuid.uuid4().hex))
        self.runs.append(run)
        return run

    def _run(self, definition: str, overrides: Mapping[str, Any] | None, id: str) -> TaskRun:
        found = self._account.administer("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
        (container,) = found["containerDefinitions"]
        (override,) = (overrides or {}).get("containerOverrides") or [{}]
        stream = uuid.uuid4().hex  # a new one for each attempt, because it is created
        try:
            secrets = self._prepare(found["executionRoleArn"], container, stream)
        except Failed as error:
            run = TaskRun(found["family"], None, f"ResourceInitializationError: {error}")
        else:
            environment = {one["name"]: one["value"] for one in container.get("environment", [])} | secrets
            environment |= {one["name"]: one["value"] for one in override.get("environment", [])}
            run = self._run_container(found, override.get("command") or [], environment, id)
            try:
                self._write_log(found["executionRoleArn"], container, stream, run.output)
            except Failed as error:  # Fargate's log driver is blocking: without its log, a task does not end
                run = TaskRun(found["family"], None, f"{error}")
        return run

    def _prepare(self, role: str, container: Mapping[str, Any], stream: str) -> dict[str, str]:
        """Pull the image, read the secrets and create the log stream; return the secrets as variables."""
        ecr, image = self._account.client(role, "ecr"), str(container["image"])
        call = self._account.call
        call(ecr.get_authorization_token)
        repository, _, tag = image.partition("/")[2].rpartition(":")
        call(ecr.batch_get_image, repositoryName=repository, imageIds=[{"imageTag": tag}])
        call(ecr.get_download_url_for_layer, repositoryName=repository, layerDigest="sha256:" + "0" * 64)
        secrets = {one["name"]: one["valueFrom"] for one in container.get("secrets", [])}
        values = self._read_parameters(role, sorted(set(secrets.values())))
        call(self._account.client(role, "logs").create_log_stream, **_name_stream(container, stream))
        return {name: values[arn] for name, arn in secrets.items()}

    def _read_parameters(self, role: str, arns: list[str]) -> dict[str, str]:
        values = {}
        for begin in range(0, len(arns), _PARAMETERS_PER_CALL):
            names = {arn.partition(":parameter")[2]: arn for arn in arns[begin : begin + _PARAMETERS_PER_CALL]}
            ssm = self._account.client(role, "ssm")
            for one in self._account.call(ssm.get_parameters, Names=list(names), WithDecryption=True)["Parameters"]:
                values[names[one["Name"]]] = one["Value"]
        return values

    def _run_container(
        self, definition: Mapping[str, Any], arguments: list[str], environment: Mapping[str, str], id: str
    ) -> TaskRun:
        *entry_point, rules = definition["containerDefinitions"][0]["entryPoint"]
        assert tuple(entry_point) == entry.ENTRY_POINT
        try:
            command, allowed = entry.prepare(json.loads(rules), arguments, environment)
        except entry.Refused as refused:
            return TaskRun(definition["family"], ExitCode.BAD_SETTINGS, str(refused))
        process = forked.run(
            [str(_PROGRAMS / command[0]), *command[1:]],
            env={
                "PATH": f"{_PROGRAMS}:{os.environ['PATH']}",
                **self._account.variables(definition["taskRoleArn"]),
                **{name: value for name, value in allowed.items() if name != "PATH"},
                **{name: value for name, value in self.variables.items() if name in allowed},
                **self.declared,
                RUN_VARIABLE: id,  # instead of the metadata's address
            },
            capture_output=True,
            text=True,
            timeout=self._timeout,
        )
        return TaskRun(definition["family"], process.returncode, process.stdout + process.stderr)

    def _write_log(self, role: str, container: Mapping[str, Any], stream: str, text: str) -> None:
        now = int(datetime.now().timestamp() * 1000)
        lines = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
        logs, empty = self._account.client(role, "logs"), [{"timestamp": now, "message": "no output"}]
        self._account.call(logs.put_log_events, **_name_stream(container, stream), logEvents=lines or empty)


def _name_stream(container: Mapping[str, Any], stream: str) -> dict[str, str]:
    options = container["logConfiguration"]["options"]
    name = f"{options['awslogs-stream-prefix']}/{container['name']}/{stream}"
    return {"logGroupName": options["awslogs-group"], "logStreamName": name}
