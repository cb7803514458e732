"""The profile of hypothesis for this run, the redaction of a test, and faster AWS clients; other fixtures come from
``nightferry.testing.fixtures``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import ClientCreator
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


@pytest.fixture(scope="session", autouse=True)
def _shared_methods() -> Iterator[None]:
    """Create the methods of each AWS service once, because each client would create up to 700 of them again."""
    create, created = ClientCreator._create_methods, {}  # type: ignore[attr-defined]

    def create_once(creator: Any, model: Any) -> dict[str, Any]:
        if model.service_name not in created:
            created[model.service_name] = create(creator, model)
        return dict(created[model.service_name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientCreator, "_create_methods", create_once)
        yield
