"""Lambda: functions, their asynchronous invocation, and permissions to call them."""

from __future__ import annotations

import json

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import OMITTED, Resource, Values, changed_tags, first, given


class Function(Resource):
    """A function from a ZIP file."""

    type = "aws_lambda_function"
    identity = ("function_name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("lambda").create_function(
            FunctionName=new["function_name"],
            Code={"ZipFile": (aws.folder / new["filename"]).read_bytes()},
            Publish=new["publish"],
            PackageType=new["package_type"],
            **given(Architectures=new["architectures"], Tags=new["tags_all"], **_make_configuration(new)),
        )
        if new["reserved_concurrent_executions"] >= 0:
            aws("lambda").put_function_concurrency(
                FunctionName=new["function_name"],
                ReservedConcurrentExecutions=new["reserved_concurrent_executions"],
            )
        return {"function_name": new["function_name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        client, name = aws("lambda"), identity["function_name"]
        try:
            response = client.get_function(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            return None
        found = response["Configuration"]
        region, arn = aws.region, found["FunctionArn"].removesuffix(":$LATEST")
        variables = found.get("Environment", {}).get("Variables")
        letters, storage = found.get("DeadLetterConfig") or {}, found.get("EphemeralStorage") or {}
        concurrency = (response.get("Concurrency") or {}).get("ReservedConcurrentExecutions")
        invoke = "arn:aws:apigateway:{}:lambda:path/2015-03-31/functions/{}/invocations"
        return {
            "id": name,
            "function_name": name,
            "arn": arn,
            "invoke_arn": invoke.format(region, arn),
            "qualified_arn": f"{arn}:$LATEST",
            "qualified_invoke_arn": invoke.format(region, f"{arn}:$LATEST"),
            "version": found.get("Version", "$LATEST"),
            "last_modified": found["LastModified"],
            "code_sha256": found["CodeSha256"],
            "source_code_hash": found["CodeSha256"],
            "source_code_size": found["CodeSize"],
            "signing_job_arn": found.get("SigningJobArn", ""),
            "signing_profile_version_arn": found.get("SigningProfileVersionArn", ""),
            "architectures": found.get("Architectures") or ["x86_64"],
            "description": found.get("Description"),
            "role": found["Role"],
            "runtime": found.get("Runtime"),
            "handler": found.get("Handler"),
            "memory_size": found.get("MemorySize", 128),
            "timeout": found.get("Timeout", 3),
            "package_type": found.get("PackageType", "Zip"),
            "kms_key_arn": found.get("KMSKeyArn"),
            "layers": [layer["Arn"] for layer in found.get("Layers") or []],
            "reserved_concurrent_executions": -1 if concurrency is None else concurrency,
            "environment": [{"variables": variables}] if variables else [],
            "dead_letter_config": [{"target_arn": letters["TargetArn"]}] if letters.get("TargetArn") else [],
            "ephemeral_storage": [{"size": storage.get("Size", 512)}],
            "tracing_config": [{"mode": (found.get("TracingConfig") or {}).get("Mode", "PassThrough")}],
            "logging_config": [_flatten_logging(found["LoggingConfig"])] if found.get("LoggingConfig") else OMITTED,
            "tags": response.get("Tags"),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        client, name = aws("lambda"), new["function_name"]
        configuration = _make_configuration(new)
        if configuration != _make_configuration(old):
            client.update_function_configuration(FunctionName=name, **configuration)
        if new["source_code_hash"] != old["source_code_hash"] or new["architectures"] != old["architectures"]:
            client.update_function_code(
                FunctionName=name,
                ZipFile=(aws.folder / new["filename"]).read_bytes(),
                **given(Architectures=new["architectures"]),
            )
        if new["reserved_concurrent_executions"] != old["reserved_concurrent_executions"]:
            if new["reserved_concurrent_executions"] >= 0:
                client.put_function_concurrency(
                    FunctionName=name, ReservedConcurrentExecutions=new["reserved_concurrent_executions"]
                )
            else:
                client.delete_function_concurrency(FunctionName=name)
        added, removed = changed_tags(old, new)
        if added:
            client.tag_resource(Resource=old["arn"], Tags=added)
        if removed:
            client.untag_resource(Resource=old["arn"], TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("lambda").delete_function(FunctionName=old["function_name"])


class Permission(Resource):
    """A permission to call a function."""

    type = "aws_lambda_permission"
    identity = ("function_name", "statement_id")

    def create(self, aws: Clients, new: Values) -> Values:
        aws("lambda").add_permission(
            FunctionName=new["function_name"],
            StatementId=new["statement_id"],
            Action=new["action"],
            Principal=new["principal"],
            **given(
                SourceArn=new["source_arn"],
                SourceAccount=new["source_account"],
                EventSourceToken=new["event_source_token"],
                PrincipalOrgID=new["principal_org_id"],
            ),
        )
        return {"function_name": new["function_name"], "statement_id": new["statement_id"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        client = aws("lambda")
        try:
            policy = json.loads(client.get_policy(FunctionName=identity["function_name"])["Policy"])
        except client.exceptions.ResourceNotFoundException:
            return None
        found = next((one for one in policy["Statement"] if one.get("Sid") == identity["statement_id"]), None)
        if found is None:
            return None
        conditions = {
            key: value for variables in (found.get("Condition") or {}).values() for key, value in variables.items()
        }
        principal = found["Principal"]
        return {
            **identity,
            "id": identity["statement_id"],
            "action": found["Action"],
            "principal": principal if isinstance(principal, str) else next(iter(principal.values())),
            "source_arn": conditions.get("AWS:SourceArn"),
            "source_account": conditions.get("AWS:SourceAccount"),
            "event_source_token": conditions.get("lambda:EventSourceToken"),
            "principal_org_id": conditions.get("aws:PrincipalOrgID"),
        }

    def delete(self, aws: Clients, old: Values) -> None:
        aws("lambda").remove_permission(FunctionName=old["function_name"], StatementId=old["statement_id"])


class InvokeConfig(Resource):
    """The retries and destinations of a function that is called asynchronously."""

    type = "aws_lambda_function_event_invoke_config"
    identity = ("function_name", "qualifier")

    def create(self, aws: Clients, new: Values) -> Values:
        destinations = first(new["destination_config"])
        failure = first(destinations.get("on_failure")).get("destination")
        success = first(destinations.get("on_success")).get("destination")
        aws("lambda").put_function_event_invoke_config(
            FunctionName=new["function_name"],
            MaximumRetryAttempts=new["maximum_retry_attempts"],
            DestinationConfig={
                "OnFailure": given(Destination=failure),
                "OnSuccess": given(Destination=success),
            },
            **given(Qualifier=new["qualifier"], MaximumEventAgeInSeconds=new["maximum_event_age_in_seconds"]),
        )
        return {"function_name": new["function_name"], "qualifier": new["qualifier"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        client = aws("lambda")
        try:
            found = client.get_function_event_invoke_config(
                FunctionName=identity["function_name"], **given(Qualifier=identity["qualifier"])
            )
        except client.exceptions.ResourceNotFoundException:
            return None
        destinations = found.get("DestinationConfig") or {}
        blocks = {
            name: [{"destination": destinations[member]["Destination"]}]
            for name, member in (("on_failure", "OnFailure"), ("on_success", "OnSuccess"))
            if (destinations.get(member) or {}).get("Destination")
        }
        return {
            **identity,
            "id": identity["function_name"],
            "maximum_retry_attempts": found.get("MaximumRetryAttempts", 2),
            "maximum_event_age_in_seconds": found.get("MaximumEventAgeInSeconds"),
            "destination_config": [blocks] if blocks else [],
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        self.delete(aws, old)  # moto returns the first configuration of several
        self.create(aws, new)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("lambda").delete_function_event_invoke_config(
            FunctionName=old["function_name"], **given(Qualifier=old["qualifier"])
        )


def _flatten_logging(logging: Values) -> Values:
    return {
        "log_format": logging["LogFormat"],
        "log_group": logging.get("LogGroup"),
        "application_log_level": logging.get("ApplicationLogLevel"),
        "system_log_level": logging.get("SystemLogLevel"),
    }


def _make_configuration(new: Values) -> Values:
    logging = first(new["logging_config"])
    return given(
        Role=new["role"],
        Handler=new["handler"],
        Runtime=new["runtime"],
        Description=new["description"],
        Timeout=new["timeout"],
        MemorySize=new["memory_size"],
        KMSKeyArn=new["kms_key_arn"],
        Layers=new["layers"],
        Environment=given(Variables=first(new["environment"]).get("variables")),
        DeadLetterConfig=given(TargetArn=first(new["dead_letter_config"]).get("target_arn")),
        EphemeralStorage=given(Size=first(new["ephemeral_storage"]).get("size")),
        TracingConfig=given(Mode=first(new["tracing_config"]).get("mode")),
        LoggingConfig=given(LogFormat=logging.get("log_format"), LogGroup=logging.get("log_group")),
    )


RESOURCES = (Function, Permission, InvokeConfig)
