"""When things start. Each schedule names its zone; nobody moves it by hand when the clocks change."""

from __future__ import annotations

from paidleave.catalog.application import catalog
from paidleave.catalog.tasks import fineos_import_employee_updates
from paidleave.catalog.workflows import dor_fineos_etl

ZONE = "America/New_York"

catalog.schedule(
    "dor-fineos-etl",
    dor_fineos_etl,
    catalog.setting("etl_schedule", default="cron(30 20 * * ? *)"),
    timezone=ZONE,
)

catalog.schedule(
    "fineos-import-employee-updates",
    fineos_import_employee_updates,
    catalog.setting("employee_updates_schedule", default="cron(30 8 * * ? *)"),  # twelve hours after the chain
    timezone=ZONE,
    enabled=catalog.setting("employee_updates_enabled", default=False),
)
