"""The declarations: two tasks, and a workflow with a choice and a fan-out."""

from __future__ import annotations

from datetime import timedelta

from nightferry import (
    Bucket,
    Catalog,
    Choose,
    ForEach,
    Format,
    Image,
    Input,
    Item,
    Notify,
    Output,
    Retry,
    RunTask,
    Steps,
    When,
)

catalog = Catalog("regional-sales", image=Image("regional-sales"), results=Bucket("files") / "results")
files = catalog.bucket("files")
news = catalog.topic("news")

find_regions = catalog.task(
    "find-regions",
    main="regional_sales.jobs:find_regions",
    required_at_start=["S3_URI"],
    grants=[files.read("incoming/*")],
    time_limit=timedelta(minutes=10),
)
sum_region = catalog.task(
    "sum-region",
    main="regional_sales.jobs:sum_region",
    required_at_start=["S3_URI", "REGION"],
    grants=[files.read("incoming/*")],
    time_limit=timedelta(minutes=10),
)

file = {"S3_URI": Input("uri")}  # the object that started the workflow
sum_each = ForEach(
    Output(find_regions, "regions"),
    RunTask(sum_region, env={**file, "REGION": Item()}),
    concurrency=2,
)
sales = catalog.workflow(
    "sales",
    Steps(
        RunTask(find_regions, env=file),
        Choose(
            When(Output(find_regions, "count") > 0, sum_each),
            otherwise=Notify(news, subject="No sales", message=Format("{} has no sales.", Input("key"))),
        ),
    ),
    retry=Retry(attempts=2, interval=10),
    timeout=timedelta(minutes=30),
)

catalog.object_trigger("sales-arrived", sales, bucket=files, prefix="incoming/", suffix=".csv", via="eventbridge")
