"""A project with runs, workflows, schedules, object triggers and a database."""

from __future__ import annotations

from pathlib import Path

from tests.module_names import module_name

CATALOG = '''
from pydantic import BaseModel
from nightferry import Catalog, Image, PostgresService
from nightferry.states.builder import ForEach, Item, Retry, RunTask, Steps

class Settings(BaseModel):
    """A shell command."""
    out: str = ""
    dsn: str = ""
    s3_bucket: str = ""
    s3_key: str = ""
    s3_version: str = ""

catalog = Catalog("mixed", image=Image("mixed"))
inbox = catalog.bucket("inbox")
catalog.service(PostgresService("database", database="mixed"))
out = catalog.setting("out")
WORK = """
echo "$NIGHTFERRY_RUN_ID begin ${S3_KEY:-${1:-alone}}" >> "$OUT"
(sleep 1000 & sleep 1000) & sleep 0.0$(( $$ % 10 ))
for n in 1 2 3 4 5; do echo "line $n"; done
echo "$NIGHTFERRY_RUN_ID end ${S3_KEY:-${1:-alone}}" >> "$OUT"
"""
INSERT = """
import os, psycopg
with psycopg.connect(os.environ["DSN"], connect_timeout=5) as db:
    db.execute("CREATE TABLE IF NOT EXISTS done (run text PRIMARY KEY)")
    db.execute("INSERT INTO done VALUES (%s)", (os.environ["NIGHTFERRY_RUN_ID"],))
"""

work = catalog.task("work", config=Settings, command=["sh", "-c", WORK, "sh"], accepts_args=True, env={"OUT": out})
LONGER = WORK.replace("& sleep 0.0", "& sleep 1.0")
few = catalog.task("few", config=Settings, command=["sh", "-c", LONGER, "sh"], env={"OUT": out}, concurrency=2)
insert = catalog.task("insert", config=Settings, command=["python", "-c", INSERT], env={"DSN": catalog.setting("dsn")})

def step(name):
    return RunTask(work, name=name, args=[name])

SHORT = Steps(
    step("first"),
    ForEach([[f"each-{n}"] for n in range(4)], RunTask(work, name="each", args=Item())),
    step("last"),
)
mixed = catalog.workflow("mixed", SHORT, retry=Retry(attempts=90, interval=1, backoff=1.0))
turns = catalog.workflow("turns", SHORT, retry=Retry(attempts=90, interval=1, backoff=1.0), overlap="queue")
for n in range(4):
    catalog.schedule(f"minutely-{n}", work, "rate(1 minute)", catch_up="all")
catalog.schedule("turns", turns, "cron(* * * * ? *)", catch_up="all")
catalog.object_trigger("arrival", work, bucket=inbox, prefix="in/")
'''

ENVIRONMENT = """backend = "local"
[settings]
out = "{marks}"
dsn = "host=${{service:database.host}} port=5432 user=${{service:database.user}} dbname=mixed"
[engine]
concurrency = 6
"""


def make_mixed(root: Path) -> Path:
    """Write the project. Its tasks write to the file ``marks`` in it."""
    module = module_name("mixed", root)
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    (root / "environments" / "local.toml").write_text(ENVIRONMENT.format(marks=root / "marks"))
    return root
