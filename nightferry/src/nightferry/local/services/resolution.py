"""Local values of the catalog's references: folders for buckets, and addresses of local services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightferry.catalog.references import Reference, find_references, substitute
from nightferry.environments.environment import Environment
from nightferry.environments.state_folder import create_state_folder
from nightferry.errors import NightferryError

Addresses = Callable[[str, str], str]
"""(service, attribute) → address, such as ("database", "host")."""


class UnknownAddress(NightferryError):
    """A reference has no value in a local environment."""


class Resolution:
    """Substitution of references. The addresses of services are resolved on demand."""

    def __init__(self, environment: Environment, state: Path, address: Addresses) -> None:
        self._environment = environment
        self._state = state
        self._address = address

    def __call__(self, value: Any) -> Any:
        """Return a copy of ``value`` with all references substituted."""
        return substitute(value, self._resolve)

    def get_bucket_folder(self, name: str) -> Path:
        """Return the real path of the folder that represents a bucket; create the folder if necessary.

        The operator may place the state directory or the bucket behind a symbolic link. Links below are not followed.
        """
        folder = create_state_folder(self._state) / "buckets" / name
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder.resolve()

    def find_services(self, value: Any) -> set[str]:
        """Return the services to whose addresses ``value`` refers, directly or through a setting."""
        needed = set()
        for reference in find_references(value):
            if reference.kind == "service":
                needed.add(reference.name.partition(".")[0])
            elif reference.kind == "setting":
                needed |= self.find_services(self._environment.settings[reference.name])
        return needed

    def _resolve(self, reference: Reference) -> Any:
        match reference.kind:
            case "setting":
                return self(self._environment.settings[reference.name])
            case "bucket":
                return self.get_bucket_folder(reference.name).as_uri()
            case "service":
                service, _, attribute = reference.name.partition(".")
                return self._address(service, attribute)
            case "environment":
                return self._environment.name
            case "state":
                return str(self._state)
            case "task" | "topic" | "workflow" | "function":
                return reference.name
            case "cluster":
                return "local"
            case "subnets" | "security_groups":
                return []
        raise UnknownAddress(f"{self._environment.file}: '{reference}' has no value in a local environment.")
