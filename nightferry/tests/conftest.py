"""The profile of hypothesis for this run; fixtures come from ``nightferry.testing.fixtures``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

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
