"""moto's server with IAM enforced, as a process: ``python -m nightferry.testing.iam.server``.

It prints its address and exits when its standard input closes. Until ``POST /moto-api/reset-auth`` with the body ``0``,
it is moto's server as it is. From then on, each call of a role needs a statement of the role's policies for every
permission that AWS requires: moto checks the action and the signature, and this module the resources, the conditions,
and the permissions of further actions (encrypted buckets, tags, passed roles). ``GET /iam/calls`` returns the checked
calls, and ``POST /iam/check`` checks a permission that no HTTP request requires, such as ``rds-db:connect``.

moto's model of resources stops where this module's begins: for most services, moto compares the resources of a policy
with ``*``. This module therefore supplies the resource of each call to moto, by the method that moto provides for it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from nightferry.errors import needs_extra
from nightferry.testing import small_moto
from nightferry.testing.iam import needs
from nightferry.testing.iam.requests import Request, read_request
from nightferry.testing.iam.statements import Need, as_list, find_allowing

small_moto.import_ec2()
with needs_extra("testing"):
    from moto import settings
    from moto.awslambda.models import LambdaBackend
    from moto.backends import get_backend
    from moto.core.authorization import ActionAuthenticatorMixin
    from moto.core.responses import BaseResponse
    from moto.ecs.models import ecs_backends
    from moto.iam.models import iam_backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from moto.s3.models import s3_backends
    from moto.sns.models import sns_backends
    from moto.ssm.models import ssm_backends
    from moto.sts.models import sts_backends
    from werkzeug.serving import make_server

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_PARTITION = "aws"
_ADMINISTRATOR = "test"  # the access key of the tests themselves


@dataclass(frozen=True)
class Role:
    """A role and the statements of its policies."""

    arn: str
    account: str
    statements: list[dict[str, Any]]

    @classmethod
    def find(cls, key: str) -> Role | None:
        """Return the role to whose session an access key belongs; None for a user's key."""
        for backends in list(sts_backends.values()):
            for session in backends[_PARTITION].assumed_roles:
                if session.access_key_id == key:
                    return cls.read(session.role_arn)
        return None

    @classmethod
    def read(cls, arn: str) -> Role:
        """Return the role with its inline policies; without statements if it does not exist."""
        account, name = arn.split(":")[4], arn.rpartition("/")[2]
        backend = iam_backends[account][_PARTITION]
        if all(role.name != name for role in backend.roles.values()):
            return cls(arn, account, [])
        documents = [backend.get_role_policy(name, policy)[1] for policy in backend.list_role_policies(name)]
        return cls(arn, account, [one for text in documents for one in as_list(json.loads(text)["Statement"])])

    def trusts(self, need: Need) -> bool:
        """Return True if the role's trust policy allows a caller to assume the role."""
        name = self.arn.rpartition("/")[2]
        found = [role for role in iam_backends[self.account][_PARTITION].roles.values() if role.name == name]
        return bool(found) and bool(
            find_allowing(as_list(json.loads(found[0].assume_role_policy_document)["Statement"]), need)
        )


