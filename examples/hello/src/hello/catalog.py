"""The declarations of the task, its schedule and the workflow."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Catalog, ForEach, Image, Item, RunTask, Steps

catalog = Catalog("hello", image=Image("hello"))

greet = catalog.task(
    "greet",
    main="hello.jobs:greet",
    env={"WHO": catalog.setting("who", default="world")},
    overridable=["WHO"],  # a start may set it although the environment does
    time_limit=timedelta(minutes=5),
)

catalog.schedule("greet-daily", greet, "cron(30 8 * * ? *)", timezone="America/New_York")

catalog.workflow(
    "greet-everybody",
    Steps(
        RunTask(greet),
        ForEach(
            ["Ada", "Grace"],
            RunTask(greet, name="greet-one", args=["--who", Item()]),
            concurrency=1,
        ),
    ),
    timeout=timedelta(minutes=15),
)
