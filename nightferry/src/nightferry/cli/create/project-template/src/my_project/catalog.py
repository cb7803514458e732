"""The declarations: every task, schedule, trigger and workflow of the project."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Catalog, Image

catalog = Catalog("my-project", image=Image("my-project"))

hello = catalog.task(
    "hello",
    main="my_project.jobs:hello",
    # Each file in environments/ can set its own value for the setting "who".
    env={"WHO": catalog.setting("who", default="world")},
    overridable=["WHO"],  # a start may set it too; it cannot set other values that come from the environment
    time_limit=timedelta(minutes=5),
    overlap="allow",  # or "skip", "queue", "replace": what a second start does
)

catalog.schedule("hello-daily", hello, "cron(30 8 * * ? *)", timezone="America/New_York")
