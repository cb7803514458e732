"""Readers of Terraform files and of policy documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError
from nightferry.terraform import synthesize
from nightferry.terraform.reading import container, diff, expansion, inventory, permissions, policy, syntax, values
from nightferry.testing.fuzzing import Parser, from_text
from nightferry.testing.fuzzing.parser import Form
from tests.terraform.example import make_catalog, make_environment


class _Names:
    """A scope with one name."""

    def resolve(self, root: str, steps: Sequence[Any]) -> tuple[Any, int]:
        if root == "var":
            return {"a": 1, "list": [1, 2], "text": "x"}, 0
        return values.Unknown.from_expression(root), len(steps)


@cache
def _files() -> dict[str, str]:
    catalog = make_catalog()
    return dict(synthesize(catalog, make_environment(catalog)))


@cache
def _largest() -> tuple[str, ...]:
    names = [name for name in _files() if name.endswith(".tf.json")]
    return tuple(sorted(names, key=lambda name: len(_files()[name]))[-6:])


def _read_file(text: str) -> Any:
    """Read the files with this text in place of the one that it resembles most."""
    try:
        keys = set(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        keys = set()
    name = max(_largest(), key=lambda name: len(keys & set(json.loads(_files()[name]))))
    changed: Mapping[str, str] = {**_files(), name: text}
    folder = "ecs-tasks/test"
    listed = expansion.expand(changed, folder)
    permissions.find_policies(changed, folder)
    inventory.build_inventory(changed, "test")
    return listed, diff.format_markdown(diff.diff(_files(), changed, "test"), "test")


def _find_variables(text: str) -> Any:
    catalog = make_catalog()
    name = next(name for name in _files() if "container_definitions" in _files()[name])
    return container.find_variables({**_files(), name: text}, AwsResources(catalog, make_environment(catalog)), "load")


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_TEMPLATES = (
    "${var.a}-${aws_x.y[0].z}",
    '${jsonencode({a = var.list, "b" = [for k, v in var.list : v if k > 0]})}',
    "%{ if var.a }x%{ endif }$${literal}",
    '${merge({a = 1}, {for k in var.list : "${k}" => k})}',
    '${var.a == 1 ? "x" : "y"} ${!true && false || 1 + 2 * -3 >= 4}',
    '${format("%s", var.text)}${var.list[*].id}',
    '${element(split(",", "a,b"), 1)}${each.value["k"]}',
)
PARSERS = [
    Parser(
        "expression of Terraform",
        from_text(lambda text: values.to_json(values.evaluate_text(text, _Names()))),
        _texts(*_TEMPLATES),
        (NightferryError,),
        (syntax, values),
        weight=20,
        words=(
            b"${",
            b"}",
            b"%{ if ",
            b"for k in ",
            b"[*]",
            b"=>",
            b"...",
            b"jsonencode(",
            b"&&",
            b"\\u0041",
            b"<<EOT\n",
        ),
    ),
    Parser(
        "files of Terraform",
        from_text(_read_file),
        lambda: [_files()[name].encode() for name in _largest()],
        (NightferryError,),
        (expansion, permissions, inventory, policy, diff),
        Form.JSON,
        (b"${var.x}", b'"count": 2,', b'"for_each": {"a": 1},', b'"dynamic": {}, '),
        weight=0.6,
        max_bytes=256 * 1024,
        cpu=2,
    ),
    Parser(
        "container in Terraform",
        from_text(_find_variables),
        lambda: [next(text for text in _files().values() if "container_definitions" in text).encode()],
        (NightferryError,),
        (container,),
        Form.JSON,
        weight=0.4,
        max_bytes=256 * 1024,
        cpu=2,
    ),
]
