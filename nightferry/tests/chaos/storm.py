"""A project whose tasks record their start and end in a file and leave processes running."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.module_names import module_name

CATALOG = '''
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import ForEach, Item, Notify, Retry, RunTask, Steps

class Settings(BaseModel):
    """A shell command."""
    out: str = ""

catalog = Catalog("storm", image=Image("storm"))
done = catalog.topic("done")
WORK = """
echo "$NIGHTFERRY_RUN_ID begin ${1:-alone}" >> "$OUT"
(sleep 1000 & sleep 1000) & sleep 0.0$(( $$ % 10 ))
for n in 1 2 3 4 5; do echo "line $n"; done
echo "$NIGHTFERRY_RUN_ID end ${1:-alone}" >> "$OUT"
"""

work = catalog.task("work", config=Settings, command=["sh", "-c", WORK, "sh"], accepts_args=True,
                    env={"OUT": catalog.setting("out")})

def step(name):
    return RunTask(work, name=name, args=[name])

catalog.workflow("storm", Steps(
    step("first"),
    ForEach([[f"each-{n}"] for n in range(4)], RunTask(work, name="each", args=Item())),
    step("second"),
    step("third"),
), retry=Retry(attempts=90, interval=1, backoff=1.0))
'''


@dataclass(frozen=True)
class Mark:
    """A line that a task wrote."""

    run: str
    event: str
    name: str


def make_storm(root: Path) -> Path:
    """Write the project. Its tasks write to the file ``marks`` in it."""
    module = module_name("storm", root)
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    settings = f'backend = "local"\n[settings]\nout = "{root / "marks"}"\n'
    (root / "environments" / "local.toml").write_text(settings)
    return root


def marks(root: Path) -> list[Mark]:
    """Return the lines that the tasks wrote, in order."""
    return [Mark(*line.split()) for line in (root / "marks").read_text().splitlines()]
