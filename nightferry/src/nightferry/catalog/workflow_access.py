"""What a workflow's definition accesses on AWS, from which the permissions of its role follow.

Sources: Step Functions Developer Guide, "IAM policies for using Distributed Map states" and "How Step Functions
generates IAM policies for integrated services".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nightferry.catalog.references import find_references

_RUN_TASK = ("arn:aws:states:::ecs:runTask", "arn:aws:states:::ecs:runTask.sync")
_GET_OBJECT = "arn:aws:states:::aws-sdk:s3:getObject"
_START = tuple(f"arn:aws:states:::states:startExecution{pattern}" for pattern in ("", ".sync", ".sync:2"))

# The parameter of a resource that names what the state uses, and the kind of the reference that it must be.
_USED = {
    **dict.fromkeys(_RUN_TASK, ("TaskDefinition", "task")),
    **dict.fromkeys(_START, ("StateMachineArn", "workflow")),
    "arn:aws:states:::sns:publish": ("TopicArn", "topic"),
    "arn:aws:states:::lambda:invoke": ("FunctionName", "function"),
}


_FORMAT = re.compile(r"States\.Format\('([^'{}\\]*)\{\}[^'{}\\]*'")  # a text with one value in it


class NotDerivable(ValueError):
    """The permissions of a state cannot be derived, because its input determines what it accesses."""


@dataclass(frozen=True)
class ObjectAccess:
    """An access of a distributed Map, or of a Task that reads an object, to a declared bucket.

    Attributes:
        action: ``read`` objects, ``list`` them, or ``write`` results.
        bucket: The bucket's name in the catalog.
        pattern: The key or the prefix of the keys; ``*`` if the state's input determines it.
    """

    action: Literal["read", "list", "write"]
    bucket: str
    pattern: str


def iterate_raw_states(definition: Mapping[str, Any], path: str = "$") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the path and the document of each state of a valid definition, including those in Parallel and Map."""
    for name, state in definition["States"].items():
        yield f"{path}.States.{name}", state
        for number, branch in enumerate(state.get("Branches", ())):
            yield from iterate_raw_states(branch, f"{path}.States.{name}.Branches[{number}]")
        for member in ("ItemProcessor", "Iterator"):
            if member in state:
                yield from iterate_raw_states(state[member], f"{path}.States.{name}.{member}")


def check_derivable(definition: Mapping[str, Any]) -> None:
    """Check that the permissions for each state of a valid definition can be derived. Raises NotDerivable."""
    for path, state in iterate_raw_states(definition):
        if state.get("Type") == "Task" and (used := _USED.get(state.get("Resource", ""))):
            member, kind = used
            value = _get_parameters(state).get(member)
            if not any(reference.kind == kind for reference in find_references(value)):
                raise NotDerivable(
                    f"{path}: {member} must name a declared {kind}, as ${{{kind}:NAME}}. Otherwise the permissions of "
                    "the workflow cannot be derived."
                )
    find_map_access(definition)
    find_object_reads(definition)


def has_distributed_map(definition: Mapping[str, Any]) -> bool:
    """Return True if a state of the definition starts child executions of the same state machine."""
    return any(_is_distributed(state) for _, state in iterate_raw_states(definition))


def tags_tasks(definition: Mapping[str, Any]) -> bool:
    """Return True if a state of the definition starts a task with tags."""
    return any(
        state.get("Resource") in _RUN_TASK
        and any(name.removesuffix(".$") in ("PropagateTags", "Tags") for name in _get_parameters(state))
        for _, state in iterate_raw_states(definition)
    )


def marks_tasks(definition: Mapping[str, Any]) -> bool:
    """Return True if each task that a state of the definition starts has the tags of its task definition."""
    return all(
        _get_parameters(state).get("PropagateTags") == "TASK_DEFINITION"
        for _, state in iterate_raw_states(definition)
        if state.get("Resource") in _RUN_TASK
    )


