"""The secrets that a catalog declares, with the tasks and services that receive them, and the command that sets one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import CommandService, Secret


@dataclass(frozen=True)
class SecretUse:
    """A secret with the names of its users. It is ``optional`` if no user requires it."""

    secret: Secret
    users: tuple[str, ...]
    optional: bool


def find_secrets(catalog: Catalog, *, services: bool) -> dict[str, SecretUse]:
    """Return the secrets of all tasks by name, sorted; with ``services``, also those of services, which are local."""
    declared = {task.name: {**catalog.secrets, **task.secrets} for task in catalog.tasks.values()}
    if services:
        for service in catalog.services.values():
            if isinstance(service, CommandService):
                declared[f"service {service.name}"] = dict(service.secrets)
    found: dict[str, list[tuple[str, Secret]]] = {}
    for user, secrets in declared.items():
        for secret in secrets.values():
            found.setdefault(secret.name, []).append((user, secret))
    return {
        name: SecretUse(
            Secret(name), tuple(dict.fromkeys(user for user, _ in uses)), all(secret.optional for _, secret in uses)
        )
        for name, uses in sorted(found.items())
    }


def format_set_command(name: str, environment: str = "local") -> str:
    """Return the command that stores a secret in an environment."""
    return f"nightferry secrets set {shlex.quote(name)}{'' if environment == 'local' else f' --env {environment}'}"
