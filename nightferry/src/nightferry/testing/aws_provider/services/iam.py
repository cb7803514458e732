"""IAM: roles and their inline policies."""

from __future__ import annotations

import json
from typing import Any

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, from_tags, given


class Role(Resource):
    """A role."""

    type = "aws_iam_role"
    identity = ("name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("iam").create_role(
            RoleName=new["name"],
            AssumeRolePolicyDocument=new["assume_role_policy"],
            Path=new["path"],
            MaxSessionDuration=new["max_session_duration"],
            **given(
                Description=new["description"],
                PermissionsBoundary=new["permissions_boundary"],
                Tags=as_tags(new["tags_all"]),
            ),
        )
        return {"name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        iam, name = aws("iam"), identity["name"]
        try:
            role = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        iam.list_role_policies(RoleName=name)
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        return {
            "id": name,
            "name": name,
            "arn": role["Arn"],
            "unique_id": role["RoleId"],
            "create_date": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "path": role["Path"],
            "description": role.get("Description"),
            "assume_role_policy": as_text(role["AssumeRolePolicyDocument"]),
            "max_session_duration": role.get("MaxSessionDuration", 3600),
            "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "managed_policy_arns": [policy["PolicyArn"] for policy in attached],
            "tags": from_tags(role.get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        iam, name = aws("iam"), new["name"]
        if new["assume_role_policy"] != old["assume_role_policy"]:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assume_role_policy"])
        if new["description"] != old["description"]:
            iam.update_role_description(RoleName=name, Description=new["description"] or "")
        if new["max_session_duration"] != old["max_session_duration"]:
            iam.update_role(RoleName=name, MaxSessionDuration=new["max_session_duration"])
        if new["permissions_boundary"] != old["permissions_boundary"]:
            if new["permissions_boundary"]:
                iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=new["permissions_boundary"])
            else:
                iam.delete_role_permissions_boundary(RoleName=name)
        added, removed = changed_tags(old, new)
        if added:
            iam.tag_role(RoleName=name, Tags=as_tags(added))
        if removed:
            iam.untag_role(RoleName=name, TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        iam = aws("iam")
        iam.list_instance_profiles_for_role(RoleName=old["name"])
        iam.delete_role(RoleName=old["name"])


class RolePolicy(Resource):
    """An inline policy of a role."""

    type = "aws_iam_role_policy"
    identity = ("role", "name")

    def create(self, aws: Clients, new: Values) -> Values:
        aws("iam").put_role_policy(RoleName=new["role"], PolicyName=new["name"], PolicyDocument=new["policy"])
        return {"role": new["role"], "name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        iam = aws("iam")
        try:
            found = iam.get_role_policy(RoleName=identity["role"], PolicyName=identity["name"])
        except iam.exceptions.NoSuchEntityException:
            return None
        return {
            "id": f"{found['RoleName']}:{found['PolicyName']}",
            "role": found["RoleName"],
            "name": found["PolicyName"],
            "policy": as_text(found["PolicyDocument"]),
        }

    def delete(self, aws: Clients, old: Values) -> None:
        aws("iam").delete_role_policy(RoleName=old["role"], PolicyName=old["name"])


def as_text(document: Any) -> str:
    """Return a policy document as text. boto3 decodes it to a dict."""
    return document if isinstance(document, str) else json.dumps(document)


RESOURCES = (Role, RolePolicy)
