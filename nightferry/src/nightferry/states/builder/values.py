"""Values that a workflow reads while it runs: its input, the results of earlier steps, and items.

They stand in ``env`` and ``args`` of :class:`~nightferry.states.builder.RunTask`, as the items of ``ForEach``, in the
message of ``Notify``, and in conditions::

    Choose(When((Input("count") > 0) & ~(Input("region") == "test"), RunTask(load, env={"S3_KEY": Input("key")})))

A comparison is false, and ``!=`` true, if the value has another type than the constant: ``Input("count") > 0`` is false
for ``"many"``.
A value that is missing fails the execution with ``States.Runtime``, so test it with ``is_present()`` or give it a
default. Source: Amazon States Language specification, "Choice State".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, Protocol

from nightferry.arguments import check_type, describe
from nightferry.contract import INPUT_VARIABLES, OBJECT_MEMBERS, format_value

Constant = str | int | float | bool | datetime | None
"""A value that a condition compares with."""

Order = Literal["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
Kind = Literal["Null", "String", "Numeric", "Boolean", "Timestamp"]


class NamedTask(Protocol):
    """A task of the catalog, as required by the builder."""

    @property
    def name(self) -> str:
        """The task's name."""


class TaskStep(Protocol):
    """A step that runs a task."""

    @property
    def task(self) -> NamedTask:
        """The task."""


class Required:
    """The type of :data:`REQUIRED`."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()
"""The default of an :class:`Input` that has none."""


class Value:
    """A value that is known when the workflow runs. Comparisons create conditions."""

    members: tuple[str, ...] = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]  # a condition, as in SQLAlchemy
        return _compare(self, "Equals", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return ~_compare(self, "Equals", other)

    def __lt__(self, other: Constant | Value) -> Condition:
        return _compare(self, "LessThan", other)

    def __le__(self, other: Constant | Value) -> Condition:
        return _compare(self, "LessThanEquals", other)

    def __gt__(self, other: Constant | Value) -> Condition:
        return _compare(self, "GreaterThan", other)

    def __ge__(self, other: Constant | Value) -> Condition:
        return _compare(self, "GreaterThanEquals", other)

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is known only when the workflow runs. Use a comparison in When(…), such as == True.")

    def __str__(self) -> str:
        raise TypeError(f'{self!r} is known only when the workflow runs. For a text with it, use Format("… {{}}", …).')

    def __format__(self, specification: str) -> str:
        return str(self)

    def __getitem__(self, member: object) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"{self!r} is known only when the workflow runs. For a member of it, use {name}(…, {member!r})."
        )

    def __and__(self, other: object) -> NoReturn:
        raise TypeError(f"{self!r} is part of a comparison. Put each comparison in parentheses: (a > 1) & (b > 2).")

    __rand__ = __or__ = __ror__ = __and__

    def is_present(self) -> Condition:
        """Hold if the value exists, even if it is null."""
        return Presence(self)

    def is_null(self) -> Condition:
        """Hold if the value is null."""
        return TypeTest(self, "Null")

    def is_text(self) -> Condition:
        """Hold if the value is a text."""
        return TypeTest(self, "String")

    def is_number(self) -> Condition:
        """Hold if the value is a number. A Boolean is not one."""
        return TypeTest(self, "Numeric")

    def is_boolean(self) -> Condition:
        """Hold if the value is true or false."""
        return TypeTest(self, "Boolean")

    def is_timestamp(self) -> Condition:
        """Hold if the value is a text such as ``2026-11-24T00:00:00Z``."""
        return TypeTest(self, "Timestamp")

    def matches(self, pattern: str) -> Condition:
        r"""Hold if the value is a text that matches ``pattern``: ``*`` is any characters, ``\*`` an asterisk."""
        check_type(f"{self!r}.matches()", "pattern", pattern, str, 'a text, as in matches("in/*.csv")')
        return Match(self, pattern)

    def is_in(self, values: Sequence[Constant | Value]) -> Condition:
        """Hold if the value equals one of ``values``. Raises ValueError if there are none."""
        check_type(f"{self!r}.is_in()", "values", values, Sequence, 'a list, as in is_in(["eu", "us"])')
        if not values:
            raise ValueError(f"{self!r}.is_in() has no values, so that it would never hold.")
        return AnyOf(tuple(_compare(self, "Equals", value) for value in values))

    def as_json(self) -> JsonText:
        """Return the value as JSON text, for a list or an object in ``env`` or ``args``."""
        return JsonText(self)

    def describe(self) -> str:
        """Return the value as it is written in Python."""
        return f"{type(self).__name__}({', '.join(map(repr, self.members))})"

    def __repr__(self) -> str:
        return self.describe()


class Input(Value):
    """A member of the execution's input, or all of it: ``Input("order", "id")`` is ``id`` of ``order``.

    Raises ValueError for a default of a nested member, which Amazon States Language cannot express, and TypeError for
    one that is neither JSON nor a value that has a text, such as a date.

    Attributes:
        members: the name of the member, and the names of members in it. Without names, the value is all of the input.
        default: the value if the input does not have the member. Without a default, the input must have it.
    """

    def __init__(self, *members: str, default: Any = REQUIRED) -> None:
        self.members = _check_members(members)
        if default is not REQUIRED:
            default = default if is_json(default) else format_value(default, f"The default of {self!r}")
        self.default = default
        if default is not REQUIRED and len(members) != 1:
            raise ValueError(f"{self!r}: only a member of the input itself can have a default: Input(NAME, default=…).")


class Output(Value):
    """A member of the result that a task's ``main`` returned, or all of it.

    Attributes:
        of: the task, or its :class:`~nightferry.states.builder.RunTask` if the workflow runs the task several times.
        members: the name of the member, and the names of members in it. Without names, the value is all of the result.
    """

    def __init__(self, of: NamedTask | TaskStep, *members: str) -> None:
        if isinstance(of, str):
            raise TypeError(
                f"Output({of!r}, …) needs the task instead of its name, as in load = catalog.task({of!r}, …)."
            )
        if not isinstance(getattr(getattr(of, "task", of), "name", None), str):
            raise TypeError(f"Output({describe(of)}, …) needs the task or its step, as in Output(load, …).")
        self.of = of
        self.members = _check_members(members)

    @property
    def task(self) -> NamedTask:
        """The task."""
        return getattr(self.of, "task", self.of)  # type: ignore[arg-type]  # a step has one, a task has none

    def describe(self) -> str:
        """See :class:`Value`."""
        return f"Output({', '.join([repr(self.task.name), *map(repr, self.members)])})"


class Item(Value):
    """The item of the innermost ``ForEach``, or a member of it: ``Item("region")``.

    Attributes:
        members: the name of the member, and the names of members in it. Without names, the value is all of the item.
    """

    def __init__(self, *members: str) -> None:
        self.members = _check_members(members)


@dataclass(frozen=True, eq=False, repr=False)
class JsonText(Value):
    """A value as JSON text."""

    value: Value

    def describe(self) -> str:
        """See :class:`Value`."""
        return f"{self.value!r}.as_json()"


class Format(Value):
    """A text with values: ``Format("s3://{}/{}", Input("bucket"), Input("key"))``.

    Attributes:
        template: the text, with ``{}`` for each value and no other braces.
        values: the values, in order.
    """

    def __init__(self, template: str, *values: object) -> None:
        check_type("Format", "template", template, str, 'a text, as in Format("{} rows", Output(load, "rows"))')
        if (
            template.count("{}") != len(values)
            or "{" in template.replace("{}", "")
            or "}" in template.replace("{}", "")
        ):
            raise ValueError(f"Format({template!r}) needs one value for each {{}} and no other braces.")
        self.template = template
        self.values = values

    def describe(self) -> str:
        """See :class:`Value`."""
        return f"Format({self.template!r}, …)"


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────


class Condition:
    """A condition of :class:`~nightferry.states.builder.When`. Combine conditions with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Condition) -> Condition:
        return AllOf((self, other))

    def __or__(self, other: Condition) -> Condition:
        return AnyOf((self, other))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise TypeError(
            "A condition of a workflow is known only when the workflow runs. Combine conditions with &, | and ~, each "
            "comparison in parentheses, instead of and, or, not and a < x < b."
        )


