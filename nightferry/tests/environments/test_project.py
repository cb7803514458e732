"""A mistake in the catalog is reported with its file and line, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.cli.terminal.completion import complete_environment, complete_task
from nightferry.environments.project import ForeignProject, Project
from nightferry.errors import CatalogFailed, CatalogNotFound, DeclarationError, NightferryError
from tests.accounts import give_away

CATALOG = """from nightferry import Catalog, Image
{line}
catalog = Catalog("shop", image=Image("shop"))
"""


def write(root: Path, name: str, line: str, **modules: str) -> Project:
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{name}:catalog"\n')
    (root / f"{name}.py").write_text(CATALOG.format(line=line))
    for module, text in modules.items():
        (root / f"{module}.py").write_text(text)
    return Project.find(root)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("mistake_name", "print(undefined)", ":2: NameError: name 'undefined' is not defined"),
        ("mistake_syntax", "def x(:", ":2: SyntaxError: invalid syntax"),
        ("mistake_import", "from nightferry import Katalog", ":2: ImportError: cannot import name 'Katalog'"),
        ("mistake_value", "int('x')", ":2: ValueError: invalid literal for int() with base 10: 'x'"),
        ("mistake_argument", "Catalog('a')", ":2: TypeError: Catalog.__init__() missing 1 required"),
        ("mistake_empty", "raise RuntimeError", ":2: RuntimeError"),
        ("mistake_exit", "raise SystemExit(3)", ":2: SystemExit: 3"),
        ("mistake_library", "import json; json.loads('{')", ":2: JSONDecodeError: Expecting property name"),
    ],
)
def test_a_mistake_has_its_file_line_and_text(tmp_path: Path, name: str, line: str, message: str) -> None:
    project = write(tmp_path, name, line)
    with pytest.raises(CatalogFailed) as raised:
        _ = project.catalog
    assert str(raised.value).startswith(f"{tmp_path / name}.py{message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[tool.nightferry\n", "is not valid TOML: Expected ']'"),
        (b"# \xff\n", "is not valid TOML: 'utf-8' codec can't decode"),
        (b"[tool]\nnightferry = 3\n", r"\[tool.nightferry\] must be a table"),
        (b"[tool.nightferry]\ncatalog = 3\n", "and catalog and project texts. Write:"),
    ],
)
def test_an_invalid_file_of_the_project_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(CatalogNotFound, match=f"pyproject.toml.*{message}"):
        Project.find(tmp_path)


def test_a_mistake_in_a_module_that_the_catalog_imports_has_that_modules_line(tmp_path: Path) -> None:
    project = write(tmp_path, "mistake_outer", "import mistake_inner", mistake_inner="x = 1\ny = x / 0\n")
    with pytest.raises(CatalogFailed, match=r"mistake_inner\.py:2: ZeroDivisionError: division by zero"):
        _ = project.catalog


def test_a_wrong_declaration_keeps_its_own_message(tmp_path: Path) -> None:
    project = write(tmp_path, "mistake_declared", 'Catalog("Not A Name", image=Image("x"))')
    with pytest.raises(DeclarationError):
        _ = project.catalog
    assert not issubclass(DeclarationError, CatalogFailed)
    assert issubclass(CatalogFailed, NightferryError)


def plant(folder: Path, module: str) -> Path:
    """Write a project whose catalog leaves a trace when it is imported; return the trace."""
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / "imported"
    (folder / f"{module}.py").write_text(CATALOG.format(line=f"open({str(trace)!r}, 'w').close()"))
    (folder / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}"\n')
    return trace


@pytest.mark.parametrize("owned", [".", "pyproject.toml", "src"])
def test_a_project_of_another_account_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owned: str) -> None:
    trace = plant(tmp_path / "above", "mistake_foreign")
    below = tmp_path / "above" / "src" / "below"
    below.mkdir(parents=True)
    give_away(tmp_path / "above" / owned, monkeypatch)
    with pytest.raises(ForeignProject, match=r"belongs to the account .*is not run.*chown -R"):
        Project.find(below)
    monkeypatch.chdir(below)
    assert list(complete_task("")) == list(complete_environment("")) == []
    assert not trace.exists()


def test_a_reference_does_not_lead_to_a_project_of_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "theirs", "mistake_referred")
    (tmp_path / "pyproject.toml").write_text('[tool.nightferry]\nproject = "theirs"\n')
    give_away(tmp_path / "theirs", monkeypatch)
    with pytest.raises(ForeignProject):
        Project.find(tmp_path)


def test_a_folder_that_all_accounts_share_is_not_a_project(tmp_path: Path) -> None:
    trace = plant(tmp_path / "shared", "mistake_shared")
    (tmp_path / "shared").chmod(0o1777)  # as /tmp
    with pytest.raises(ForeignProject, match="is shared by all accounts"):
        Project.find(tmp_path / "shared")
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"[tool.nightferry\n", b"\xff", b"[" * 100_000, b"#" * (2 << 20)])
def test_a_damaged_file_of_another_account_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    give_away(tmp_path / "pyproject.toml", monkeypatch)
    with pytest.raises(CatalogNotFound, match=r"No pyproject\.toml in"):
        Project.find(tmp_path)
