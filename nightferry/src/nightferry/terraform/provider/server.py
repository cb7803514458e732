"""The provider as a gRPC service of plugin protocol 6, to which Terraform connects through ``TF_REATTACH_PROVIDERS``.

A provider is a program that Terraform starts and queries over gRPC. Instead, Terraform connects to a server that exists
if this variable names its socket. The generated messages of the protocol are those of the package pyvider.
"""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
from pyvider.protocols.tfprotov6.protobuf import (
    ApplyResourceChange,
    AttributePath,
    ConfigureProvider,
    Diagnostic,
    DynamicValue,
    GetFunctions,
    GetMetadata,
    GetProviderSchema,
    GetResourceIdentitySchemas,
    PlanResourceChange,
    ProviderServicer,
    ReadDataSource,
    ReadResource,
    Schema,
    ServerCapabilities,
    StopProvider,
    UpgradeResourceState,
    ValidateDataResourceConfig,
    ValidateProviderConfig,
    ValidateResourceConfig,
    add_ProviderServicer_to_server,
)

from nightferry.terraform.provider import archive, planning, policy_document, rules
from nightferry.terraform.provider.schema import ARCHIVE, AWS, Block, Type, complete, load
from nightferry.terraform.provider.values import UNKNOWN, decode, encode

_THREADS = 12  # Terraform makes ten calls at a time


class ProviderError(Exception):
    """A change or a query that failed. The message becomes Terraform's error."""


