"""Mutations of valid inputs of all parsers and readers, with limits of time, memory and disk for each input.

A breach prints its input. ``python -m nightferry.testing.fuzzing tests.fuzz.registry --only NAME --seed SEED`` tries
one parser again, and ``--show NUMBER`` prints an input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import pytest

from nightferry.testing.fuzzing import Parser, Summary, format_breaches, format_table, fuzz
from nightferry.testing.fuzzing.supervision import distribute
from nightferry.testing.tiers import SEED

REGISTRY = "tests.fuzz.registry"
TOTAL = 300_000  # of the 1,000,000 mutations in both projects
SAMPLE = 600
PARTS = 8  # tests that run in parallel


def list_parsers() -> Sequence[Parser]:
    """Return the registered parsers. They import most of the program, so that collecting tests does not."""
    parsers: Sequence[Parser] = import_module(REGISTRY).PARSERS
    return parsers


def check(results: Sequence[Summary]) -> None:
    assert not any(result["breaches"] for result in results), format_breaches(results)


def test_a_sample_of_mutations_causes_no_breach() -> None:
    counts = distribute(SAMPLE, {parser.name: parser.weight for parser in list_parsers()}, 20)

    check(fuzz(REGISTRY, counts, 0, coverage=0))


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_all_mutations_cause_no_breach(part: int, record_property: Callable[[str, object], None]) -> None:
    counts = distribute(TOTAL, {parser.name: parser.weight for parser in list_parsers()})
    own = dict(list(counts.items())[part::PARTS])

    results = fuzz(REGISTRY, own, SEED)

    record_property("fuzz", format_table(results))
    check(results)
    unreached = [result["parser"] for result in results if result["past"] < 0.02 * result["mutations"]]
    assert not unreached, "nearly all mutations fail the first check of these parsers"
    uncovered = [result["parser"] for result in results if result["coverage"] < 0.3]
    assert not uncovered, "the mutations run only a small part of these parsers"
