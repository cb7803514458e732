"""A plugin for pytest: a fixed sample of the cases of slow tests, and all cases when ``TEST_SEED`` is set.

::

    pytest_plugins = ["nightferry.testing.sampling"]        # in conftest.py
    pytestmark = pytest.mark.sampled(3)                     # in a module: every third case of each test

A test always keeps its first case.
"""

from __future__ import annotations

from collections import Counter

import pytest

from nightferry.testing.tiers import LONG


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "sampled(n): run every n-th case of each test; TEST_SEED runs all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases that are not in the sample."""
    if LONG:
        return
    seen: Counter[str] = Counter()
    left_out = []
    for item in items:
        marker = item.get_closest_marker("sampled")
        if marker is None or item.get_closest_marker("long") is not None:
            continue
        test = item.nodeid.partition("[")[0]
        if seen[test] % marker.args[0]:
            left_out.append(item)
        seen[test] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        unwanted = set(left_out)
        items[:] = [item for item in items if item not in unwanted]
