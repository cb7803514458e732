"""Counts of an export. They become the ``import_log`` report and determine the exit code."""

from __future__ import annotations

from typing import Any

from nightferry import JobFailed
from paidleave.fineos.eligibility_feed.delivery import DeliveredFile


class TooManyFailed(JobFailed):
    """The share of failed employers exceeds ELIGIBILITY_FEED_FAILED_SHARE_LIMIT.

    The log contains each employer with the reason. In updates mode their employees remain in the queue for the next
    export.
    """


class Report:
    """Counts in the dictionary ``values``, which is stored. They contain no personal data."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        for name in (
            *("employers_total_count", "employers_success_count", "employers_skipped_count", "employers_error_count"),
            "employee_and_employer_pairs_total_count",
        ):
            values.setdefault(name, 0)

    def __getitem__(self, name: str) -> int:
        return int(self._values[name])

    def add(self, **counts: int) -> None:
        """Add to counts. A new count starts at 0."""
        for name, count in counts.items():
            self._values[name] = self._values.get(name, 0) + count

    def count_file(self, file: DeliveredFile) -> None:
        """Count an employer's written or failed file."""
        if file.error is None:
            self.add(employers_success_count=1, employee_and_employer_pairs_total_count=file.records)
        else:
            self.add(employers_error_count=1)

    def count_outcomes(self) -> dict[str, int]:
        """Return the number of employers by outcome. Those without one are waiting for the next export."""
        known = {
            "written": self["employers_success_count"],
            "skipped": self["employers_skipped_count"],
            "failed": self["employers_error_count"],
        }
        return {**known, "waiting": max(self["employers_total_count"] - sum(known.values()), 0)}

    def check_failed_share(self, failed_share_limit: float) -> None:
        """Raise TooManyFailed if all employers failed, or a greater share than ``failed_share_limit`` (0 to 1)."""
        failed, written = self["employers_error_count"], self["employers_success_count"]
        if failed and (not written or failed / (failed + written) > failed_share_limit):
            raise TooManyFailed(
                f"{failed} of {failed + written} employers failed (allowed share: {failed_share_limit:g}). See the log "
                "for the reasons, correct the cause, and run the export again."
            )
