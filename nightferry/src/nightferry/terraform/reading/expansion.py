"""Expand the files of an environment into the resources of a plan, with evaluated arguments.

References contain the type and the name on AWS (``aws_iam_role["example-test-load"].arn``) instead of Terraform's
address, so that the output does not depend on the division into modules.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from posixpath import normpath
from typing import Any

from nightferry.errors import NightferryError
from nightferry.terraform.reading.policy import render_policy
from nightferry.terraform.reading.values import (
    NameResolver,
    NestedScope,
    Unknown,
    Value,
    as_list,
    evaluate_text,
    to_json,
)

Json = Any
# The first of these arguments that a resource has is its name on AWS.
_NAME_ARGUMENTS = (
    "statement_id",
    "name",
    "family",
    "alarm_name",
    "dashboard_name",
    "policy_name",
    "target_id",
    "bucket",
    "function_name",
    "queue_url",
    "description",
)
_MAX_INSTANCES = 1_000  # of a resource with count
_META_ARGUMENTS = ("//", "count", "for_each", "depends_on", "lifecycle", "provider")

Attributes = Callable[[str, str, str], str | None]
"""Return an attribute that AWS sets, such as an ARN, by type, name on AWS and attribute; None if it is unknown."""


def _leave_unknown(_kind: str, _name: str, _attribute: str) -> str | None:
    return None


@dataclass(frozen=True)
class Resource:
    """A resource or data source. ``name`` is its name on AWS; ``count`` is its count if that is unknown."""

    address: str
    type: str
    name: str
    arguments: Mapping[str, Value]
    count: str = ""


def expand(files: Mapping[str, str], folder: str, attributes: Attributes = _leave_unknown) -> list[Resource]:
    """Return the resources of the configuration in ``folder`` and of the modules that it calls.

    Args:
        files: The texts by relative path, including those of the modules.
        folder: The folder of the root module.
        attributes: The attributes that are not in the files but follow from the names on AWS.

    Raises:
        NightferryError: A module has no files or cannot be expanded.
    """
    with reading_files(folder):
        return list(Module(files, folder, "", attributes=attributes).iterate_resources("resource"))


def expand_data_sources(files: Mapping[str, str], folder: str) -> list[Resource]:
    """Return the data sources of the configuration in ``folder`` and of its modules."""
    with reading_files(folder):
        return list(Module(files, folder, "").iterate_resources("data"))


@contextmanager
def reading_files(folder: str) -> Iterator[None]:
    """Raise NightferryError for files that Terraform would not accept, and for a nesting without end."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NightferryError(
            f"The Terraform files in {folder} cannot be read: {error}. Create them again with nightferry synth, or "
            "check them with terraform validate."
        ) from error


