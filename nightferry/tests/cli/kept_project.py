"""A project whose evaluations a test distinguishes from lists that the cache printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent

from nightferry.testing import forked

CATALOG = """
    import os
    from pathlib import Path
    from nightferry import Catalog, Image, RunTask, Steps
    import shop_words
    {line}

    here = Path(__file__).parents[1]
    data = (here / "data.txt").read_text()
    parts = [part.name for part in (here / "parts").iterdir()]
    seen = f"{{shop_words.WORD}} {{data}} {{sorted(parts)}} {{(here / 'flag').exists()}} {{os.environ.get('COLOR')}}"
    catalog = Catalog("shop", image=Image("shop"))
    task = catalog.task("load", main="shop_jobs:load", description=seen)
    catalog.task("clean", command=["clean"], description="Remove \\u001b[31m what \\t is → old.")
    catalog.topic("failures")
    nightly = catalog.workflow("load-all", Steps(RunTask(task)))
    catalog.schedule("load-daily", nightly, "rate(1 day)")
"""
SETTINGS = """
    from nightferry import JobSettings

    class LoadSettings(JobSettings):
        \"\"\"Load the orders.\"\"\"
"""
JOBS = """
    import no_such_package
    from nightferry import background_task
    from shop_settings import LoadSettings

    @background_task("load", LoadSettings)
    def load(run): ...
"""

# The process does not wait until the files of the test are old enough, but has a later clock.
_PROGRAM = """
import os, sys
from datetime import timedelta
import nightferry.cli.inspect.lists, nightferry.cli.quick_completion, nightferry.cli.task_list, nightferry.job
from {module} import main
from nightferry.clock import SystemClock, use_clock

class Later(SystemClock):
    def now(self):
        return super().now() + timedelta(hours={hours})

with use_clock(Later()):
    try:
        main()
    finally:
        os.write(2, b"evaluated" if "shop_catalog" in sys.modules else b"kept")
"""
KEPT, EVALUATED = "kept", "evaluated"


def write_project(root: Path, line: str = "") -> Path:
    """Write the project, whose catalog also has a ``line``. Its modules were compiled before."""
    sources = {"shop_catalog": CATALOG.format(line=line), "shop_settings": SETTINGS, "shop_jobs": JOBS}
    for folder in ("__pycache__", "src/__pycache__", "parts"):
        (root / folder).mkdir(parents=True)
    (root / "parts" / "one").touch()
    (root / "data.txt").write_text("data")
    (root / "shop_words.py").write_text('WORD = "first"\n')
    for name, text in sources.items():
        (root / "src" / f"{name}.py").write_text(dedent(text))
    (root / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "shop_catalog"\n')
    return root


def make_command(*arguments: str, module: str = "nightferry.cli", hours: int = 1) -> list[str]:
    """Return a command whose process runs ``nightferry`` and writes KEPT or EVALUATED to standard error at its end."""
    return [sys.executable, "-c", _PROGRAM.format(module=module, hours=hours), *arguments]


def make_environment(root: Path, **variables: str) -> dict[str, str]:
    """Return environment variables, with a cache beside the project."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "XDG_CACHE_HOME": str(root.parent / "cache"), **variables}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> CompletedProcess[str]:
    """Run a command to its end."""
    return forked.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def list_tasks(root: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
    """Run ``nightferry tasks``."""
    return run(make_command("tasks", *arguments), root, make_environment(root, **variables))


def list_without_cache(root: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
    """Run ``nightferry tasks`` in the ordinary way."""
    command = make_command("tasks", *arguments, module="nightferry.cli.app")
    return run(command, root, make_environment(root, **variables))
