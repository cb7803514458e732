"""The parsed form of a definition in Amazon States Language: frozen values that the interpreter reads.

:func:`nightferry.states.parse` creates them from JSON and checks all rules of the language; this module checks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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
    """One entry of Catch. A ``result_path`` of None (null in JSONPath) discards the error output."""

    errors: tuple[str, ...]
    next: str
    result_path: tuple[str | int, ...] | None = ()
    assign: Expression | None = None
    output: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The fields that all states have.

    ``next`` is None if the state ends its branch. ``input_path`` and ``output_path`` are None for ``$``, and the
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
    """Pass on the input or a fixed result."""

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
    """Wait. Exactly one of ``seconds`` and ``timestamp`` is set."""

    type: ClassVar[str] = "Wait"
    seconds: Expression | None = None
    timestamp: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceBranch:
    """One entry of Choices, with a ``rule`` (JSONPath) or a ``condition`` (JSONata)."""

    next: str
    rule: Rule | None = None
    condition: Expression | None = None
    assign: Expression | None = None
    output: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceState(State):
    """Continue with the first entry whose rule or condition holds."""

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
    """Run branches in parallel."""

    type: ClassVar[str] = "Parallel"
    branches: tuple[Program, ...] = ()


CSV_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
"""The values of a ReaderConfig's CSVDelimiter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReader:
    """The source of a distributed Map's items: the resource, its parameters and the content's format."""

    resource: str
    parameters: Expression | None = None
    config: Mapping[str, Any] | None = None
    max_items: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBatcher:
    """How a distributed Map groups items into batches."""

    max_items: Expression | None = None
    max_bytes: Expression | None = None
    batch_input: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultWriter:
    """The destination of a distributed Map's results. Without a resource, ``config`` only formats them."""

    resource: str | None = None
    parameters: Expression | None = None
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(State):
    """Run the processor for each item."""

    type: ClassVar[str] = "Map"
    processor: Program
    distributed: bool = False
    express: bool = False  # a distributed Map's child executions are Express executions
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
    """A state machine or a branch: the name of its first state, and its states by name."""

    start: str
    states: Mapping[str, State]


WorkflowType = Literal["STANDARD", "EXPRESS"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A complete state machine. ``timeout_seconds`` limits an execution. ``type`` is STANDARD or EXPRESS."""

    program: Program
    timeout_seconds: int | None
    comment: str
    source: Mapping[str, Any]
    type: WorkflowType = "STANDARD"

    def resources(self) -> set[str]:
        """Return the resources of all Task states."""
        return {state.resource for state in iterate_states(self.program) if isinstance(state, TaskState)}

    def object_resources(self) -> set[str]:
        """Return the resources with which distributed Maps read their items and write their results."""
        maps = [state for state in iterate_states(self.program) if isinstance(state, MapState)]
        return {part.resource for state in maps for part in (state.reader, state.writer) if part and part.resource}


def iterate_states(program: Program) -> Iterator[State]:
    """Yield all states of a machine, including those in Parallel and Map states."""
    for state in program.states.values():
        yield state
        if isinstance(state, ParallelState):
            for branch in state.branches:
                yield from iterate_states(branch)
        elif isinstance(state, MapState):
            yield from iterate_states(state.processor)
