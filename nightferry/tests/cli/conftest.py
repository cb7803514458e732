"""A toy project for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local.toy import make_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "toy", out=tmp_path / "out")
