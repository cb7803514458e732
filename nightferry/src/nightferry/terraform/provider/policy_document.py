"""``aws_iam_policy_document``, which the provider evaluates itself: statements to the JSON of a policy.

The rules are those of internal/service/iam/policy_document_data_source.go and policy_model.go: a ``Sid`` must be
unique, a single action, resource or identifier is a text, several are sorted in reverse order, ``&{`` becomes ``${``,
and the keys of principals and conditions are sorted.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

from nightferry.terraform.provider.schema import as_items


class PolicyDocumentError(ValueError):
    """A policy document that the provider refuses."""


def evaluate(config: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes ``id``, ``json`` and ``minified_json`` of a configuration without unknown values."""
    document: dict[str, Any] = {}
    for number, text in enumerate(config.get("source_policy_documents") or []):
        if text:
            source = json.loads(text)
            _refuse_duplicates(
                _statements(source),
                f"merging source document {number}: duplicate Sid ({{}}) in source_policy_documents. "
                "Remove the Sid or ensure Sids are unique.",
            )
            _merge(document, source)
    version = config.get("version") or "2012-10-17"
    own: dict[str, Any] = {
        "Version": version,
        "Id": config.get("policy_id"),
        "Statement": [_make_statement(block, version) for block in as_items(config.get("statement"))],
    }
    _refuse_duplicates(own["Statement"], "duplicate Sid ({}). Remove the Sid or ensure the Sid is unique.")
    _merge(document, own)
    for text in config.get("override_policy_documents") or []:
        if text:
            _merge(document, json.loads(text))
    ordered = {key: document[key] for key in ("Version", "Id", "Statement") if document.get(key)}
    text = encode(ordered, indent=2)
    return {
        "json": text,
        "minified_json": encode(ordered),
        "id": str(zlib.crc32(text.encode())),
    }


def encode(value: Any, indent: int | None = None) -> str:
    """Return JSON as Go writes it, with escapes for the characters of HTML."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement") or []
    return found if isinstance(found, list) else [found]


def _refuse_duplicates(statements: list[dict[str, Any]], message: str) -> None:
    seen = set()
    for statement in statements:
        sid = statement.get("Sid")
        if sid and sid in seen:
            raise PolicyDocumentError(f"writing IAM Policy Document: {message.format(sid)}")
        seen.add(sid)


def _merge(document: dict[str, Any], new: dict[str, Any]) -> None:
    if new.get("Id"):
        document["Id"] = new["Id"]
    document["Version"] = max(document.get("Version") or "", new.get("Version") or "")
    statements = document.setdefault("Statement", [])
    for statement in _statements(new):
        sid = statement.get("Sid")
        same = next((n for n, existing in enumerate(statements) if sid and existing.get("Sid") == sid), None)
        if same is None:
            statements.append(statement)
        else:
            statements[same] = statement


def _make_statement(block: dict[str, Any], version: str) -> dict[str, Any]:
    sid = block.get("sid") or ""
    if not re.fullmatch(r"[a-zA-Z0-9]*", sid):
        raise PolicyDocumentError(f'invalid value for sid ("{sid}"): must only include alphanumeric characters')
    parts = {
        "Sid": sid,
        "Effect": block.get("effect") or "Allow",
        "Action": _one_or_reversed(block.get("actions") or []),
        "NotAction": _one_or_reversed(block.get("not_actions") or []),
        "Resource": _one_or_reversed(_expand(block.get("resources") or [], version)),
        "NotResource": _one_or_reversed(_expand(block.get("not_resources") or [], version)),
        "Principal": _make_principals(as_items(block.get("principals")), version),
        "NotPrincipal": _make_principals(as_items(block.get("not_principals")), version),
        "Condition": _make_conditions(as_items(block.get("condition")), version),
    }
    return {key: value for key, value in parts.items() if value not in (None, "", [], {})}


def _expand(values: list[str], version: str) -> list[str]:
    for value in values:
        if version == "2008-10-17" and "&{" in value:
            raise PolicyDocumentError(
                f"found &{{ sequence in ({value}), which is not supported in document version 2008-10-17"
            )
    return [value.replace("&{", "${") for value in values]


def _one_or_reversed(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _make_principals(blocks: list[dict[str, Any]], version: str) -> Any:
    if len(blocks) == 1 and blocks[0]["type"] == "*" and blocks[0]["identifiers"] == ["*"]:
        return "*"
    principals: dict[str, list[str]] = {}
    for block in blocks:
        identifiers = _expand(sorted(block["identifiers"], reverse=True), version)
        principals.setdefault(block["type"], []).extend(identifiers)
    return {
        kind: identifiers[0] if len(identifiers) == 1 else identifiers
        for kind, identifiers in sorted(principals.items())
    }


def _make_conditions(blocks: list[dict[str, Any]], version: str) -> dict[str, Any]:
    conditions: dict[str, dict[str, Any]] = {}
    for block in blocks:
        values = conditions.setdefault(block["test"], {}).setdefault(block["variable"], [])
        values.extend(_expand(block["values"], version))
    return {
        test: {name: values[0] if len(values) == 1 else values for name, values in sorted(variables.items())}
        for test, variables in sorted(conditions.items())
    }
