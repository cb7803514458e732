"""A fake of ECS on Fargate: moto's server with tasks that live, write lines and end.

moto keeps what AWS keeps; this plays what Fargate does with it, and corrects moto where AWS behaves otherwise:

- a client token answers with the task that it started (moto only takes it), other parameters with it are a conflict;
- a task goes through ECS's states, has times, a stop code and no exit code before its end; StopTask only asks;
- ECS forgets a stopped task after an hour; its changes of state are events in the log group of the deployment,
  told more than once and out of order;
- a stream that is asked for by name and does not exist is an error.

Time is the clock's: with a :class:`~nightferry.testing.ToldClock` a task of three hours takes as long as its requests.
Everything advances when a request comes. One process can hold one of them at a time, as moto's memory is global.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from nightferry.clock import Clock, SystemClock
from nightferry.contract import EXITED_REASON, ExitCode, Naming, StopCode, parse_arn_id
from nightferry.environments.project import Project
from nightferry.errors import needs_extra
from nightferry.testing.plays import Play

_FORGOTTEN = timedelta(hours=1)
_POLL = 0.02  # seconds after which the server sees that it is shut down
_ECS = "AmazonEC2ContainerServiceV20141113"


@dataclass
class _Task:
    """A task that lives: moto's object, and where its play is."""

    model: Any
    name: str
    play: Play
    asked: datetime
    status: str = "PROVISIONING"
    lines: deque[tuple[float, float, str]] = field(default_factory=deque)
    stop: tuple[float, str] | None = None
    stopped: datetime | None = None
    version: int = 1


