"""A fake of ECS on Fargate: moto's server with tasks that change state, write lines and exit.

moto stores the resources. This module simulates Fargate's use of them and corrects moto where AWS differs:

- RunTask remembers client tokens, including those of failed starts (:mod:`nightferry.testing.fargate.client_tokens`);
- a task passes through the states of ECS and has timestamps and a stop code; it has no exit code before it stops, and
  StopTask returns before the task has stopped;
- ECS forgets a stopped task after an hour; state changes are events in the deployment's log group, some of them
  repeated and out of order;
- reading a log stream that does not exist is an error.

The clock determines the time: with a :class:`~nightferry.testing.FakeClock`, a task of three hours takes only as long
as its requests. The simulation advances with each request. A process can have only one fake at a time, because moto's
state is global.
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
from nightferry.contract import EXITED_REASON, RESULTS_VARIABLE, ExitCode, Naming, StopCode, parse_arn_id
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import needs_extra
from nightferry.states.data.errors import NotRedrivable
from nightferry.testing import small_moto
from nightferry.testing.commands import CommandResult, run_command
from nightferry.testing.fargate.client_tokens import ClientTokens, TokenConflict
from nightferry.testing.fargate.executions import SECURITY_GROUP, StartRefused, Tasks, WorkflowExecutions
from nightferry.testing.fargate.objects import Objects
from nightferry.testing.fargate.task_output import lower_names, to_task_output, upper_names
from nightferry.testing.fargate.task_script import TaskScript

_STOPPED_TASK_RETENTION = timedelta(hours=1)
_POLL_SECONDS = 0.02  # between two checks of the server for a shutdown
_SIGNED = "AWS4-HMAC-SHA256 Credential"  # moto reads the service from the scope that follows, and no signature
_ECS = "AmazonEC2ContainerServiceV20141113"


@dataclass
class _Task:
    """A task in the simulation: moto's object, its script, and its state."""

    model: Any
    name: str
    script: TaskScript
    requested_at: datetime
    status: str = "PROVISIONING"
    lines: deque[tuple[float, float, str]] = field(default_factory=deque)
    stop: tuple[float, str] | None = None
    stopped: datetime | None = None
    version: int = 1


