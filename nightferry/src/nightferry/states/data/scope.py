"""What an expression may read while a state runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from nightferry.states.data.errors import StatesError
from nightferry.states.data.payload import Json, dumps

_MISSING: Any = object()


@dataclass(slots=True)
class Scope:
    """The data of one evaluation.

    ``data`` is what ``$`` means. ``context`` makes the context object when it is asked for. ``states`` are the
    members of JSONata's ``$states`` besides the context. ``new_rng`` makes a generator that depends on the
    execution and its history alone; ``now`` is the machine's time. ``cause_prefix`` begins every cause: which state,
    entered at which event.
    """

    data: Json
    variables: Mapping[str, Json]
    context: Callable[[], Json]
    cause_prefix: str
    states: dict[str, Json] = field(default_factory=dict)
    new_rng: Callable[[], Random] = Random
    now: Callable[[], datetime] = datetime.now
    _context: Json = _MISSING
    _rng: Random | None = None

    def context_object(self) -> Json:
        """The context object (``$$``, ``$states.context``)."""
        if self._context is _MISSING:
            self._context = self.context()
        return self._context

    def rng(self) -> Random:
        """Return the random numbers of this evaluation, in the order in which they are drawn."""
        if self._rng is None:
            self._rng = self.new_rng()
        return self._rng

    def root(self, name: str) -> Json:
        """What a path starts from: ``$``, ``$$`` or a variable. Raises StatesError for a variable without value."""
        if name == "$":
            return self.data
        if name == "$$":
            return self.context_object()
        if name in self.variables:
            return self.variables[name]
        raise StatesError("States.Runtime", f"{self.cause_prefix}The variable '${name}' has no value.")

    def runtime_error(self, message: str) -> StatesError:
        """A ``States.Runtime`` failure of the state."""
        return StatesError("States.Runtime", f"{self.cause_prefix}{message}")

    def not_found(self, path: str, field_name: str) -> StatesError:
        """The failure of a path in a payload template that leads to nothing."""
        return self.runtime_error(
            f"The JSONPath '{path}' specified for the field '{field_name}' could not be found in the input "
            f"'{dumps(self.data)}'"
        )
