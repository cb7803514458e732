"""Reading the members of a definition's objects: each reader notes what is wrong with the place where it stands."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from nightferry.states.data import intrinsics, jsonata, paths
from nightferry.states.data.errors import Problem
from nightferry.states.data.expressions import (
    BadExpression,
    Constant,
    Expression,
    JsonataExpression,
    Language,
    PathExpression,
    jsonpath,
    template,
)
from nightferry.states.language.choice import is_timestamp

_MISSING: Any = object()
_ONLY_IN: dict[str, frozenset[str]] = {
    "JSONata": frozenset({"Arguments", "Condition", "Items", "Output"}),
    "JSONPath": frozenset(
        {
            "CausePath",
            "ErrorPath",
            "HeartbeatSecondsPath",
            "InputPath",
            "ItemsPath",
            "MaxConcurrencyPath",
            "OutputPath",
            "Parameters",
            "Result",
            "ResultPath",
            "ResultSelector",
            "SecondsPath",
            "TimeoutSecondsPath",
            "TimestampPath",
            "ToleratedFailureCountPath",
            "ToleratedFailurePercentagePath",
            "Variable",
        }
    ),
}


def member(name: str) -> str:
    """A member's place in a JSON path: ``.name``, or ``['any name']``."""
    return f".{name}" if name.isidentifier() else f"['{name}']"


