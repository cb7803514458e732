"""An environment that Terraform deploys to an emulated AWS, for tests of what a deployment does.

::

    deployment = Deployment(catalog, environment, tmp_path)
    deployment.apply("first-image")
    assert not deployment.plan("first-image").changes
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nightferry.catalog.catalog import Catalog
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment, parse
from nightferry.terraform import synthesize, write
from nightferry.terraform.provider.core import TerraformRun, run_terraform
from nightferry.terraform.provider.schema import load
from nightferry.terraform.provider.server import serve
from nightferry.testing.aws_provider.backend import EmulatedAws
from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.existing import create_existing
from nightferry.testing.aws_provider.permissions import Permissions

# The S3 backend checks the account with other APIs of AWS, and expects a bucket to be a host name.
_S3_BACKEND = ("use_path_style=true", "skip_credentials_validation=true", "skip_requesting_account_id=true",
               "skip_metadata_api_check=true", "skip_region_validation=true")  # fmt: skip


class TerraformFailed(AssertionError):
    """A command of Terraform that failed, with Terraform's errors."""


def get_type(address: str) -> str:
    """Return the type of a resource by its address. An instance's key can contain points, such as an e-mail address."""
    return re.sub(r"\[[^\]]*\]", "", address).split(".")[-2]


@dataclass(frozen=True)
class Plan:
    """A plan: Terraform's text, and by address what it does with each resource that it changes."""

    text: str
    changes: dict[str, tuple[str, ...]]  # such as ("update",) or ("delete", "create")
    document: Any  # terraform show -json

    def changed_arguments(self, address: str) -> set[str]:
        """Return the arguments of a resource that differ, and those that are unknown before the apply."""
        change = next(one["change"] for one in self.document["resource_changes"] if one["address"] == address)
        before, after = change["before"] or {}, change["after"] or {}
        unknown = {name for name, value in (change.get("after_unknown") or {}).items() if _is_unknown(value)}
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} | unknown


