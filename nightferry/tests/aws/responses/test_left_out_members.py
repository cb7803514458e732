"""Leave out each optional member of each response, one at a time: every command still ends with a message.

The responses are those of moto and of the fake Fargate. The API models of botocore define which members are optional.
Each operation that a command calls is recorded, so that a new call is tested without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path as Folder
from typing import Any

import botocore.handlers
import pytest

import nightferry.aws
from nightferry.testing.tiers import LONG
from tests.aws.responses.commands import COMMANDS, SAMPLE, Command, World, interrupted_after

Path = tuple[str, ...]
"""The names of members; ``[]`` stands for each item of a list or map."""

_SECONDS = 10  # after which a command that follows a run is interrupted
_SAMPLE = 2  # members of each command in ``make test``
_KNOWN = ("GetExecutionHistory", ("events", "[]", "previousEventId"))  # AWS leaves it out
_SOURCES = "".join(file.read_text() for file in Folder(nightferry.aws.__file__).parent.rglob("*.py"))


class Pruner:
    """A handler of botocore's event after-call. It records the optional members of responses, and removes one."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, Path], None] = {}
        self.operation = ""
        self.path: Path = ()

    def __call__(self, parsed: dict[str, Any], model: Any, **_: object) -> None:
        if "Error" in parsed or model.output_shape is None:
            return
        self.seen.update(dict.fromkeys((model.name, path) for path in list_optional(parsed, model.output_shape)))
        if model.name == self.operation:
            prune(parsed, self.path)


def list_optional(value: Any, shape: Any) -> Iterator[Path]:
    """Yield the optional members in the value, and for a list of structures also its items, which may be null."""
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if name in value:
                    if name not in shape.required_members and f'"{name}"' in _SOURCES:  # only members that are read
                        yield (name,)
                    yield from ((name, *path) for path in list_optional(value[name], member))
        case "list" | "map":
            items = value if shape.type_name == "list" else list(value.values())
            inner = shape.member if shape.type_name == "list" else shape.value
            if items and inner.type_name == "structure":
                yield ("[]",)
            for item in items:
                yield from (("[]", *path) for path in list_optional(item, inner))


def prune(value: Any, path: Path) -> None:
    """Remove the member, or replace the items with null."""
    first, *rest = path
    items = list(value) if isinstance(value, dict) else range(len(value))
    for key in items if first == "[]" else [first] if first in value else []:
        if rest:
            prune(value[key], tuple(rest))
        elif first == "[]":
            value[key] = None
        else:
            del value[key]


@pytest.fixture
def pruner(world: World, monkeypatch: pytest.MonkeyPatch) -> Pruner:
    pruner = Pruner()
    monkeypatch.setattr(
        botocore.handlers, "BUILTIN_HANDLERS", [*botocore.handlers.BUILTIN_HANDLERS, ("after-call", pruner)]
    )
    return pruner


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("command", COMMANDS if LONG else SAMPLE, ids=str)
def test_a_missing_member_is_a_default_or_an_error_message(command: Command, world: World, pruner: Pruner) -> None:
    first = world.run(command)
    assert first.returncode in (0, 1, 3), first
    seen = sorted(pruner.seen)
    assert seen, "the command calls AWS"
    if not LONG:
        assert _KNOWN in seen or command != SAMPLE[0]
        seen = [*(one for one in seen if one == _KNOWN), *seen[:: max(1, len(seen) // _SAMPLE)]]
    problems = []
    for operation, path in seen:
        pruner.operation, pruner.path = operation, path
        try:
            with interrupted_after(_SECONDS) if command.program == "run-ecs-task" else nullcontext():
                world.run(command)
        except Exception as error:
            problems.append(f"{operation} without {'.'.join(path)}: {error!r}"[:300])
    assert not problems, "\n".join(problems)