class FakeFargate:
    """A project's environment, deployed on the fake.

    ``url`` is the server's address. ``calls`` lists the operations that were called.
    """

    def __init__(self, project: Project, environment: str, clock: Clock | None = None) -> None:
        self._project = project
        settings = project.environment(environment).aws
        assert settings is not None, f"environment {environment} is not on AWS"
        self._settings = settings
        self._naming = Naming(project.catalog.name, environment)
        self._clock = clock or SystemClock()
        self._scripts: dict[str, deque[TaskScript]] = defaultdict(deque)
        self._tasks: dict[str, _Task] = {}
        self._tokens = ClientTokens(self._clock, self._read_stop)
        self._errors: deque[tuple[str, int, str, str]] = deque()
        self._lost: list[str] = []
        self._resources = AwsResources(project.catalog, project.environment(environment))
        self._histories: dict[str, list[dict[str, Any]]] = {}
        self._keys: set[str] = set()
        self._held = ""
        self._released = threading.Event()
        self._lock = threading.RLock()
        self.calls: list[str] = []
        self.url = ""

    # ── control by a test ──────────────────────────────────────────────────────────────────────────────────────

    def script(self, task: str, *scripts: TaskScript) -> None:
        """Set the scripts of the task's next runs, in order. Further runs repeat the last script."""
        self._scripts[task].extend(scripts)

    def inject_errors(self, operation: str, code: str, *, times: int = 1, status: int = 400, message: str = "") -> None:
        """Return an error with this code from the next calls of an operation (``RunTask``, or ``*`` for any)."""
        self._errors.extend([(operation, status, code, message)] * times)

    def lose_responses(self, operation: str, *, times: int = 1) -> None:
        """Execute the next calls of an operation, but return an error of the server instead of their responses."""
        self._lost.extend([operation] * times)

    def command(self, *arguments: str) -> CommandResult:
        """Run ``nightferry`` with these arguments in this process, in the project's folder and the time of the clock.

        With a :class:`~nightferry.testing.FakeClock`, the command takes only the time of its requests: well below a
        second for a task of some seconds, whose log AWS completes in half a minute.
        """
        return run_command(self._project.root, *arguments, clock=self._clock, variables=self.variables)

    @property
    def published(self) -> list[dict[str, Any]]:
        """The messages that workflows have published: ``TopicArn``, ``Message`` and ``Subject``."""
        return self._executions.published

    def set_history(self, execution: str, events: list[dict[str, Any]], **ended: Any) -> None:
        """Set the history of an execution (by name), and its ``status``, ``output``, ``error``, ``cause``.

        The execution is no longer run by its definition.
        """
        self._executions.forget(execution)
        self._histories[execution] = events
        for machine in self._backend("stepfunctions").state_machines:
            for found in machine.executions:
                if found.name == execution:
                    for name, value in ended.items():
                        setattr(found, name, value)

    def run_ids(self, task: str) -> list[str]:
        """Return the IDs of all runs of a task so far, oldest first."""
        return [id for id, found in self._tasks.items() if found.name == task]

    def write_line(self, id: str, text: str) -> None:
        """Let a run write a line now."""
        with self._lock:
            task = self._tasks[id]
            now = self._seconds(task)
            task.lines.append((now, now, text))
            self._advance()

    def finish(self, id: str, exit_code: int) -> None:
        """Let a run exit now."""
        with self._lock:
            task = self._tasks[id]
            task.script = replace(task.script, stopped=self._seconds(task), exit_code=exit_code)
            self._advance()

    def model(self, id: str) -> Any:
        """Return moto's object of a run: ``started_by``, ``overrides``, ``desired_status``, ``stopped_reason``."""
        return self._tasks[id].model

    def accept_only(self, *keys: str) -> None:
        """Reject every call that is not signed with one of these access key IDs, as expired."""
        self._keys = set(keys)

    def hold_responses(self, operation: str) -> None:
        """Execute the next calls of an operation, but hold their responses until :meth:`release_responses`."""
        self._held = operation
        self._released.clear()

    def release_responses(self) -> None:
        """Send the held responses, and hold no more."""
        self._held = ""
        self._released.set()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that direct a process to this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "fake",
            "AWS_SECRET_ACCESS_KEY": "fake",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # ── server ─────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> FakeFargate:
        small_moto.import_ec2()
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
                """Log nothing: ``calls`` lists the requests."""

        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True, request_handler=Silent)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._deploy()
        return self

    def __exit__(self, *_: object) -> None:
        self.release_responses()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _deploy(self) -> None:
        """Create the resources of ``terraform apply`` that callers of RunTask depend on."""
        ecs, names = self._backend("ecs"), self._naming
        cluster = ecs.create_cluster(self._settings.cluster)
        for task in self._project.catalog.tasks.values():
            container: dict[str, Any] = {"name": task.name, "image": "image", "command": list(task.command)}
            container |= {"essential": True, "cpu": 256, "memory": 512}
            ecs.register_task_definition(names.family(task.name), [container], cpu="256", memory="512")
        for group in (names.log_group, names.event_group):
            self._backend("logs").create_log_group(group, {})
        self._backend("logs").create_log_stream(names.event_group, "events")
        placement = {
            "cluster": cluster.arn,
            "subnets": list(self._settings.subnets),
            "security_groups": [SECURITY_GROUP],
            "log_group": names.log_group,
        }
        self._backend("ssm").put_parameter(
            names.network_parameter, "", json.dumps(placement), "String", "", "", False, [], "text", None, None
        )
        role = f"arn:aws:iam::{self._settings.account}:role/workflow"
        self._objects = Objects(self._settings.account, self._settings.partition, self._settings.region)
        machines = self._backend("stepfunctions")
        self._executions = WorkflowExecutions(
            self._resources,
            self._clock,
            Tasks(self._start_task, self._find_end, self._request_stop),
            self._objects,
            machines,
        )
        for workflow in self._project.catalog.workflows.values():
            definition = json.dumps(self._executions.render(workflow))
            machines.create_state_machine(names.state_machine(workflow.name), definition, role)

    def _backend(self, service: Any) -> Any:
        from moto.backends import get_backend

        return get_backend(service)[self._settings.account][self._settings.region]

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────

    def _respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        held = self._held and environ.get("HTTP_X_AMZ_TARGET", "").endswith(f".{self._held}")
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if operation in self._lost:
            self._lost.remove(operation)
            self._handle(environ, lambda *_: None)
            return _error(start_response, 400, "ServerException", "The response was lost.")
        response = self._handle(environ, start_response)
        if held:
            self._released.wait()
        return response

    def _handle(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        with self._lock:
            self.calls.append(operation)
            if self._errors and self._errors[0][0] in (operation, "*"):
                _, status, code, message = self._errors.popleft()
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
                case "GetExecutionHistory" if events := self._executions.history(_get(body, "executionArn")):
                    return _json(start_response, {"events": events})
                case "RedriveExecution":
                    return self._redrive(start_response, _get(body, "executionArn"))
                case "StartExecution":
                    return self._start_execution(environ, start_response)
                case "StopExecution" if self._executions.knows(_get(body, "executionArn")):
                    request = json.loads(body)
                    self._executions.stop(request["executionArn"], request.get("error"), request.get("cause"))
                    return _json(start_response, {"stopDate": self._clock.now().timestamp()})
                case "FilterLogEvents":
                    request = json.loads(body)
                    group = self._backend("logs").groups.get(request["logGroupName"])
                    if group is not None and not set(request.get("logStreamNames", [])) <= group.streams.keys():
                        text = "The specified log stream does not exist."
                        return _error(start_response, 400, "ResourceNotFoundException", text)
            return self._call_moto(environ, start_response)

    def _call_moto(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let moto respond for the environment's account, and not for its default, 123456789012."""
        return self._moto({**environ, "HTTP_X_MOTO_ACCOUNT_ID": self._settings.account}, start_response)

    def _run_task(self, environ: dict[str, Any], start_response: Any, body: bytes) -> Iterable[bytes]:
        request = json.loads(body)
        try:
            known = self._tokens.find(request)
        except TokenConflict as conflict:
            return _raw(start_response, json.dumps(conflict.to_response()).encode(), "400 Error")
        if known is not None:
            return _json(start_response, known)
        if "networkConfiguration" not in request:
            return _error(start_response, 400, "InvalidParameterException", "Network Configuration must be provided.")
        if len(json.dumps(request.get("overrides", {}))) > 8192:
            text = "Container Overrides length must be at most 8192"
            return _error(start_response, 400, "InvalidParameterException", text)
        task = self._naming.task(parse_arn_id(request["taskDefinition"]).partition(":")[0]) or ""
        scripts = self._scripts[task]
        script = (scripts.popleft() if len(scripts) > 1 else scripts[0]) if scripts else TaskScript()
        if script.refused is not None:
            refusal = {"tasks": [], "failures": [{"arn": "fargate", "reason": script.refused}]}
            self._tokens.remember(request, refusal)
            return _json(start_response, refusal)
        caught: dict[str, Any] = {}

        def catch(status: str, headers: Any, *_: Any) -> None:
            caught["status"], caught["headers"] = status, headers

        response = b"".join(self._call_moto(environ, catch))
        if not caught["status"].startswith("200"):
            start_response(caught["status"], caught["headers"])
            return [response]
        started = self._begin(task, script, json.loads(response))
        self._tokens.remember(request, started)
        return _json(start_response, started)

    def _start_execution(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = b"".join(self._call_moto(environ, start_response))
        arn = json.loads(response).get("executionArn")
        for machine in self._backend("stepfunctions").state_machines:
            for model in machine.executions:
                if model.execution_arn == arn:
                    self._executions.begin(model)
        return [response]

    def _redrive(self, start_response: Any, arn: str) -> Iterable[bytes]:
        try:
            return _json(start_response, {"redriveDate": self._executions.redrive(arn).timestamp()})
        except KeyError:
            return _error(start_response, 400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        except NotRedrivable as problem:
            return _error(start_response, 400, "ExecutionNotRedrivable", f"Execution is not redrivable: {problem}")

    def _read_stop(self, arn: str) -> datetime | None:
        return self._tasks[parse_arn_id(arn)].stopped

    def _begin(self, name: str, script: TaskScript, response: dict[str, Any]) -> dict[str, Any]:
        """Add moto's task to the simulation, and return RunTask's response in the form of ECS."""
        [description] = response["tasks"]
        tasks = self._backend("ecs").tasks[self._settings.cluster]
        model = tasks.pop(description["taskArn"])
        model.id = uuid.uuid4().hex  # ECS IDs have no dashes; moto's do
        tasks[model.task_arn] = model
        model.last_status = "PROVISIONING"
        model.created_at = self._clock.now()
        for container in model.containers:
            container.exitCode = None
        task = _Task(model, name, script, self._clock.now())
        task.lines.extend((line.at, line.at if line.seen is None else line.seen, line.text) for line in script.lines)
        self._tasks[model.id] = task
        self._write_event(task)
        created = task.requested_at.timestamp()
        description |= {
            "taskArn": model.task_arn,
            "lastStatus": "PROVISIONING",
            "createdAt": created,
        }
        description["containers"] = [{"name": name, "lastStatus": "PENDING"}]
        return response

    def _stop_task(self, start_response: Any, request: Mapping[str, Any]) -> Iterable[bytes]:
        arn = str(request["task"])
        if (task := self._tasks.get(parse_arn_id(arn))) is None:
            return _error(start_response, 400, "InvalidParameterException", "The referenced task was not found.")
        self._request_stop(arn, request.get("reason", "Task stopped by user"))
        return _json(start_response, {"task": {"taskArn": task.model.task_arn, "desiredStatus": "STOPPED"}})

    # ── tasks of workflows ─────────────────────────────────────────────────────────────────────────────────────

    def _start_task(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call RunTask with the parameters of a state, as a request of Step Functions. Raises StartRefused."""
        request = {"startedBy": "AWS Step Functions", **lower_names(parameters)}
        body = json.dumps(request).encode()
        scope = f"fake/20260101/{self._settings.region}/ecs/aws4_request"
        from werkzeug.test import create_environ

        environ = create_environ(
            method="POST",
            base_url=self.url,
            data=body,
            headers={
                "X-Amz-Target": f"{_ECS}.RunTask",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"{_SIGNED}={scope}",
            },
        )
        status: list[str] = []
        response = json.loads(b"".join(self._run_task(environ, lambda found, *_: status.append(found), body)))
        if not status[0].startswith("200"):
            raise StartRefused(str(response["__type"]).rpartition("#")[2], str(response.get("message", "")))
        started: dict[str, Any] = upper_names(response)
        return started

    def _find_end(self, arn: str) -> dict[str, Any] | None:
        """Return the description of a stopped task with the members of runTask.sync's output; else None."""
        task = self._tasks[parse_arn_id(arn)]
        if task.stopped is None:
            return None
        return to_task_output(task.model, task.name, task.status, task.script.container_reason)

    def _request_stop(self, arn: str, reason: str) -> None:
        task = self._tasks[parse_arn_id(arn)]
        if task.stop is None:
            task.stop = (self._seconds(task), reason)
            task.model.desired_status = "STOPPED"

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _seconds(self, task: _Task) -> float:
        return (self._clock.now() - task.requested_at).total_seconds()

    def _advance(self) -> None:
        """Advance every task to the current time."""
        for task in self._tasks.values():
            self._publish_lines(task)
            if task.status != "STOPPED":
                self._change(task)
            elif task.stopped is not None and self._clock.now() - task.stopped > _STOPPED_TASK_RETENTION:
                self._backend("ecs").tasks[self._settings.cluster].pop(task.model.task_arn, None)
        self._executions.advance()

    def _change(self, task: _Task) -> None:
        script, now = task.script, self._seconds(task)
        if task.stop is not None and now >= task.stop[0] + script.stopping:
            began = task.model.__dict__.get("started_at") is not None
            self._end(task, ExitCode.STOPPED if began else None, StopCode.BY_USER, task.stop[1])
        elif task.stop is not None:
            self._set_status(task, "DEACTIVATING")
        elif script.fails is not None and now >= script.running:
            self._end(task, None, StopCode.NOT_STARTED, script.fails)
        elif script.stopped is not None and now >= script.stopped:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            reason = EXITED_REASON if script.stop_code == StopCode.EXITED else "ECS is performing maintenance."
            self._end(task, script.exit_code, script.stop_code, reason)
        elif now >= script.running:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            self._set_status(task, "RUNNING")
        elif now >= script.pending:
            self._set_status(task, "PENDING")

    def _set_status(self, task: _Task, status: str) -> None:
        if task.status != status:
            task.status = task.model.last_status = status
            task.version += 1
            self._write_event(task)

    def _end(self, task: _Task, exit_code: int | None, code: str, reason: str) -> None:
        model = task.model
        stale = task.version
        task.stopped = model.stopped_at = self._clock.now()
        model.desired_status, model.stop_code, model.stopped_reason = "STOPPED", code, reason
        for container in model.containers:
            container.exitCode, container.last_status = exit_code, "STOPPED"
            container.reason = task.script.container_reason
        if exit_code == ExitCode.SUCCESS and task.script.result is not None:
            self._store_result(task, task.script.result)
        self._set_status(task, "STOPPED")
        # AWS repeats some events, and delivers some of them out of order.
        self._write_event(task)
        self._write_event(task, status="RUNNING", version=stale)

    def _store_result(self, task: _Task, result: Mapping[str, Any]) -> None:
        """Store the result of a task for later steps of its workflow, as the job would."""
        for override in task.model.overrides.get("containerOverrides", []):
            for variable in override.get("environment", []):
                if variable["name"] == RESULTS_VARIABLE:
                    bucket, _, folder = variable["value"].removeprefix("s3://").partition("/")
                    self._objects.write(bucket, f"{folder}/{task.model.id}.json", json.dumps(result).encode())

    def _publish_lines(self, task: _Task) -> None:
        group = self._backend("logs").groups[self._naming.log_group]
        name = self._naming.stream(task.name, task.model.id)
        now = self._seconds(task)
        shown = [line for line in task.lines if line[1] <= now]
        if not shown:
            return
        if name not in group.streams:
            group.create_log_stream(name)
        begin = task.requested_at.timestamp()
        group.streams[name].put_log_events(
            [{"timestamp": int((begin + at) * 1000), "message": text} for at, _, text in shown]
        )
        task.lines = deque(line for line in task.lines if line[1] > now)

    def _write_event(self, task: _Task, status: str | None = None, version: int | None = None) -> None:
        """Write the event of a state change to the log group, in the form of EventBridge."""
        model = task.model
        container: dict[str, Any] = {"name": task.name, "lastStatus": task.status}
        if model.containers[0].exitCode is not None:
            container["exitCode"] = model.containers[0].exitCode
        if task.stopped is not None and task.script.container_reason:
            container["reason"] = task.script.container_reason
        times = {
            "createdAt": task.requested_at,
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


def _get(body: bytes, key: str) -> str:
    return str(json.loads(body).get(key, ""))


def _last(body: bytes, key: str) -> str:
    return _get(body, key).rpartition(":")[2]


def _json(start_response: Any, response: Any) -> Iterable[bytes]:
    return _raw(start_response, json.dumps(response).encode())


def _raw(start_response: Any, response: bytes, status: str = "200 OK") -> Iterable[bytes]:
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(response)))]
    start_response(status, [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))])
    return [response]


def _error(start_response: Any, status: int, code: str, message: str) -> Iterable[bytes]:
    response = json.dumps({"__type": code, "message": message or code}).encode()
    return _raw(start_response, response, f"{status} Error")
