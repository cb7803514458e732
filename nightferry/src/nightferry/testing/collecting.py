"""A plugin for pytest: collect thousands of tests without the garbage collector, which then ignores them.

::

    pytest_plugins = ["nightferry.testing.collecting"]      # in conftest.py

The modules and tests live until the session ends. The collector would search all of them again and again, which takes
a third of the start of a worker.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect the tests, and freeze what exists then."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