@dataclass(eq=False)
class Module:
    """A module with its arguments, which are None for a root module because the deployment sets its variables."""

    files: Mapping[str, str]
    folder: str
    path: str
    arguments: Mapping[str, Value] | None = None
    attributes: Attributes = _leave_unknown
    _blocks: Json = field(init=False)
    _locals: dict[str, Value] = field(init=False, default_factory=dict)
    _children: dict[str, Module] = field(init=False, default_factory=dict)
    _entered: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        texts = [
            text
            for name, text in self.files.items()
            if name.rpartition("/")[0] == self.folder and name.endswith(".tf.json")
        ]
        if not texts:
            raise NightferryError(f"{self.folder} has no *.tf.json files. Create them with nightferry synth.")
        self._blocks = _merge(texts)

    def iterate_resources(self, mode: str) -> Iterator[Resource]:
        """Return the resources or data sources of this module, then those of its calls."""
        for kind, members in self._blocks.get(mode, {}).items():
            for name, body in members.items():
                yield from self._expand_instances(
                    f"{self.path}{'data.' if mode == 'data' else ''}{kind}.{name}", kind, body
                )
        for name in self._blocks.get("module", {}):
            yield from self._find_child(name).iterate_resources(mode)

    def resolve(self, root: str, steps: Sequence[Value]) -> tuple[Value, int]:
        """Resolve a name of this module."""
        named = [step for step in steps[:2] if isinstance(step, str)]
        match root, *named:
            case "var", name, *_:
                return self._evaluate_variable(name), 1
            case "local", name, *_ if name in self._blocks.get("locals", {}):
                if name not in self._locals:
                    with self._entering(f"local.{name}"):
                        self._locals[name] = _evaluate(self._blocks["locals"][name], self)
                return self._locals[name], 1
            case "module", name, output if name in self._blocks.get("module", {}):
                return self._find_child(name).evaluate_output(output), 2
            case "data", kind, name if name in self._blocks.get("data", {}).get(kind, {}):
                value, used = self._resolve_attribute("data", kind, name, steps[2:])
                return value, used + 2
            case kind, name, *_ if name in self._blocks.get("resource", {}).get(kind, {}):
                value, used = self._resolve_attribute("resource", kind, name, steps[1:])
                return value, used + 1
        return Unknown.from_expression(root), 0

    def evaluate_output(self, name: str) -> Value:
        """Return the value of an output."""
        declared = self._blocks.get("output", {})
        if name not in declared:
            return Unknown.from_expression(f"{self.path}{name}")
        return _evaluate(declared[name]["value"], self)

    def _evaluate_variable(self, name: str) -> Value:
        if self.arguments is None:
            return Unknown.from_expression(f"var.{name}")
        if name in self.arguments:
            return self.arguments[name]
        declared = self._blocks.get("variable", {})
        return (
            _evaluate(declared[name].get("default"), self)
            if name in declared
            else Unknown.from_expression(f"var.{name}")
        )

    def _find_child(self, name: str) -> Module:
        if name not in self._children:
            call = self._blocks["module"][name]
            if "for_each" in call or "count" in call:
                raise NightferryError(
                    f"{self.folder}: module.{name} has for_each or count, which cannot be expanded. "
                    "Write a call for each instance."
                )
            arguments = {
                key: _evaluate(value, self)
                for key, value in call.items()
                if key not in (*_META_ARGUMENTS, "source", "version")
            }
            folder = normpath(f"{self.folder}/{call['source']}")
            path = f"{self.path}module.{name}."
            self._children[name] = Module(self.files, folder, path, arguments, self.attributes)
        return self._children[name]

    def _expand_instances(self, address: str, kind: str, body: Json) -> Iterator[Resource]:
        if "for_each" in body:
            keys = _evaluate(body["for_each"], self)
            if not isinstance(keys, Unknown):
                pairs = keys.items() if isinstance(keys, dict) else [(key, key) for key in keys]
                for key, value in pairs:
                    scope = NestedScope({"each": {"key": key, "value": value}}, self)
                    yield self._make_resource(f'{address}["{key}"]', kind, body, scope)
                return
            yield self._make_resource(address, kind, body, self, keys.text)
            return
        number = _evaluate(body.get("count", 1), self)
        if isinstance(number, Unknown):
            yield self._make_resource(address, kind, body, self, number.text)
            return
        if not 0 <= number <= _MAX_INSTANCES:
            raise NightferryError(f"{address} has count {number}. Only up to {_MAX_INSTANCES} can be expanded.")
        for index in range(number):
            at = f"{address}[{index}]" if "count" in body else address
            yield self._make_resource(at, kind, body, NestedScope({"count": {"index": index}}, self))

    def _make_resource(self, address: str, kind: str, body: Json, scope: NameResolver, count: str = "") -> Resource:
        return Resource(address, kind, _find_name(body, scope) or address, _evaluate_block(body, scope), count)

    def _resolve_attribute(self, mode: str, kind: str, name: str, steps: Sequence[Value]) -> tuple[Value, int]:
        """Return an attribute of a resource or data source, and the number of steps that it consumes."""
        body = self._blocks[mode][kind][name]
        rest = list(steps)
        many: Value = None
        if "count" in body and rest and not isinstance(rest[0], str):
            index = rest.pop(0)
            if index is None:
                many = _evaluate(body["count"], self)
        if not rest or not isinstance(rest[0], str) or isinstance(many, Unknown):
            return Unknown.from_expression(f"{'data.' if mode == 'data' else ''}{kind}.{name}"), 0
        value = self._evaluate_attribute(mode, kind, name, body, rest[0])
        used = len(steps) - len(rest) + 1
        if many is not None and not 0 <= many <= _MAX_INSTANCES:
            return Unknown.from_expression(f"{kind}.{name}"), 0
        return ([value] * many if many is not None else value), used

    @contextmanager
    def _entering(self, name: str) -> Iterator[None]:
        """Raise NightferryError if the evaluation of this name has led to itself, which would never end."""
        if name in self._entered:
            raise NightferryError(f"{self.folder}: {name} refers to itself. Terraform refuses it too.")
        self._entered.add(name)
        try:
            yield
        finally:
            self._entered.remove(name)

    def _evaluate_attribute(self, mode: str, kind: str, name: str, body: Json, attribute: str) -> Value:
        with self._entering(f"{mode}.{kind}.{name}.{attribute}"):
            return self._find_attribute(mode, kind, name, body, attribute)

    def _find_attribute(self, mode: str, kind: str, name: str, body: Json, attribute: str) -> Value:
        if kind == "aws_iam_policy_document" and attribute == "json":
            return render_policy(_evaluate_block(body, self))
        if attribute in body:
            return _evaluate(body[attribute], self)
        aws_name = _find_name(body, self) or f"{self.path}{kind}.{name}"
        if (known := self.attributes(kind, aws_name, attribute)) is not None:
            return known
        if mode == "data":
            return Unknown.from_expression(f"data.{kind}.{name}.{attribute}", exists=True)
        return Unknown.from_expression(f'{kind}["{aws_name}"].{attribute}', exists=True)