class Deployment:
    """An environment of a catalog on the AWS of ``AWS_ENDPOINT_URL``, with the IDs that the emulated AWS gives.

    The constructor creates the existing resources to which the environment refers, with all permissions. ``clients``
    makes the calls of the provider.
    """

    def __init__(self, catalog: Catalog, environment: Environment, folder: Path) -> None:
        assert environment.aws is not None
        self.folder = folder
        self.root = folder / "ecs-tasks" / environment.name
        self.clients = Clients(environment.aws.region, self.root)
        self._names = create_existing(self.clients, AwsResources(catalog, environment))
        self._initialized: list[str] = []
        self.change(catalog, environment)

    def change(self, catalog: Catalog, environment: Environment) -> None:
        """Write the files of a changed catalog or environment."""
        text = environment.text
        for ours, emulated in self._names.items():
            text = text.replace(ours, emulated)
        environment = parse(environment.name, text, catalog, environment.file)
        self.resources = AwsResources(catalog, environment)
        self.write(synthesize(catalog, environment))

    def assume(self, role: Literal["deploy", "plan"]) -> Permissions:
        """Let further calls have only the permissions of the role's synthesized policies, and return these."""
        self.clients.permissions = Permissions(
            [json.loads(file.read_text()) for file in sorted(self.root.glob(f"{role}-role-policy-*.json"))],
            self.resources.aws.account,
            self.resources.aws.region,
            own_tags={"application": self.resources.catalog.name, "environment": self.resources.environment.name},
            boundaries=self.clients.permissions.boundaries if self.clients.permissions else {},
        )
        return self.clients.permissions

    def write(self, files: dict[str, str]) -> None:
        """Write files in place of the synthesized ones."""
        write(files, self.folder)

    def apply(self, image_tag: str | None, *arguments: str) -> str:
        """Apply the files and return Terraform's text. Raises TerraformFailed."""
        return self._run(["apply", "-auto-approve", *_variables(image_tag), *arguments])[-1].output

    def plan(self, image_tag: str | None, *arguments: str) -> Plan:
        """Plan the files. Raises TerraformFailed."""
        file = str(self.folder / "plan")
        planned, shown = self._run(
            ["plan", f"-out={file}", *_variables(image_tag), *arguments], ["show", "-json", file]
        )
        return _read_plan(planned, shown)

    def resources_by_address(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of each resource of Terraform's state."""
        state = json.loads(self._run(["show", "-json"])[-1].output).get("values", {})
        modules = [state.get("root_module", {})]
        found: dict[str, dict[str, Any]] = {}
        while modules:
            module = modules.pop()
            modules += module.get("child_modules", [])
            found |= {one["address"]: one["values"] for one in module.get("resources", []) if one["mode"] == "managed"}
        return found

    def find_overwritten(self) -> list[str]:
        """Return the resources that overwrite another, which neither Terraform nor AWS reports.

        For example, a bucket has one notification configuration, and a second resource for it replaces the first's.
        """
        seen: dict[tuple[str, ...], str] = {}
        overwritten = []
        for address, values in self.resources_by_address().items():
            kind = get_type(address)
            for argument in load().resources[kind].rules.get("one_per", []):
                if seen.setdefault((kind, argument, str(values[argument])), address) != address:
                    overwritten.append(address)
        return overwritten

    def apply_and_plan(self, image_tag: str) -> Plan:
        """Apply the files and plan them again."""
        file = str(self.folder / "plan")
        arguments = _variables(image_tag)
        runs = self._run(
            ["apply", "-auto-approve", *arguments], ["plan", f"-out={file}", *arguments], ["show", "-json", file]
        )
        return _read_plan(runs[1], runs[2])

    def destroy(self, image_tag: str) -> str:
        """Destroy all resources and return Terraform's text. Raises TerraformFailed."""
        return self._run(["destroy", "-auto-approve", *_variables(image_tag)])[-1].output

    def _run(self, *commands: list[str]) -> list[TerraformRun]:
        directory = f"-chdir={self.root}"
        # A changed set of module calls needs init again.
        initialized = sorted(file.read_text() for file in self.root.glob("*.tf.json"))
        initialize = [] if initialized == self._initialized else [["init", "-input=false"]]
        with serve(EmulatedAws(self.clients), self.root) as variables:
            runs = run_terraform(
                [[directory, *command] for command in (*initialize, *commands)],
                {**variables, **reach_state(self.root)},
            )
        if runs[-1].exit_code not in (0, 2):
            raise TerraformFailed(f"terraform {commands[len(runs) - len(initialize) - 1][0]}: {runs[-1].error}")
        self._initialized = initialized
        return runs[len(initialize) :]


def _read_plan(planned: TerraformRun, shown: TerraformRun) -> Plan:
    document = json.loads(shown.output)
    changes = {
        one["address"]: tuple(one["change"]["actions"])
        for one in document.get("resource_changes", [])
        if one["mode"] == "managed" and one["change"]["actions"] != ["no-op"]
    }
    return Plan(_without_progress(planned.output), changes, document)


def reach_state(root: Path) -> dict[str, str]:
    """Return the variables with which Terraform finds its S3 backend on the emulated AWS, if the files have one."""
    if not any('"s3"' in file.read_text() for file in root.glob("versions.tf.json")):
        return {}
    return {"TF_CLI_ARGS_init": " ".join(f"-backend-config={setting}" for setting in _S3_BACKEND)}


def _is_unknown(mark: Any) -> bool:
    """Return True if the mark of a value, or of a part of it, is that of an unknown value."""
    if isinstance(mark, bool):
        return mark
    return any(map(_is_unknown, mark.values() if isinstance(mark, dict) else mark))


def _without_progress(text: str) -> str:
    progress = re.compile(r": (Refreshing state\.\.\.|Reading\.\.\.|Read complete after)")
    return "\n".join(line for line in text.splitlines() if not progress.search(line))


def _variables(image_tag: str | None) -> list[str]:
    return ["-input=false", *([f"-var=image_tag={image_tag}"] if image_tag else [])]
