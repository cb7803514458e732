"""Each function is a single file that uses only what Lambda's Python runtime contains."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "src" / "nightferry" / "lambdas"
FUNCTIONS = sorted(file for file in FOLDER.glob("*.py") if file.name != "__init__.py")
RUNTIME = {"boto3", "botocore"} | sys.stdlib_module_names


def test_the_folder_has_the_expected_functions() -> None:
    assert [file.stem for file in FUNCTIONS] == [
        "chat_notice",
        "failure_notice",
        "newrelic_forwarder",
        "s3_trigger",
        "task_retry",
    ]


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.stem)
def test_it_imports_boto3_and_the_standard_library_only(file: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a function is not part of a package"
            imported.add((node.module or "").split(".")[0])
    assert imported <= RUNTIME


@pytest.mark.sampled(4)
@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.stem)
def test_the_file_loads_alone(file: Path, tmp_path: Path) -> None:
    """Load the file in a folder of its own, where it cannot import this project."""
    (tmp_path / file.name).write_bytes(file.read_bytes())
    program = f"import {file.stem}, sys; assert callable({file.stem}.handler); assert 'nightferry' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