@lru_cache(maxsize=64)
def _parse(text: str) -> Json:
    return json.loads(text)


def _merge(texts: Sequence[str]) -> Json:
    """Return the blocks of several files as one document."""
    blocks: Json = {}
    for text in texts:
        for block, members in _parse(text).items():
            if block in ("resource", "data"):
                for kind, things in members.items():
                    blocks.setdefault(block, {}).setdefault(kind, {}).update(things)
            elif isinstance(members, dict):
                blocks.setdefault(block, {}).update(members)
    return blocks


def _find_name(body: Json, scope: NameResolver) -> str:
    found = next((body[argument] for argument in _NAME_ARGUMENTS if argument in body), "")
    return str(to_json(_evaluate(found, scope)))


def _evaluate(json_value: Json, scope: NameResolver) -> Value:
    match json_value:
        case str():
            return evaluate_text(json_value, scope)
        case dict():
            return {str(to_json(evaluate_text(key, scope))): _evaluate(item, scope) for key, item in json_value.items()}
        case list():
            return [_evaluate(item, scope) for item in json_value]
    return json_value


def _evaluate_block(body: Json, scope: NameResolver) -> dict[str, Value]:
    """Return the arguments of a block with its ``dynamic`` blocks expanded."""
    found: dict[str, Value] = {}
    for key, item in body.items():
        if key == "dynamic":
            continue
        if isinstance(item, dict):
            found[key] = _evaluate_block(item, scope)
        elif isinstance(item, list):
            found[key] = [
                _evaluate_block(one, scope) if isinstance(one, dict) else _evaluate(one, scope) for one in item
            ]
        elif key not in _META_ARGUMENTS:
            found[key] = _evaluate(item, scope)
    for label, blocks in body.get("dynamic", {}).items():
        before = found.get(label, [])
        more = [made for one in as_list(blocks) for made in _expand_dynamic(label, one, scope)]
        found[label] = [*as_list(before), *more]
    return {key: item for key, item in found.items() if key not in _META_ARGUMENTS}


def _expand_dynamic(label: str, block: Json, scope: NameResolver) -> Iterator[Value]:
    keys = _evaluate(block["for_each"], scope)
    if isinstance(keys, Unknown):
        yield {"for_each": keys, **_evaluate_block(block["content"], scope)}
        return
    pairs = keys.items() if isinstance(keys, dict) else enumerate(keys)
    for key, value in pairs:
        yield _evaluate_block(block["content"], NestedScope({label: {"key": key, "value": value}}, scope))
