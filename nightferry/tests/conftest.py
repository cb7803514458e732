"""The profile of hypothesis for this run, and the redaction of a test; other fixtures come from
``nightferry.testing.fixtures``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from nightferry.job.redaction import redactor
from nightferry.testing.tiers import LONG, examples

pytest_plugins = [
    "nightferry.testing.collecting",
    "nightferry.testing.fixtures",
    "nightferry.testing.sampling",
    "nightferry.testing.fuzzing.printed",
]

# No deadline and no health check of speed: a busy machine is not a failure. Fixed examples without TEST_SEED.
settings.register_profile(
    "tier",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not LONG,
    max_examples=examples(100),
    print_blob=LONG,
)
settings.load_profile("tier")


@pytest.fixture(autouse=True)
def kept_redaction() -> Iterator[None]:
    """Restore the redaction of the process after each test, because an engine's log in a test changes it."""
    before = dict(vars(redactor))
    yield
    vars(redactor).update(before)
