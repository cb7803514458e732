"""What an export did, in numbers: the ``import_log`` report and the exit code follow from it."""

from __future__ import annotations

from typing import Any

from nightferry.job import JobFailed
from paidleave.fineos.eligibility_feed.delivery import Delivered


class TooManyFailed(JobFailed):
    """More employers failed than ELIGIBILITY_FEED_FAILED_SHARE_LIMIT allows.

    The log names each with its reason. In updates mode their employees are still in the queue, and the next export
    sends them.
    """


class Report:
    """Counts, written through to the dictionary ``values`` that is stored. No personal data."""

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
        """Add to counts; a count that is new begins at 0."""
        for name, count in counts.items():
            self._values[name] = self._values.get(name, 0) + count

    def delivered(self, file: Delivered) -> None:
        """Count an employer's file, written or failed."""
        if file.error is None:
            self.add(employers_success_count=1, employee_and_employer_pairs_total_count=file.records)
        else:
            self.add(employers_error_count=1)

    def judge(self, failed_share_limit: float) -> None:
        """Raise TooManyFailed when all employers failed, or a greater share than ``failed_share_limit`` (0 to 1)."""
        failed, written = self["employers_error_count"], self["employers_success_count"]
        if failed and (not written or failed / (failed + written) > failed_share_limit):
            raise TooManyFailed(
                f"{failed} of {failed + written} employers failed (allowed share: {failed_share_limit:g}). The log "
                "says why; run the export again when the cause is removed."
            )
