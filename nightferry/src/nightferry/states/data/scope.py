"""The data that an expression can read while a state runs."""

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

    ``data`` is the value of ``$``. ``context`` builds the context object on first use. ``states`` contains the members
    of JSONata's ``$states`` except the context. ``new_rng`` creates a random number generator that depends only on the
    execution and its history; ``now`` returns the machine's time. ``cause_prefix`` starts every cause; it names the
    state and the event at which it was entered.
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

    def get_context_object(self) -> Json:
        """Return the context object (``$$``, ``$states.context``)."""
        if self._context is _MISSING:
            self._context = self.context()
        return self._context

    def get_rng(self) -> Random:
        """Return the random number generator of this evaluation."""
        if self._rng is None:
            self._rng = self.new_rng()
        return self._rng

    def get_root(self, name: str) -> Json:
        """Return the value of a path's root: ``$``, ``$$`` or a variable. Raises StatesError for an unset variable."""
        if name == "$":
            return self.data
        if name == "$$":
            return self.get_context_object()
        if name in self.variables:
            return self.variables[name]
        raise StatesError("States.Runtime", f"{self.cause_prefix}The variable '${name}' has no value.")

    def make_runtime_error(self, message: str) -> StatesError:
        """Return a ``States.Runtime`` error of the state."""
        return StatesError("States.Runtime", f"{self.cause_prefix}{message}")

    def make_not_found_error(self, path: str, field_name: str) -> StatesError:
        """Return the error of a path in a payload template that matches nothing."""
        return self.make_runtime_error(
            f"The JSONPath '{path}' specified for the field '{field_name}' could not be found in the input "
            f"'{dumps(self.data)}'"
        )
