"""A proxy of moto that implements ECS's client tokens, which moto only stores: one token starts one task."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3

from nightferry.clock import Clock, SystemClock
from nightferry.testing.fargate.client_tokens import ClientTokens, TokenConflict

_NOT_FORWARDED = {"host", "connection", "transfer-encoding", "content-length", "date", "server"}


class TokenServer(ThreadingHTTPServer):
    """A proxy of moto with an idempotent RunTask, as AWS documents it.

    ``responses`` are the status and body of the next calls of RunTask with new tokens, one each. ``overrides`` handle
    requests that moto does not support: they map path and body to status, body and content type, or to None to pass
    the request on. ``lose_answers`` is the number of calls that are executed and then end with an error. ``clock``
    is the time at which tokens are used. ``started`` are the started tasks. ``stopped`` is when tasks (ARNs) stopped.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, clock: Clock) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.responses: list[tuple[int, dict[str, Any]]] = []
        self.overrides: list[Callable[[str, bytes], tuple[int, bytes, str] | None]] = []
        self.requests: list[dict[str, Any]] = []
        self.lose_answers = 0
        self.started: list[dict[str, Any]] = []
        self.stopped: dict[str, datetime] = {}
        self._tokens = ClientTokens(clock, self.stopped.get)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def forget_tokens(self) -> None:
        """Forget all tokens, as ECS does after a while."""
        self._tokens.clear()

    def reset(self) -> None:
        """Remove all requests, tokens and prepared responses."""
        self.requests.clear()
        self.responses.clear()
        self.started.clear()
        self.stopped.clear()
        self.lose_answers = 0
        self._tokens.clear()

    def reset_moto(self) -> None:
        """Remove all resources of moto's account. The next ones have the same IDs as those after any other reset."""
        for action in ("reset", "seed?a=1"):
            connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
            connection.request("POST", f"/moto-api/{action}")
            assert connection.getresponse().status == 200
            connection.close()

    def network(self) -> tuple[list[str], str]:
        """Return the default network's subnets and security group. Other tests may have left networks of their own."""
        login = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        ec2 = boto3.client("ec2", endpoint_url=self.upstream, **login)
        found = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        network = [{"Name": "vpc-id", "Values": [found[0]["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        group = ec2.describe_security_groups(Filters=network)["SecurityGroups"][0]["GroupId"]
        return sorted(subnet["SubnetId"] for subnet in found), group

    def run_task(self, request: dict[str, Any], forward: Any) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.requests.append(request)
            try:
                known = self._tokens.find(request)
            except TokenConflict as conflict:
                return 400, conflict.to_response()
            if known is not None:
                status, response = 200, known
            elif self.responses:
                status, response = self.responses.pop(0)
            else:
                status, body = forward()
                response = json.loads(body)
            if status == 200 and known is None:
                self._tokens.remember(request, response)
                self.started += response.get("tasks", [])
            if self.lose_answers:
                self.lose_answers -= 1
                return 400, {"__type": "LostAnswer", "message": "The connection was closed."}
            return status, response


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one packet; two packets would wait 40 ms for an acknowledgment
    server: TokenServer

    def log_message(self, format: str, *args: object) -> None: ...

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for override in self.server.overrides:
            if (response := override(self.path, body)) is not None:
                headers = {"Content-Type": response[2]}
                if b'"errorMessage"' in response[1]:  # the function raised an exception (Lambda API, Invoke)
                    headers["X-Amz-Function-Error"] = "Unhandled"
                self._send(response[0], response[1], headers)
                return
        if (self.headers.get("X-Amz-Target") or "").endswith(".RunTask"):
            status, started = self.server.run_task(json.loads(body), lambda: self._forward(body)[:2])
            self._send(status, json.dumps(started).encode(), {"Content-Type": "application/x-amz-json-1.1"})
        else:
            self._send(*self._forward(body))

    def _forward(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self.server.upstream).netloc, timeout=60)
        try:
            connection.request(self.command, self.path, body, {**self.headers})
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _NOT_FORWARDED}
            return response.status, response.read(), headers
        finally:
            connection.close()

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers = {"x-amzn-RequestId": "1", **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _respond


@contextmanager
def ecs_with_tokens(moto: str, clock: Clock | None = None) -> Iterator[TokenServer]:
    """Run the proxy in front of ``moto`` during the block."""
    server = TokenServer(moto, clock or SystemClock())
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
