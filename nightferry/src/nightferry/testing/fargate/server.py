"""A fake of ECS on Fargate: moto's server with tasks that change state, write lines and exit.

moto stores the resources. This module simulates Fargate's use of them and corrects moto where AWS differs:

- RunTask remembers client tokens, including those of failed starts (:mod:`nightferry.testing.fargate.client_tokens`);
- a task passes through the states of ECS and has timestamps and a stop code; it has no exit code before it stops, and
  StopTask returns before the task has stopped;
- ECS forgets a stopped task after an hour; state changes are events in the deployment's log group, some of them
  repeated and out of order;
- reading a log stream that does not exist is an error, and ``startFromHead`` has an effect.

The clock determines the time: with a :class:`~nightferry.testing.FakeClock`, a task of three hours takes only as long
as its requests. The simulation advances with each request. A process can have only one fake at a time, because moto's
state is global.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from nightferry.backend.request_checks import find_start_problem
from nightferry.clock import Clock, SystemClock
from nightferry.contract import ExitCode, Naming, parse_arn_id
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import needs_extra
from nightferry.states.data.errors import NotRedrivable
from nightferry.testing import small_moto
from nightferry.testing.commands import CommandResult, run_command
from nightferry.testing.fargate.client_tokens import ClientTokens, TokenConflict
from nightferry.testing.fargate.deployment import deploy_schedules, deploy_topics, read_published
from nightferry.testing.fargate.executions import SECURITY_GROUP, StartRefused, Tasks, WorkflowExecutions
from nightferry.testing.fargate.log_events import list_newest
from nightferry.testing.fargate.objects import Objects
from nightferry.testing.fargate.responses import (
    page_history,
    read_member,
    read_name,
    send,
    send_error,
    send_json,
)
from nightferry.testing.fargate.simulation import Simulation
from nightferry.testing.fargate.task_output import lower_names, upper_names
from nightferry.testing.fargate.task_script import ScriptedLine, TaskScript

_POLL_SECONDS = 0.02  # between two checks of the server for a shutdown
_SIGNED = "AWS4-HMAC-SHA256 Credential"  # moto reads the service from the scope that follows, and no signature
_ECS = "AmazonEC2ContainerServiceV20141113"


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
        """The messages that workflows and commands have published: ``TopicArn``, ``Message`` and ``Subject``."""
        return [*self._executions.published, *read_published(self._backend("sns"))]

    def set_history(self, execution: str, events: list[dict[str, Any]], **ended: Any) -> None:
        """Set the history of an execution (by name), and its ``status``, ``output``, ``error``, ``cause``.

        Its definition no longer runs the execution.
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
        return [id for id, found in self._simulation.tasks.items() if found.name == task]

    def write_line(self, id: str, text: str) -> None:
        """Let a run write a line now."""
        with self._lock:
            self._simulation.write_line(id, text)
            self._advance()

    def finish(self, id: str, exit_code: int) -> None:
        """Let a run exit now."""
        with self._lock:
            self._simulation.finish(id, exit_code)
            self._advance()

    def model(self, id: str) -> Any:
        """Return moto's object of a run: ``started_by``, ``overrides``, ``desired_status``, ``stopped_reason``."""
        return self._simulation.tasks[id].model

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

        class Silent(MotoRequestHandler):  # type: ignore[misc,unused-ignore]
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
        objects = Objects(self._settings.account, self._settings.partition, self._settings.region)
        self._simulation = Simulation(self._clock, names, self._settings.cluster, self._backend, objects)
        self._tokens = ClientTokens(self._clock, self._simulation.read_stop)
        cluster = ecs.create_cluster(self._settings.cluster)
        for task in self._project.catalog.tasks.values():
            container: dict[str, Any] = {"name": task.name, "image": "image", "entryPoint": list(task.command)}
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
        machines = self._backend("stepfunctions")
        self._executions = WorkflowExecutions(
            self._resources,
            self._clock,
            Tasks(self._start_task, self._simulation.find_end, self._simulation.request_stop),
            objects,
            machines,
        )
        for workflow in self._project.catalog.workflows.values():
            definition = json.dumps(self._executions.render(workflow))
            machines.create_state_machine(names.state_machine(workflow.name), definition, role)
        network = {"Subnets": list(self._settings.subnets), "SecurityGroups": [SECURITY_GROUP]}
        deploy_schedules(self._resources, self._backend, self._executions.resolve, cluster.arn, network)
        deploy_topics(self._resources, self._backend("sns"))

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
            return send_error(start_response, 400, "ServerException", "The response was lost.")
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
                return send_error(start_response, status, code, message)
            if self._keys and not any(
                f"Credential={key}/" in environ.get("HTTP_AUTHORIZATION", "") for key in self._keys
            ):
                return send_error(start_response, 400, "ExpiredTokenException", "The security token is expired.")
            self._advance()
            match operation:
                case "RunTask" if target == _ECS:
                    return self._run_task(environ, start_response, body)
                case "StopTask" if target == _ECS:
                    return self._stop_task(start_response, json.loads(body))
                case "GetExecutionHistory" if (name := read_name(body, "executionArn")) in self._histories:
                    return send_json(start_response, page_history(self._histories[name], body))
                case "GetExecutionHistory" if events := self._executions.history(read_member(body, "executionArn")):
                    return send_json(start_response, page_history(events, body))
                case "RedriveExecution":
                    return self._redrive(start_response, read_member(body, "executionArn"))
                case "StartExecution":
                    return self._start_execution(environ, start_response)
                case "StopExecution" if self._executions.knows(read_member(body, "executionArn")):
                    request = json.loads(body)
                    self._executions.stop(request["executionArn"], request.get("error"), request.get("cause"))
                    return send_json(start_response, {"stopDate": self._clock.now().timestamp()})
                case "FilterLogEvents":
                    request = json.loads(body)
                    group = self._backend("logs").groups.get(request["logGroupName"])
                    if group is not None and not set(request.get("logStreamNames", [])) <= group.streams.keys():
                        text = "The specified log stream does not exist."
                        return send_error(start_response, 400, "ResourceNotFoundException", text)
                    if group is not None and request.get("startFromHead") is False:
                        return send_json(start_response, list_newest(group, request))
            return self._call_moto(environ, start_response)

    def _call_moto(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let moto respond for the environment's account, and not for its default, 123456789012."""
        return self._moto({**environ, "HTTP_X_MOTO_ACCOUNT_ID": self._settings.account}, start_response)

    def _run_task(self, environ: dict[str, Any], start_response: Any, body: bytes) -> Iterable[bytes]:
        request = json.loads(body)
        try:
            known = self._tokens.find(request)
        except TokenConflict as conflict:
            return send(start_response, json.dumps(conflict.to_response()).encode(), "400 Error")
        if known is not None:
            return send_json(start_response, known)
        if "networkConfiguration" not in request:
            return send_error(
                start_response, 400, "InvalidParameterException", "Network Configuration must be provided."
            )
        if len(json.dumps(request.get("overrides", {}))) > 8192:
            text = "Container Overrides length must be at most 8192"
            return send_error(start_response, 400, "InvalidParameterException", text)
        task = self._naming.task(parse_arn_id(request["taskDefinition"]).partition(":")[0]) or ""
        scripts = self._scripts[task]
        script = (scripts.popleft() if len(scripts) > 1 else scripts[0]) if scripts else TaskScript()
        if script.refused is not None:
            refusal = {"tasks": [], "failures": [{"arn": "fargate", "reason": script.refused}]}
            self._tokens.remember(request, refusal)
            return send_json(start_response, refusal)
        if problem := self._find_problem(task, request.get("overrides", {})):
            line = ScriptedLine(script.running, problem)
            script = replace(script, lines=[line], exit_code=ExitCode.BAD_SETTINGS, result=None)
        caught: dict[str, Any] = {}

        def catch(status: str, headers: Any, *_: Any) -> None:
            caught["status"], caught["headers"] = status, headers

        response = b"".join(self._call_moto(environ, catch))
        if not caught["status"].startswith("200"):
            start_response(caught["status"], caught["headers"])
            return [response]
        started = self._simulation.begin(task, script, json.loads(response))
        self._tokens.remember(request, started)
        return send_json(start_response, started)

    def _find_problem(self, name: str, overrides: Mapping[str, Any]) -> str | None:
        """Return why the container of a task would refuse to start its program with these overrides, or None."""
        task = self._project.catalog.tasks.get(name)
        container: dict[str, Any] = next(iter(overrides.get("containerOverrides", [])), {})
        names = [one["name"] for one in container.get("environment", [])]
        return None if task is None else find_start_problem(task, names, container.get("command", []))

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
            return send_json(start_response, {"redriveDate": self._executions.redrive(arn).timestamp()})
        except KeyError:
            return send_error(start_response, 400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        except NotRedrivable as problem:
            return send_error(start_response, 400, "ExecutionNotRedrivable", f"Execution is not redrivable: {problem}")

    def _advance(self) -> None:
        """Advance every task and execution to the current time."""
        self._simulation.advance()
        self._executions.advance()

    def _stop_task(self, start_response: Any, request: Mapping[str, Any]) -> Iterable[bytes]:
        arn = str(request["task"])
        if (task := self._simulation.tasks.get(parse_arn_id(arn))) is None:
            return send_error(start_response, 400, "InvalidParameterException", "The referenced task was not found.")
        self._simulation.request_stop(arn, request.get("reason", "Task stopped by user"))
        return send_json(start_response, {"task": {"taskArn": task.model.task_arn, "desiredStatus": "STOPPED"}})

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
