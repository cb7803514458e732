"""EC2: security groups and their rules."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import OMITTED, Resource, Values, as_tags, changed_tags, from_tags, given


def _specify_tags(kind: str, tags: Values | None) -> Values:
    return given(TagSpecifications=[{"ResourceType": kind, "Tags": as_tags(tags)}] if tags else None)


def _update_tags(aws: Clients, resource: str, old: Values, new: Values) -> None:
    added, removed = changed_tags(old, new)
    if removed:
        aws("ec2").delete_tags(Resources=[resource], Tags=[{"Key": key} for key in removed])
    if added:
        aws("ec2").create_tags(Resources=[resource], Tags=as_tags(added))


class SecurityGroup(Resource):
    """A security group, created without its default rule for egress."""

    type = "aws_security_group"
    identity = ("id",)

    def create(self, aws: Clients, new: Values) -> Values:
        ec2 = aws("ec2")
        group = ec2.create_security_group(
            GroupName=new["name"],
            Description=new["description"],
            **given(VpcId=new["vpc_id"]),
            **_specify_tags("security-group", new["tags_all"]),
        )["GroupId"]
        found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        if found.get("IpPermissionsEgress"):
            ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])
        return {"id": group}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        ec2 = aws("ec2")
        try:
            groups = ec2.describe_security_groups(GroupIds=[identity["id"]])["SecurityGroups"]
        except ec2.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "InvalidGroup.NotFound":
                return None
            raise
        if not groups:
            return None
        group = groups[0]
        owner = group.get("OwnerId")
        return {
            "id": group["GroupId"],
            "arn": f"arn:aws:ec2:{aws.region}:{owner}:security-group/{group['GroupId']}",
            "owner_id": owner,
            "name": group["GroupName"],
            "description": group["Description"],
            "vpc_id": group.get("VpcId"),
            "tags": from_tags(group.get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        _update_tags(aws, old["id"], old, new)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("ec2").delete_security_group(GroupId=old["id"])


class _Rule(Resource):
    """A rule of a security group."""

    identity = ("id",)
    egress: bool

    def create(self, aws: Clients, new: Values) -> Values:
        ec2 = aws("ec2")
        authorize = ec2.authorize_security_group_egress if self.egress else ec2.authorize_security_group_ingress
        rules = authorize(
            GroupId=new["security_group_id"],
            IpPermissions=[_make_permission(new)],
            **_specify_tags("security-group-rule", new["tags_all"]),
        )["SecurityGroupRules"]
        return {"id": rules[0]["SecurityGroupRuleId"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        ec2 = aws("ec2")
        try:
            rules = ec2.describe_security_group_rules(SecurityGroupRuleIds=[identity["id"]])["SecurityGroupRules"]
        except ec2.exceptions.ClientError as error:
            if error.response["Error"]["Code"].endswith("NotFound"):
                return None
            raise
        if not rules:
            return None
        rule = rules[0]
        owner = rule.get("GroupOwnerId") or aws.account()
        return {
            "id": identity["id"],
            "security_group_rule_id": identity["id"],
            "arn": f"arn:aws:ec2:{aws.region}:{owner}:security-group-rule/{identity['id']}",
            "security_group_id": rule["GroupId"],
            # moto stores no description of a rule that refers to a group.
            "description": rule.get("Description") or (OMITTED if "ReferencedGroupInfo" in rule else None),
            "ip_protocol": rule["IpProtocol"],
            "from_port": rule.get("FromPort"),
            "to_port": rule.get("ToPort"),
            "cidr_ipv4": rule.get("CidrIpv4"),
            "cidr_ipv6": rule.get("CidrIpv6"),
            "prefix_list_id": rule.get("PrefixListId"),
            "referenced_security_group_id": (rule.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "tags": from_tags(rule.get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        request = _make_request(new)
        if request != _make_request(old):
            aws("ec2").modify_security_group_rules(
                GroupId=new["security_group_id"],
                SecurityGroupRules=[{"SecurityGroupRuleId": old["id"], "SecurityGroupRule": request}],
            )
        _update_tags(aws, old["id"], old, new)

    def delete(self, aws: Clients, old: Values) -> None:
        ec2 = aws("ec2")
        revoke = ec2.revoke_security_group_egress if self.egress else ec2.revoke_security_group_ingress
        revoke(GroupId=old["security_group_id"], SecurityGroupRuleIds=[old["id"]])


class EgressRule(_Rule):
    """A rule for outgoing connections."""

    type = "aws_vpc_security_group_egress_rule"
    egress = True


class IngressRule(_Rule):
    """A rule for incoming connections."""

    type = "aws_vpc_security_group_ingress_rule"
    egress = False


def _make_request(new: Values) -> Values:
    return given(
        IpProtocol=new["ip_protocol"],
        FromPort=new["from_port"],
        ToPort=new["to_port"],
        CidrIpv4=new["cidr_ipv4"],
        CidrIpv6=new["cidr_ipv6"],
        PrefixListId=new["prefix_list_id"],
        ReferencedGroupId=new["referenced_security_group_id"],
        Description=new["description"],
    )


def _make_permission(new: Values) -> Values:
    described = given(Description=new["description"])
    permission: Values = {"IpProtocol": new["ip_protocol"], **given(FromPort=new["from_port"], ToPort=new["to_port"])}
    if new["cidr_ipv4"]:
        permission["IpRanges"] = [{"CidrIp": new["cidr_ipv4"], **described}]
    if new["cidr_ipv6"]:
        permission["Ipv6Ranges"] = [{"CidrIpv6": new["cidr_ipv6"], **described}]
    if new["prefix_list_id"]:
        permission["PrefixListIds"] = [{"PrefixListId": new["prefix_list_id"], **described}]
    if new["referenced_security_group_id"]:
        permission["UserIdGroupPairs"] = [{"GroupId": new["referenced_security_group_id"], **described}]
    return permission


RESOURCES = (SecurityGroup, EgressRule, IngressRule)
