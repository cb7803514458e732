"""A fake AWS for workflows of the builder: tasks that are functions, and a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.contract import RESULTS_VARIABLE
from nightferry.states import StatesError, run, validate
from nightferry.states.builder import PUBLISH, RUN_TASK, Body, render
from nightferry.states.language.resources import GET_OBJECT

Job = Callable[[dict[str, str], list[str]], Any]


@dataclass(frozen=True)
class Named:
    name: str


FOLDER = "${bucket:files}/results"


class World:
    """Runs each task by a function of its variables and arguments, and stores the results by the ID of the run."""

    def __init__(self, tasks: Mapping[str, Job]) -> None:
        self.tasks = tasks
        self.ran: list[tuple[str, dict[str, str], list[str]]] = []
        self.objects: dict[str, str] = {}
        self.reads: list[str] = []
        self.messages: list[Any] = []

    def run_task(self, parameters: dict[str, Any]) -> Any:
        (override,) = parameters["Overrides"]["ContainerOverrides"]
        name, number = override["Name"], len(self.ran)
        env = {item["Name"]: item["Value"] for item in override["Environment"]}
        assert all(isinstance(value, str) for value in env.values())
        folder = env.pop(RESULTS_VARIABLE, None)
        del env["SFN_EXECUTION_ID"], env["SCHEDULED_AT"]
        arguments = override.get("Command", [])
        self.ran.append((name, env, arguments))
        result = self.tasks[name](env, arguments) if name in self.tasks else None
        if folder is not None:
            self.objects[f"{folder}/run{number}.json"] = json.dumps(result)
        return {"TaskArn": f"arn:aws:ecs:eu-west-1:123456789012:task/cluster/run{number}"}

    def get_object(self, parameters: dict[str, Any]) -> Any:
        location = f"{parameters['Bucket']}/{parameters['Key']}"
        self.reads.append(location)
        if location not in self.objects:
            # What Step Functions returns for S3's 403, because the role of a workflow may not list the bucket.
            raise StatesError("S3.S3Exception", "Access Denied (Service: S3, Status Code: 403)")
        return {"Body": self.objects[location]}

    def execute(self, body: Body, data: Any = None) -> Any:
        definition = render(body, results=FOLDER)
        assert validate(definition) == []
        return run(
            definition,
            {} if data is None else data,
            tasks={RUN_TASK: self.run_task, GET_OBJECT: self.get_object, PUBLISH: self._publish},
        )

    def _publish(self, parameters: dict[str, Any]) -> None:
        self.messages.append(parameters["Message"])


def make_result(name: str, env: Mapping[str, str], arguments: list[str]) -> dict[str, Any]:
    """Return a result that depends on all that a task receives."""
    text = "".join([name, *sorted(env.values()), *arguments])
    return {"n": len(text), "flag": len(text) % 2 == 0, "text": text[-5:], "items": list(range(len(text) % 3))}
