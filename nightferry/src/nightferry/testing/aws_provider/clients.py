"""Clients of boto3 for the emulated AWS. Each call is checked against the limits of the API model, and counted."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nightferry.aws.session import Aws, create_client
from nightferry.testing.aws_provider.limits import check_parameters
from nightferry.testing.aws_provider.permissions import Permissions


class Clients:
    """The clients of one run: ``clients("ecs")``.

    ``folder`` is the root module's folder, where relative paths start. ``calls`` counts the calls by service and API.
    ``permissions``, if set, are those of the role that makes the calls.
    """

    def __init__(self, region: str = "us-east-1", folder: Path | None = None) -> None:
        self.region = region
        self.folder = folder or Path()
        self.permissions: Permissions | None = None
        self.calls: Counter[tuple[str, str]] = Counter()
        self._aws = Aws(region, account="", attempts=3)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, service: str) -> Any:
        """Return the client of a service, with boto3's name of the service."""
        with self._lock:
            if service not in self._clients:
                client = create_client(self._aws, service)
                client.meta.events.register("before-parameter-build", self._before_call)
                self._clients[service] = client
            return self._clients[service]

    def translate_errors(self, action: str) -> AbstractContextManager[None]:
        """Raise errors that are sentences for the errors of boto3 in the context."""
        return self._aws.translate_errors(action)

    def account(self) -> str:
        """Return the account of the credentials."""
        return str(self("sts").get_caller_identity()["Account"])

    def _before_call(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        service = model.service_model
        check_parameters(service.service_name, model.name, model.input_shape, params)
        if self.permissions:
            self.permissions.check(service.service_name, model.name, params)
        self.calls[(service.service_name, model.name)] += 1