class Fields:
    """One object of a definition, its path, and the list that takes the problems."""

    def __init__(self, source: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
        self.source = source
        self.path = path
        self.problems = problems
        self.language_now: Language = "JSONPath"
        self.machine_language: Language = "JSONPath"
        self.in_catcher = False
        self._known: set[str] = set()

    # ── problems and plain values ─────────────────────────────────────────────────────────────────────────────

    def problem(self, name: str | None, message: str) -> None:
        """Note a problem with a member, or with the object itself."""
        self.problems.append(Problem(self.path if name is None else f"{self.path}.{name}", message))

    def raw(self, name: str) -> Any:
        """A member as it stands, or None; it counts as known."""
        self._known.add(name)
        return self.source.get(name)

    def has(self, name: str) -> bool:
        """Return True if the field is present; it counts as known from then on."""
        self._known.add(name)
        return name in self.source

    def reject_unknown_fields(self) -> None:
        """Note every member that was not read."""
        for name in self.source:
            if name not in self._known:
                other = "JSONata" if self.language_now == "JSONPath" else "JSONPath"
                if name in _ONLY_IN[other]:
                    self.problem(name, f"{name} belongs to {other}, but {self.language_now} is spoken here.")
                    continue
                near = difflib.get_close_matches(name, self._known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                self.problem(name, f"There is no field {name} here.{hint}")

    def text(self, name: str, *, required: bool = False) -> str | None:
        """Return a text field; note a problem if it is something else."""
        value = self.raw(name)
        if name not in self.source:
            if required:
                self.problem(None, f"{name} is missing.")
            return None
        if not isinstance(value, str):
            self.problem(name, f"{name} is a text.")
            return None
        return value

    def integer(self, name: str, least: int, most: int | None = None) -> int | None:
        """Return a whole number within bounds; note a problem if it is something else."""
        value = self.number(name, least, most, kind="whole number")
        return value if isinstance(value, int) else None

    def number(self, name: str, least: float, most: float | None = None, *, kind: str = "number") -> float | None:
        """A number within bounds; ``kind`` may ask for a whole one."""
        value = self.raw(name)
        if name not in self.source:
            return None
        types = (int,) if kind == "whole number" else (int, float)
        good = isinstance(value, types) and not isinstance(value, bool)
        if not good or value < least or (most is not None and value > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            self.problem(name, f"{name} is a {kind} {bounds}, not {value!r}.")
            return None
        return float(value) if kind == "number" else int(value)

    def object(self, name: str, *, required: bool = False) -> dict[str, Any]:
        """Return an object field, or an empty object; note a problem if it is something else."""
        value = self.raw(name)
        if name not in self.source:
            if required:
                self.problem(None, f"{name} is missing.")
            return {}
        if not isinstance(value, dict):
            self.problem(name, f"{name} is an object.")
            return {}
        return value

    def part(self, name: str) -> Fields | None:
        """A member that is an object, to be read in the same language; None if it is not there."""
        if not self.has(name) or not isinstance(self.source[name], dict):
            if self.has(name):
                self.problem(name, f"{name} is an object.")
            return None
        return self._within(self.source[name], f"{self.path}.{name}")

    def objects(self, name: str, *, required: bool = False) -> list[Fields]:
        """A member that is a list of objects, not empty."""
        value = self.raw(name)
        if name not in self.source:
            if required:
                self.problem(None, f"{name} is missing.")
            return []
        if not isinstance(value, list) or (required and not value):
            self.problem(name, f"{name} is a list with at least one object.")
            return []
        parts = []
        for index, item in enumerate(value):
            path = f"{self.path}.{name}[{index}]"
            if isinstance(item, dict):
                parts.append(self._within(item, path))
            else:
                self.problems.append(Problem(path, f"An item of {name} is an object."))
        return parts

    def _within(self, source: Mapping[str, Any], path: str) -> Fields:
        """An object within this one, to be read in the same language."""
        part = Fields(source, path, self.problems)
        part.language_now, part.machine_language = self.language_now, self.machine_language
        part.in_catcher = self.in_catcher
        return part

    # ── language, paths, templates ────────────────────────────────────────────────────────────────────────────

    def language(self, default: Language) -> Language:
        """Return the query language of the state, or ``default``."""
        value = self.raw("QueryLanguage")
        if "QueryLanguage" not in self.source:
            return default
        if value not in ("JSONPath", "JSONata"):
            self.problem("QueryLanguage", f"The query languages are JSONPath and JSONata, not {value!r}.")
            return default
        if default == "JSONata" and value == "JSONPath":
            self.problem("QueryLanguage", "Within a state machine in JSONata, a state cannot go back to JSONPath.")
        return "JSONata" if value == "JSONata" else "JSONPath"

    def use_language(self, language: Language) -> None:
        """Read what follows in this language."""
        self.language_now = language

    def compiled(self, name: str, text: Any, *, calls: bool = False) -> Expression | None:
        """A path (or, where allowed, a call of an intrinsic function) that stands as text."""
        if not isinstance(text, str):
            self.problem(name, f"{name} is a JSONPath, as text.")
            return None
        try:
            if intrinsics.is_call(text) and not calls:
                self.problem(name, f"{name} is a JSONPath; intrinsic functions are not allowed here.")
                return None
            return jsonpath(text)
        except ValueError as error:
            self.problem(name, str(error))
            return None

    def path_or_null(self, name: str) -> Expression | None:
        """InputPath and OutputPath: None stands for ``$``, and the constant ``{}`` for null."""
        value = self.raw(name)
        if name not in self.source or value == "$":
            return None
        return Constant({}) if value is None else self.compiled(name, value)

    def reference(self, name: str, *, calls: bool = False) -> Expression | None:
        """A field that must name one value: a definite path."""
        if not self.has(name):
            return None
        expression = self.compiled(name, self.source[name], calls=calls)
        if isinstance(expression, PathExpression) and not expression.path.definite:
            self.problem(name, f"{name} must be a reference path, which names one value: no *, .., slices or filters.")
        return expression

    def result_path(self, common: dict[str, Any]) -> None:
        """ResultPath into ``common``."""
        if not self.has("ResultPath"):
            return
        keys = self.writable("ResultPath")
        common["result_path"] = keys
        common["result_path_text"] = str(self.source["ResultPath"])

    def writable(self, name: str) -> tuple[str | int, ...] | None:
        """A path to write to; None for null."""
        value = self.raw(name)
        if value is None:
            return None
        expression = self.compiled(name, value)
        if not isinstance(expression, PathExpression):
            return ()
        if not paths.is_reference(expression.path):
            self.problem(name, f"{name} must be a reference path, which names one value: no *, .., slices or filters.")
            return ()
        if expression.path.root != "$":
            self.problem(name, f"{name} must start with $: a state cannot write to the context object or a variable.")
            return ()
        return expression.path.keys

    def template(self, name: str) -> Expression | None:
        """Return the expression of a payload template; note a problem if it is not one."""
        if not self.has(name):
            return None
        try:
            return template(self.source[name], self.language_now, error_output=self.in_catcher)
        except BadExpression as error:
            self.problem(f"{name}{error.path}", error.message)
            return None

    def object_template(self, name: str) -> Expression | None:
        """Return the expression of a payload template that must be an object."""
        if self.has(name) and not isinstance(self.source[name], dict):
            self.problem(name, f"{name} is an object.")
            return None
        return self.template(name)

    def constant(self, name: str) -> Expression | None:
        """Return the field's value as an expression, or None without the field."""
        return Constant(self.source[name]) if self.has(name) else None

    def assign(self) -> Expression | None:
        """Return the expression of Assign; note a problem for a name that a variable cannot have."""
        names = self.object("Assign")
        for name in names:
            plain = name.removesuffix(".$") if self.language_now == "JSONPath" else name
            if not plain.isidentifier() or len(plain) > 80:
                self.problem(f"Assign['{name}']", "A variable's name is an identifier of at most 80 characters.")
            elif plain == "states":
                self.problem(f"Assign['{name}']", "The name 'states' is reserved.")
        return self.template("Assign") if names else None

    def next_or_end(self) -> str | None:
        """Return the name of the next state, or None at the end; note a problem if both or neither is given."""
        following, end = self.text("Next"), self.raw("End")
        if "End" in self.source and not isinstance(end, bool):
            self.problem("End", "End is true or false.")
            return following
        if following is not None and end is True:
            self.problem(None, "A state has either Next or End, not both.")
        if following is None and end is not True and "Next" not in self.source:
            self.problem(None, 'A state needs Next, or "End": true.')
        return following

    # ── values that may be expressions ────────────────────────────────────────────────────────────────────────

    def jsonata_only(self, name: str) -> Expression | None:
        """The member as a JSONata expression, if it is one in a JSONata state."""
        value = self.raw(name)
        if self.language_now == "JSONata" and jsonata.is_expression(value):
            return self.template(name)
        return None

    def whole(self, name: str, least: int, most: int | None = None, *, path: bool = False) -> Expression | None:
        """A whole number: a constant, a JSONata expression, or (with ``path``) the member ``<name>Path``."""
        if path and self.language_now == "JSONPath" and self.has(f"{name}Path"):
            if self.has(name):
                self.problem(None, f"A state has {name} or {name}Path, not both.")
            return self.reference(f"{name}Path")
        if not self.has(name):
            return None
        expression = self.jsonata_only(name)
        if expression is not None:
            return expression
        value = self.integer(name, least, most)
        return None if value is None else Constant(value)

    def timestamp(self, name: str) -> Expression | None:
        """Return the expression of a timestamp; note a problem if it is not one."""
        if not self.has(name):
            return None
        expression = self.jsonata_only(name)
        if expression is not None:
            return expression
        if not is_timestamp(self.source[name]):
            self.problem(name, f"{name} is a timestamp such as '2026-11-24T00:00:00Z'.")
        return Constant(self.source[name])

    def text_or_path(self, name: str) -> Expression | None:
        """Error and Cause of a Fail state: a text, ErrorPath with a path or call, or a JSONata expression."""
        if self.language_now == "JSONPath" and self.has(f"{name}Path"):
            if self.has(name):
                self.problem(None, f"A Fail state has {name} or {name}Path, not both.")
            return self.reference(f"{name}Path", calls=True)
        if not self.has(name):
            return None
        expression = self.jsonata_only(name)
        if isinstance(expression, JsonataExpression):
            return expression
        value = self.text(name)
        return None if value is None else Constant(value)
