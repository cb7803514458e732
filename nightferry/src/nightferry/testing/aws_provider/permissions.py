"""A role's permissions, enforced before each call: action, resource and conditions, as IAM evaluates its policies.

moto enforces actions only. The actions and resources of a call are those of AWS's Service Authorization Reference; a
call that passes a role or sets tags requires these permissions, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nightferry.terraform.provider.server import ProviderError
from nightferry.testing.iam.statements import Need, find_allowing

# boto3's names of services → IAM's, and of operations → the actions that IAM checks.
_SERVICES = {"stepfunctions": "states"}
_ACTIONS = {
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
}
_UNRESTRICTED = {"GetCallerIdentity"}  # always allowed

# The resource of each service's calls: the first template whose members the parameters have. "*" if there is none.
_RESOURCES: dict[str, tuple[str, ...]] = {
    "cloudwatch": ("{ResourceARN}", "alarm:{AlarmName}", "alarm:{AlarmNames}"),
    "ecr": ("{resourceArn}", "repository/{repositoryNames}"),
    "ecs": ("{resourceArn}", "cluster/{clusters}", "task-definition/{family}:1"),
    "events": ("{ResourceARN}", "rule/{Rule}", "rule/{Name}"),
    "kms": ("key/{KeyId}",),
    "lambda": ("{Resource}", "function:{FunctionName}"),
    "logs": ("{resourceArn}", "log-group:{logGroupName}"),
    "scheduler": ("{ResourceArn}", "schedule/{GroupName}/{Name}", "schedule-group/{Name}"),
    "sns": ("{TopicArn}", "{ResourceArn}", "{Name}"),
    "sqs": ("{QueueName}", "{QueueUrl}"),
    "ssm": ("parameter{Name}", "parameter{ResourceId}"),
    "states": ("{stateMachineArn}", "{resourceArn}", "stateMachine:{name}"),
}
# The parameters with a role that the call passes, and the service that receives it.
_PASSED = {
    "events": ("events.amazonaws.com", ("RoleArn",)),
    "ecs": ("ecs-tasks.amazonaws.com", ("taskRoleArn", "executionRoleArn")),
    "lambda": ("lambda.amazonaws.com", ("Role",)),
    "scheduler": ("scheduler.amazonaws.com", ("RoleArn",)),
    "states": ("states.amazonaws.com", ("roleArn",)),
}
_TAG_ACTIONS = {"iam": "TagRole", "ssm": "AddTagsToResource", "sqs": "TagQueue", "logs": "TagResource"}
_TAG_MEMBERS = ("Tags", "tags", "tagList")
# Operations with tags that IAM checks like a separate call that sets them.
_SETS_TAGS = re.compile(r"^(Create|Put|Register|Tag|AddTags|Authorize)")


@dataclass
class Permissions:
    """The policies of a role. :meth:`check` refuses a call that they do not allow.

    ``used`` collects the actions of the calls, and ``needed`` the statements that were the only ones to allow a call.
    ``own_tags`` are the tags of the resources that exist, and ``boundaries`` the permissions boundaries of the roles by
    name, for conditions on them.
    """

    policies: list[Any]
    account: str
    region: str
    used: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    own_tags: dict[str, str] = field(default_factory=dict)
    boundaries: dict[str, str] = field(default_factory=dict)

    def list_actions(self) -> set[str]:
        """Return the actions that the policies allow."""
        return {action for statement in self.statements for action in statement["Action"]}

    @property
    def statements(self) -> list[dict[str, Any]]:
        """The statements of all policies."""
        return [statement for policy in self.policies for statement in policy["Statement"]]

    def check(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Raise ProviderError if the policies do not allow the call."""
        for need in self.find_needs(_SERVICES.get(service, service), operation, parameters):
            self.used.add(need.action)
            allowing = find_allowing(self.statements, need)
            if len(allowing) == 1:
                self.needed.add(allowing[0])
            if not allowing:
                raise ProviderError(
                    f"AccessDenied: {service}:{operation}: the role may not perform {need.action} on {need.resource} "
                    f"with {need.context or 'no condition keys'}"
                )
        if "PermissionsBoundary" in parameters:
            self.boundaries[parameters["RoleName"]] = parameters["PermissionsBoundary"]

    def find_needs(self, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[Need]:
        """Yield what a call requires."""
        if operation in _UNRESTRICTED:
            return
        tags = _read_tags(parameters)
        requested = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
        existing = {f"aws:ResourceTag/{name}": value for name, value in self.own_tags.items()}
        if service == "ec2":
            yield from self._find_network_needs(operation, parameters, requested, existing)
            return
        action = _ACTIONS.get(operation, operation)
        resource = self._find_resource(service, operation, parameters)
        context = requested if operation.startswith("Create") else requested | existing
        if service == "iam" and "RoleName" in parameters:
            context |= self._find_boundary(operation, parameters)
        yield Need(f"{service}:{action}", resource, context)
        if tags and _SETS_TAGS.match(operation) and not operation.startswith(("Tag", "AddTags")):
            target = f"arn:aws:kms:{self.region}:{self.account}:key/new" if service == "kms" else resource
            yield Need(f"{service}:{_TAG_ACTIONS.get(service, 'TagResource')}", target, requested)
        receiver, members = _PASSED.get(service, ("", ()))
        for role in _find_values(parameters, members):
            yield Need("iam:PassRole", role, {"iam:PassedToService": receiver})

    def _find_boundary(self, operation: str, parameters: dict[str, Any]) -> dict[str, str]:
        """Return the condition key of the requested boundary, or of the boundary that the role has."""
        own = None if operation == "CreateRole" else self.boundaries.get(parameters["RoleName"])
        boundary = parameters.get("PermissionsBoundary", own)
        return {"iam:PermissionsBoundary": boundary} if boundary else {}

    def _find_resource(self, service: str, operation: str, parameters: dict[str, Any]) -> str:
        if service == "s3":
            return f"arn:aws:s3:::{parameters['Bucket']}"
        if service == "iam":
            return f"arn:aws:iam::{self.account}:role/{parameters['RoleName']}"
        if service == "cloudwatch" and "Dashboard" in operation:
            name = parameters.get("DashboardName") or parameters["DashboardNames"][0]
            return f"arn:aws:cloudwatch::{self.account}:dashboard/{name}"
        if operation in ("DescribeLogGroups", "DescribeTaskDefinition", "DescribeParameters"):
            return "*"  # IAM checks these on * only
        for template in _RESOURCES[service]:
            members = re.findall(r"{(\w+)}", template)
            if all(parameters.get(member) for member in members):
                values = {member: _first(parameters[member]) for member in members}
                found = next((value for value in values.values() if value.startswith("arn:")), None)
                return found or f"arn:aws:{service}:{self.region}:{self.account}:{template.format(**values)}"
        return "*"

    def _find_network_needs(
        self, operation: str, parameters: dict[str, Any], requested: dict[str, str], existing: dict[str, str]
    ) -> Iterator[Need]:
        prefix = f"arn:aws:ec2:{self.region}:{self.account}:"
        action = f"ec2:{operation}"
        if operation == "DescribeVpcAttribute":
            yield Need(action, f"{prefix}vpc/{parameters['VpcId']}")
        elif operation.startswith("Describe"):
            yield Need(action, "*")
        elif operation == "CreateSecurityGroup":
            yield Need(action, f"{prefix}security-group/new", requested)
            yield Need(action, f"{prefix}vpc/{parameters['VpcId']}", requested)
            yield Need("ec2:CreateTags", f"{prefix}security-group/new", requested)
        elif operation in ("CreateTags", "DeleteTags"):
            kind = "security-group-rule" if parameters["Resources"][0].startswith("sgr-") else "security-group"
            yield Need(action, f"{prefix}{kind}/{parameters['Resources'][0]}", requested | existing)
        else:
            yield Need(action, f"{prefix}security-group/{parameters['GroupId']}", existing)
            if operation.startswith(("Authorize", "Modify")):
                yield Need(action, f"{prefix}security-group-rule/new", requested)
            if operation.startswith("Authorize") and requested:
                yield Need("ec2:CreateTags", f"{prefix}security-group-rule/new", requested)


def _first(value: Any) -> str:
    text = str(value[0] if isinstance(value, list) else value)
    return text.rpartition("/")[2] if text.startswith("http") else text  # the URL of a queue ends with its name


def _read_tags(parameters: dict[str, Any]) -> dict[str, str]:
    specified = [tag for one in parameters.get("TagSpecifications", []) for tag in one["Tags"]]
    found: Any = specified or next((parameters[name] for name in _TAG_MEMBERS if parameters.get(name)), [])
    if isinstance(found, dict):
        return found
    pairs = [tuple(tag.values()) for tag in found if len(tag) == 2]
    return {str(name): str(value) for name, value in pairs}


def _find_values(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the values of members with these names, at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in names and isinstance(item, str):
                yield item
            else:
                yield from _find_values(item, names)
    elif isinstance(value, list):
        for item in value:
            yield from _find_values(item, names)
