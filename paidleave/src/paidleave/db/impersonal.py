"""The columns without personal data: generated ids, dates, counts and job results.

This is an allowlist: a column or table that is not listed counts as personal. The user ``pfml_impersonal`` may read
only these columns, so the database rejects every query that uses another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from paidleave.db.lookups import LOOKUPS

_TIMES = ("created_at", "updated_at")
_CLAIM = ("action", "modified_at", "process_id", "attempts", "claimed_by", "lease_expires_at")

IMPERSONAL_COLUMNS: Mapping[str, tuple[str, ...]] = {
    **{lookup.table: lookup.columns for lookup in LOOKUPS},
    "employer": (
        *("employer_id", "family_exemption", "medical_exemption", "exemption_commence_date", "exemption_cease_date"),
        *("dor_updated_date", "latest_import_log_id", "fineos_employer_id", "industry_code_id", *_TIMES),
    ),
    "employee": ("employee_id", "tax_identifier_id", "latest_import_log_id", *_TIMES),
    "tax_identifier": ("tax_identifier_id", *_TIMES),
    "address": ("address_id", "address_type_id", *_TIMES),
    "link_employer_address": ("employer_id", "address_id", *_TIMES),
    "wages_and_contributions": (
        *("wage_and_contribution_id", "filing_period", "employee_id", "employer_id"),
        *("is_independent_contractor", "is_opted_in", "latest_import_log_id", *_TIMES),
    ),
    "wages_and_contributions_history": (
        *("wages_and_contributions_history_id", "wage_and_contribution_id"),
        *("is_independent_contractor", "is_opted_in", "import_log_id", *_TIMES),
    ),
    "employer_quarterly_contribution": (
        *("employer_id", "filing_period", "dor_received_date", "dor_updated_date", "latest_import_log_id", *_TIMES),
    ),
    "employer_push_to_fineos_queue": (
        *("employer_push_to_fineos_queue_id", "employer_id", "family_exemption", "medical_exemption"),
        *("exemption_commence_date", "exemption_cease_date", *_CLAIM, *_TIMES),
    ),
    "employee_push_to_fineos_queue": (
        *("employee_push_to_fineos_queue_id", "employee_id", "employer_id", *_CLAIM, *_TIMES),
    ),
    "organization_unit": ("organization_unit_id", "employer_id", *_TIMES),
    "employee_occupation": ("employee_occupation_id", "employee_id", "employer_id", "organization_unit_id", *_TIMES),
    # The column report is not listed because older programs may have written personal data into it.
    "import_log": ("import_log_id", "source", "import_type", "status", "start", "end", *_TIMES),
    "import_log_report_queue": ("import_log_report_queue_id", "import_log_id", *_TIMES),
    "dor_imported_file": (
        *("digest", "name", "kind", "import_log_id", "line_count", "imported_at", "file_time", "run_id"),
        *("object_version", "replayed_import_log_id"),
    ),
    "dor_rejected_line": (
        *("dor_rejected_line_id", "import_log_id", "file_name", "line_number", "record_kind", "field", "reason"),
        *("created_at", "superseded_by"),
    ),
    "fineos_rejected_row": (
        *("fineos_rejected_row_id", "import_log_id", "file_name", "line_number", "field", "reason", "created_at"),
    ),
    "processed_object": ("source", "uri", "version", "processed_at"),
    "nightferry_lease": ("name", "holder", "acquired_at", "renewed_at", "expires_at"),
}
