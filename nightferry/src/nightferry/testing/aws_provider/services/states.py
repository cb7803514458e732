"""Step Functions: state machines."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import (
    OMITTED,
    Resource,
    Values,
    as_tags,
    changed_tags,
    first,
    from_tags,
    given,
)


class StateMachine(Resource):
    """A state machine."""

    type = "aws_sfn_state_machine"
    identity = ("arn",)

    def create(self, aws: Clients, new: Values) -> Values:
        arn = aws("stepfunctions").create_state_machine(
            name=new["name"],
            type=new["type"],
            **_make_machine(new),
            **given(tags=as_tags(new["tags_all"], "key", "value")),
        )["stateMachineArn"]
        return {"arn": arn}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        states, arn = aws("stepfunctions"), identity["arn"]
        try:
            found = states.describe_state_machine(stateMachineArn=arn)
        except states.exceptions.StateMachineDoesNotExist:
            return None
        logging = found.get("loggingConfiguration") or {}
        groups = [
            one["cloudWatchLogsLogGroup"]["logGroupArn"]
            for one in logging.get("destinations", [])
            if "cloudWatchLogsLogGroup" in one
        ]
        return {
            "id": arn,
            "arn": arn,
            "name": found["name"],
            "type": found["type"],
            "role_arn": found["roleArn"],
            "definition": found["definition"],
            "status": found.get("status", "ACTIVE"),
            "description": found.get("description", ""),
            "revision_id": found.get("revisionId", ""),
            "creation_date": found["creationDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "logging_configuration": [
                {
                    "level": logging.get("level", "OFF"),
                    "include_execution_data": logging.get("includeExecutionData", False),
                    "log_destination": groups[0] if groups else "",
                }
            ],
            "tracing_configuration": [{"enabled": found["tracingConfiguration"].get("enabled", False)}]
            if "tracingConfiguration" in found
            else OMITTED,
            "tags": from_tags(states.list_tags_for_resource(resourceArn=arn).get("tags"), "key", "value"),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        states, arn = aws("stepfunctions"), old["arn"]
        if _make_machine(new) != _make_machine(old):
            states.update_state_machine(stateMachineArn=arn, **_make_machine(new))
        added, removed = changed_tags(old, new)
        if added:
            states.tag_resource(resourceArn=arn, tags=as_tags(added, "key", "value"))
        if removed:
            states.untag_resource(resourceArn=arn, tagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("stepfunctions").delete_state_machine(stateMachineArn=old["arn"])


def _make_machine(new: Values) -> Values:
    logging, tracing = first(new["logging_configuration"]), first(new["tracing_configuration"])
    machine = {"definition": new["definition"], "roleArn": new["role_arn"]}
    if logging:
        group = logging["log_destination"]
        machine["loggingConfiguration"] = {
            **given(level=logging["level"]),
            "includeExecutionData": bool(logging["include_execution_data"]),
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}] if group else [],
        }
    if tracing:
        machine["tracingConfiguration"] = {"enabled": bool(tracing["enabled"])}
    return machine


RESOURCES = (StateMachine,)
