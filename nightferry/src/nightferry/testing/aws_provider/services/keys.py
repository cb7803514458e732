"""KMS: keys."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, from_tags, given

_TAG = ("TagKey", "TagValue")


class Key(Resource):
    """A customer managed key."""

    type = "aws_kms_key"
    identity = ("key_id",)

    def create(self, aws: Clients, new: Values) -> Values:
        kms = aws("kms")
        key = kms.create_key(
            KeySpec=new["customer_master_key_spec"],
            KeyUsage=new["key_usage"],
            BypassPolicyLockoutSafetyCheck=new["bypass_policy_lockout_safety_check"],
            **given(
                Description=new["description"],
                Policy=new["policy"],
                MultiRegion=new["multi_region"],
                Tags=as_tags(new["tags_all"], *_TAG),
            ),
        )["KeyMetadata"]["KeyId"]
        if new["enable_key_rotation"]:
            kms.enable_key_rotation(KeyId=key, **given(RotationPeriodInDays=new["rotation_period_in_days"]))
        if not new["is_enabled"]:
            kms.disable_key(KeyId=key)
        return {"key_id": key}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        kms, key = aws("kms"), identity["key_id"]
        try:
            found = kms.describe_key(KeyId=key)["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            return None
        if found.get("KeyState") == "PendingDeletion":
            return None
        rotation = kms.get_key_rotation_status(KeyId=key)
        return {
            "id": found["KeyId"],
            "key_id": found["KeyId"],
            "arn": found["Arn"],
            "description": found.get("Description"),
            "is_enabled": found["Enabled"],
            "key_usage": found["KeyUsage"],
            "customer_master_key_spec": found.get("KeySpec") or found.get("CustomerMasterKeySpec"),
            "multi_region": found.get("MultiRegion", False),
            "enable_key_rotation": rotation["KeyRotationEnabled"],
            "rotation_period_in_days": rotation.get("RotationPeriodInDays"),
            "policy": kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
            "tags": from_tags(kms.list_resource_tags(KeyId=key).get("Tags"), *_TAG),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        kms, key = aws("kms"), old["key_id"]
        if new["description"] != old["description"]:
            kms.update_key_description(KeyId=key, Description=new["description"] or "")
        if new["policy"] != old["policy"]:
            kms.put_key_policy(KeyId=key, PolicyName="default", Policy=new["policy"])
        if new["is_enabled"] != old["is_enabled"]:
            (kms.enable_key if new["is_enabled"] else kms.disable_key)(KeyId=key)
        rotation = ("enable_key_rotation", "rotation_period_in_days")
        if any(new[name] != old[name] for name in rotation):
            if new["enable_key_rotation"]:
                kms.enable_key_rotation(KeyId=key, **given(RotationPeriodInDays=new["rotation_period_in_days"]))
            else:
                kms.disable_key_rotation(KeyId=key)
        added, removed = changed_tags(old, new)
        if added:
            kms.tag_resource(KeyId=key, Tags=as_tags(added, *_TAG))
        if removed:
            kms.untag_resource(KeyId=key, TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("kms").schedule_key_deletion(
            KeyId=old["key_id"], **given(PendingWindowInDays=old["deletion_window_in_days"])
        )


RESOURCES = (Key,)
