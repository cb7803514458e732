"""EventBridge: rules and targets."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, first, from_tags, given
from nightferry.testing.aws_provider.targets import (
    flatten_ecs_parameters,
    flatten_target,
    make_ecs_parameters,
    make_retry_policy,
)


class Rule(Resource):
    """A rule on a schedule or on an event pattern."""

    type = "aws_cloudwatch_event_rule"
    identity = ("name", "event_bus_name")

    def create(self, aws: Clients, new: Values) -> Values:
        aws("events").put_rule(**_make_rule(new), **given(Tags=as_tags(new["tags_all"])))
        return {"name": new["name"], "event_bus_name": new["event_bus_name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        events = aws("events")
        try:
            rule = events.describe_rule(Name=identity["name"], EventBusName=identity["event_bus_name"])
        except events.exceptions.ResourceNotFoundException:
            return None
        return {
            "id": rule["Name"],
            "name": rule["Name"],
            "arn": rule["Arn"],
            "event_bus_name": rule.get("EventBusName", "default"),
            "description": rule.get("Description"),
            "event_pattern": rule.get("EventPattern"),
            "schedule_expression": rule.get("ScheduleExpression"),
            "state": rule["State"],
            "role_arn": rule.get("RoleArn"),
            "tags": from_tags(events.list_tags_for_resource(ResourceARN=rule["Arn"]).get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        events = aws("events")
        # With the tags, for conditions on them.
        events.put_rule(**_make_rule(new), **given(Tags=as_tags(new["tags_all"])))
        added, removed = changed_tags(old, new)
        if added:
            events.tag_resource(ResourceARN=old["arn"], Tags=as_tags(added))
        if removed:
            events.untag_resource(ResourceARN=old["arn"], TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("events").delete_rule(Name=old["name"], EventBusName=old["event_bus_name"])


class Target(Resource):
    """A target of a rule."""

    type = "aws_cloudwatch_event_target"
    identity = ("event_bus_name", "rule", "target_id")

    def create(self, aws: Clients, new: Values) -> Values:
        response = aws("events").put_targets(
            Rule=new["rule"], EventBusName=new["event_bus_name"], Targets=[_make_target(new)]
        )
        if response.get("FailedEntryCount"):
            raise RuntimeError(f"PutTargets refused the target: {response['FailedEntries']}")
        return {name: new[name] for name in self.identity}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        events = aws("events")
        try:
            targets = events.list_targets_by_rule(Rule=identity["rule"], EventBusName=identity["event_bus_name"])
        except events.exceptions.ResourceNotFoundException:
            return None
        target = next((one for one in targets["Targets"] if one["Id"] == identity["target_id"]), None)
        return target and {**identity, "id": f"{identity['rule']}-{identity['target_id']}", **_flatten_target(target)}

    def delete(self, aws: Clients, old: Values) -> None:
        aws("events").remove_targets(Rule=old["rule"], EventBusName=old["event_bus_name"], Ids=[old["target_id"]])


def _make_rule(new: Values) -> Values:
    return {
        "Name": new["name"],
        "EventBusName": new["event_bus_name"],
        **given(
            Description=new["description"],
            EventPattern=new["event_pattern"],
            ScheduleExpression=new["schedule_expression"],
            RoleArn=new["role_arn"],
            State=new["state"],
        ),
    }


def _make_target(new: Values) -> Values:
    ecs, transformer = first(new["ecs_target"]), first(new["input_transformer"])
    target = {
        "Id": new["target_id"],
        "Arn": new["arn"],
        **given(
            Input=new["input"],
            InputPath=new["input_path"],
            RoleArn=new["role_arn"],
            DeadLetterConfig=given(Arn=first(new["dead_letter_config"]).get("arn")),
            RetryPolicy=make_retry_policy(new["retry_policy"]),
            InputTransformer={
                "InputTemplate": transformer["input_template"],
                "InputPathsMap": transformer["input_paths"] or {},
            }
            if transformer
            else None,
        ),
    }
    if ecs:
        target["EcsParameters"] = make_ecs_parameters(ecs) | given(Tags=as_tags(ecs["tags"]))
    return target


def _flatten_target(target: Values) -> Values:
    found = flatten_target(target) | {"input_path": target.get("InputPath")}
    if target.get("InputTransformer"):
        found["input_transformer"] = [
            {
                "input_paths": target["InputTransformer"].get("InputPathsMap"),
                "input_template": target["InputTransformer"]["InputTemplate"],
            }
        ]
    if ecs := target.get("EcsParameters"):
        found["ecs_target"] = [flatten_ecs_parameters(ecs) | {"tags": from_tags(ecs.get("Tags"))}]
    return found


RESOURCES = (Rule, Target)
