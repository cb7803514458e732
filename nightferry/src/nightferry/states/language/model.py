"""A definition in Amazon States Language, parsed: frozen values that the interpreter reads.

:func:`nightferry.states.parse` makes them from JSON and holds every rule of the language; nothing here checks anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nightferry.states.data.expressions import Expression, Language
from nightferry.states.language.choice import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrier:
    """One entry of Retry; intervals are seconds."""

    errors: tuple[str, ...]
    interval: float = 1
    attempts: int = 3
    backoff: float = 2.0
    max_delay: float | None = None
    full_jitter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Catcher:
    """One entry of Catch. ``result_path`` None discards the error output (JSONPath's null)."""

    errors: tuple[str, ...]
    next: str
    result_path: tuple[str | int, ...] | None = ()
    assign: Expression | None = None
    output: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What all states have.

    ``next`` is None where the state ends its branch. ``input_path`` and ``output_path`` are None for ``$``, and the
    constant ``{}`` for null; ``result_path`` is () for ``$``, and None for null. ``output`` is JSONata's Output.
    """

    type: ClassVar[str] = ""

    name: str
    language: Language = "JSONPath"
    next: str | None = None
    input_path: Expression | None = None
    output_path: Expression | None = None
    result_path: tuple[str | int, ...] | None = ()
    result_path_text: str = "$"
    parameters: Expression | None = None  # Parameters, or JSONata's Arguments
    result_selector: Expression | None = None
    assign: Expression | None = None
    output: Expression | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassState(State):
    """Pass the input on, or a result of its own."""

    type: ClassVar[str] = "Pass"
    result: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedState(State):
    """End the execution or branch successfully."""

    type: ClassVar[str] = "Succeed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailState(State):
    """End the execution or branch with an error."""

    type: ClassVar[str] = "Fail"
    error: Expression | None = None
    cause: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitState(State):
    """Exactly one of ``seconds`` and ``timestamp`` is set."""

    type: ClassVar[str] = "Wait"
    seconds: Expression | None = None
    timestamp: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceBranch:
    """One of Choices. ``rule`` decides (JSONPath), or ``condition`` (JSONata)."""

    next: str
    rule: Rule | None = None
    condition: Expression | None = None
    assign: Expression | None = None
    output: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceState(State):
    """Continue with the first branch whose rule holds."""

    type: ClassVar[str] = "Choice"
    choices: tuple[ChoiceBranch, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState(State):
    """Run a resource and wait for its result."""

    type: ClassVar[str] = "Task"
    resource: str = ""
    timeout: Expression | None = None
    heartbeat: Expression | None = None
    credentials: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelState(State):
    """Run branches side by side."""

    type: ClassVar[str] = "Parallel"
    branches: tuple[Program, ...] = ()


CSV_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
"""The values of a ReaderConfig's CSVDelimiter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReader:
    """Where a distributed Map reads its items: the resource, its parameters and how the content is read."""

    resource: str
    parameters: Expression | None = None
    config: Mapping[str, Any] | None = None
    max_items: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBatcher:
    """How a distributed Map puts items together into batches."""

    max_items: Expression | None = None
    max_bytes: Expression | None = None
    batch_input: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultWriter:
    """Where a distributed Map writes its results. Without resource, only ``config`` formats them."""

    resource: str | None = None
    parameters: Expression | None = None
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(State):
    """Run the processor for each item."""

    type: ClassVar[str] = "Map"
    processor: Program
    distributed: bool = False
    label: str | None = None
    items: Expression | None = None  # ItemsPath, or JSONata's Items
    item_selector: Expression | None = None
    max_concurrency: Expression | None = None
    tolerated_count: Expression | None = None
    tolerated_percentage: Expression | None = None
    reader: ItemReader | None = None
    batcher: ItemBatcher | None = None
    writer: ResultWriter | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A state machine or a branch of one: where it starts, and its states by name."""

    start: str
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole state machine. ``timeout_seconds`` bounds an execution."""

    program: Program
    timeout_seconds: int | None
    comment: str
    source: Mapping[str, Any]

    def resources(self) -> set[str]:
        """The resources of all Task states."""
        return {state.resource for state in states_of(self.program) if isinstance(state, TaskState)}

    def object_resources(self) -> set[str]:
        """The resources by which distributed Maps read their items and write their results."""
        maps = [state for state in states_of(self.program) if isinstance(state, MapState)]
        return {part.resource for state in maps for part in (state.reader, state.writer) if part and part.resource}


def states_of(program: Program) -> Iterator[State]:
    """All states of a machine, those within Parallel and Map states too."""
    for state in program.states.values():
        yield state
        if isinstance(state, ParallelState):
            for branch in state.branches:
                yield from states_of(branch)
        elif isinstance(state, MapState):
            yield from states_of(state.processor)
