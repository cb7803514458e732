"""The job. It can be repeated at any time: an order is inserted once, and a later state replaces an earlier one."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from api_to_postgres.settings import LoadSettings
from nightferry import JobFailed, Run, background_task, get_logger

log = get_logger(__name__)

CREATE = "CREATE TABLE IF NOT EXISTS orders (order_id int PRIMARY KEY, region text NOT NULL, amount int NOT NULL)"
UPSERT = """
    INSERT INTO orders (order_id, region, amount) VALUES (%(id)s, %(region)s, %(amount)s)
    ON CONFLICT (order_id) DO UPDATE SET region = EXCLUDED.region, amount = EXCLUDED.amount
"""


@background_task("load-orders", LoadSettings)
def load_orders(settings: LoadSettings, run: Run) -> dict[str, int]:
    """Copy all pages of the API in one transaction."""
    count, page = 0, 1
    with settings.connect() as connection, run.progress("load", unit="orders") as progress:
        connection.execute(CREATE)
        while orders := fetch_page(settings.api_url, page):
            connection.cursor().executemany(UPSERT, orders)
            progress.advance(len(orders))
            count, page = count + len(orders), page + 1
    return {"orders": count}


def fetch_page(api_url: str, page: int) -> list[dict[str, Any]]:
    """Return a page of orders. A failure is temporary: the declaration of the task starts the run again."""
    try:
        # The address is a setting of the environment.
        with urlopen(f"{api_url}/orders?page={page}", timeout=30) as response:  # noqa: S310
            orders: list[dict[str, Any]] = json.load(response)["orders"]
            return orders
    except HTTPError as error:
        raise JobFailed(f"The API refused page {page} with status {error.code}. The run is repeated.") from None
    except URLError as error:
        raise JobFailed(f"The API cannot be reached: {error.reason}. The run is repeated.") from None
