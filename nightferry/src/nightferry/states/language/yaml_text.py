"""Definitions in YAML, as the templates of AWS SAM and CloudFormation contain them.

Only the part of YAML that JSON can express is accepted: no aliases, which can make a small text large, no tags, and
each key once. Words such as ``yes`` and ``on`` and dates are texts, as in YAML 1.2.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from nightferry.errors import needs_extra
from nightferry.states.data.payload import NotJson, dumps_strictly


def load_yaml(text: str) -> Any:
    """Return the value of YAML text. Raises NotJson, or MissingExtra without PyYAML."""
    with needs_extra("yaml"):
        import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1}: aliases (*NAME) are not supported")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys: set[str] = set()
            for member, _ in node.value:
                key, line = self.construct_object(member, deep=True), member.start_mark.line + 1
                if not isinstance(key, str):
                    raise yaml.YAMLError(f"line {line}: the key {key!r} is not a text")
                if key in keys:
                    raise yaml.YAMLError(f"line {line}: the key {key!r} occurs twice")
                keys.add(key)
            return super().construct_mapping(node, deep)

    for tag, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)
    try:
        value = yaml.load(text, Loader)  # noqa: S506  # a subclass of SafeLoader
        dumps_strictly(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        reason = ", ".join(text for text in (error.context, error.problem) if text)
        raise NotJson(f"line {mark.line + 1}: {reason}" if mark else reason) from None
    except yaml.YAMLError as error:
        raise NotJson(str(error).partition("\n")[0]) from None
    except (RecursionError, ValueError, TypeError) as error:
        raise NotJson("it is nested too deeply" if isinstance(error, RecursionError) else str(error)) from None
    return value


# The scalars of JSON; every other plain scalar is a text.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
)