class FakeFargate:
    """An environment of a project, deployed on the fake. ``url`` is its address, ``calls`` what it was asked."""

    def __init__(self, project: Project, environment: str, clock: Clock | None = None) -> None:
        self._project = project
        settings = project.environment(environment).aws
        assert settings is not None, f"environment {environment} is not on AWS"
        self._settings = settings
        self._naming = Naming(project.catalog.name, environment)
        self._clock = clock or SystemClock()
        self._plays: dict[str, deque[Play]] = defaultdict(deque)
        self._tasks: dict[str, _Task] = {}
        self._tokens: dict[str, tuple[bytes, bytes]] = {}
        self._faults: deque[tuple[str, int, str, str]] = deque()
        self._histories: dict[str, list[dict[str, Any]]] = {}
        self._keys: set[str] = set()
        self._held = ""
        self._released = threading.Event()
        self._lock = threading.RLock()
        self.calls: list[str] = []
        self.url = ""

    # ── what a test says ──────────────────────────────────────────────────────────────────────────────────────

    def plays(self, task: str, *plays: Play) -> None:
        """What the next runs of a task do, one after the other; after the last one, that one again."""
        self._plays[task].extend(plays)

    def fault(self, operation: str, code: str, *, times: int = 1, status: int = 400, message: str = "") -> None:
        """Answer the next calls of an operation (``RunTask``, or ``*`` for any) with an error of this code."""
        self._faults.extend([(operation, status, code, message)] * times)

    def clear_faults(self) -> None:
        """Answer again."""
        self._faults.clear()

    def history(self, execution: str, events: list[dict[str, Any]], **ended: Any) -> None:
        """Give an execution (by name) its history, and ``status``, ``output``, ``error``, ``cause``."""
        self._histories[execution] = events
        for machine in self._backend("stepfunctions").state_machines:
            for found in machine.executions:
                if found.name == execution:
                    for name, value in ended.items():
                        setattr(found, name, value)

    def started(self, task: str) -> list[str]:
        """The ids of all runs of a task so far, oldest first."""
        return [id for id, found in self._tasks.items() if found.name == task]

    def say(self, id: str, text: str) -> None:
        """Have a run write a line now."""
        with self._lock:
            task = self._tasks[id]
            now = self._seconds(task)
            task.lines.append((now, now, text))
            self._advance()

    def finish(self, id: str, exit_code: int) -> None:
        """Have a run end now."""
        with self._lock:
            task = self._tasks[id]
            task.play = replace(task.play, stopped=self._seconds(task), exit_code=exit_code)
            self._advance()

    def model(self, id: str) -> Any:
        """What the server holds of a run: ``started_by``, ``overrides``, ``desired_status``, ``stopped_reason``."""
        return self._tasks[id].model

    def accept_only(self, key: str, *, also_until_told: str | None = None) -> None:
        """Refuse every call that is not signed with this access key id, as expired."""
        self._keys = {key, also_until_told or key}

    def hold(self, operation: str) -> None:
        """Carry out the next calls of an operation, and keep their answers back until :meth:`release`."""
        self._held = operation
        self._released.clear()

    def release(self) -> None:
        """Answer again."""
        self._held = ""
        self._released.set()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that lead a process here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "fake",
            "AWS_SECRET_ACCESS_KEY": "fake",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # ── its life ──────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> FakeFargate:
        with needs_extra("testing"):
            from moto.moto_api import state_manager
            from moto.moto_api._internal.models import moto_api_backend
            from moto.moto_server.werkzeug_app import (
                DomainDispatcherApplication,
                MotoRequestHandler,
                create_backend_app,
            )
            from werkzeug.serving import make_server

        moto_api_backend.reset()
        state_manager.set_transition("ecs::task", {"progression": "manual", "times": 1 << 40})
        self._moto: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)  # type: ignore[assignment,unused-ignore]

        class Silent(MotoRequestHandler):
            def log(self, level: str, message: str, *args: Any) -> None:
                """Say nothing: ``calls`` has it."""

        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Silent)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._deploy()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _deploy(self) -> None:
        """What ``terraform apply`` would have made, as far as whoever runs tasks sees it."""
        ecs, names = self._backend("ecs"), self._naming
        cluster = ecs.create_cluster(self._settings.cluster)
        for task in self._project.catalog.tasks.values():
            container: dict[str, Any] = {"name": task.name, "image": "image", "command": list(task.command)}
            container |= {"essential": True, "cpu": 256, "memory": 512}
            ecs.register_task_definition(names.family(task.name), [container], cpu="256", memory="512")
        for group in (names.log_group, names.event_group):
            self._backend("logs").create_log_group(group, {})
        self._backend("logs").create_log_stream(names.event_group, "events")
        place = {
            "cluster": cluster.arn,
            "subnets": list(self._settings.subnets),
            "security_groups": ["sg-0a1b2c3d4e5f60002"],
            "log_group": names.log_group,
        }
        self._backend("ssm").put_parameter(
            names.network_parameter, "", json.dumps(place), "String", "", "", False, [], "text", None, None
        )
        role = f"arn:aws:iam::{self._settings.account}:role/workflow"
        for workflow in self._project.catalog.workflows.values():
            definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
            self._backend("stepfunctions").create_state_machine(names.state_machine(workflow.name), definition, role)

    def _backend(self, service: Any) -> Any:
        from moto.backends import get_backend

        return get_backend(service)[self._settings.account][self._settings.region]

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        held = self._held and environ.get("HTTP_X_AMZ_TARGET", "").endswith(f".{self._held}")
        answer = self._answer_now(environ, start_response)
        if held:
            self._released.wait()
        return answer

    def _answer_now(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        with self._lock:
            self.calls.append(operation)
            if self._faults and self._faults[0][0] in (operation, "*"):
                _, status, code, message = self._faults.popleft()
                return _error(start_response, status, code, message)
            if self._keys and not any(
                f"Credential={key}/" in environ.get("HTTP_AUTHORIZATION", "") for key in self._keys
            ):
                return _error(start_response, 400, "ExpiredTokenException", "The security token is expired.")
            self._advance()
            match operation:
                case "RunTask" if target == _ECS:
                    return self._run_task(environ, start_response, body)
                case "StopTask" if target == _ECS:
                    return self._stop_task(start_response, json.loads(body))
                case "GetExecutionHistory" if (name := _last(body, "executionArn")) in self._histories:
                    return _json(start_response, {"events": self._histories[name]})
                case "FilterLogEvents":
                    asked = json.loads(body)
                    group = self._backend("logs").groups.get(asked["logGroupName"])
                    if group is not None and not set(asked.get("logStreamNames", [])) <= group.streams.keys():
                        text = "The specified log stream does not exist."
                        return _error(start_response, 400, "ResourceNotFoundException", text)
            return self._moto(environ, start_response)

    def _run_task(self, environ: dict[str, Any], start_response: Any, body: bytes) -> Iterable[bytes]:
        asked = json.loads(body)
        token = asked.pop("clientToken", None)
        same = json.dumps(asked, sort_keys=True).encode()
        if token in self._tokens:
            before, answer = self._tokens[token]
            if before != same:
                return _error(start_response, 400, "ConflictException", "The token was used with other parameters.")
            return _raw(start_response, answer)
        if "networkConfiguration" not in asked:
            return _error(start_response, 400, "InvalidParameterException", "Network Configuration must be provided.")
        if len(json.dumps(asked.get("overrides", {}))) > 8192:
            text = "Container Overrides length must be at most 8192"
            return _error(start_response, 400, "InvalidParameterException", text)
        task = self._naming.task(parse_arn_id(asked["taskDefinition"]).partition(":")[0]) or ""
        plays = self._plays[task]
        play = (plays.popleft() if len(plays) > 1 else plays[0]) if plays else Play()
        if play.refused is not None:
            return _json(start_response, {"tasks": [], "failures": [{"arn": "fargate", "reason": play.refused}]})
        caught: dict[str, Any] = {}

        def catch(status: str, headers: Any, *_: Any) -> None:
            caught["status"], caught["headers"] = status, headers

        answer = b"".join(self._moto(environ, catch))
        if not caught["status"].startswith("200"):
            start_response(caught["status"], caught["headers"])
            return [answer]
        answer = self._begin(task, play, json.loads(answer))
        if token is not None:
            self._tokens[token] = (same, answer)
        return _raw(start_response, answer)

    def _begin(self, name: str, play: Play, answer: dict[str, Any]) -> bytes:
        """Take a task of moto's into play; the answer as ECS gives it."""
        [told] = answer["tasks"]
        tasks = self._backend("ecs").tasks[self._settings.cluster]
        model = tasks.pop(told["taskArn"])
        model.id = uuid.uuid4().hex  # as ECS has them; moto's have dashes
        tasks[model.task_arn] = model
        model.last_status = "PROVISIONING"
        model.created_at = self._clock.now()
        for container in model.containers:
            container.exitCode = None
        task = _Task(model, name, play, self._clock.now())
        task.lines.extend((line.at, line.at if line.seen is None else line.seen, line.text) for line in play.lines)
        self._tasks[model.id] = task
        self._tell(task)
        told |= {"taskArn": model.task_arn, "lastStatus": "PROVISIONING", "createdAt": task.asked.timestamp()}
        told["containers"] = [{"name": name, "lastStatus": "PENDING"}]
        return json.dumps(answer).encode()

    def _stop_task(self, start_response: Any, asked: Mapping[str, Any]) -> Iterable[bytes]:
        task = self._tasks.get(parse_arn_id(str(asked["task"])))
        if task is None:
            return _error(start_response, 400, "InvalidParameterException", "The referenced task was not found.")
        if task.stop is None:
            task.stop = (self._seconds(task), asked.get("reason", "Task stopped by user"))
            task.model.desired_status = "STOPPED"
        return _json(start_response, {"task": {"taskArn": task.model.task_arn, "desiredStatus": "STOPPED"}})

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _seconds(self, task: _Task) -> float:
        return (self._clock.now() - task.asked).total_seconds()

    def _advance(self) -> None:
        """Bring everything to where it is by now."""
        for task in self._tasks.values():
            self._show_lines(task)
            if task.status != "STOPPED":
                self._change(task)
            elif task.stopped is not None and self._clock.now() - task.stopped > _FORGOTTEN:
                self._backend("ecs").tasks[self._settings.cluster].pop(task.model.task_arn, None)

    def _change(self, task: _Task) -> None:
        play, now = task.play, self._seconds(task)
        if task.stop is not None and now >= task.stop[0] + play.stopping:
            began = task.model.__dict__.get("started_at") is not None
            self._end(task, ExitCode.STOPPED if began else None, StopCode.BY_USER, task.stop[1])
        elif task.stop is not None:
            self._become(task, "DEACTIVATING")
        elif play.fails is not None and now >= play.running:
            self._end(task, None, StopCode.NOT_STARTED, play.fails)
        elif play.stopped is not None and now >= play.stopped:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            self._end(task, play.exit_code, StopCode.EXITED, EXITED_REASON)
        elif now >= play.running:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            self._become(task, "RUNNING")
        elif now >= play.pending:
            self._become(task, "PENDING")

    def _become(self, task: _Task, status: str) -> None:
        if task.status != status:
            task.status = task.model.last_status = status
            task.version += 1
            self._tell(task)

    def _end(self, task: _Task, exit_code: int | None, code: str, reason: str) -> None:
        model = task.model
        stale = task.version
        task.stopped = model.stopped_at = self._clock.now()
        model.desired_status, model.stop_code, model.stopped_reason = "STOPPED", code, reason
        for container in model.containers:
            container.exitCode, container.last_status = exit_code, "STOPPED"
            container.reason = task.play.container_reason
        self._become(task, "STOPPED")
        self._tell(task)  # AWS tells some events twice …
        self._tell(task, status="RUNNING", version=stale)  # … and out of order

    def _show_lines(self, task: _Task) -> None:
        group = self._backend("logs").groups[self._naming.log_group]
        name = self._naming.stream(task.name, task.model.id)
        now = self._seconds(task)
        shown = [line for line in task.lines if line[1] <= now]
        if not shown:
            return
        if name not in group.streams:
            group.create_log_stream(name)
        begin = task.asked.timestamp()
        group.streams[name].put_log_events(
            [{"timestamp": int((begin + at) * 1000), "message": text} for at, _, text in shown]
        )
        task.lines = deque(line for line in task.lines if line[1] > now)

    def _tell(self, task: _Task, status: str | None = None, version: int | None = None) -> None:
        """An event of a change of state, as EventBridge writes it to the group."""
        model = task.model
        container: dict[str, Any] = {"name": task.name, "lastStatus": task.status}
        if model.containers[0].exitCode is not None:
            container["exitCode"] = model.containers[0].exitCode
        if task.stopped is not None and task.play.container_reason:
            container["reason"] = task.play.container_reason
        times = {
            "createdAt": task.asked,
            "startedAt": model.__dict__.get("started_at"),
            "stoppedAt": task.stopped,
        }
        detail = {
            "clusterArn": model.cluster_arn,
            "taskArn": model.task_arn,
            "taskDefinitionArn": model.task_definition_arn,
            "group": model.group,
            "startedBy": model.started_by,
            "lastStatus": status or task.status,
            "overrides": model.overrides,
            "containers": [container],
            "version": version or task.version,
            **{name: time.isoformat() for name, time in times.items() if time is not None},
            **({"stopCode": model.stop_code, "stoppedReason": model.stopped_reason} if task.stopped else {}),
        }
        event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
        stream = self._backend("logs").groups[self._naming.event_group].streams["events"]
        stream.put_log_events([{"timestamp": int(self._clock.now().timestamp() * 1000), "message": json.dumps(event)}])


def _last(body: bytes, key: str) -> str:
    return str(json.loads(body).get(key, "")).rpartition(":")[2]


def _json(start_response: Any, answer: Any) -> Iterable[bytes]:
    return _raw(start_response, json.dumps(answer).encode())


def _raw(start_response: Any, answer: bytes, status: str = "200 OK") -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(answer)))])
    return [answer]


def _error(start_response: Any, status: int, code: str, message: str) -> Iterable[bytes]:
    answer = json.dumps({"__type": code, "message": message or code}).encode()
    return _raw(start_response, answer, f"{status} Error")
