"""``load-employers-to-fineos``: create and update employers and their service agreements at FINEOS.

Any number of these processes can run concurrently, and each can be killed at any time. ``queue`` describes how they
share the work, ``loader`` the steps of one process, and ``client.service_agreements`` the agreements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import uvloop

from nightferry import JobFailed, Run, background_task, get_logger
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import explain_database_errors
from paidleave.db.import_log import import_log
from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.errors import FineosAuthenticationFailed, FineosError
from paidleave.fineos.employers.loader import FineosOutage, LoadCounts, Loader
from paidleave.fineos.employers.new_employers import NewEmployers
from paidleave.fineos.employers.queue import EmployerQueue
from paidleave.fineos.employers.source import EmployerSource, WaitingEmployers
from paidleave.fineos.settings import LoadEmployersSettings

_log = get_logger(__name__)


@background_task("load-employers-to-fineos", LoadEmployersSettings)
@explain_database_errors
def main(settings: LoadEmployersSettings, run: Run) -> None:
    """Load employers into FINEOS. Fail if the share of failed employers exceeds the limit."""
    connect = make_connector(settings)
    with import_log(connect, source="Employer load", import_type=settings.employer_load_mode, run=run) as entry:
        load(settings, run, connect, entry.report)


def load(
    settings: LoadEmployersSettings,
    run: Run,
    connect: Callable[[], psycopg.Connection[Any]],
    report: dict[str, Any],
) -> None:
    """Load employers and write the counts to ``report``.

    Raises:
        JobFailed: FINEOS is unavailable, rejected the credentials, or too many employers failed.
    """
    source: EmployerSource
    if settings.employer_load_mode == "updates":
        source = queue = EmployerQueue(connect, settings)
        report["removed_queue_rows"] = queue.remove_unusable_rows()
    else:
        source = NewEmployers(connect)
    try:
        before = source.count_waiting()
        report["waiting_employers_count"] = before.employers
        with run.progress("load employers", before.employers, "employers") as progress:
            counts = _load(settings, source, progress.advance, report)
        after = source.count_waiting()
    finally:
        source.close()
    report["parked_employers_count"] = after.parked
    report["left_employers_count"] = after.employers
    _log.info("employers loaded", extra={"loaded": counts.loaded, "failed": counts.failed, "parked": after.parked})
    _check_failed_share(settings, counts, after)


def _load(
    settings: LoadEmployersSettings, source: EmployerSource, advance: Callable[[], None], report: dict[str, Any]
) -> LoadCounts:
    counts = LoadCounts()

    async def work() -> None:
        async with FineosClient(settings, settings.employer_load_concurrency) as fineos:
            await fineos.authenticate()
            loader = Loader(
                source,
                fineos,
                concurrency=settings.employer_load_concurrency,
                lease=settings.employer_load_lease_seconds,
                attempt_limit=settings.employer_load_attempt_limit,
                limit=settings.employer_update_limit if settings.employer_load_mode == "updates" else None,
                advance=advance,
            )
            loader.counts = counts
            try:
                await loader.run()
            finally:
                report["fineos_requests_count"] = fineos.requests
                report["fineos_retries_count"] = fineos.retries

    try:
        uvloop.run(work())
    except FineosAuthenticationFailed as error:
        raise JobFailed(f"Authentication at FINEOS failed: {error}. {FineosAuthenticationFailed.__doc__}") from None
    except (FineosOutage, FineosError) as error:
        raise JobFailed(f"FINEOS is unavailable: {error}. The employers remain queued. Retry later.") from None
    finally:
        report["total_employers_count"] = counts.loaded + counts.failed
        report["loaded_employers_count"] = counts.loaded
        report["errored_employers_count"] = counts.failed
        report["updated_service_agreements_count"] = counts.agreements
        report["cut_names_count"] = counts.cut_names
        report["errors"] = dict(counts.errors)
    return counts


def _check_failed_share(settings: LoadEmployersSettings, counts: LoadCounts, left: WaitingEmployers) -> None:
    """Fail if too many employers failed.

    Employers parked today count. Those parked earlier do not, because an earlier run reported them.
    """
    if left.parked:
        _log.warning(
            "employers are parked after repeated failures, see last_error in employer_push_to_fineos_queue",
            extra={"parked": left.parked, "attempt_limit": settings.employer_load_attempt_limit},
        )
    failed = max(counts.failed - counts.parked, left.newly_parked)
    total = counts.loaded + failed
    if failed > settings.employer_load_failed_share_limit * total:
        often = [f"The most frequent error: {error} ({count} times). " for error, count in counts.errors.most_common(1)]
        raise JobFailed(
            f"{failed} of {total} employers failed, more than the allowed share of "
            f"{settings.employer_load_failed_share_limit:.0%} (EMPLOYER_LOAD_FAILED_SHARE_LIMIT). {''.join(often)}"
            "See the import log for counts by error, and last_error in the queue for the error of each employer."
        )