@dataclass(frozen=True, eq=False)
class Comparison(Condition):
    """A value compared with a constant or another value."""

    value: Value
    order: Order
    other: Constant | Value


@dataclass(frozen=True, eq=False)
class TypeTest(Condition):
    """A test of a value's type."""

    value: Value
    kind: Kind


@dataclass(frozen=True, eq=False)
class Presence(Condition):
    """A test whether a value exists."""

    value: Value


@dataclass(frozen=True, eq=False)
class Match(Condition):
    """A text compared with a pattern."""

    value: Value
    pattern: str


@dataclass(frozen=True, eq=False)
class AllOf(Condition):
    """All conditions hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class AnyOf(Condition):
    """At least one condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class Not(Condition):
    """The condition does not hold."""

    condition: Condition


def _compare(value: Value, order: Order, other: object) -> Condition:
    if isinstance(value, JsonText | Format) or isinstance(other, JsonText | Format):
        raise ValueError(f"{value!r}: a text that is built from values cannot be compared. Compare the values.")
    if other is None and order == "Equals":
        return TypeTest(value, "Null")
    if isinstance(other, datetime) and other.tzinfo is None:
        raise ValueError(f"{value!r} is compared with {other!r}, which needs a time zone: datetime(…, tzinfo=UTC).")
    ordered = str | int | float | datetime
    if not isinstance(other, ordered | Value) or (isinstance(other, bool) and order != "Equals"):
        raise ValueError(f"{value!r} cannot be compared with {other!r}. Use a text, a number or a datetime.")
    return Comparison(value, order, other)


def is_json(value: Any) -> bool:
    """Return True for a value that JSON can hold."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _check_members(members: Sequence[str]) -> tuple[str, ...]:
    for member in members:
        if not isinstance(member, str) or not member or not member.isprintable() or {*member} & {"'", '"', "\\"}:
            raise ValueError(f"{member!r} is not the name of a member. Use a text without quotes and backslashes.")
    return tuple(members)


def iterate_tests(condition: Condition) -> Iterator[Comparison | TypeTest | Presence | Match]:
    """Yield the comparisons and tests of a condition."""
    match condition:
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            for part in parts:
                yield from iterate_tests(part)
        case Not(condition=inner):
            yield from iterate_tests(inner)
        case Comparison() | TypeTest() | Presence() | Match():
            yield condition


OBJECT_VARIABLES: Mapping[str, Input] = MappingProxyType(
    {INPUT_VARIABLES[member]: Input(member) for member in INPUT_VARIABLES if member in OBJECT_MEMBERS}
)
"""The variables of a task that an object trigger starts, from the input of a workflow that an object trigger starts.

They are ``S3_BUCKET``, ``S3_KEY``, ``S3_VERSION`` and ``S3_URI``: ``RunTask(load, env=OBJECT_VARIABLES)``.
"""