class Resources(Protocol):
    """Where the resources are: an emulated AWS, or nothing."""

    def create(self, kind: str, planned: dict[str, Any]) -> dict[str, Any]:
        """Create a resource and return it as :meth:`read` does."""

    def read(self, kind: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Return the resource as it is now; None if it does not exist."""

    def update(self, kind: str, prior: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        """Change a resource and return it as :meth:`read` does."""

    def delete(self, kind: str, state: dict[str, Any]) -> None:
        """Delete a resource."""

    def data(self, kind: str, config: dict[str, Any]) -> dict[str, Any]:
        """Return the computed attributes of a data source."""


@dataclass
class Provider(ProviderServicer):  # type: ignore[misc,unused-ignore]  # the stubs are not typed
    """The service. ``folder`` is the root module's folder, where the relative paths of archives start."""

    resources: Resources
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def GetMetadata(self, request: Any, context: Any) -> Any:
        """Refuse, so that Terraform reads the schema instead."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "GetMetadata")
        return GetMetadata.Response()

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        """Return the types of hashicorp/aws and hashicorp/archive, which this service replaces together."""
        schema = load()
        return GetProviderSchema.Response(
            provider=Schema(block=_make_provider_block()),
            resource_schemas={
                name: Schema(block=_make_block(kind.body)) for name, kind in schema.resources.items() if kind.planning
            },
            data_source_schemas={name: Schema(block=_make_block(kind.body)) for name, kind in schema.data.items()},
            server_capabilities=ServerCapabilities(plan_destroy=False),
        )

    def GetResourceIdentitySchemas(self, request: Any, context: Any) -> Any:
        """Return no identities."""
        return GetResourceIdentitySchemas.Response()

    def GetFunctions(self, request: Any, context: Any) -> Any:
        """Return no functions."""
        return GetFunctions.Response()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        """Accept the configuration."""
        return ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        """Keep the region and the default tags of the provider hashicorp/aws."""
        config = decode(request.config.msgpack)
        if config.get("region"):
            tags = config.get("default_tags") or []
            self.settings = {"region": config["region"], "default_tags": (tags[0].get("tags") if tags else None) or {}}
        return ConfigureProvider.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        """Do nothing: Terraform waits for the calls that it made."""
        return StopProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        """Check the configuration by the provider's rules."""
        kind = load().resources[request.type_name]
        return ValidateResourceConfig.Response(diagnostics=_find_diagnostics(kind, request))

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        """Check the configuration by the provider's rules."""
        kind = load().data[request.type_name]
        return ValidateDataResourceConfig.Response(diagnostics=_find_diagnostics(kind, request))

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        """Return the state: the schema has one version."""
        kind = load().resources[request.type_name]
        state = complete(kind.body, json.loads(request.raw_state.json))
        return UpgradeResourceState.Response(upgraded_state=_dynamic(state))

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        """Plan the creation, update or replacement of a resource."""
        response = PlanResourceChange.Response(legacy_type_system=True)
        with _report(response):
            kind = load().resources[request.type_name]
            prior, config = decode(request.prior_state.msgpack), decode(request.config.msgpack)
            planned, replaced = planning.plan(kind, prior, complete(kind.body, config), self.settings)
            response.planned_state.CopyFrom(_dynamic(planned))
            response.requires_replace.extend(
                AttributePath(steps=[AttributePath.Step(attribute_name=name)]) for name in replaced
            )
        return response

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        """Carry out a planned change."""
        response = ApplyResourceChange.Response(legacy_type_system=True)
        kind = load().resources[request.type_name]
        prior, planned = decode(request.prior_state.msgpack), decode(request.planned_state.msgpack)
        response.new_state.CopyFrom(_dynamic(prior))
        with _report(response):
            if planned is None:
                self.resources.delete(kind.name, prior)
                response.new_state.CopyFrom(_dynamic(None))
                return response
            if prior is None:
                found = self.resources.create(kind.name, planned)
            else:
                found = self.resources.update(kind.name, prior, planned)
            response.new_state.CopyFrom(_dynamic(self._settle(kind, planned, found)))
        return response

    def ReadResource(self, request: Any, context: Any) -> Any:
        """Return a resource as it is now."""
        response = ReadResource.Response()
        with _report(response):
            kind = load().resources[request.type_name]
            state = decode(request.current_state.msgpack)
            found = self.resources.read(kind.name, state)
            response.new_state.CopyFrom(_dynamic(None if found is None else self._settle(kind, state, found)))
        return response

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        """Evaluate a policy document or an archive, or find an existing resource."""
        response = ReadDataSource.Response()
        with _report(response):
            kind = load().data[request.type_name]
            config = complete(kind.body, decode(request.config.msgpack))
            if kind.name == "aws_iam_policy_document":
                found = policy_document.evaluate(config)
            elif kind.name == "archive_file":
                found = archive.write(config, self.folder)
            else:
                found = self.resources.data(kind.name, config)
            region = {"region": self.settings.get("region")} if "region" in kind.body.attributes else {}
            given = {name: value for name, value in config.items() if value is not None}
            response.state.CopyFrom(_dynamic(complete(kind.body, {**region, **given, **found})))
        return response

    def _settle(self, kind: Type, known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        """Return the resource in the form of the state, with the tags divided as the provider divides them."""
        found = dict(found)
        if "region" in kind.body.attributes:
            found.setdefault("region", self.settings.get("region"))
        if "tags_all" in kind.body.attributes:
            tags = found["tags_all"] = found.get("tags") or None
            own = known.get("tags") or {}
            defaults = self.settings.get("default_tags") or {}
            found["tags"] = {
                name: value for name, value in (tags or {}).items() if name in own or defaults.get(name) != value
            } or None
        settled = planning.settle(kind, known, complete(kind.body, found))
        # A read that does not return an attribute of the schema leaves it null.
        return {name: None if value is UNKNOWN else value for name, value in settled.items()}


@contextmanager
def serve(resources: Resources, folder: Path) -> Iterator[dict[str, str]]:
    """Serve the provider during the block; yield the environment variables with which Terraform uses it."""
    with tempfile.TemporaryDirectory(prefix="nightferry-provider-") as directory:
        socket = Path(directory) / "socket"
        server = grpc.server(ThreadPoolExecutor(_THREADS))
        add_ProviderServicer_to_server(Provider(resources, folder), server)
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        try:
            provider = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,  # Terraform must not end the process
                "Addr": {"Network": "unix", "String": str(socket)},
            }
            yield {
                "TF_REATTACH_PROVIDERS": json.dumps({AWS: provider, ARCHIVE: provider}),
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_CONFIG_FILE": os.devnull,
            }
        finally:
            server.stop(grace=None).wait()


@contextmanager
def _report(response: Any) -> Iterator[None]:
    """Turn exceptions in the block into Terraform's diagnostics."""
    try:
        yield
    except (ProviderError, policy_document.PolicyDocumentError) as error:
        response.diagnostics.append(_error(str(error)))
    except Exception:
        response.diagnostics.append(_error(f"The provider failed:\n{traceback.format_exc()}"))


def _find_diagnostics(kind: Type, request: Any) -> list[Any]:
    config = decode(request.config.msgpack)
    warnings = [Diagnostic(severity=Diagnostic.WARNING, summary=one) for one in rules.find_warnings(kind, config)]
    return [_error(problem) for problem in rules.find_problems(kind, config)] + warnings


def _error(summary: str) -> Any:
    return Diagnostic(severity=Diagnostic.ERROR, summary=summary)


def _dynamic(value: Any) -> Any:
    return DynamicValue(msgpack=encode(value))


def _make_provider_block() -> Any:
    """Return the arguments of the provider's configuration that synthesis writes."""
    text = json.dumps("string").encode()
    texts = json.dumps(["set", "string"]).encode()
    tags = json.dumps(["map", "string"]).encode()
    return Schema.Block(
        attributes=[
            Schema.Attribute(name="region", type=text, optional=True),
            Schema.Attribute(name="allowed_account_ids", type=texts, optional=True),
        ],
        block_types=[
            Schema.NestedBlock(
                type_name="default_tags",
                nesting=Schema.NestedBlock.LIST,
                max_items=1,
                block=Schema.Block(attributes=[Schema.Attribute(name="tags", type=tags, optional=True)]),
            )
        ],
    )


def _make_block(block: Block) -> Any:
    return Schema.Block(
        attributes=[
            Schema.Attribute(
                name=attribute.name,
                type=json.dumps(attribute.type).encode(),
                required=attribute.required,
                optional=attribute.configurable and not attribute.required,
                computed=attribute.computed,
            )
            for attribute in block.attributes.values()
        ],
        block_types=[
            Schema.NestedBlock(
                type_name=name,
                block=_make_block(nested.body),
                nesting=Schema.NestedBlock.NestingMode.Value(nested.nesting.upper()),
                min_items=int(nested.required and nested.nesting != "single"),
                max_items=0 if nested.nesting == "single" else nested.max_items,
            )
            for name, nested in block.blocks.items()
        ],
    )
