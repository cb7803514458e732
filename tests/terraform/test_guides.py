"""The guides of the infrastructure name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longshore.deployment import Deployment
from longshore.terraform import synthesize
from tests.terraform.example import make_catalog, make_environment

PROJECT = Path(__file__).parents[2]
MAP = (PROJECT / "docs" / "ecs-task-infrastructure.md").read_text(encoding="utf-8")
GUIDE = (PROJECT / "docs" / "creating-environments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", Deployment.model_fields)
def test_every_key_of_an_environment_is_described(key: str) -> None:
    assert f"`{key}`" in GUIDE


def test_every_synthesized_file_is_on_the_map() -> None:
    catalog = make_catalog()
    for path in synthesize(catalog, make_environment(catalog)):
        if path.endswith(".tf.json") and path.startswith("ecs-tasks/"):
            assert f"`{path.rpartition('/')[2]}`" in MAP, path


def test_every_path_in_the_guides_exists() -> None:
    for text in (MAP, GUIDE):
        for path in re.findall(r"`((?:src|infra)/[\w./-]+)`", text):
            assert (PROJECT / path).exists(), path
