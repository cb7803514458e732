"""The place of a test of the contract, which both backends fill once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nightferry.backend.interface import Backend
from tests.backend.contract.places import Place, open_place


@pytest.fixture(scope="package", params=["local", "aws"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return one of the two places. Tests only read it, or check requests without making them.

    It must end before tests of other folders, because it sets variables and fills the emulated AWS of this process.
    """
    with open_place(request.param, tmp_path_factory.mktemp("contract")) as one:
        yield one


@pytest.fixture
def backend(place: Place) -> Backend:
    """Return the backend of the place."""
    return place.backend
