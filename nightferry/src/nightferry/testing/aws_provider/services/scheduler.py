"""EventBridge Scheduler: groups and schedules."""

from __future__ import annotations

from datetime import UTC, datetime

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, first, from_tags, given
from nightferry.testing.aws_provider.targets import (
    flatten_ecs_parameters,
    flatten_target,
    make_ecs_parameters,
    make_retry_policy,
)


class Group(Resource):
    """A group of schedules."""

    type = "aws_scheduler_schedule_group"
    identity = ("name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("scheduler").create_schedule_group(Name=new["name"], **given(Tags=as_tags(new["tags_all"])))
        return {"name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        scheduler = aws("scheduler")
        try:
            group = scheduler.get_schedule_group(Name=identity["name"])
        except scheduler.exceptions.ResourceNotFoundException:
            return None
        return {
            "id": group["Name"],
            "name": group["Name"],
            "arn": group["Arn"],
            "state": group["State"],
            "creation_date": _as_text(group.get("CreationDate")),
            "last_modification_date": _as_text(group.get("LastModificationDate")),
            "tags": from_tags(scheduler.list_tags_for_resource(ResourceArn=group["Arn"]).get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        added, removed = changed_tags(old, new)
        if added:
            aws("scheduler").tag_resource(ResourceArn=old["arn"], Tags=as_tags(added))
        if removed:
            aws("scheduler").untag_resource(ResourceArn=old["arn"], TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("scheduler").delete_schedule_group(Name=old["name"])


class Schedule(Resource):
    """A schedule."""

    type = "aws_scheduler_schedule"
    identity = ("group_name", "name")

    def create(self, aws: Clients, new: Values) -> Values:
        aws("scheduler").create_schedule(**_make_schedule(new))
        return {"group_name": new["group_name"] or "default", "name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        scheduler = aws("scheduler")
        try:
            found = scheduler.get_schedule(GroupName=identity["group_name"], Name=identity["name"])
        except scheduler.exceptions.ResourceNotFoundException:
            return None
        window = found["FlexibleTimeWindow"]
        return {
            "id": f"{found['GroupName']}/{found['Name']}",
            "arn": found["Arn"],
            "name": found["Name"],
            "group_name": found["GroupName"],
            "description": found.get("Description"),
            "state": found.get("State"),
            "schedule_expression": found["ScheduleExpression"],
            "schedule_expression_timezone": found.get("ScheduleExpressionTimezone"),
            "start_date": _as_text(found.get("StartDate")),
            "end_date": _as_text(found.get("EndDate")),
            "kms_key_arn": found.get("KmsKeyArn"),
            "action_after_completion": found.get("ActionAfterCompletion") or "NONE",
            "flexible_time_window": [
                {"mode": window["Mode"], "maximum_window_in_minutes": window.get("MaximumWindowInMinutes")}
            ],
            "target": [_flatten_target(found["Target"])],
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        aws("scheduler").update_schedule(**_make_schedule(new))

    def delete(self, aws: Clients, old: Values) -> None:
        aws("scheduler").delete_schedule(GroupName=old["group_name"], Name=old["name"])


def _make_schedule(new: Values) -> Values:
    window = first(new["flexible_time_window"])
    return {
        "Name": new["name"],
        "ScheduleExpression": new["schedule_expression"],
        "FlexibleTimeWindow": {
            "Mode": window["mode"],
            **given(MaximumWindowInMinutes=window["maximum_window_in_minutes"]),
        },
        "Target": _make_target(first(new["target"])),
        **given(
            GroupName=new["group_name"],
            Description=new["description"],
            State=new["state"],
            ScheduleExpressionTimezone=new["schedule_expression_timezone"],
            StartDate=new["start_date"] and datetime.fromisoformat(new["start_date"]),
            EndDate=new["end_date"] and datetime.fromisoformat(new["end_date"]),
            KmsKeyArn=new["kms_key_arn"],
            ActionAfterCompletion=new["action_after_completion"],
        ),
    }


def _make_target(target: Values) -> Values:
    made = {
        "Arn": target["arn"],
        "RoleArn": target["role_arn"],
        **given(
            Input=target["input"],
            DeadLetterConfig=given(Arn=first(target["dead_letter_config"]).get("arn")),
            RetryPolicy=make_retry_policy(target["retry_policy"]),
        ),
    }
    if ecs := first(target["ecs_parameters"]):
        made["EcsParameters"] = make_ecs_parameters(ecs) | given(ReferenceId=ecs["reference_id"])
    return made


def _flatten_target(target: Values) -> Values:
    found = flatten_target(target)
    if ecs := target.get("EcsParameters"):
        found["ecs_parameters"] = [flatten_ecs_parameters(ecs) | {"reference_id": ecs.get("ReferenceId")}]
    return found


def _as_text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


RESOURCES = (Group, Schedule)
