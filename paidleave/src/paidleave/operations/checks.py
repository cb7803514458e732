"""What ``paidleave-check`` looks for: a name, and what to do about a finding. Light: settings import it.

Each check is the SQL file ``sql/checks/*_{name}.sql``, with underscores; it counts, and its comment says what.
"""

from __future__ import annotations

from collections.abc import Mapping

CURES: Mapping[str, str] = {
    "duplicate-feins": "Merge the employers: DOR and FINEOS know one. db-migrate-up then builds the unique index.",
    "duplicate-account-keys": "Ask DOR whose key it is. Wages go to the employer that DOR changed last.",
    "duplicate-wages": "Run db-migrate-up: it removes duplicates and makes the key unique.",
    "queued-employers-that-are-not-there": "The next load-employers-to-fineos removes them.",
    "queued-employees-that-are-not-there": "The next fineos-eligibility-feed-export removes them.",
    "employees-without-tax-identifier": "Find out who made them: DOR's lines never will. They get no updates.",
    "unused-tax-identifiers": "Nothing is lost; the next import of that person uses it. Many hint at deleted people.",
    "employers-without-address": "DOR's next change of the employer creates the address.",
    "employers-waiting": "See last_error of the queue, and the log of load-employers-to-fineos.",
    "employees-waiting": "See last_error of the queue, and the log of fineos-eligibility-feed-export.",
    "employers-unknown-to-fineos": "Run load-employers-to-fineos with EMPLOYER_LOAD_MODE=only_new.",
    "wages-without-contribution": "DOR sent B lines without the A line. Ask DOR for the employers' quarters.",
    "periods-that-end-no-quarter": "Ask DOR: a filing period is the last day of a quarter.",
    "missing-quarters": "Ask DOR whether the employers filed nothing, or the lines were rejected (dor_rejected_line).",
    "batches-without-end": "The next batch of their kind closes them; if it never comes, see its schedule.",
}
