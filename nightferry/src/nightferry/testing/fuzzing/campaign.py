"""A number of mutations, distributed over the parsers of a registry, and what is wrong with their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from nightferry.testing.fuzzing.supervision import Summary, distribute, format_breaches, fuzz

_LEAST_PAST = 0.02  # share of the mutations
_LEAST_COVERAGE = 0.3  # share of the lines


def try_sample(registry: str, total: int) -> list[str]:
    """Try ``total`` mutations, the same each time, and return the breaches, one text each. Coverage is not measured."""
    return find_breaches(fuzz(registry, _count(registry, total, 10), 0, coverage=0))


def try_part(registry: str, total: int, seed: int, part: int, parts: int) -> list[Summary]:
    """Try the mutations of each parser of one part of the registry, out of ``total`` for all parts together."""
    return fuzz(registry, dict(list(_count(registry, total).items())[part::parts]), seed)


def find_breaches(results: Sequence[Summary]) -> list[str]:
    """Return a text with the breaches of the results, if any."""
    return [format_breaches(results)] if any(result["breaches"] for result in results) else []


def find_unreached(results: Sequence[Summary]) -> list[str]:
    """Return the parsers of which nearly all mutations fail the first check."""
    return [result["parser"] for result in results if result["past"] < _LEAST_PAST * result["mutations"]]


def find_uncovered(results: Sequence[Summary]) -> list[str]:
    """Return the parsers of which the mutations run only a small part."""
    return [result["parser"] for result in results if result["coverage"] < _LEAST_COVERAGE]


def _count(registry: str, total: int, least: int = 1) -> Mapping[str, int]:
    # A registry imports most of the program, so that collecting the tests does not.
    return distribute(total, {parser.name: parser.weight for parser in import_module(registry).PARSERS}, least)
