"""A project on which a night has run: successes, failures with a notice, a stop, a Map, and long or hostile texts."""

from __future__ import annotations

import shutil
from pathlib import Path

from nightferry.backend.interface import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.local import toy

HOSTILE = (
    '<script>alert(1)</script> "quoted" \x1b[31mred\x1b[0m javascript:alert(2) \u202e https://example.org/a?b=1&c=2'
)


def make_night(root: Path) -> Path:
    """Run tasks and workflows of the toy project in ``root`` until they have ended, and return ``root``."""
    toy.make_project(root, out=root / "out")
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    for workflow in ("fails", "marks", "retried"):
        backend.start_workflow(workflow, {})
    for request in (
        RunRequest("hello", env={"COLOR": "green"}, started_by="anna"),
        RunRequest("three", started_by="anna"),
        RunRequest("hello", ["printf", "%s\\n", HOSTILE], started_by=f"bob {HOSTILE}"),
        RunRequest("hello", ["sh", "-c", 'echo \'{"level": "ERROR", "message": "The disk is full"}\'; exit 1']),
        RunRequest("missing"),
    ):
        backend.run_task(request)
    stopped = backend.run_task(RunRequest("slow", started_by="anna"))
    backend.stop(stopped, "not needed tonight")
    backend.drive(lambda: bool(backend.store.open_runs() or backend.store.open_executions()), lambda _: None)
    backend.store.close()
    return root


def copy_night(night: Path, root: Path) -> Path:
    """Return a copy of a night's project, for a test that changes it."""
    shutil.copytree(night, root, symlinks=True)
    return root