def find_map_access(definition: Mapping[str, Any]) -> list[ObjectAccess]:
    """Return the accesses of all distributed Maps. Raises NotDerivable."""
    found: list[ObjectAccess] = []
    for path, state in iterate_raw_states(definition):
        if _is_distributed(state):
            if reader := state.get("ItemReader"):
                found += _find_reads(reader, f"{path}.ItemReader")
            if (writer := state.get("ResultWriter")) and "Resource" in writer:
                bucket = _read_bucket(writer, f"{path}.ResultWriter")
                prefix = _read_text(writer, "Prefix").strip("/")
                found.append(ObjectAccess("write", bucket, f"{prefix}/*" if prefix not in ("", "*") else "*"))
    return found


def find_object_reads(definition: Mapping[str, Any]) -> list[ObjectAccess]:
    """Return the accesses of all Task states that read an object, such as a task's result. Raises NotDerivable.

    The prefix of ``States.Format('results/load/{}.json', $run)`` limits the access to ``results/load/*``.
    """
    found: list[ObjectAccess] = []
    for path, state in iterate_raw_states(definition):
        if _reads_object(state):
            bucket = _read_bucket(state, path)
            call = _FORMAT.match(str(_get_parameters(state).get("Key.$", "")))
            found.append(ObjectAccess("read", bucket, f"{call[1]}*" if call else _read_text(state, "Key")))
    return found


def name_buckets(definition: Any, resolve: Any) -> Any:
    """Return the definition with the name of each bucket whose objects a state reads in place of its location.

    ``resolve`` returns the name of a declared bucket. A reference to a bucket otherwise stands for its location.
    """
    if isinstance(definition, list):
        return [name_buckets(item, resolve) for item in definition]
    if not isinstance(definition, Mapping):
        return definition
    result = {key: name_buckets(value, resolve) for key, value in definition.items()}
    parts = [result.get("ItemReader"), result.get("ResultWriter"), result if _reads_object(result) else None]
    for part in parts:
        if isinstance(part, dict):
            for arguments in ("Parameters", "Arguments"):
                if isinstance(place := part.get(arguments), dict) and (bucket := _find_bucket(place.get("Bucket"))):
                    place["Bucket"] = resolve(bucket)
    return result


def _reads_object(state: Mapping[str, Any]) -> bool:
    return state.get("Resource") == _GET_OBJECT


def _is_distributed(state: Mapping[str, Any]) -> bool:
    processor = state.get("ItemProcessor", {})
    return state.get("Type") == "Map" and processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"


def _find_reads(reader: Mapping[str, Any], path: str) -> Iterator[ObjectAccess]:
    bucket = _read_bucket(reader, path)
    config = reader.get("ReaderConfig", {})
    if str(reader["Resource"]).endswith("listObjectsV2"):
        prefix = _read_text(reader, "Prefix")
        yield ObjectAccess("list", bucket, prefix)
        if config.get("Transformation") == "LOAD_AND_FLATTEN":
            yield ObjectAccess("read", bucket, f"{prefix.removesuffix('*')}*")
        return
    if config.get("InputType") == "MANIFEST" or "ManifestType" in config:
        raise NotDerivable(
            f"{path}: a manifest names objects of its own, so the permissions of the workflow cannot be derived. Use "
            "listObjectsV2, or an object with the items."
        )
    yield ObjectAccess("read", bucket, _read_text(reader, "Key"))


def _read_bucket(part: Mapping[str, Any], path: str) -> str:
    bucket = _find_bucket(_get_parameters(part).get("Bucket"))
    if bucket is None:
        raise NotDerivable(
            f"{path}: Bucket must name a declared bucket, as ${{bucket:NAME}}. Otherwise the permissions of the "
            "workflow cannot be derived."
        )
    return bucket


def _find_bucket(value: Any) -> str | None:
    """Return the name in a value that is a reference to a bucket, and nothing else."""
    references = find_references(value) if isinstance(value, str) else set()
    return next((one.name for one in references if one.kind == "bucket" and value == str(one)), None)


def _read_text(part: Mapping[str, Any], member: str) -> str:
    """Return a parameter, or ``*`` if it is an expression."""
    parameters = _get_parameters(part)
    if f"{member}.$" in parameters:
        return "*"
    text = parameters.get(member, "")
    return text if isinstance(text, str) and not text.startswith("{%") else "*"


def _get_parameters(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the Parameters or Arguments; none if a single expression creates them."""
    found = part.get("Parameters", part.get("Arguments", {}))
    return found if isinstance(found, Mapping) else {}
