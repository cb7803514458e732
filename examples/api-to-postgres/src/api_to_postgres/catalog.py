"""The declarations: the job, its schedule, and the services that replace the database and the API on this machine."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Catalog, CommandService, Image, PostgresService, Retry, Secret

catalog = Catalog("api-to-postgres", image=Image("api-to-postgres"))

load_orders = catalog.task(
    "load-orders",
    main="api_to_postgres.jobs:load_orders",
    env={"API_URL": catalog.setting("api_url"), "DB_HOST": catalog.setting("database.host")},
    secrets={"DB_PASSWORD": Secret("database/password", optional=True)},  # no password on this machine
    time_limit=timedelta(minutes=30),
    overlap="skip",  # a second start ends at once, because the first one loads the same orders
    retry=Retry(attempts=3, interval=2, backoff=2.0),  # after 2, 4 and 8 seconds
)

catalog.schedule("load-orders-hourly", load_orders, "cron(0 * * * ? *)")

catalog.service(PostgresService("database", database="orders"))
catalog.service(
    CommandService(
        "orders-api",
        command=("python", "-m", "api_to_postgres.orders_api"),
        ready="/health",
        env={"PORT": "${service:orders-api.port}"},
    )
)
