"""The catalog of the example. The reference page shows each part under the name in the line of dashes above it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from acme.jobs import LoadSettings
from nightferry import (
    OBJECT_VARIABLES,
    Bucket,
    Catalog,
    Choose,
    CommandService,
    ForEach,
    Format,
    Image,
    Input,
    Item,
    Notify,
    Output,
    Parallel,
    PostgresService,
    Privacy,
    Reason,
    RejectedRecords,
    Retry,
    RunTask,
    Secret,
    Setting,
    Size,
    Steps,
    Wait,
    When,
)

# ── Catalog ──
catalog = Catalog(
    "acme",
    image=Image("acme-jobs", programs={"pg_dump": "It exports tables. Install it: apt-get install postgresql-client."}),
    env={"NEW_RELIC_ACCOUNT_ID": Setting("new_relic.account_id", default="")},
    secrets={"NEW_RELIC_LICENSE_KEY": Secret("common/newrelic-license-key", optional=True)},
    leases=Bucket("files") / "leases",
    results=Bucket("files") / "results",
    console_scripts=False,
    privacy=Privacy.STRICT,
)

# ── bucket ──
files = catalog.bucket("files")
incoming = files / "orders/incoming"  # a location in the bucket, for env

# ── topic ──
failures = catalog.topic("failures")

# ── role ──
partner = catalog.role(
    "partner",
    arn=catalog.setting("partner.role_arn", default=""),
    external_id=catalog.setting("partner.external_id", default=""),
)

# ── setting ──
db_host = catalog.setting("database.host", default="localhost")

# ── service ──
catalog.service(service=PostgresService("database", database="orders"))
catalog.service(
    CommandService(
        "orders-api",
        command=("python", "-m", "http.server", "${service:orders-api.port}"),
        ready="/",
        env={"FILES": "${state}/buckets/files"},
        secrets={"API_KEY": Secret("orders/api-key")},
    )
)

# ── task ──
plan_orders = catalog.task("plan-orders", main="acme.jobs:plan")
load_orders = catalog.task(
    "load-orders",
    main="acme.jobs:load",
    description="Load the orders of a region.",
    env={"FOLDER": incoming},
    secrets={"API_KEY": Secret("orders/api-key")},
    grants=[files.read("orders/*"), failures.publish(), partner.assume()],
    size=Size(cpu=1024, memory=4096),
    time_limit=timedelta(hours=2),
    expected=timedelta(minutes=20),
    overlap="queue",
    severity="high",
    scratch=10,
    concurrency=2,
    retry=Retry(attempts=2, interval=300),
    required_at_start=["DAY"],
    overridable=["FOLDER"],
    by_hand="confirm",
)
export_orders = catalog.task(
    "export-orders",
    command=["sh", "-c", "pg_dump orders"],
    config=LoadSettings,
    env={"FOLDER": incoming, "DAY": "today"},
    secrets={"API_KEY": Secret("orders/api-key")},
    accepts_args=True,
)

# ── function ──
convert = catalog.function("convert", local="acme.local:convert", arn=catalog.setting("convert_arn", default=""))

# ── resource ──
catalog.resource(
    "arn:aws:states:::sqs:sendMessage",
    local="acme.local:send_message",
    actions=["sqs:SendMessage"],
    resources=["arn:aws:sqs:us-east-1:123456789012:orders"],
)

# ── workflow ──
day = Input("day", default="today")
nightly = catalog.workflow(
    "nightly-orders",
    body=Steps(
        RunTask(plan_orders, env={"DAY": day}),
        ForEach(
            Output(plan_orders, "regions"),
            RunTask(load_orders, args=["--region", Item()], env={"DAY": day}, timeout=timedelta(hours=1)),
            concurrency=2,
        ),
        Choose(
            When(
                Output(plan_orders, "orders") > 10,
                Notify(failures, message=Format("{} orders", Output(plan_orders, "orders"))),
            ),
            otherwise=Wait(timedelta(seconds=5)),
        ),
        Parallel(RunTask(plan_orders, name="plan again"), Wait(timedelta(seconds=1))),
    ),
    description="Load the orders of all regions.",
    retry=Retry(attempts=1),
    timeout=timedelta(hours=8),
    on_failure=Notify(failures, subject="The orders were not loaded"),
    overlap="skip",
    severity="high",
)
one_file = catalog.workflow("one-file", RunTask(load_orders, env={**OBJECT_VARIABLES, "DAY": "today"}))

# ── schedule ──
catalog.schedule(
    "nightly-orders",
    nightly,
    "cron(30 20 * * ? *)",
    timezone="America/New_York",
    enabled=catalog.setting("nightly_enabled", default=True),
    catch_up="once",
    start=datetime(2026, 12, 1, tzinfo=UTC),
    end=datetime(2027, 12, 1, tzinfo=UTC),
)
catalog.schedule(
    "hourly-load",
    target=load_orders,
    expression="rate(1 hour)",
    args=["--region", "us"],
    env={"DAY": "today"},
    via="rule",
)

# ── object_trigger ──
catalog.object_trigger(
    "order-file",
    target=one_file,
    bucket=files,
    prefix="orders/incoming/",
    suffix=".csv",
    enabled=True,
    via="eventbridge",
)

# ── report ──
catalog.report(
    "order-file",
    title="Order file",
    counts={"created": "good", "unmodified": "neutral", "rejected": "bad"},
    reasons=[Reason("invalid date", meaning="The date does not exist.", request="Please correct the dates.")],
    records=RejectedRecords(
        "SELECT line_number, 'order' AS record_kind, field, reason, false AS is_settled FROM rejected_order"
        " WHERE import_id = %(reference)s AND line_number > %(after)s ORDER BY line_number LIMIT %(limit)s",
        service="database",
        command="nightferry run export-rejected --env {environment} -e IMPORT={reference}",
        user="reader",
    ),
    raw="cat rejected/{subject}",
    sender="the shop",
)
