"""Amazon States Language."""

from longshore.states.errors import InvalidDefinition, Problem, StatesError, UnknownResource

__all__ = ["InvalidDefinition", "Problem", "StatesError", "UnknownResource"]
