"""The provider's changes, carried out on the emulated AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nightferry.backend.errors import Refused, Unreachable
from nightferry.terraform.provider.schema import load
from nightferry.terraform.provider.server import ProviderError
from nightferry.terraform.provider.values import map_unknown
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.data import DATA
from nightferry.testing.aws_provider.resource import OMITTED, Resource, Values
from nightferry.testing.aws_provider.services import RESOURCES


class EmulatedAws:
    """Resources on the AWS to which ``AWS_ENDPOINT_URL`` directs the clients, with the credentials of the process."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def create(self, kind: str, planned: dict[str, Any]) -> dict[str, Any]:
        """Create a resource and return it as :meth:`read` does."""
        resource = _find(kind)
        with _report(self.clients, f"create {kind}"):
            identity = resource.create(self.clients, _known(planned))
            found = resource.read(self.clients, identity)
        if found is None:
            raise ProviderError(f"creating {kind}: {identity} was created but is not found")
        return _keep_omitted(found, planned)

    def read(self, kind: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Return the resource as it is now; None if it does not exist."""
        resource = _find(kind)
        with _report(self.clients, f"read {kind}"):
            found = resource.read(self.clients, {name: state.get(name) for name in resource.identity})
        return found and _keep_omitted(found, state)

    def update(self, kind: str, prior: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        """Change a resource and return it as :meth:`read` does."""
        resource = _find(kind)
        planned = {
            **_known(planned),
            **{name: prior.get(name) for name in resource.identity if planned.get(name) is None},
        }
        with _report(self.clients, f"update {kind}"):
            resource.update(self.clients, prior, planned)
        found = self.read(kind, {**prior, **planned})
        if found is None:
            raise ProviderError(f"updating {kind}: it no longer exists")
        return found

    def delete(self, kind: str, state: dict[str, Any]) -> None:
        """Delete a resource."""
        with _report(self.clients, f"delete {kind}"):
            _find(kind).delete(self.clients, state)

    def data(self, kind: str, config: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of an existing resource."""
        if kind not in DATA:
            raise ProviderError(f"data source {kind} is not implemented in nightferry.testing.aws_provider.data")
        with _report(self.clients, f"read data source {kind}"):
            return DATA[kind](self.clients, config)


def _find(kind: str) -> Resource:
    if kind not in RESOURCES:
        raise ProviderError(f"resource type {kind} is not implemented in nightferry.testing.aws_provider.services")
    assert kind in load().resources
    return RESOURCES[kind]


def _keep_omitted(found: Values, state: Values) -> Values:
    return {name: state.get(name) if value is OMITTED else value for name, value in found.items()}


def _known(planned: Values) -> Values:
    """Return the planned values without the unknown ones, which AWS chooses."""
    known: Values = map_unknown(planned, lambda: None)
    return known


@contextmanager
def _report(aws: Clients, action: str) -> Iterator[None]:
    try:
        with aws.translate_errors(action):
            yield
    except (Refused, Unreachable) as error:
        raise ProviderError(str(error)) from error
