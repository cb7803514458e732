"""The object triggers. Their prefixes must not overlap, because S3 refuses two notifications for one object."""

from __future__ import annotations

from paidleave.catalog.application import agency_transfer, catalog
from paidleave.catalog.tasks import (
    dor_create_pending_filing_submission,
    dor_import_exempt,
    dor_pending_filing_response_import,
)

catalog.object_trigger(
    "exempt-employers",
    dor_import_exempt,
    bucket=agency_transfer,
    prefix="dor/received/DORDUADFML_2",  # the first digit of a year
)

catalog.object_trigger(
    "pending-filing-response",
    dor_pending_filing_response_import,
    bucket=agency_transfer,
    prefix="dor/received/DORDUADFML_SUBMISSION_",
)

catalog.object_trigger(
    "returning-to-state-plan",
    dor_create_pending_filing_submission,
    bucket=agency_transfer,
    prefix="dfml/received/CompaniesReturningToStatePlan",  # any suffix, because .CSV and .Csv are valid, too
)
