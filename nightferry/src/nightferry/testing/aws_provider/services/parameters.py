"""Systems Manager: parameters."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, from_tags, given


class Parameter(Resource):
    """A parameter of the Parameter Store."""

    type = "aws_ssm_parameter"
    identity = ("name", "insecure_value")

    def create(self, aws: Clients, new: Values) -> Values:
        # AWS accepts tags only without Overwrite.
        aws("ssm").put_parameter(**_make_parameter(new), **given(Tags=as_tags(new["tags_all"])))
        return {"name": new["name"], "insecure_value": new["insecure_value"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        ssm, name = aws("ssm"), identity["name"]
        try:
            found = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        except ssm.exceptions.ParameterNotFound:
            return None
        facts = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}])
        described = facts["Parameters"][0]
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name).get("TagList")
        return {
            "id": name,
            "name": name,
            "arn": found.get("ARN"),
            "type": found["Type"],
            "version": found["Version"],
            "data_type": found.get("DataType") or "text",
            # The provider reads the value into the argument that the configuration uses.
            "value": None if identity["insecure_value"] else found["Value"],
            "insecure_value": found["Value"] if identity["insecure_value"] else None,
            "description": described.get("Description"),
            "tier": described.get("Tier") or "Standard",
            "key_id": described.get("KeyId") if found["Type"] == "SecureString" else None,
            "allowed_pattern": described.get("AllowedPattern"),
            "has_value_wo": None,
            "tags": from_tags(tags),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        ssm, name = aws("ssm"), new["name"]
        if _make_parameter(old) != _make_parameter(new):
            ssm.put_parameter(**_make_parameter(new), Overwrite=True)
        added, removed = changed_tags(old, new)
        if added:
            ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=as_tags(added))
        if removed:
            ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("ssm").delete_parameter(Name=old["name"])


def _make_parameter(new: Values) -> Values:
    return {
        "Name": new["name"],
        "Type": new["type"],
        "Value": new["insecure_value"] or new["value"],
        **given(
            Description=new["description"],
            AllowedPattern=new["allowed_pattern"],
            KeyId=new["key_id"],
            Tier=new["tier"],
            DataType=new["data_type"],
        ),
    }


RESOURCES = (Parameter,)
