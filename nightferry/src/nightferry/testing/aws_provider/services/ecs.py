"""ECS: task definitions."""

from __future__ import annotations

import json

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, first, from_tags, given


class TaskDefinition(Resource):
    """A revision of a task definition.

    With ``track_latest`` the provider reads the newest active revision of the family, else the revision of the state.
    """

    type = "aws_ecs_task_definition"
    identity = ("arn", "family", "track_latest")

    def create(self, aws: Clients, new: Values) -> Values:
        storage, platform = first(new["ephemeral_storage"]), first(new["runtime_platform"])
        definition = aws("ecs").register_task_definition(
            family=new["family"],
            containerDefinitions=json.loads(new["container_definitions"]),
            **given(
                cpu=new["cpu"],
                memory=new["memory"],
                networkMode=new["network_mode"],
                executionRoleArn=new["execution_role_arn"],
                taskRoleArn=new["task_role_arn"],
                requiresCompatibilities=new["requires_compatibilities"],
                ephemeralStorage=given(sizeInGiB=storage.get("size_in_gib")),
                runtimePlatform=given(
                    cpuArchitecture=platform.get("cpu_architecture"),
                    operatingSystemFamily=platform.get("operating_system_family"),
                ),
                volumes=[{"name": volume["name"]} for volume in new["volume"] or []],
                tags=as_tags(new["tags_all"], "key", "value"),
            ),
        )["taskDefinition"]
        return {"arn": definition["taskDefinitionArn"], "family": new["family"], "track_latest": new["track_latest"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        ecs = aws("ecs")
        tracked = identity["family"] if identity["track_latest"] else identity["arn"]
        try:
            response = ecs.describe_task_definition(taskDefinition=tracked, include=["TAGS"])
        except ecs.exceptions.ClientException:
            return None
        found = response["taskDefinition"]
        if found["status"] != "ACTIVE":
            return None
        storage, platform = found.get("ephemeralStorage"), found.get("runtimePlatform")
        return {
            "id": found["family"],
            "arn": found["taskDefinitionArn"],
            "arn_without_revision": found["taskDefinitionArn"].rpartition(":")[0],
            "revision": found["revision"],
            "family": found["family"],
            "cpu": found.get("cpu"),
            "memory": found.get("memory"),
            "network_mode": found.get("networkMode"),
            "ipc_mode": found.get("ipcMode"),
            "pid_mode": found.get("pidMode"),
            "execution_role_arn": found.get("executionRoleArn"),
            "task_role_arn": found.get("taskRoleArn"),
            "requires_compatibilities": found.get("requiresCompatibilities"),
            "enable_fault_injection": found.get("enableFaultInjection", False),
            "ephemeral_storage": [{"size_in_gib": storage["sizeInGiB"]}] if storage else [],
            "runtime_platform": [
                {
                    "cpu_architecture": platform.get("cpuArchitecture"),
                    "operating_system_family": platform.get("operatingSystemFamily"),
                }
            ]
            if platform
            else [],
            "volume": [{"name": volume["name"]} for volume in found.get("volumes", [])],
            "container_definitions": json.dumps([_as_returned(one) for one in found["containerDefinitions"]]),
            "tags": from_tags(response.get("tags"), "key", "value"),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        added, removed = changed_tags(old, new)
        if added:
            aws("ecs").tag_resource(resourceArn=old["arn"], tags=as_tags(added, "key", "value"))
        if removed:
            aws("ecs").untag_resource(resourceArn=old["arn"], tagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        if not old["skip_destroy"]:
            aws("ecs").deregister_task_definition(taskDefinition=old["arn"])


def _as_returned(container: Values) -> Values:
    """Return a container definition as ECS returns it, with members that were not sent.

    ECS returns empty lists for absent ones, also ``"add": []`` beside ``"drop"`` (terraform-aws-modules/
    terraform-aws-ecs#176), and a ``cpu`` of 0. Emulators return what was sent.
    """
    returned = {"cpu": 0, "portMappings": [], "environment": [], "mountPoints": [], "volumesFrom": [],
                "systemControls": [], **container}  # fmt: skip
    linux = dict(returned.get("linuxParameters") or {})
    if linux.get("capabilities"):
        linux["capabilities"] = {"add": [], "drop": [], **linux["capabilities"]}
        returned["linuxParameters"] = linux
    return returned


RESOURCES = (TaskDefinition,)
