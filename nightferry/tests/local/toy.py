"""A project with small tasks that are shell commands, for tests of the engine."""

from __future__ import annotations

from pathlib import Path

from tests.module_names import module_name

CATALOG = '''
from datetime import timedelta
from pydantic import BaseModel
from nightferry import Catalog, CommandService, Image, Secret, Size
from nightferry.states.builder import ForEach, Item, Notify, Retry, RunTask, Steps, Wait

class Settings(BaseModel):
    """A shell command."""
    color: str = ""
    password: str = ""
    out: str = ""
    count: int = 1

class SecretSettings(Settings):
    """With a secret."""

catalog = Catalog("toy", image=Image("toy"))
inbox = catalog.bucket("inbox")
failures = catalog.topic("failures")

def sh(name, script, **more):
    """Declare a task that runs the script, or the command in its arguments."""
    script = 'if [ "$#" -gt 0 ]; then exec "$@"; fi; ' + script
    return catalog.task(name, config=Settings, command=["sh", "-c", script, "sh"], accepts_args=True, **more)

hello = sh("hello", "echo hello $COLOR from $NIGHTFERRY_TASK; env | sort", env={"COLOR": catalog.setting("color")},
           overridable=["COLOR"])
three = sh("three", "echo leaving >&2; exit 3")
out = catalog.setting("out", default="/dev/null")
mark = catalog.task("mark", config=Settings, env={"OUT": out}, accepts_args=True, command=[
    "sh", "-c", 'sleep "${1:-0}"; echo "$NIGHTFERRY_RUN_ID $0" >> "$OUT"'])
slow = sh("slow", "echo started; sleep 60 & wait")
stubborn = sh("stubborn", "trap '' TERM; echo started; sleep 60 & wait; wait", time_limit=timedelta(seconds=1))
greedy = sh("greedy", "python -c 'x = bytearray(700_000_000); import time; time.sleep(30)'", size=Size(256, 512))
chatty = sh("chatty", "seq 1 20000")
missing = catalog.task("missing", config=Settings, command=["no-such-program"])
FLAKY = 'n=$(cat "$OUT.n" 2>/dev/null || echo 0); echo $((n+1)) > "$OUT.n"; [ "$n" -ge 2 ]'
flaky = sh("flaky", FLAKY, env={"OUT": out})

again = sh("again", FLAKY, env={"OUT": out}, retry=Retry(attempts=2, interval=1, backoff=2.0))
late = sh("late", 'echo $NIGHTFERRY_ATTEMPT >> "$OUT"; exit ${COUNT}', env={"OUT": out},
          retry=Retry(attempts=2, interval=3600))

catalog.workflow("marks", Steps(
    RunTask(mark, args=["first", "0.1"]),
    ForEach([[f"each-{n}", "0.2"] for n in range(3)], RunTask(mark, args=Item())),
    RunTask(mark, name="last", args=["last", "0.1"]),
), retry=Retry(attempts=50, interval=1, backoff=1.0), on_failure=Notify(failures), overlap="skip")

SHORT = Steps(RunTask(mark, args=["short", "0.3"]))
catalog.workflow("queued", SHORT, overlap="queue")
catalog.workflow("replaced", SHORT, overlap="replace")
catalog.workflow("retried", Steps(RunTask(flaky, retry=Retry(attempts=2, interval=1, backoff=1.0))))
catalog.workflow("once", Steps(RunTask(late)))
catalog.workflow("resumed", Steps(RunTask(mark), RunTask(flaky)))
catalog.workflow("fails", Steps(RunTask(three), RunTask(hello)), on_failure=Notify(failures))
catalog.workflow("stays", Steps(RunTask(slow)), on_failure=Notify(failures))
'''

ENVIRONMENT = 'backend = "local"\n[settings]\ncolor = "blue"\n'


def make_project(root: Path, *, out: Path | None = None) -> Path:
    """Write the project. Its catalog's module has a unique name, so that several projects can be loaded."""
    module = module_name("toy", root)
    (root / "environments").mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    settings = ENVIRONMENT + (f'out = "{out}"\n' if out else "")
    (root / "environments" / "local.toml").write_text(settings)
    return root
