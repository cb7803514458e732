"""Mutations of valid inputs of all parsers and readers, with limits of time, memory and disk for each input.

A breach prints its input. ``python -m nightferry.testing.fuzzing tests.fuzz.registry --only NAME --seed SEED`` tries
one parser again, and ``--show NUMBER`` prints an input.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nightferry.testing.fuzzing import campaign, format_table
from nightferry.testing.tiers import SEED

REGISTRY = "tests.fuzz.registry"
TOTAL = 700_000  # of the 1,000,000 mutations in both projects
SAMPLE = 1_000
PARTS = 8  # tests that run in parallel


def test_a_sample_of_mutations_causes_no_breach() -> None:
    assert campaign.try_sample(REGISTRY, SAMPLE) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_all_mutations_cause_no_breach(part: int, record_property: Callable[[str, object], None]) -> None:
    results = campaign.try_part(REGISTRY, TOTAL, SEED, part, PARTS)
    record_property("fuzz", format_table(results))
    assert campaign.find_breaches(results) == []
    assert campaign.find_unreached(results) == []
    assert campaign.find_uncovered(results) == []