class StoredInMoto:
    """The resources in moto on which the permissions of a call depend."""

    def __init__(self, account: str, region: str, tasks: Mapping[str, dict[str, Any]]) -> None:
        self._account, self._region = account, region
        self._tasks = tasks

    def bucket_key(self, bucket: str) -> str | None:
        """Return the ARN of the KMS key that encrypts the bucket by default."""
        for backends in list(s3_backends.values()):
            if found := backends[_PARTITION].buckets.get(bucket):
                rule = (found.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
                return str(rule["KMSMasterKeyID"]) if "KMSMasterKeyID" in rule else None
        return None

    def has_tags(self, bucket: str, key: str) -> bool:
        """Return True if the object exists and has tags."""
        for backends in list(s3_backends.values()):
            if found := backends[_PARTITION].buckets.get(bucket):
                backend, stored = backends[_PARTITION], found.keys.get(key)
                return stored is not None and bool(backend.tagger.get_tag_dict_for_resource(stored.arn))
        return False

    def topic_key(self, topic: str) -> str | None:
        """Return the ARN of the KMS key of a topic."""
        return sns_backends[self._account][self._region].topics[topic].kms_master_key_id or None

    def parameter_key(self, name: str) -> str | None:
        """Return the ARN of the customer-managed KMS key of a parameter."""
        key = ssm_backends[self._account][self._region].get_parameter(name.partition(":parameter")[2] or name)
        return key.keyid if key is not None and (key.keyid or "").startswith("arn:") else None

    def definition(self, name: str) -> tuple[str, list[str]]:
        """Return the ARN of the newest or named revision of a task definition, and the ARNs of its roles."""
        found = ecs_backends[self._account][self._region].describe_task_definition(name)
        return found.arn, [role for role in (found.task_role_arn, found.execution_role_arn) if role]

    def definition_tags(self, name: str) -> list[dict[str, str]]:
        """Return the tags of the newest or named revision of a task definition."""
        return list(ecs_backends[self._account][self._region].describe_task_definition(name).tags or [])

    def task_tags(self, task: str) -> dict[str, str]:
        """Return the tags of a task (ARN)."""
        return {tag["key"]: tag["value"] for tag in self._tasks.get(task, {}).get("tags", [])}


class EnforcingServer:
    """The application: moto's, behind the checks."""

    def __init__(self) -> None:
        self._moto: App = DomainDispatcherApplication(create_backend_app)  # type: ignore[assignment,unused-ignore]
        self._calls: list[dict[str, Any]] = []
        self._tasks: dict[str, dict[str, Any]] = {}
        self._current = threading.local()
        self._conditional_writes = threading.Lock()
        # moto's extension for the resource of a call. S3, SQS, IAM and STS have their own.
        BaseResponse._determine_resource = lambda _: self._current.resource
        check = ActionAuthenticatorMixin._authenticate_and_authorize_action

        def check_others(response: Any, kind: type, resource: str = "*") -> None:
            if not self._current.administrator:
                check(response, kind, resource)

        ActionAuthenticatorMixin._authenticate_and_authorize_action = check_others
        # Services.notify invokes the functions that subscribe to a topic; moto would run them in containers.
        LambdaBackend.send_sns_message = lambda *_, **__: None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Respond to a request."""
        self._current.resource, self._current.administrator = "*", False
        path = environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        if path in ("/iam/calls", "/iam/tasks"):
            return _send_json(start_response, self._calls if path == "/iam/calls" else list(self._tasks.values()))
        if path == "/iam/check":
            asked = json.loads(body)
            need = Need(asked["action"], asked["resource"], asked.get("context", {}))
            role = Role.find(asked["key"])
            return _send_json(start_response, role is not None and self._check(role, asked["action"], [need]))
        if path == "/moto-api/reset":
            self._calls.clear()
            self._tasks.clear()
            settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        request = None if settings.INITIAL_NO_AUTH_ACTION_COUNT else read_request(environ, body)
        role = Role.find(request.key) if request else None
        if request is None or role is None:
            self._current.administrator = request is not None and request.key == _ADMINISTRATOR
            return self._run_moto(environ, start_response)
        required = needs.find_needs(request, role.account, self._stored(role.account, request.region))
        if not self._check(role, f"{request.service}:{request.operation}", required):
            return _deny(request, start_response)
        if request.operation == "AssumeRole" and not _is_trusted(role, request):
            return _deny(request, start_response)
        if (response := self._respond_for_moto(request, role.account)) is not None:
            return _send_json(start_response, response)
        self._current.resource = required[0].resource
        return self._forward(role, request, environ, start_response)

    def _run_moto(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Return moto's response. Unlike on AWS, a check of moto and the write after it are not one step."""
        if any(name in environ for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")):
            with self._conditional_writes:
                return list(self._moto(environ, start_response))
        return self._moto(environ, start_response)

    def _stored(self, account: str, region: str) -> StoredInMoto:
        return StoredInMoto(account, region, self._tasks)

    def _check(self, role: Role, call: str, required: list[Need]) -> bool:
        found = [needs.format_need(need) | {"statements": find_allowing(role.statements, need)} for need in required]
        allowed = all(need["statements"] for need in found)
        self._calls.append({"role": role.arn, "call": call, "needs": found, "allowed": allowed})
        return allowed

    def _respond_for_moto(self, request: Request, account: str) -> Any:
        """Return the response of an operation that moto does not implement, or only with Docker or fixed sizes."""
        match request.operation:
            case "GetSchedule":  # moto expects another signature of a GET with a query
                schedules = get_backend("scheduler")[account][request.region]
                return schedules.get_schedule(request.parameters["GroupName"], request.parameters["Name"]).to_dict()
            case "RunTask":
                cluster, definition = request.parameters["cluster"], request.parameters["taskDefinition"]
                id, name = uuid.uuid4().hex, cluster.rpartition("/")[2]
                arn = f"arn:aws:ecs:{request.region}:{account}:task/{name}/{id}"
                stored = self._stored(account, request.region)
                found, _ = stored.definition(definition)
                tags = (
                    stored.definition_tags(definition)
                    if request.parameters.get("propagateTags") == "TASK_DEFINITION"
                    else []
                )
                overrides = request.parameters.get("overrides", {})
                self._tasks[arn] = {
                    "taskArn": arn,
                    "taskDefinitionArn": found,
                    "overrides": overrides,
                    "tags": [*tags, *request.parameters.get("tags", [])],
                }
                return {"tasks": [self._tasks[arn]], "failures": []}
            case "DescribeTasks":
                return {"tasks": [self._tasks[arn] for arn in request.parameters["tasks"]], "failures": []}
            case "GetExecutionHistory":
                started = {"id": 1, "type": "ExecutionStarted", "timestamp": 0, "previousEventId": 0}
                failed = {"id": 2, "type": "ExecutionFailed", "timestamp": 0, "previousEventId": 1}
                return {"events": [failed, started]}
            case "GetDownloadUrlForLayer" | "Invoke" | "StopTask":
                return {}
        return None

    def _forward(
        self, role: Role, request: Request, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Return moto's response, or S3's 403 in place of 404 for a caller that may not list the bucket."""
        caught: list[Any] = []
        response = list(self._run_moto(environ, lambda *arguments: caught.append(arguments)))
        status = caught[0][0]
        if request.service == "s3" and status.startswith("404") and request.parameters["Key"]:
            missing = needs.find_missing_object_needs(request)
            if not self._check(role, f"s3:{request.operation} of a missing object", missing):
                return _deny(request, start_response)
        start_response(*caught[0])
        return response


def _is_trusted(caller: Role, request: Request) -> bool:
    external_id = request.parameters.get("ExternalId")
    context = {"sts:ExternalId": external_id} if external_id else {}
    need = Need("sts:AssumeRole", "", context, principal=caller.arn)
    return Role.read(request.parameters["RoleArn"]).trusts(need)


def _deny(request: Request, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Send the error of the service's protocol."""
    message = f"not authorized to perform {request.service}:{request.operation}"
    if request.service == "s3":
        text = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return _send(start_response, "403 Forbidden", "application/xml", text)
    if "x-amz-target" in request.headers or request.service in ("lambda", "scheduler"):
        text = json.dumps({"__type": "AccessDeniedException", "message": message})
        return _send(start_response, "400 Bad Request", "application/x-amz-json-1.1", text)
    text = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>"
    return _send(start_response, "403 Forbidden", "text/xml", text)


def _send_json(start_response: Callable[..., Any], value: Any) -> Iterable[bytes]:
    return _send(start_response, "200 OK", "application/json", json.dumps(value))


def _send(start_response: Callable[..., Any], status: str, kind: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-RequestId", "1")])
    return [body]


class _Handler(MotoRequestHandler):  # type: ignore[misc,unused-ignore]
    def log(self, level: str, message: str, *args: Any) -> None:
        """Log nothing."""


def main() -> None:
    """Serve until the standard input closes, and exit at once: freeing moto's data would take seconds."""
    server = make_server("127.0.0.1", 0, EnforcingServer(), threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201  # the caller reads it
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
