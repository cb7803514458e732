"""The guides of the infrastructure are complete and name existing files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.project import Project
from nightferry.terraform import synthesize

PROJECT = Project.find(Path(__file__).parent)
OVERVIEW = (PROJECT.root / "docs" / "ecs-task-infrastructure.md").read_text(encoding="utf-8")
GUIDE = (PROJECT.root / "docs" / "creating-environments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", AwsSettings.model_fields)
def test_every_key_of_an_environment_is_described(key: str) -> None:
    assert f"`{key}`" in GUIDE


def test_every_synthesized_file_is_in_the_overview() -> None:
    for path in synthesize(PROJECT.catalog, PROJECT.environment("test")):
        if path.endswith(".tf.json") and path.startswith("ecs-tasks/"):
            assert f"`{path.rpartition('/')[2]}`" in OVERVIEW, path


def test_every_path_in_the_guides_exists() -> None:
    for text in (OVERVIEW, GUIDE):
        for path in re.findall(r"`((?:src|infra)/[\w./-]+)`", text):
            assert (PROJECT.root / path).exists(), path
