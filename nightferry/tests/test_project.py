"""Test how a command finds its project from the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.errors import CatalogNotFound


def declare(folder: Path, **names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f'{key} = "{value}"' for key, value in names.items()]
    (folder / "pyproject.toml").write_text("\n".join(["[tool.nightferry]", *lines]))
    return folder


def test_the_nearest_folder_with_a_catalog_is_the_project(tmp_path: Path) -> None:
    outer = declare(tmp_path, catalog="outer:catalog")
    inner = declare(tmp_path / "inner", catalog="inner:catalog")
    (inner / "src" / "deep").mkdir(parents=True)
    assert Project.find(inner / "src" / "deep") == Project(inner, "inner:catalog")
    assert Project.find(outer) == Project(outer, "outer:catalog")


def test_a_repository_can_refer_to_its_project_folder(tmp_path: Path) -> None:
    declare(tmp_path, project="the project")
    project = declare(tmp_path / "the project", catalog="jobs:catalog")
    (tmp_path / "docs").mkdir()
    assert Project.find(tmp_path) == Project(project, "jobs:catalog")
    assert Project.find(tmp_path / "docs") == Project(project, "jobs:catalog")


@pytest.mark.parametrize("names", [{}, {"project": "missing"}, {"project": "."}])
def test_a_folder_without_a_project_is_reported(tmp_path: Path, names: dict[str, str]) -> None:
    declare(tmp_path, **names)
    with pytest.raises(CatalogNotFound, match=r"No pyproject\.toml in .* or its parent folders names a catalog"):
        Project.find(tmp_path)


@pytest.mark.parametrize(("folder", "infra"), [(".", "infra"), ("..", "the project/infra"), ("src", "../infra")])
def test_the_terraform_folder_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, infra: str
) -> None:
    project = Project.find(declare(tmp_path / "the project", catalog="jobs:catalog"))
    (project.root / "src").mkdir()
    monkeypatch.chdir(project.root / folder)
    assert project.infra == Path(infra)
