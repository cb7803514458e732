"""The examples of docs/workflows.md, run by the local engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import RunFilter
from nightferry.testing.local import LocalProject

PAGE = (Path(__file__).parents[3] / "docs" / "workflows.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProject]:
    root = tmp_path_factory.mktemp("shop")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "src/shop/__init__.py").touch()
    (root / "environments").mkdir()
    (root / "environments/local.toml").write_text('backend = "local"\n')
    (root / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "shop.catalog:catalog"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "src")
        patch.setenv("PYTHONPATH", str(root / "src"))
        yield LocalProject.find(root)


def run(shop: LocalProject, input: Any) -> tuple[WorkflowExecution, list[dict[str, Any]]]:
    ended = shop.run_workflow("nightly", input, Console(quiet=True))
    runs = sorted(shop.backend.runs(RunFilter(execution=ended.id)), key=lambda run: run.created_at)
    return ended, [{"task": run.task, "env": dict(run.env), "arguments": list(run.args)} for run in runs]


def test_the_workflow_of_the_page(shop: LocalProject) -> None:
    ended, runs = run(shop, {"day": "Monday"})
    assert ended.status == "SUCCEEDED", ended.cause
    assert [one["task"] for one in runs] == ["plan", "load", "load", "report"]
    assert sorted(one["arguments"] for one in runs if one["task"] == "load") == [["--region", "eu"], ["--region", "us"]]
    assert {one["env"]["OF"] for one in runs if one["task"] == "load"} == {"12"}
    assert runs[-1]["env"]["TITLE"] == "12 orders of Monday"
    lines = [
        line.text for run in shop.backend.runs(RunFilter(execution=ended.id)) for line in shop.backend.log([run.id])
    ]
    assert any('"result": {"orders": 12, "regions": ["eu", "us"]}' in line for line in lines)
    stored = list(shop.state.rglob("results/*/*.json"))
    assert [path.parent.name for path in stored] == ["plan"]
