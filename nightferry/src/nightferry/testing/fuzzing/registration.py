"""Finds the modules that parse text or bytes, so that a test notices a parser without a fuzz."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from nightferry.testing.fuzzing.parser import Parser

# The last names of the functions of libraries that parse.
_FUNCTIONS = frozenset(
    (
        *("json.loads", "json.load", "tomllib.loads", "toml_text.loads", "payload.loads", "loads", "yaml.load"),
        *("csv.reader", "csv.DictReader", "open_csv", "etree.fromstring", "expat.ParserCreate", "ast.parse"),
        *("gzip.decompress", "zlib.decompressobj", "b64decode", "a2b_base64", "struct.unpack", "from_bytes", "unpackb"),
        *("model_validate", "validate_python", "validate_json", "validate_strings", "tokenize", "literal_eval"),
        *("fromisoformat", "strptime", "urlsplit", "parsedate_to_datetime", "phonenumbers.parse"),
    )
)


def find_parsing_modules(source: Path) -> set[str]:
    """Return the names of the modules below the package ``source`` that call a library's parser."""
    return {
        ".".join((source.name, *file.relative_to(source).with_suffix("").parts)).removesuffix(".__init__")
        for file in source.rglob("*.py")
        if any(_is_parser(node) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    }


def find_covered_modules(parsers: Iterable[Parser]) -> set[str]:
    """Return the names of the modules whose functions the ``parsers`` cover."""
    return {
        item.__name__ if isinstance(item, ModuleType) else item.__module__
        for parser in parsers
        for item in parser.covers
    }


def _is_parser(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
        return False
    name = ast.unparse(node.func)
    return bool({name, ".".join(name.rsplit(".", 2)[-2:]), name.rpartition(".")[2]} & _FUNCTIONS)
