"""The checks of ``paidleave-check`` and a remedy for the findings of each.

Check ``NAME`` is the SQL file ``sql/checks/*_NAME.sql``, with underscores. The query returns a count; the first comment
line describes the count. The checks of :data:`FILE_CHECKS` are in :mod:`.file_checks`. This module has no costly
imports because the settings import it.
"""

from __future__ import annotations

from collections.abc import Mapping

FILE_CHECKS: Mapping[str, str] = {
    "daily-files-overdue": "Kinds of daily files of which none was imported for too long",
    "days-without-file": "Days without an imported daily file, between days with files",
    "files-not-read": "Files in the folders for received files that no job reads",
    "files-waiting": "Files from DOR that came long ago and were not imported",
}
"""The descriptions of the checks of received files."""

REMEDIES: Mapping[str, str] = {
    "duplicate-feins": "Merge the employers: DOR and FINEOS have only one. db-migrate-up then builds the unique index.",
    "duplicate-account-keys": "Ask DOR which employer has the key. Wages go to the employer that DOR changed last.",
    "duplicate-wages": "Run db-migrate-up: it removes duplicates and makes the key unique.",
    "queued-employers-not-found": "The next load-employers-to-fineos removes them.",
    "queued-employees-not-found": "The next fineos-eligibility-feed-export removes them.",
    "employees-without-tax-identifier": "Find the process that created them. DOR imports do not update them.",
    "unused-tax-identifiers": "The next import of the person uses it. A large count suggests that people were deleted.",
    "employers-without-address": "The next change of the employer from DOR creates the address.",
    "employers-waiting": "See last_error in the queue, and the log of load-employers-to-fineos.",
    "employees-waiting": "See last_error in the queue, and the log of fineos-eligibility-feed-export.",
    "employers-unknown-to-fineos": "Run load-employers-to-fineos with EMPLOYER_LOAD_MODE=only_new.",
    "wages-without-contribution": "DOR sent B lines without the A line. Ask DOR for the employers' quarters.",
    "invalid-filing-periods": "Ask DOR: a filing period must be the last day of a quarter.",
    "missing-quarters": "Check dor_rejected_line for rejected lines, or ask DOR if the employers filed nothing.",
    "stale-import-records": "The next run of the same job closes them. If it does not start, check its schedule.",
    "decryption-key-expiry": "Extend the key or generate another one, give DOR the public key, and store the new key.",
    "daily-files-overdue": "Ask DOR for the files, and check files-not-read and the log of dor-import.",
    "days-without-file": "Ask DOR for the files of these days. Import them with ALLOW_OLDER_FILES=true.",
    "files-not-read": "Rename the file to the expected name, or remove it from the folder.",
    "files-waiting": "See the log of the job that imports this kind of file, and start the job.",
}
