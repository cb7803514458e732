"""The packages that ship have allowed licenses, and a release has a bill of materials of them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[3]
LISTED = tomllib.loads((PROJECT / "licenses.toml").read_text(encoding="utf-8"))


def load_tool(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location(name, PROJECT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def licenses(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_tool("licenses", monkeypatch)


def test_every_package_that_ships_has_an_allowed_license() -> None:
    program = str(PROJECT / "tools" / "licenses.py")
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, cwd="/")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


@pytest.mark.parametrize(
    ("listed", "declared", "message"),
    [
        ({}, "MIT", "a is not in licenses.toml. Its metadata declares: MIT."),
        ({"a": "GPL-3.0-only"}, "GPL-3.0-only", "which licenses.toml does not allow"),
        ({"a": "AGPL-3.0-only"}, "GNU Affero General Public License v3", "does not allow"),
        ({"a": "MIT AND GPL-3.0-only"}, "MIT AND GPL-3.0-only", "does not allow"),
        ({"a": "MIT"}, "GPL-3.0-only", "its metadata declares: GPL-3.0-only"),  # changed by an update
        ({"a": "MIT"}, "GNU General Public License v3 (GPLv3)", "its metadata declares"),
        ({"a": "MIT"}, "MIT OR GPL-3.0-only", "its metadata declares"),
        ({"a": "LGPL-3.0-only"}, "GPL-3.0-only", "its metadata declares"),
        ({"a": "MIT"}, "nothing", "its metadata declares: nothing"),
        ({"a": "MIT"}, None, "a is not installed"),
        ({"a": "MIT", "b": "MIT"}, "MIT", "b does not ship"),
    ],
)
def test_a_package_with_another_license_is_a_problem(
    licenses: ModuleType, listed: dict[str, str], declared: str | None, message: str
) -> None:
    (problem,) = licenses.find_problems(["a"], {"allowed": LISTED["allowed"], "packages": listed}, lambda _: declared)
    assert message in problem


@pytest.mark.parametrize(
    ("listed", "declared"),
    [
        ("MIT", "MIT License"),
        ("Apache-2.0 OR BSD-3-Clause", "BSD License, Apache Software License"),
        ("MIT OR GPL-3.0-only", "MIT OR GPL-3.0-only"),
        ("LGPL-3.0-only", "GNU Lesser General Public License v3 (LGPLv3)"),
        ("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
    ],
)
def test_metadata_may_name_a_license_in_another_form(licenses: ModuleType, listed: str, declared: str) -> None:
    table = {"allowed": LISTED["allowed"], "packages": {"a": listed}}
    assert licenses.find_problems(["a"], table, lambda _: declared) == []


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes() -> None:
    made = [
        subprocess.run([sys.executable, str(PROJECT / "tools" / "sbom.py")], capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert made[0] == made[1]
    bill = json.loads(made[0])
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert {(part["name"], part["version"]) for part in bill["components"]} == set(
        re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", text)
    )
    hashes = [digest["content"] for part in bill["components"] for digest in part["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", text))
    assert {part["name"] for part in bill["components"] if "licenses" in part} == set(LISTED["packages"])
    required = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    (starlette,) = (part["bom-ref"] for part in bill["components"] if part["name"] == "starlette")
    assert any(ref.startswith("pkg:pypi/anyio@") for ref in required[starlette])
    assert starlette in required[bill["metadata"]["component"]["bom-ref"]]
    assert set(required) == {
        bill["metadata"]["component"]["bom-ref"],
        *(part["bom-ref"] for part in bill["components"]),
    }


def test_a_lock_without_hashes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = load_tool("lock", monkeypatch)
    file = tmp_path / "requirements.lock"
    for text in ("a==1\n", "a>=1 \\\n    --hash=sha256:" + "0" * 64 + "\n", "a @ https://example.org/a.whl\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match="has no exact version or no hash"):
            lock.read_lock(file)
