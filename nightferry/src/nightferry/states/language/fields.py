"""Readers for the fields of a definition's objects, which report each problem with its path."""

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
    compile_path,
    compile_template,
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


def format_member(name: str) -> str:
    """Return a member as part of a JSON path: ``.name``, or ``['any name']``."""
    return f".{name}" if name.isidentifier() else f"['{name}']"


class Fields:
    """One object of a definition, its path, and the list that collects the problems."""

    def __init__(self, source: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
        self.source = source
        self.path = path
        self.problems = problems
        self.current_language: Language = "JSONPath"
        self.machine_language: Language = "JSONPath"
        self.in_catcher = False
        self._known: set[str] = set()

    # ── problems and plain values ─────────────────────────────────────────────────────────────────────────────

    def report(self, name: str | None, message: str) -> None:
        """Report a problem with a field, or with the object if ``name`` is None."""
        self.problems.append(Problem(self.path if name is None else f"{self.path}.{name}", message))

    def read(self, name: str) -> Any:
        """Return a field's raw value, or None if it is absent, and mark it as known."""
        self._known.add(name)
        return self.source.get(name)

    def has(self, name: str) -> bool:
        """Return True if the field is present, and mark it as known."""
        self._known.add(name)
        return name in self.source

    def reject_unknown_fields(self) -> None:
        """Report every field that was not read."""
        for name in self.source:
            if name not in self._known:
                other = "JSONata" if self.current_language == "JSONPath" else "JSONPath"
                if name in _ONLY_IN[other]:
                    self.report(
                        name, f"{name} requires {other}, but the query language here is {self.current_language}."
                    )
                    continue
                near = difflib.get_close_matches(str(name), self._known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                self.report(name, f"Unknown field {name}.{hint}")

    def read_text(self, name: str, *, required: bool = False) -> str | None:
        """Return a string field; report a problem if it is not a string."""
        value = self.read(name)
        if name not in self.source:
            if required:
                self.report(None, f"{name} is missing.")
            return None
        if not isinstance(value, str):
            self.report(name, f"{name} must be a string.")
            return None
        return value

    def read_integer(self, name: str, least: int, most: int | None = None) -> int | None:
        """Return an integer field within bounds; report a problem if it is not one."""
        value = self.read_number(name, least, most, kind="whole number")
        return value if isinstance(value, int) else None

    def read_number(self, name: str, least: float, most: float | None = None, *, kind: str = "number") -> float | None:
        """Return a number within bounds; report a problem if it is not a number of this ``kind``."""
        value = self.read(name)
        if name not in self.source:
            return None
        types = (int,) if kind == "whole number" else (int, float)
        good = isinstance(value, types) and not isinstance(value, bool)
        if not good or value < least or (most is not None and value > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            self.report(name, f"{name} must be a {kind} {bounds}, not {value!r}.")
            return None
        return float(value) if kind == "number" else int(value)

    def read_object(self, name: str, *, required: bool = False) -> dict[str, Any]:
        """Return an object field, or an empty object if it is absent; report a problem if it is not an object."""
        value = self.read(name)
        if name not in self.source:
            if required:
                self.report(None, f"{name} is missing.")
            return {}
        if not isinstance(value, dict):
            self.report(name, f"{name} must be an object.")
            return {}
        return value

    def read_part(self, name: str) -> Fields | None:
        """Return an object field as Fields in the same language, or None if it is absent or not an object."""
        if not self.has(name) or not isinstance(self.source[name], dict):
            if self.has(name):
                self.report(name, f"{name} must be an object.")
            return None
        return self._make_part(self.source[name], f"{self.path}.{name}")

    def read_objects(self, name: str, *, required: bool = False) -> list[Fields]:
        """Return a list of objects as Fields; a ``required`` list must not be empty."""
        value = self.read(name)
        if name not in self.source:
            if required:
                self.report(None, f"{name} is missing.")
            return []
        if not isinstance(value, list) or (required and not value):
            self.report(name, f"{name} must be a list with at least one object.")
            return []
        parts = []
        for index, item in enumerate(value):
            path = f"{self.path}.{name}[{index}]"
            if isinstance(item, dict):
                parts.append(self._make_part(item, path))
            else:
                self.problems.append(Problem(path, f"Each item of {name} must be an object."))
        return parts

    def _make_part(self, source: Mapping[str, Any], path: str) -> Fields:
        """Return Fields for a nested object, in the same language."""
        part = Fields(source, path, self.problems)
        part.current_language, part.machine_language = self.current_language, self.machine_language
        part.in_catcher = self.in_catcher
        return part

    # ── language, paths, templates ────────────────────────────────────────────────────────────────────────────

    def read_language(self, default: Language) -> Language:
        """Return the query language of the state, or ``default``."""
        value = self.read("QueryLanguage")
        if "QueryLanguage" not in self.source:
            return default
        if value not in ("JSONPath", "JSONata"):
            self.report("QueryLanguage", f"QueryLanguage must be JSONPath or JSONata, not {value!r}.")
            return default
        if default == "JSONata" and value == "JSONPath":
            self.report("QueryLanguage", "A state cannot use JSONPath in a state machine that uses JSONata.")
        return "JSONata" if value == "JSONata" else "JSONPath"

    def use_language(self, language: Language) -> None:
        """Set the language of the fields that are read from now on."""
        self.current_language = language

    def compile_path(self, name: str, text: Any, *, calls: bool = False) -> Expression | None:
        """Compile a path or, if ``calls`` is True, a call of an intrinsic function; report a problem if invalid."""
        if not isinstance(text, str):
            self.report(name, f"{name} must be a string with a JSONPath.")
            return None
        try:
            if intrinsics.is_call(text) and not calls:
                self.report(name, f"{name} must be a JSONPath; intrinsic functions are not allowed here.")
                return None
            return compile_path(text)
        except ValueError as error:
            self.report(name, str(error))
            return None

    def read_path_or_null(self, name: str) -> Expression | None:
        """Return InputPath or OutputPath: None for ``$``, and the constant ``{}`` for null."""
        value = self.read(name)
        if name not in self.source or value == "$":
            return None
        return Constant({}) if value is None else self.compile_path(name, value)

    def read_reference(self, name: str, *, calls: bool = False) -> Expression | None:
        """Return a field that must be a definite path, which selects one value."""
        if not self.has(name):
            return None
        expression = self.compile_path(name, self.source[name], calls=calls)
        if isinstance(expression, PathExpression) and not expression.path.definite:
            self.report(name, f"{name} must be a reference path, which selects one value: no *, .., slices or filters.")
        return expression

    def read_result_path(self, common: dict[str, Any]) -> None:
        """Add ResultPath to ``common``."""
        if not self.has("ResultPath"):
            return
        keys = self.read_writable_path("ResultPath")
        common["result_path"] = keys
        common["result_path_text"] = str(self.source["ResultPath"])

    def read_writable_path(self, name: str) -> tuple[str | int, ...] | None:
        """Return the keys of a path to write to, or None for null."""
        value = self.read(name)
        if value is None:
            return None
        expression = self.compile_path(name, value)
        if not isinstance(expression, PathExpression):
            return ()
        if not paths.is_reference(expression.path):
            self.report(name, f"{name} must be a reference path, which selects one value: no *, .., slices or filters.")
            return ()
        if expression.path.root != "$":
            self.report(
                name, f"{name} must start with $, because a state cannot write to the context object or a variable."
            )
            return ()
        return expression.path.keys

    def read_template(self, name: str) -> Expression | None:
        """Return the expression of a payload template; report a problem if it is not valid."""
        if not self.has(name):
            return None
        try:
            return compile_template(self.source[name], self.current_language, error_output=self.in_catcher)
        except BadExpression as error:
            self.report(f"{name}{error.path}", error.message)
            return None

    def read_object_template(self, name: str) -> Expression | None:
        """Return the expression of a payload template that must be an object."""
        if self.has(name) and not isinstance(self.source[name], dict):
            self.report(name, f"{name} must be an object.")
            return None
        return self.read_template(name)

    def read_constant(self, name: str) -> Expression | None:
        """Return the field's value as an expression, or None without the field."""
        return Constant(self.source[name]) if self.has(name) else None

    def read_assign(self) -> Expression | None:
        """Return the expression of Assign; report a problem for an invalid variable name."""
        names = self.read_object("Assign")
        for name in names:
            plain = name.removesuffix(".$") if self.current_language == "JSONPath" else name
            if not plain.isidentifier() or len(plain) > 80:
                self.report(f"Assign['{name}']", "A variable's name must be an identifier of at most 80 characters.")
            elif plain == "states":
                self.report(f"Assign['{name}']", "The name 'states' is reserved.")
        return self.read_template("Assign") if names else None

    def read_next(self) -> str | None:
        """Return the name of the next state, or None at the end; report a problem if both or neither is given."""
        following, end = self.read_text("Next"), self.read("End")
        if "End" in self.source and not isinstance(end, bool):
            self.report("End", "End must be true or false.")
            return following
        if following is not None and end is True:
            self.report(None, "A state can have Next or End, not both.")
        if following is None and end is not True and "Next" not in self.source:
            self.report(None, 'A state requires Next or "End": true.')
        return following

    # ── values that may be expressions ────────────────────────────────────────────────────────────────────────

    def read_jsonata(self, name: str) -> Expression | None:
        """Return the field if it is a JSONata expression in a JSONata state, else None."""
        value = self.read(name)
        if self.current_language == "JSONata" and jsonata.is_expression(value):
            return self.read_template(name)
        return None

    def read_integer_expression(
        self, name: str, least: int, most: int | None = None, *, path: bool = False
    ) -> Expression | None:
        """Return an integer: a constant, a JSONata expression or, if ``path`` is True, the field ``<name>Path``."""
        if path and self.current_language == "JSONPath" and self.has(f"{name}Path"):
            if self.has(name):
                self.report(None, f"A state can have {name} or {name}Path, not both.")
            return self.read_reference(f"{name}Path")
        if not self.has(name):
            return None
        expression = self.read_jsonata(name)
        if expression is not None:
            return expression
        value = self.read_integer(name, least, most)
        return None if value is None else Constant(value)

    def read_timestamp(self, name: str) -> Expression | None:
        """Return the expression of a timestamp; report a problem if it is not one."""
        if not self.has(name):
            return None
        expression = self.read_jsonata(name)
        if expression is not None:
            return expression
        if not is_timestamp(self.source[name]):
            self.report(name, f"{name} must be a timestamp such as '2026-11-24T00:00:00Z'.")
        return Constant(self.source[name])

    def read_text_or_path(self, name: str) -> Expression | None:
        """Return Error or Cause of a Fail state: a text, a path or call of ``<name>Path``, or a JSONata expression."""
        if self.current_language == "JSONPath" and self.has(f"{name}Path"):
            if self.has(name):
                self.report(None, f"A Fail state can have {name} or {name}Path, not both.")
            return self.read_reference(f"{name}Path", calls=True)
        if not self.has(name):
            return None
        expression = self.read_jsonata(name)
        if isinstance(expression, JsonataExpression):
            return expression
        value = self.read_text(name)
        return None if value is None else Constant(value)
