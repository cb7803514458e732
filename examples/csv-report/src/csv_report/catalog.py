"""The declarations of the task and of the trigger that starts it."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Catalog, Image

catalog = Catalog("csv-report", image=Image("csv-report"))
files = catalog.bucket("files")

report = catalog.task(
    "report",
    main="csv_report.jobs:report",
    env={"REPORTS": files / "reports"},
    required_at_start=["S3_URI"],
    grants=[files.read("incoming/*"), files.write("reports/*")],
    time_limit=timedelta(minutes=10),
)

# The trigger passes the object's location as S3_URI.
catalog.object_trigger("orders-arrived", report, bucket=files, prefix="incoming/", suffix=".csv", via="eventbridge")
